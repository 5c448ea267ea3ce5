"""Name servers of a zone; test_zone shows the records."""

from svcdns.zones.apex import name_servers
from svcdns.zones.index import ClusterIndex
from svcdns.zones.options import ZoneOptions
from tests.support.cluster import endpoint, endpoint_slice, service, store_of


def test_a_headless_dns_service_is_served_by_its_endpoints() -> None:
    """F14."""
    store = store_of(
        service("kube-system/dns", "None"),
        endpoint_slice(
            "kube-system/dns-1", endpoint("10.1.0.2", hostname="a"), "10.1.0.3", of="dns"
        ),
    )
    options = ZoneOptions(zones=(b"\x00",), local_addresses=("10.1.0.2",))

    assert name_servers(ClusterIndex(store, wall=lambda: 0.0), options) == [
        (("a", "dns", "kube-system", "svc"), "10.1.0.2"),
        (("10-1-0-3", "dns", "kube-system", "svc"), "10.1.0.3"),
    ]


def test_a_slice_of_a_missing_service_names_nobody() -> None:
    store = store_of(endpoint_slice("kube-system/dns-1", "10.1.0.2", of="gone"))
    options = ZoneOptions(zones=(b"\x00",), local_addresses=("10.1.0.2",))

    assert name_servers(ClusterIndex(store, wall=lambda: 0.0), options) == []
