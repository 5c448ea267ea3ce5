"""The external zone as a client sees it (J24)."""

import pytest
from msgspec.structs import replace

from svcdns.corefile.fallthrough import Fallthrough
from svcdns.dns.response import Record, Response
from svcdns.errors import CorefileError
from svcdns.kube.objects import Kind
from svcdns.kube.source import ApiSource
from svcdns.kube.store import Store
from svcdns.plugins.base import Failed, Handler, Outcome, Plugin, Reply, Request
from svcdns.plugins.clusters import Cluster
from svcdns.plugins.commands import Transport
from svcdns.plugins.k8s_external import setup
from svcdns.plugins.kubernetes import Kubernetes, owners_of
from svcdns.plugins.server import Server
from svcdns.zones.index import ClusterIndex
from svcdns.zones.options import ZoneOptions
from svcdns.zones.zone import ClusterZones
from tests.support.cluster import balanced, endpoint, endpoint_slice, namespace, service, store_of
from tests.support.records import wire_name
from tests.support.serving import Scripted, answer, rows, server_of
from tests.support.setups import context, directives

CLUSTER = (
    namespace("prod"),
    service(
        "prod/web",
        "10.96.0.1",
        ports=("http:TCP:80", "dns:UDP:53"),
        externalIPs=["203.0.113.1", "2001:db8::1"],
    ),
    balanced("prod/lb", {"ip": "203.0.113.2"}),
    balanced("prod/named", {"hostname": "lb.example.net"}),
    service("prod/inner", "10.96.0.4", ports=("http:TCP:80",)),
    service("prod/peers", "None", clusterIPs=["None"]),
    endpoint_slice(
        "prod/peers", endpoint("10.1.0.2", hostname="a"), endpoint("10.1.0.3"), ports=("p:TCP:9",)
    ),
    service("prod/bare", "10.96.0.5", externalIPs=["203.0.113.5"]),
)
SOA = "example.org. 5 IN SOA ns1.dns.example.org. hostmaster.dns.example.org. 0 7200 1800 86400 5"


def elsewhere(request: Request, proceed: Handler) -> Outcome:
    if request.query.name == wire_name("lb.example.net") and request.query.qtype == 1:
        return Reply(
            Response(answer=(Record(request.query.qname, 1, 60, bytes((198, 51, 100, 7))),))
        )
    return Failed(5)


def serve(options: str = "", store: Store | None = None) -> Server:
    store = store or store_of(*CLUSTER)
    index = ClusterIndex(store, wall=lambda: 7.0)
    zones = ZoneOptions(zones=(wire_name("cluster.local"),), local_addresses=("192.0.2.53",))
    cluster = Cluster(ApiSource(kinds=(Kind.SERVICE,)), store, index)
    plugin = setup(
        directives("k8s_external example.org 203.0.113.0/24 {\n" + options + "\n}"), context()
    )
    plugins: list[Plugin] = [
        plugin,
        Kubernetes(ClusterZones(zones, index), cluster, Fallthrough()),
        Scripted(elsewhere, "forward"),
    ]
    plugin.meet(plugins)
    server = server_of(plugins)
    store.subscribe(lambda delta: server.drop(owners_of(delta)))
    return server


WEB = "web.prod.example.org"
ROWS = [
    (f"{WEB} A", "NOERROR", [f"{WEB}. 5 IN A 203.0.113.1"]),
    (f"{WEB} AAAA", "NOERROR", [f"{WEB}. 5 IN AAAA 2001:db8::1"]),
    ("WEB.prod.example.org A", "NOERROR", ["WEB.prod.example.org. 5 IN A 203.0.113.1"]),
    ("lb.prod.example.org A", "NOERROR", ["lb.prod.example.org. 5 IN A 203.0.113.2"]),
    ("lb.prod.example.org AAAA", "NOERROR", []),
    ("named.prod.example.org A", "NOERROR",
     ["lb.example.net. 60 IN A 198.51.100.7", "named.prod.example.org. 5 IN CNAME lb.example.net."]),
    ("named.prod.example.org AAAA", "NOERROR", ["named.prod.example.org. 5 IN CNAME lb.example.net."]),
    (f"_http._tcp.{WEB} SRV", "NOERROR", [f"_http._tcp.{WEB}. 5 IN SRV 0 50 80 {WEB}."]),
    (f"_http._udp.{WEB} SRV", "NXDOMAIN", []),
    (f"{WEB} SRV", "NOERROR", [f"{WEB}. 5 IN SRV 0 25 53 {WEB}.", f"{WEB}. 5 IN SRV 0 25 80 {WEB}."]),
    ("named.prod.example.org SRV", "NOERROR", ["named.prod.example.org. 5 IN SRV 0 100 80 lb.example.net."]),
    ("bare.prod.example.org A", "NOERROR", ["bare.prod.example.org. 5 IN A 203.0.113.5"]),
    ("bare.prod.example.org SRV", "NOERROR", []),
    (f"{WEB} MX", "NOERROR", []),
    ("inner.prod.example.org A", "NXDOMAIN", []),
    ("peers.prod.example.org A", "NXDOMAIN", []),
    ("nope.prod.example.org A", "NXDOMAIN", []),
    ("web.other.example.org A", "NXDOMAIN", []),
    ("prod.example.org A", "NOERROR", []),
    ("a.b.c.web.prod.example.org A", "NXDOMAIN", []),
    ("example.org SOA", "NOERROR", [SOA]),
    ("example.org NS", "NOERROR", ["example.org. 5 IN NS ns1.dns.example.org."]),
    ("example.org A", "NOERROR", []),
    ("dns.example.org A", "NOERROR", []),
    ("ns1.dns.example.org A", "NOERROR", ["ns1.dns.example.org. 5 IN A 192.0.2.53"]),
    ("ns1.dns.example.org AAAA", "NOERROR", []),
    ("ns2.dns.example.org A", "NXDOMAIN", []),
    ("x.ns1.dns.example.org A", "NXDOMAIN", []),
    ("1.113.0.203.in-addr.arpa PTR", "NOERROR", [f"1.113.0.203.in-addr.arpa. 5 IN PTR {WEB}."]),
    ("9.113.0.203.in-addr.arpa PTR", "NXDOMAIN", []),
    ("9.113.0.203.in-addr.arpa A", "NXDOMAIN", []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "rcode", "found"), ROWS)
def test_answers(text: str, rcode: str, found: list[str]) -> None:
    got = rows(answer(serve(), text))

    assert (got[0], got[2]) == (rcode, found)
    assert got[1] == "qr aa rd"
    if not found:
        assert got[3] == [
            SOA if "arpa" not in text else SOA.replace("example.org", "113.0.203.in-addr.arpa")
        ]


def test_additional_records_go_with_name_servers_and_ports() -> None:
    assert rows(answer(serve(), "example.org NS"))[4] == ["ns1.dns.example.org. 5 IN A 192.0.2.53"]
    assert rows(answer(serve(), f"_http._tcp.{WEB} SRV"))[4] == [
        f"{WEB}. 5 IN A 203.0.113.1",
        f"{WEB}. 5 IN AAAA 2001:db8::1",
    ]


def test_headless_services_show_their_endpoints_when_asked_to() -> None:
    server = serve("headless")
    peers = "peers.prod.example.org"

    assert rows(answer(server, f"{peers} A"))[2] == [
        f"{peers}. 5 IN A 10.1.0.2",
        f"{peers}. 5 IN A 10.1.0.3",
    ]
    assert rows(answer(server, f"a.{peers} A"))[2] == [f"a.{peers}. 5 IN A 10.1.0.2"]
    assert rows(answer(server, f"10-1-0-3.{peers} A"))[2] == [f"10-1-0-3.{peers}. 5 IN A 10.1.0.3"]
    assert rows(answer(server, f"_p._tcp.{peers} SRV"))[2] == [
        f"_p._tcp.{peers}. 5 IN SRV 0 50 9 10-1-0-3.{peers}.",
        f"_p._tcp.{peers}. 5 IN SRV 0 50 9 a.{peers}.",
    ]


def test_apex_ttl_and_fallthrough() -> None:
    server = serve("apex ns\nttl 60\nfallthrough")

    assert rows(answer(server, "ns1.ns.example.org A"))[2] == [
        "ns1.ns.example.org. 60 IN A 192.0.2.53"
    ]
    assert rows(answer(server, "nope.prod.example.org A"))[0] == "REFUSED"
    assert rows(answer(server, "prod.example.org A"))[0] == "NOERROR"


def test_a_stored_denial_ends_when_the_service_gets_an_address() -> None:
    store = store_of(*CLUSTER)
    server = serve(store=store)

    assert rows(answer(server, "inner.prod.example.org A"))[0] == "NXDOMAIN"
    assert len(server.table(Transport.UDP, "1").entries) == 1
    store.apply(replace(balanced("prod/inner", {"ip": "203.0.113.9"})))
    assert rows(answer(server, "inner.prod.example.org A"))[2] == [
        "inner.prod.example.org. 5 IN A 203.0.113.9"
    ]


def test_before_the_first_lists_nothing_is_denied() -> None:
    server = serve(store=store_of(*CLUSTER, synced=False))

    assert rows(answer(server, "nope.prod.example.org A"))[0] == "SERVFAIL"
    assert rows(answer(server, f"{WEB} A"))[0] == "NOERROR"


def test_without_kubernetes_every_name_passes_by() -> None:
    plugin = setup(directives("k8s_external example.org"), context())

    assert rows(answer(server_of([plugin, Scripted(elsewhere)]), f"{WEB} A"))[0] == "REFUSED"


@pytest.mark.parametrize(
    ("options", "message"),
    [("apex a.b", "one label"), ("ttl 3601", "between 0 and 3600"), ("nope", "unknown property"), ("headless x", "Wrong argument count")],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(options: str, message: str) -> None:
    with pytest.raises(CorefileError, match=message):
        serve(options)
