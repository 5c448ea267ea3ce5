"""kube-proxy's metrics, by its names, over our registry (rule R122).

The data path reports; nothing here reads a clock.

Parity: kube-proxy ``pkg/proxy/metrics/metrics.go``; label ``ip_family`` as in 1.34 and later.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from svcdns.metrics import Family, Registry
from svcdns.proxy.health import FAMILY_NAMES
from svcdns.proxy.model import PlanChange, PlanKey, Policy, ServicePlan
from svcdns.proxy.plan import Planner

SYNC_BOUNDS = tuple(0.001 * 2**n for n in range(15))
"""Seconds: 1 ms to 16 s."""

PROGRAMMING_BOUNDS = (
    0.25,
    0.5,
    *(float(n) for n in range(1, 60)),
    *(float(n) for n in range(60, 120, 5)),
    *(float(n) for n in range(120, 301, 30)),
)
"""Seconds: fine up to a minute, coarse to five."""

_PREFIX = "kubeproxy_"
_BY_FAMILY = ("ip_family",)


class ProxyMetrics:
    """The families of the proxy, and how they are counted.

    Families of addresses are given as 4 and 6, times in seconds since 1970, durations in seconds.
    """

    def __init__(
        self, registry: Registry, started: float, families: Sequence[int] = (4, 6)
    ) -> None:
        """Declare the families.

        Args:
            registry: Where they are scraped from.
            started: Start of this process; what was triggered earlier is not our latency.
            families: Address families that are served.
        """
        self._registry = registry
        self._started = started
        self._families = [FAMILY_NAMES[family] for family in families]
        self._without_local: dict[PlanKey, tuple[bool, bool]] = {}
        self._sync = self._histogram("sync_proxy_rules_duration_seconds", "Duration of a sync")
        self._full = self._histogram(
            "sync_full_proxy_rules_duration_seconds", "Duration of a full sync"
        )
        self._partial = self._histogram(
            "sync_partial_proxy_rules_duration_seconds", "Duration of a partial sync"
        )
        self._programming = self._histogram(
            "network_programming_duration_seconds",
            "Time from the change of an endpoint to the rules that follow from it",
            PROGRAMMING_BOUNDS,
        )
        self._conntrack_sync = self._histogram(
            "conntrack_reconciler_sync_duration_seconds", "Duration of a conntrack clean-up"
        )
        self._conntrack_deleted = self._counter(
            "conntrack_reconciler_deleted_entries_total", "Conntrack entries deleted"
        )
        self._failures = self._counter(
            "sync_proxy_rules_nftables_sync_failures_total", "Failed syncs"
        )
        self._cleanup_failures = self._counter(
            "sync_proxy_rules_nftables_cleanup_failures_total", "Failed clean-ups"
        )
        self._synced_at = self._gauge(
            "sync_proxy_rules_last_timestamp_seconds", "When a sync last succeeded"
        )
        self._queued_at = self._gauge(
            "sync_proxy_rules_last_queued_timestamp_seconds", "When a change last came in"
        )
        self._no_local = self._gauge(
            "sync_proxy_rules_no_local_endpoints_total",
            "Service ports with policy Local, endpoints elsewhere and none on this node",
            ("traffic_policy", "ip_family"),
        )
        self._healthz = self._counter("proxy_healthz_total", "Answers of /healthz", ("code",))
        self._livez = self._counter("proxy_livez_total", "Answers of /livez", ("code",))

    def _histogram(self, name: str, text: str, bounds: Sequence[float] = SYNC_BOUNDS) -> Family:
        return self._registry.histogram(_PREFIX + name, text, bounds, _BY_FAMILY)

    def _gauge(self, name: str, text: str, labels: Sequence[str] = _BY_FAMILY) -> Family:
        return self._registry.gauge(_PREFIX + name, text, labels)

    def _counter(self, name: str, text: str, labels: Sequence[str] = _BY_FAMILY) -> Family:
        return self._registry.counter(_PREFIX + name, text, labels)

    def follow(self, planner: Planner) -> None:
        """Show the planner's counts of changes at every scrape."""
        pairs = (("service", "Service"), ("endpoint", "Endpoint"))
        totals = [
            self._counter(f"sync_proxy_rules_{word}_changes_total", f"{name} changes seen")
            for word, name in pairs
        ]
        pending = [
            self._gauge(f"sync_proxy_rules_{word}_changes_pending", f"{name} changes not applied")
            for word, name in pairs
        ]

        def fold() -> None:
            seen = (planner.service_changes, planner.endpoint_changes)
            for family in self._families:
                for index in range(2):
                    totals[index].cell(family).value = seen[index]
                    pending[index].cell(family).value = planner.pending[index]

        self._registry.before_scrape(fold)

    def queued(self, family: int, now: float) -> None:
        """Note that a change came in."""
        self._queued_at.cell(FAMILY_NAMES[family]).value = now

    def synced(
        self, family: int, now: float, seconds: float, *, full: bool, triggers: Iterable[str] = ()
    ) -> None:
        """Count a sync that succeeded.

        Args:
            family: 4 or 6.
            now: When it ended.
            seconds: How long it took.
            full: Whether everything was written, not only what changed.
            triggers: :attr:`svcdns.proxy.model.PlanChange.triggers` of what it carried.
        """
        name = FAMILY_NAMES[family]
        self._sync.histogram(name).observe(seconds)
        (self._full if full else self._partial).histogram(name).observe(seconds)
        self._synced_at.cell(name).value = now
        for text in triggers:
            at = trigger_time(text)
            if at is not None and at > self._started:
                self._programming.histogram(name).observe(max(0.0, now - at))

    def failed(self, family: int) -> None:
        """Count a sync that failed."""
        self._failures.cell(FAMILY_NAMES[family]).value += 1

    def cleanup_failed(self, family: int) -> None:
        """Count a clean-up of stale rules that failed."""
        self._cleanup_failures.cell(FAMILY_NAMES[family]).value += 1

    def conntrack(self, family: int, seconds: float, deleted: int) -> None:
        """Count a conntrack clean-up and the entries it deleted."""
        self._conntrack_sync.histogram(FAMILY_NAMES[family]).observe(seconds)
        self._conntrack_deleted.cell(FAMILY_NAMES[family]).value += deleted

    def answered(self, path: str, code: int) -> None:
        """Count an answer of ``/healthz`` or ``/livez``."""
        (self._healthz if path == "/healthz" else self._livez).cell(str(code)).value += 1

    def planned(self, change: PlanChange) -> None:
        """Follow which service ports drop for want of a local endpoint, at the change's cost."""
        for key, (_, new) in change.services.items():
            self._count_without_local(key, -1)
            found = without_local(new) if new else (False, False)
            if any(found):
                self._without_local[key] = found
                self._count_without_local(key, 1)
            else:
                self._without_local.pop(key, None)

    def _count_without_local(self, key: PlanKey, step: int) -> None:
        found = self._without_local.get(key, (False, False))
        for policy, missing in zip(("internal", "external"), found, strict=True):
            if missing:
                self._no_local.cell(policy, FAMILY_NAMES[key[1]]).value += step


def without_local(plan: ServicePlan) -> tuple[bool, bool]:
    """Whether internal and external traffic drop because no endpoint is here (rule R50)."""
    missing = plan.any_usable and not plan.local
    return (
        missing and plan.internal is Policy.LOCAL,
        missing and plan.external is Policy.LOCAL,
    )


def trigger_time(text: str) -> float | None:
    """Parse the time of an endpoint change, RFC 3339; ``None`` when it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.timestamp() if found.tzinfo else None
