import pytest
from msgspec.structs import replace

from svcdns.kube.objects import EndpointSlice
from svcdns.kube.store import Store
from svcdns.metrics import Registry
from svcdns.plugins.programming import TRIGGER_ANNOTATION, Programming
from tests.support.cluster import endpoint_slice, service

STARTED = 1767225600.0  # 2026-01-01T00:00:00Z


def slice_of(key: str, trigger: str | None) -> EndpointSlice:
    found = endpoint_slice(key, "10.1.0.1")
    annotations = None if trigger is None else {TRIGGER_ANNOTATION: trigger}
    return replace(found, metadata=replace(found.metadata, annotations=annotations))


def observed(*slices: EndpointSlice) -> list[float]:
    """Give sum and number of what is counted 100 seconds after the start."""
    store, registry, clock = Store(), Registry(), [STARTED]
    store.subscribe(Programming(store, registry, lambda: clock[0]))
    store.apply(service("prod/db", "None"))
    store.apply(service("prod/web", "10.96.0.10"))
    clock[0] += 100.0
    for one in slices:
        store.apply(one)
    family = registry.families["coredns_kubernetes_dns_programming_duration_seconds"]
    assert set(family.histograms) <= {("headless_with_selector",)}
    return [value for cell in family.histograms.values() for value in (cell.sum, sum(cell.counts))]


@pytest.mark.parametrize(
    ("trigger", "seconds"),
    [
        ("2026-01-01T00:01:38.5Z", 1.5),
        ("2026-01-01T01:01:39+01:00", 1.0),
        ("2026-01-01T00:01:41Z", 0.0),  # the clocks of two machines differ
    ],
)
def test_a_change_of_a_headless_service_is_counted(trigger: str, seconds: float) -> None:
    assert observed(slice_of("prod/db", trigger)) == [seconds, 1]


@pytest.mark.parametrize(
    "one",
    [
        slice_of("prod/web", "2026-01-01T00:01:39Z"),
        slice_of("prod/none", "2026-01-01T00:01:39Z"),
        slice_of("prod/db", None),
        slice_of("prod/db", "2025-12-31T23:59:59Z"),
        slice_of("prod/db", "2026-01-01T00:01:39"),
        slice_of("prod/db", "yesterday"),
    ],
    ids=["not headless", "no Service", "no time", "before the start", "no zone", "nonsense"],
)
def test_what_says_nothing_about_this_server_is_not_counted(one: EndpointSlice) -> None:
    assert observed(one) == []
