"""Entries of names under ``svc``; test_zone shows what they become."""

import msgspec

from svcdns.kube.objects import ServiceImport
from svcdns.zones.index import ClusterIndex
from svcdns.zones.options import ZoneOptions
from svcdns.zones.schema import ServiceName
from svcdns.zones.services import Entries, find, find_imported
from tests.support.cluster import endpoint, endpoint_slice, service, store_of

OPTIONS = ZoneOptions(zones=(b"\x00",), zonal=True)

ZONAL = (
    service("ns/db", "None", ports=("pg:TCP:5432",)),
    endpoint_slice(
        "ns/db-1",
        endpoint("10.0.0.1", zone="eu.a"),
        endpoint("10.0.0.2", zone="EU.B"),
        of="db",
        ports=("pg:TCP:5432",),
    ),
    service("ns/web", "10.96.0.1", ports=("http:TCP:80",)),
)


def zonal(name: ServiceName) -> Entries:
    return find(name, ClusterIndex(store_of(*ZONAL), wall=lambda: 0.0), OPTIONS)


def values(entries: Entries) -> list[str] | None:
    return None if entries is None else [entry.value for entry in entries]


def test_zonal_names_hold_the_endpoints_of_their_zone() -> None:
    """G12."""
    assert values(zonal(ServiceName("ns", "db", zone="eu.a"))) == ["10.0.0.1"]
    assert values(zonal(ServiceName("ns", "db", zone="eu.b"))) == ["10.0.0.2"]
    assert values(zonal(ServiceName("ns", "db", zone="us"))) == []
    assert values(zonal(ServiceName("ns", "db", zone="us", prefer=True))) == [
        "10.0.0.1",
        "10.0.0.2",
    ]
    assert zonal(ServiceName("ns", "web", zone="eu.a")) is None


LABELS = {
    "multicluster.kubernetes.io/service-name": "db",
    "multicluster.kubernetes.io/source-cluster": "c1",
}


def imported(kind: str, name: ServiceName, ips: list[str] | None = None) -> Entries:
    body = {
        "metadata": {"name": "db", "namespace": "ns"},
        "spec": {"type": kind, "ips": ips, "ports": [{"port": 80, "name": "http"}]},
    }
    piece = endpoint_slice(
        "ns/db-c1", endpoint("10.9.0.1", hostname="h"), of="", labels=LABELS, ports=("http:TCP:80",)
    )
    store = store_of(msgspec.convert(body, ServiceImport), piece)
    return find_imported(name, ClusterIndex(store, wall=lambda: 0.0))


def test_imports_answer_with_their_set_address_or_their_endpoints() -> None:
    """G13."""
    name = ServiceName("ns", "db")
    endpoint_of_c1 = ServiceName("ns", "db", endpoint="h", cluster="c1")

    assert values(imported("ClusterSetIP", name, ["10.100.0.1"])) == ["10.100.0.1"]
    headless = imported("Headless", name)
    assert headless is not None
    assert [entry.labels for entry in headless] == [("h", "c1", "db", "ns", "svc")]
    assert values(imported("Headless", endpoint_of_c1)) == ["10.9.0.1"]
    assert imported("Headless", ServiceName("ns", "db", endpoint="h")) is None
    assert imported("Headless", ServiceName("ns", "db", endpoint="h", cluster="c2")) is None
    assert imported("ClusterSetIP", ServiceName("ns", "gone")) is None
