import msgspec
import pytest

from svcdns.kube.store import Store
from svcdns.metrics import Registry
from svcdns.proxy.metrics import PROGRAMMING_BOUNDS, ProxyMetrics, trigger_time
from svcdns.proxy.model import Backend, NodeView, PlanChange, Policy, PortId, ServicePlan
from svcdns.proxy.plan import Planner
from tests.support.flows import decode, service

NAMES = {
    "sync_proxy_rules_duration_seconds": "histogram",
    "sync_full_proxy_rules_duration_seconds": "histogram",
    "sync_partial_proxy_rules_duration_seconds": "histogram",
    "sync_proxy_rules_last_timestamp_seconds": "gauge",
    "sync_proxy_rules_last_queued_timestamp_seconds": "gauge",
    "network_programming_duration_seconds": "histogram",
    "sync_proxy_rules_endpoint_changes_pending": "gauge",
    "sync_proxy_rules_endpoint_changes_total": "counter",
    "sync_proxy_rules_service_changes_pending": "gauge",
    "sync_proxy_rules_service_changes_total": "counter",
    "sync_proxy_rules_no_local_endpoints_total": "gauge",
    "sync_proxy_rules_nftables_sync_failures_total": "counter",
    "sync_proxy_rules_nftables_cleanup_failures_total": "counter",
    "proxy_healthz_total": "counter",
    "proxy_livez_total": "counter",
    "conntrack_reconciler_sync_duration_seconds": "histogram",
    "conntrack_reconciler_deleted_entries_total": "counter",
}
"The names that dashboards know (rule R122)."

STARTED = 1000.0
HERE = Backend("10.0.0.1", 80, True)
LOCAL = ServicePlan(
    PortId("shop", "web", "", "TCP"),
    4,
    (),
    cluster=(HERE,),
    internal=Policy.LOCAL,
    any_usable=True,
)


def value(registry: Registry, name: str, *labels: str) -> float:
    return registry.families[f"kubeproxy_{name}"].cell(*labels).value


def test_the_names_are_kube_proxys_r122() -> None:
    registry = Registry()
    metrics = ProxyMetrics(registry, STARTED)
    metrics.follow(Planner(Store(), NodeView("n")))
    found = {f.name.removeprefix("kubeproxy_"): f.kind for f in registry.collect()}
    assert found == NAMES


def test_no_metric_is_about_one_service_or_endpoint_r123() -> None:
    """What the kernel forwards is not counted; relays do, under names of ours."""
    registry = Registry()
    ProxyMetrics(registry, STARTED)
    labels = {name for family in registry.collect() for name in family.labels}
    assert labels == {"ip_family", "traffic_policy", "code"}


def test_a_sync_is_counted_by_family_and_kind() -> None:
    registry = Registry()
    metrics = ProxyMetrics(registry, STARTED)
    metrics.synced(4, 2000.0, 0.003, full=True)
    metrics.synced(4, 2001.0, 0.001, full=False)
    families = registry.families

    def count(name: str) -> int:
        return sum(families[f"kubeproxy_{name}"].histogram("IPv4").counts)

    assert count("sync_proxy_rules_duration_seconds") == 2
    assert count("sync_full_proxy_rules_duration_seconds") == 1
    assert count("sync_partial_proxy_rules_duration_seconds") == 1
    assert value(registry, "sync_proxy_rules_last_timestamp_seconds", "IPv4") == 2001.0


def test_only_triggers_after_the_start_are_our_latency_r122() -> None:
    registry = Registry()
    metrics = ProxyMetrics(registry, STARTED)
    triggers = [
        "1970-01-01T00:16:39Z",
        "1970-01-01T00:16:41.5Z",
        "nonsense",
        "1970-01-01T09:00:00Z",
    ]
    metrics.synced(4, 1004.0, 0.1, full=False, triggers=triggers)
    cell = registry.families["kubeproxy_network_programming_duration_seconds"].histogram("IPv4")
    assert sum(cell.counts) == 2, "one too early, one that is no time"
    assert cell.sum == pytest.approx(2.5), "a clock that is ahead counts as no delay"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T00:00:01.5Z", 1.5),
        ("1970-01-01T01:00:01+01:00", 1.0),
        ("1970-01-01T00:00:01", None),
        ("", None),
    ],
)
def test_trigger_times(text: str, expected: float | None) -> None:
    assert trigger_time(text) == expected


def test_service_ports_without_a_local_endpoint_are_a_gauge() -> None:
    registry = Registry()
    metrics = ProxyMetrics(registry, STARTED)
    name = "sync_proxy_rules_no_local_endpoints_total"
    both = msgspec.structs.replace(LOCAL, external=Policy.LOCAL)
    helped = msgspec.structs.replace(LOCAL, local=(HERE,))
    empty = msgspec.structs.replace(LOCAL, any_usable=False)
    steps = [
        ((None, LOCAL), (1, 0)),
        ((LOCAL, both), (1, 1)),
        ((both, helped), (0, 0)),
        ((helped, both), (1, 1)),
        ((both, empty), (0, 0)),
        ((empty, LOCAL), (1, 0)),
        ((LOCAL, None), (0, 0)),
    ]
    for pair, expected in steps:
        metrics.planned(PlanChange({LOCAL.key: pair}))
        found = tuple(value(registry, name, p, "IPv4") for p in ("internal", "external"))
        assert found == expected


def test_changes_are_shown_at_the_scrape() -> None:
    registry = Registry()
    metrics = ProxyMetrics(registry, STARTED, families=(4,))
    store = Store()
    planner = Planner(store, NodeView("n"))
    metrics.follow(planner)
    store.apply(decode(service("web", "10.96.5.5")))
    registry.collect()
    assert value(registry, "sync_proxy_rules_service_changes_pending", "IPv4") == 1
    planner.update()
    registry.collect()
    assert value(registry, "sync_proxy_rules_service_changes_pending", "IPv4") == 0
    assert value(registry, "sync_proxy_rules_service_changes_total", "IPv4") == 1


def test_what_else_is_counted() -> None:
    registry = Registry()
    metrics = ProxyMetrics(registry, STARTED)
    metrics.queued(6, 1234.0)
    metrics.failed(6)
    metrics.cleanup_failed(4)
    metrics.conntrack(4, 0.1, 7)
    metrics.answered("/healthz", 503)
    metrics.answered("/livez", 200)
    assert value(registry, "sync_proxy_rules_last_queued_timestamp_seconds", "IPv6") == 1234.0
    assert value(registry, "sync_proxy_rules_nftables_sync_failures_total", "IPv6") == 1
    assert value(registry, "sync_proxy_rules_nftables_cleanup_failures_total", "IPv4") == 1
    assert value(registry, "conntrack_reconciler_deleted_entries_total", "IPv4") == 7
    assert value(registry, "proxy_healthz_total", "503") == 1
    assert value(registry, "proxy_livez_total", "200") == 1
    assert PROGRAMMING_BOUNDS[-1] == 300
