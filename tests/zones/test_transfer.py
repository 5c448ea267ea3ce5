"""A whole cluster zone (H4)."""

from svcdns.zones import transfer
from svcdns.zones.index import ClusterIndex
from svcdns.zones.options import ZoneOptions
from svcdns.zones.zone import ClusterZones, Found
from tests.support.cluster import endpoint, endpoint_slice, namespace, service, store_of
from tests.support.records import wire_name, zone_text, zone_texts

ZONE = wire_name("cluster.local")
STORE = store_of(
    namespace("prod"),
    namespace("hidden"),
    service("prod/web", "10.96.0.1", "fd00::1", ports=("http:TCP:80", ":TCP:81")),
    service("prod/plain", "10.96.0.2"),
    service("prod/db", "None", clusterIPs=["None"]),
    endpoint_slice("prod/db", endpoint("10.1.0.2", hostname="A"), "10.1.0.3", endpoint("10.1.0.9", ready=False), ports=("pg:TCP:5432", ":TCP:1")),
    service("prod/ext", external_name="api.example.net"),
    service("prod/bad", external_name="10.0.0.1"),
    service("gone/svc", "10.96.0.9"),
    service("hidden/svc", "10.96.0.8"),
)  # fmt: skip
OPTIONS = ZoneOptions(
    zones=(ZONE, wire_name("in-addr.arpa"), wire_name("cs.local")),
    multicluster=frozenset({wire_name("cs.local")}),
    namespaces=frozenset({"prod", "gone"}),
    local_addresses=("192.0.2.53",),
)
ZONES = ClusterZones(OPTIONS, ClusterIndex(STORE, wall=lambda: 9.0))

SVC = "prod.svc.cluster.local."
EXPECTED = [
    "cluster.local. 5 SOA ns.dns.cluster.local. hostmaster.cluster.local. 0 7200 1800 86400 5",
    "cluster.local. 5 NS ns.dns.cluster.local.",
    "ns.dns.cluster.local. 5 A 192.0.2.53",
    f"db.{SVC} 5 A 10.1.0.2",
    f"a.db.{SVC} 5 A 10.1.0.2",
    f"_pg._tcp.db.{SVC} 5 SRV 0 50 5432 a.db.{SVC}",
    f"db.{SVC} 5 A 10.1.0.3",
    f"10-1-0-3.db.{SVC} 5 A 10.1.0.3",
    f"_pg._tcp.db.{SVC} 5 SRV 0 50 5432 10-1-0-3.db.{SVC}",
    f"ext.{SVC} 5 CNAME api.example.net.",
    f"plain.{SVC} 5 A 10.96.0.2",
    f"web.{SVC} 5 A 10.96.0.1",
    f"web.{SVC} 5 AAAA fd00::1",
    f"web.{SVC} 5 SRV 0 100 80 web.{SVC}",
    f"_http._tcp.web.{SVC} 5 SRV 0 100 80 web.{SVC}",
    f"web.{SVC} 5 SRV 0 100 81 web.{SVC}",
]


def test_all_exposed_services_are_there_by_name() -> None:
    found = transfer.records(ZONES, ZONE)

    assert found is not None
    assert [zone_text(record) for record in found] == EXPECTED


def test_only_the_tops_of_cluster_zones_are_transferred() -> None:
    for name in ("in-addr.arpa", "cs.local", "svc.cluster.local", "example.org"):
        assert transfer.records(ZONES, wire_name(name)) is None


def test_addresses_in_a_transfer_are_those_that_queries_get() -> None:
    for record in transfer.records(ZONES, ZONE) or ():
        if record.rrtype in (1, 28):
            answered = ZONES.lookup(record.owner, ZONE, record.rrtype)
            assert isinstance(answered, Found)
            assert zone_text(record) in zone_texts(answered.answer)
