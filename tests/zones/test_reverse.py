"""What addresses point back to."""

from typing import Any

from svcdns.zones.index import ClusterIndex
from svcdns.zones.options import ZoneOptions
from svcdns.zones.reverse import targets
from tests.support.cluster import endpoint, endpoint_slice, service, store_of

CLUSTER = (
    service("prod/web", "10.96.0.1"),
    endpoint_slice("prod/web-1", "10.1.0.1", of="web"),
    endpoint_slice("prod/api-1", endpoint("10.1.0.1", hostname="H0"), of="api"),
    endpoint_slice("stage/api-1", "10.1.0.1", of="api"),
    endpoint_slice("prod/loose", "10.1.0.9", of=""),
)


def point(address: str, **options: Any) -> list[tuple[str, ...]]:
    index = ClusterIndex(store_of(*CLUSTER), wall=lambda: 0.0)
    return sorted(targets(address, index, ZoneOptions(zones=(b"\x00",), **options)))


def test_a_cluster_ip_points_to_its_service_alone() -> None:
    """F4."""
    assert point("10.96.0.1") == [("web", "prod", "svc")]


def test_an_endpoint_points_to_every_service_that_selects_it() -> None:
    """F5."""
    assert point("10.1.0.1") == [
        ("10-1-0-1", "api", "stage", "svc"),
        ("10-1-0-1", "web", "prod", "svc"),
        ("h0", "api", "prod", "svc"),
    ]


def test_only_the_namespaces_option_limits_it() -> None:
    """F7."""
    assert point("10.1.0.1", namespaces=frozenset({"stage"})) == [
        ("10-1-0-1", "api", "stage", "svc")
    ]
    assert point("10.96.0.1", namespaces=frozenset({"stage"})) == []


def test_slices_without_a_service_have_no_names() -> None:
    """R4, F5."""
    assert point("10.1.0.9") == []
