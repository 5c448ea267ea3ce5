"""The life of ``svcdns proxy``.

Start: the data path is tried, probes are up, the API is listed; only then is the first plan carried
out (rule R100).  Then changes are gathered for ``minSyncPeriod`` and carried out together (R101), a
failure is mended every ``syncPeriod``, and everything is compared once an hour.  Stop: the process
ends, the rules stay (R105).

Parity: kube-proxy ``cmd/kube-proxy/app/server.go``, ``pkg/proxy/nftables/proxier.go``.
"""

import asyncio
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

from svcdns.aio import capture, credentials, logs, sysctl
from svcdns.aio.capture import Capture
from svcdns.aio.configwatch import ConfigWatch
from svcdns.aio.datapath import DataPath, KernelPath, RelayPath
from svcdns.aio.feed import feed
from svcdns.aio.interfaces import interfaces
from svcdns.aio.leftovers import remove_leftovers
from svcdns.aio.nft import Nft
from svcdns.aio.proxyhttp import ProxyHttp
from svcdns.aio.signals import Signals
from svcdns.aio.tables import Synced, clean_up
from svcdns.errors import fault_of
from svcdns.kube.objects import Kind
from svcdns.kube.store import Delta, Store
from svcdns.metrics import Registry
from svcdns.proxy.config import Mode, ProxyOptions
from svcdns.proxy.health import ProxyHealth, node_eligible
from svcdns.proxy.metrics import ProxyMetrics
from svcdns.proxy.model import NodeView, PlanChange
from svcdns.proxy.plan import Planner
from svcdns.proxy.traffic import publish_planned

LOOK_FOR_LISTS = 0.05
"""Seconds between looks whether the API has been listed."""

SAY_WAITING = 10.0
"""Seconds between lines that say we wait for the API."""

DISPENSABLE = frozenset({Kind.SERVICE_CIDR})
"""What an API server may not have or not show: ServiceCIDRs are served since Kubernetes 1.33, and
older roles do not name them.  Without them unused cluster IPs are not dropped (rule R25)."""

DISPENSABLE_SECONDS = 2.0
"""How long they are waited for when everything else is there."""

REST_SECONDS = 1.0
"""Between looks at the tables."""

FULL_SYNC_SECONDS = 3600.0
"""Between comparisons of everything (rule R101)."""

DEBUG_VERBOSITY = 4
"""From here on ``-v`` shows debug lines; precedent: klog's level for them."""

CLIENT_METRICS = ""
"""Prefix of the API client's metrics: kube-proxy's begin with ``rest_client_``."""

CRASHED = 1
"""Exit status when a part of the proxy has died."""

CHANGED = 1
"""Exit status when the configuration has changed, so that whoever runs us starts us anew."""

log = logging.getLogger(__name__)


async def run(
    options: ProxyOptions, *, file: str = "", read: Callable[[], ProxyOptions] | None = None
) -> int:
    """Proxy until told to stop, or do what ``--cleanup`` or ``--init-only`` asks; the exit status.

    Args:
        options: What to do.
        file: The configuration file, to be watched.
        read: Reads it again.

    Raises:
        ConfigError: It cannot be done here.
    """
    writer = logs.set_up(debug=options.verbosity >= DEBUG_VERBOSITY, stream=sys.stderr)
    try:
        if options.cleanup or options.cleanup_kube_proxy:
            return await _clean_up(options)  # whatever is odd about how it would forward
        for warning in options.warnings:
            log.warning("%s", warning)
        if not options.init_only:
            # Who cannot reach the API must not change the machine.
            source = options.source(options.node_name(socket.gethostname()))
            await credentials.load(source, os.environ, warn=lambda _text: None)
        if options.mode is not Mode.USERSPACE:  # relays need no connection tracking
            sysctl.apply(options.sysctls(os.cpu_count() or 1))
        if options.init_only:
            Capture(options.capture).start()
            return 0
        watch = ConfigWatch(file, options, read or (lambda: options))
        return await Proxy(options).run(watch)
    finally:
        writer.flush()


async def _clean_up(options: ProxyOptions) -> int:
    done = True
    if options.capture:
        done = capture.clean_up(options.capture)
        if not options.cleanup_kube_proxy:
            return 0 if done else 1
    nft = Nft()
    try:
        await nft.probe()
        if options.cleanup and not options.capture:
            done &= await clean_up(nft, options.plan.families)
        if options.cleanup_kube_proxy:
            done &= await remove_leftovers(nft, options.plan.families)
        return 0 if done else 1
    finally:
        nft.close()


async def snapshot(options: ProxyOptions) -> tuple[Store, NodeView]:
    """Read the cluster once.

    Raises:
        ConfigError: There is no way to the API.
    """
    name = options.node_name(socket.gethostname())
    store = Store()
    source = options.source(name)
    store.wanted |= set(source.kinds)
    reading = asyncio.create_task(feed(source, store, log=log, registry=Registry()))
    try:
        waiting = _Lists(store)
        while not waiting.over(time.monotonic()):
            done, _ = await asyncio.wait({reading}, timeout=LOOK_FOR_LISTS)
            if done:
                reading.result()
    finally:
        reading.cancel()
        await asyncio.wait({reading})
    node = NodeView.from_node(
        name,
        store.nodes.get(("", name)),
        interfaces=_own_addresses(),
        bind_address=options.bind_address,
    )
    return store, node


class _Lists:
    """Whether enough of a cluster has been listed to act on it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._since: float | None = None
        "When all but what is dispensable had been listed."

    def over(self, now: float) -> bool:
        """Tell whether there is nothing to wait for any more; *now* is monotonic seconds."""
        missing = self._store.wanted - self._store.listed
        if missing and missing <= DISPENSABLE:
            self._since = now if self._since is None else self._since
            if now - self._since >= DISPENSABLE_SECONDS:
                names = ", ".join(sorted(kind.value for kind in missing))
                log.warning("going on without %s: the API does not list them", names)
                return True
        return not missing


def _own_addresses() -> tuple[str, ...]:
    return tuple(address for found in interfaces().values() for address in found)


class Proxy:
    """One process."""

    def __init__(self, options: ProxyOptions) -> None:
        self._options = options
        self._registry = Registry()
        self._metrics = ProxyMetrics(self._registry, time.time(), options.plan.families)
        self._health = ProxyHealth(options.sync_period)
        self._http = ProxyHttp(options, self._health, self._metrics, self._registry)
        self._store = Store()
        self._name = options.node_name(socket.gethostname())
        self._planner = Planner(self._store, self._view(), options.plan)
        self._metrics.follow(self._planner)
        self._path = self._data_path()
        if self._options.mode is not Mode.USERSPACE:  # relays count for themselves
            self._registry.before_scrape(
                lambda: publish_planned(self._registry, self._planner.plan.services.values())
            )
        self._changed = asyncio.Event()
        self._busy = asyncio.Lock()
        "The data path does one thing at a time."
        self._failed: set[int] = set()
        "Families that are not what they should be."

    def _data_path(self) -> DataPath:
        if self._options.mode is Mode.USERSPACE:
            return RelayPath(self._options, self._registry)
        return KernelPath(self._options, self._metrics, self._registry, Nft())

    def _view(self) -> NodeView:
        """See this node, by its object or without one."""
        return NodeView.from_node(
            self._name,
            self._store.nodes.get(("", self._name)),
            interfaces=_own_addresses(),
            bind_address=self._options.bind_address,
        )

    async def run(self, watch: ConfigWatch | None = None) -> int:
        """Proxy until a signal or another configuration ends it; the exit status.

        Raises:
            ConfigError: Something that it needs cannot be had.
        """
        signals = Signals()
        signals.catch()
        sysctl.set_oom_score(self._options.oom_score_adj)
        try:
            await self._path.prepare()
            await self._http.start()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work) for work in self._work()]
                status = await _end(signals, watch, left_behind(self._options.mode))
                for task in tasks:
                    task.cancel()
            return status
        except BaseExceptionGroup as errors:
            if fault := fault_of(errors):
                raise fault from None
            log.critical(
                "a part of the proxy has died; %s", left_behind(self._options.mode), exc_info=errors
            )
            return CRASHED
        finally:
            await self._http.close()
            await self._path.stop()
            self._planner.close()
            signals.release()

    def _work(self) -> tuple[Coroutine[Any, Any, None], ...]:
        source = self._options.source(self._name)
        self._store.wanted |= set(source.kinds)
        self._store.subscribe(self._on_delta)
        return (
            feed(source, self._store, log=log, registry=self._registry, prefix=CLIENT_METRICS),
            self._http.run(),
            self._follow(),
        )

    def _on_delta(self, delta: Delta) -> None:
        if delta.kind is Kind.NODE and delta.key == ("", self._name):
            self._health.node_eligible = node_eligible(self._store.nodes.get(delta.key))
        if not self._changed.is_set():
            self._changed.set()
            now = time.time()
            for family in self._options.plan.families:
                self._health.queued(family, now)
                self._metrics.queued(family, now)

    # -- following the cluster

    async def _follow(self) -> None:
        await self._listed()
        began = time.monotonic()
        await self._sync(first=True)
        count = len(self._planner.plan.services)
        log.info(
            "%s: %d %s carried out %.3f s after the first lists",
            self._options.mode.value,
            count,
            "service port" if count == 1 else "service ports",
            time.monotonic() - began,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sync_changes(began))
            group.create_task(self._look_after())

    async def _listed(self) -> None:
        """Wait until the API was listed: a plan of half a cluster would cut connections (R100)."""
        said = time.monotonic()
        waiting = _Lists(self._store)
        while not waiting.over(time.monotonic()):
            await asyncio.sleep(LOOK_FOR_LISTS)
            if time.monotonic() - said > SAY_WAITING:
                said = time.monotonic()
                missing = sorted(kind.value for kind in self._store.wanted - self._store.listed)
                log.info("waiting for the API: not yet listed: %s", ", ".join(missing))

    async def _sync_changes(self, last: float) -> None:
        while True:
            await self._changed.wait()
            # From start to start, so that a lone change is carried out at once (rule R101).
            pause = last + self._options.min_sync_period - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            last = time.monotonic()
            await self._sync()

    async def _sync(self, *, first: bool = False) -> None:
        async with self._busy:
            self._changed.clear()
            change = self._planner.update()
            plan = self._planner.plan
            if first:
                done = await self._path.start(plan, self._planner.node)
            elif change:
                done = await self._path.follow(plan, change, self._planner.node)
            else:
                done = [Synced(family, 0.0, 0, True) for family in self._options.plan.families]
            self._metrics.planned(change)
            self._report(done, change)
        if first or change.health_checks or change.node:
            await self._http.update_checks(plan.health_checks, plan.node_ports)

    def _report(self, done: list[Synced], change: PlanChange | None = None) -> None:
        """Tell health and metrics what became of a sync."""
        now = time.time()
        for one in done:
            if not one.ok:
                self._failed.add(one.family)
                continue
            self._failed.discard(one.family)
            triggers = change.triggers if change else ()
            self._metrics.synced(one.family, now, one.seconds, full=one.full, triggers=triggers)
            self._health.synced(one.family, now)
            if self._changed.is_set():
                self._health.queued(one.family, now)

    async def _look_after(self) -> None:
        """Mend what failed, notice what others did, compare everything now and then."""
        mended = compared = time.monotonic()
        while True:
            await asyncio.sleep(REST_SECONDS)
            now = time.monotonic()
            self._planner.set_node(self._view())
            if not self._planner.idle and not self._changed.is_set():
                self._changed.set()
            due = self._failed and now - mended >= self._options.sync_period
            async with self._busy:
                if due or now - compared >= FULL_SYNC_SECONDS:
                    mended = compared = now
                    self._report(await self._path.mend())
                else:
                    self._report(await self._path.rest())


def left_behind(mode: Mode) -> str:
    """Say what becomes of connections when the process ends (rule R105)."""
    return "nothing is forwarded any more" if mode is Mode.USERSPACE else "rules stay as they are"


async def _end(signals: Signals, watch: ConfigWatch | None, left: str) -> int:
    """Wait for a reason to end; the exit status.

    Args:
        signals: One of them is a reason.
        watch: Another configuration is one.
        left: What becomes of the connections, for the log.
    """
    signal = asyncio.create_task(signals.next())
    waiting: set[asyncio.Task[Any]] = {signal}
    if watch:
        waiting.add(asyncio.create_task(watch.different()))
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
    if signal in done:
        log.info("%s: ending; %s", signal.result().name.lower(), left)
        return 0
    log.info("the configuration has changed: ending, to be started anew; %s", left)
    return CHANGED
