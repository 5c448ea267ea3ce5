"""What carries the plan out: the kernel's tables, or relays of ours; one face for both."""

import logging
import time
from collections.abc import Iterable
from typing import Protocol

from svcdns.aio import conntrack
from svcdns.aio.capture import Capture
from svcdns.aio.interfaces import interfaces
from svcdns.aio.nft import Nft, first_line
from svcdns.aio.nftmonitor import Monitor
from svcdns.aio.tables import Synced, Tables
from svcdns.aio.userspace import UserspaceProxy
from svcdns.errors import NftError
from svcdns.metrics import Registry
from svcdns.proxy.config import ProxyOptions
from svcdns.proxy.conntrack import sweep
from svcdns.proxy.leftovers import KUBE_PROXY_TABLE
from svcdns.proxy.listeners import Surroundings
from svcdns.proxy.metrics import ProxyMetrics
from svcdns.proxy.model import ForwardingPlan, NodePorts, NodeView, PlanChange, PlanKey
from svcdns.proxy.nft import Table, Transaction
from svcdns.proxy.schema import RulesetOptions, Schema

GRACE = 5.0
"""Seconds that relayed connections have to end when the process is told to."""

log = logging.getLogger(__name__)


class DataPath(Protocol):
    """Carries a plan out."""

    async def prepare(self) -> None:
        """Find out whether it can work here; nothing is changed yet.

        Raises:
            ConfigError: It cannot.
        """

    async def start(self, plan: ForwardingPlan, node: NodeView) -> list[Synced]:
        """Carry out the first plan."""

    async def follow(
        self, plan: ForwardingPlan, change: PlanChange, node: NodeView
    ) -> list[Synced]:
        """Carry out a change."""

    async def rest(self) -> list[Synced]:
        """Do what is to be done in quiet times; called about once a second."""

    async def mend(self) -> list[Synced]:
        """Put everything right, whatever it is now: after a failure, and once an hour."""

    async def stop(self) -> None:
        """Let go.  What the kernel does for us, it goes on doing (rule R105)."""


class KernelPath:
    """Forwards by nftables."""

    def __init__(
        self, options: ProxyOptions, metrics: ProxyMetrics, registry: Registry, nft: Nft
    ) -> None:
        self._options = options
        self._metrics = metrics
        self._registry = registry
        self._nft = nft
        self._families: tuple[int, ...] = ()
        self._rules = RulesetOptions()
        self._monitor = Monitor(())
        self._tables = self._make((), self._rules)

    def _make(self, families: Iterable[int], rules: RulesetOptions) -> Tables:
        families = tuple(families)
        self._monitor.close()
        self._monitor = Monitor(Schema(family, rules).table for family in families)
        return Tables(
            self._nft,
            families,
            rules,
            self._metrics,
            self._registry,
            generation=self._monitor.count,
        )

    async def prepare(self) -> None:
        """Find nft, and which address families the kernel has."""
        version = await self._nft.probe()
        families = []
        for family in self._options.plan.families:
            schema = Schema(family, RulesetOptions())
            tx = Transaction(schema.table)
            tx.start_over()
            tx.add(*schema.sets(), *schema.fixed_chains(True))
            fault = await self._nft.refusal(str(tx))
            if fault:
                log.warning("no rules for IPv%d: the kernel refuses them: %s", family, fault)
            else:
                families.append(family)
        self._families = tuple(families)
        log.info("nftables: nft %s, families %s", version, families)
        await self._warn_of_kube_proxy()

    async def _warn_of_kube_proxy(self) -> None:
        for family in self._families:
            table = Table(family, KUBE_PROXY_TABLE)
            try:
                found = await self._nft.exists(table)
            except NftError as error:
                log.info("cannot tell whether there is a %s: %s", table, first_line(error.stderr))
                continue
            if found:
                log.warning(
                    "table %s is still there and takes connections before us: stop kube-proxy,"
                    " then run 'svcdns proxy --cleanup-kube-proxy'",
                    table,
                )

    async def start(self, plan: ForwardingPlan, node: NodeView) -> list[Synced]:
        """Take over the tables of an earlier process, or make new ones."""
        self._rules = self._rules_for(node)
        self._tables = self._make(self._families, self._rules)
        found = await self._tables.start(plan)
        await self._forget(plan, plan.services)
        return found

    def _rules_for(self, node: NodeView) -> RulesetOptions:
        options = self._options
        return RulesetOptions(
            options.detector(node), options.masquerade_all, options.masquerade_mark
        )

    async def follow(
        self, plan: ForwardingPlan, change: PlanChange, node: NodeView
    ) -> list[Synced]:
        """Apply a change; other rules for telling pods are a new start."""
        if self._rules_for(node) != self._rules:
            log.info("pods are told from other clients in another way now: %s", node.pod_cidrs)
            return await self.start(plan, node)
        found = await self._tables.follow(plan, change)
        await self._forget(plan, change.services)
        return found

    async def _forget(self, plan: ForwardingPlan, changed: Iterable[PlanKey]) -> None:
        """Have the kernel forget UDP flows that a change made stale (rule R90)."""
        own: tuple[str, ...] = ()
        if plan.node_ports.any_of:
            own = tuple(address for found in interfaces().values() for address in found)
        changed = list(changed)
        for family in self._families:
            wanted = sweep(plan, changed, family, own)
            if wanted is None:
                continue
            began = time.monotonic()
            try:
                count = await conntrack.forget(wanted)
            except OSError as error:
                log.warning("stale UDP flows of IPv%d may live on: %s", family, error)
                continue
            self._metrics.conntrack(family, time.monotonic() - began, count)

    async def rest(self) -> list[Synced]:
        """Delete idle chains; look at tables that somebody else may have changed."""
        await self._tables.collect()
        return await self._tables.look()

    async def mend(self) -> list[Synced]:
        """Compare the tables with the plan."""
        return await self._tables.look(always=True)

    async def stop(self) -> None:
        """Let nft go; the tables stay."""
        self._nft.close()
        self._monitor.close()


class RelayPath:
    """Forwards by relays of this process."""

    def __init__(self, options: ProxyOptions, registry: Registry) -> None:
        self._options = options
        self._registry = registry
        self._proxy: UserspaceProxy | None = None
        self._around = Surroundings()
        self._capture = Capture(options.capture)
        self._lacking: float | None = None
        "When sockets that could not be had were last tried."
        self._plan = ForwardingPlan({}, {})

    async def prepare(self) -> None:
        """Make what is to be captured local.

        Raises:
            ConfigError: The kernel refuses.
        """
        self._capture.start()
        if self._options.exclude_ports:
            ports = ", ".join(map(str, sorted(self._options.exclude_ports)))
            log.info("ports left to other programs, whatever Services have them: %s", ports)

    async def start(self, plan: ForwardingPlan, node: NodeView) -> list[Synced]:
        """Open what the plan needs."""
        self._around = self._surroundings(plan.node_ports, node)
        self._proxy = UserspaceProxy(
            registry=self._registry, around=self._around, access_log=self._options.access_log
        )
        await self._proxy.start()
        return self._apply(plan)

    def _surroundings(self, node_ports: NodePorts, node: NodeView) -> Surroundings:
        everywhere = [{4: "0.0.0.0", 6: "::"}[family] for family in node_ports.any_of]
        pods = node.pod_cidrs if self._options.detector(node).cidrs == () else ()
        own = (*node.addresses, *node.interfaces)
        return Surroundings(
            (*node_ports.addresses, *everywhere),
            (
                "127.0.0.0/8",
                "::1/128",
                *pods,
                *self._options.detector(node).cidrs,
                *(f"{one}/{128 if ':' in one else 32}" for one in own),
            ),
            captured=self._options.capture,
            exclude_ports=self._options.exclude_ports,
        )

    async def follow(
        self, plan: ForwardingPlan, change: PlanChange, node: NodeView
    ) -> list[Synced]:
        """Open and close what changed, also where the node has other addresses now."""
        around = self._surroundings(plan.node_ports, node)
        if self._proxy and around != self._around:
            self._around = around
            self._proxy.surround(around)
        return self._apply(plan)

    def _apply(self, plan: ForwardingPlan) -> list[Synced]:
        assert self._proxy
        began = time.monotonic()
        self._plan = plan
        done = self._proxy.apply(plan)
        took = time.monotonic() - began
        self._lacking = began if done.failed else None
        # A port that somebody else has costs its frontend, not the health of the node (rule R84).
        return [Synced(family, took, 0, True) for family in (4, 6)]

    async def rest(self) -> list[Synced]:
        """Try sockets that could not be had again, every ``syncPeriod``."""
        since = self._lacking
        if since is None or time.monotonic() - since < self._options.sync_period:
            return []
        return self._apply(self._plan)

    async def mend(self) -> list[Synced]:
        """Carry the plan out again."""
        return self._apply(self._plan) if self._proxy else []

    async def stop(self) -> None:
        """Close everything; connections have a while to end."""
        if self._proxy:
            await self._proxy.stop(GRACE)
        self._capture.stop()
