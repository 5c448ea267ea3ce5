"""Which names exist under a cluster zone, and what they hold."""

import dns.rdatatype
import msgspec
import pytest

from svcdns.kube.objects import KubeObject, ServiceImport
from svcdns.zones.index import ClusterIndex
from svcdns.zones.options import PodMode, ZoneOptions
from svcdns.zones.owners import of_address, of_namespace, of_service
from svcdns.zones.zone import Chase, ClusterZones, Finding, Found, NoData, NoName
from tests.support.cluster import endpoint, endpoint_slice, namespace, pod, service, store_of
from tests.support.records import wire_name, zone_texts

ZONES = ("cluster.local", "in-addr.arpa", "ip6.arpa")

CLUSTER: tuple[KubeObject, ...] = (
    namespace("prod"),
    service("prod/web", "10.96.0.10", ports=("http:TCP:80", "metrics:TCP:9090")),
    endpoint_slice(
        "prod/web-1", "10.1.0.7", "10.1.0.8", of="web", ports=("http:TCP:8080", "metrics:TCP:9090")
    ),
    service("prod/dual", "10.96.0.11", "fd00:96::b", ports=("http:TCP:80",)),
    service("prod/noport", "10.96.0.12"),
    service("prod/node-port", "10.96.0.14", ports=("http:TCP:80",), type="NodePort"),
    service(
        "prod/balanced",
        "10.96.0.15",
        ports=("http:TCP:80",),
        type="LoadBalancer",
        externalIPs=["192.0.2.1"],
    ),
    service("prod/assoc", "10.96.0.16", ports=("sigtran:SCTP:2905",)),
    service("prod/none-ready", "10.96.0.13", ports=("http:TCP:80",)),
    endpoint_slice("prod/none-ready-1", endpoint("10.1.0.20", ready=False), of="none-ready"),
    service("prod/db", "None", ports=("pg:TCP:5432",)),
    endpoint_slice(
        "prod/db-1",
        endpoint("10.1.0.5", ready=True, hostname="db-0"),
        endpoint("10.1.0.6", targetRef={"kind": "Pod", "name": "db-x"}),
        endpoint("10.1.0.9", ready=False),
        of="db",
        ports=("pg:TCP:5432",),
    ),
    endpoint_slice("prod/db-2", "fd00::5", of="db", family="IPv6", ports=("pg:TCP:5432",)),
    service("prod/empty", "None", ports=("x:TCP:1",)),
    service("prod/portless", "None"),
    endpoint_slice("prod/portless-1", "10.1.0.30", of="portless"),
    service("prod/twin", "None", ports=("peer:TCP:7000",)),
    endpoint_slice(
        "prod/twin-1",
        endpoint("10.1.0.40", hostname="same"),
        endpoint("10.1.0.41", hostname="same"),
        of="twin",
        ports=("peer:TCP:7000",),
    ),
    service("prod/ext", external_name="api.example.net"),
    service("prod/int", external_name="web.prod.svc.cluster.local"),
    service("prod/int2", external_name="int.prod.svc.cluster.local"),
    service("prod/lost", external_name="gone.prod.svc.cluster.local"),
    service("prod/self", external_name="self.prod.svc.cluster.local"),
    service("prod/ping", external_name="pong.prod.svc.cluster.local"),
    service("prod/pong", external_name="ping.prod.svc.cluster.local"),
    service("prod/out2", external_name="ext.prod.svc.cluster.local"),
    service("prod/extip", external_name="192.0.2.7"),
    service("prod/badname", external_name="a..b"),
    service("orphan/web", "10.96.0.99", ports=("http:TCP:80",)),
    pod("prod/db-x", "10.1.0.6"),
)


def zones(*objects: KubeObject, **options: object) -> ClusterZones:
    settings: dict[str, object] = {"pods": PodMode.INSECURE, **options}
    index = ClusterIndex(store_of(*(objects or CLUSTER)), wall=lambda: 7.0)
    names = tuple(wire_name(zone) for zone in ZONES)
    return ClusterZones(ZoneOptions(zones=names, **settings), index)  # type: ignore[arg-type]


def ask(question: str, **options: object) -> Finding:
    cluster = zones(**options)
    name, qtype = question.split()
    qname = wire_name(name)
    zone = cluster.match(qname.lower())
    assert zone is not None
    return cluster.lookup(qname, zone, dns.rdatatype.from_text(qtype))


SVC = "prod.svc.cluster.local"
WEB = f"web.{SVC}"
DB = f"db.{SVC}"

POSITIVE = [
    ("C1", f"{WEB} A", [f"{WEB}. 5 A 10.96.0.10"]),
    ("C1", f"dual.{SVC} A", [f"dual.{SVC}. 5 A 10.96.0.11"]),
    ("C1", f"dual.{SVC} AAAA", [f"dual.{SVC}. 5 AAAA fd00:96::b"]),
    ("C4", f"none-ready.{SVC} A", [f"none-ready.{SVC}. 5 A 10.96.0.13"]),
    ("C3", f"node-port.{SVC} A", [f"node-port.{SVC}. 5 A 10.96.0.14"]),
    ("C3", f"balanced.{SVC} A", [f"balanced.{SVC}. 5 A 10.96.0.15"]),
    ("C11", f"_sigtran._sctp.assoc.{SVC} SRV", [f"_sigtran._sctp.assoc.{SVC}. 5 SRV 0 100 2905 assoc.{SVC}."]),
    ("C5", f"noport.{SVC} A", [f"noport.{SVC}. 5 A 10.96.0.12"]),
    ("B7", f"_http._tcp.{WEB} A", [f"_http._tcp.{WEB}. 5 A 10.96.0.10"]),
    ("C8", f"_http._tcp.{WEB} SRV", [f"_http._tcp.{WEB}. 5 SRV 0 100 80 {WEB}."]),
    ("B7 K4", f"http.tcp.{WEB} SRV", [f"http.tcp.{WEB}. 5 SRV 0 100 80 {WEB}."]),
    ("B7", f"_HTTP._TCP.{WEB} SRV", [f"_HTTP._TCP.{WEB}. 5 SRV 0 100 80 {WEB}."]),
    ("B8", f"_._tcp.{WEB} SRV", [f"_._tcp.{WEB}. 5 SRV 0 50 {port} {WEB}." for port in (80, 9090)]),
    ("C6 K1", f"{WEB} SRV", [f"{WEB}. 5 SRV 0 50 {port} {WEB}." for port in (80, 9090)]),
    ("C7 K2", f"dual.{SVC} SRV", [f"dual.{SVC}. 5 SRV 0 50 80 dual.{SVC}."]),
    ("C10 K3", f"10-1-0-7.{WEB} A", [f"10-1-0-7.{WEB}. 5 A 10.1.0.7"]),
    ("C10", f"10-1-0-7.{WEB} SRV", [f"10-1-0-7.{WEB}. 5 SRV 0 50 {port} 10-1-0-7.{WEB}." for port in (8080, 9090)]),
    ("C12", "dns-version.cluster.local TXT", ['dns-version.cluster.local. 28800 TXT "1.1.0"']),
    ("D1", f"{DB} A", [f"{DB}. 5 A 10.1.0.5", f"{DB}. 5 A 10.1.0.6"]),
    ("D12", f"{DB} AAAA", [f"{DB}. 5 AAAA fd00::5"]),
    ("D6", f"_pg._tcp.{DB} SRV", [f"_pg._tcp.{DB}. 5 SRV 0 33 5432 {name}.{DB}." for name in ("10-1-0-6", "db-0", "fd00--5")]),
    ("D8", f"db-0.{DB} A", [f"db-0.{DB}. 5 A 10.1.0.5"]),
    ("D8", f"10-1-0-6.{DB} A", [f"10-1-0-6.{DB}. 5 A 10.1.0.6"]),
    ("D9", f"fd00--5.{DB} AAAA", [f"fd00--5.{DB}. 5 AAAA fd00::5"]),
    ("D10", f"portless.{SVC} A", [f"portless.{SVC}. 5 A 10.1.0.30"]),
    ("D7", f"same.twin.{SVC} A", [f"same.twin.{SVC}. 5 A 10.1.0.40", f"same.twin.{SVC}. 5 A 10.1.0.41"]),
    ("D7", f"twin.{SVC} SRV", [f"twin.{SVC}. 5 SRV 0 50 7000 same.twin.{SVC}."]),
    ("E5", f"int.{SVC} A", [f"int.{SVC}. 5 CNAME {WEB}.", f"{WEB}. 5 A 10.96.0.10"]),
    ("E5", f"int2.{SVC} A", [f"int.{SVC}. 5 CNAME {WEB}.", f"int2.{SVC}. 5 CNAME int.{SVC}.", f"{WEB}. 5 A 10.96.0.10"]),
    ("E7", f"ext.{SVC} CNAME", [f"ext.{SVC}. 5 CNAME api.example.net."]),
    ("E7", f"int.{SVC} CNAME", [f"int.{SVC}. 5 CNAME {WEB}."]),
    ("F2", "10-1-0-99.prod.pod.cluster.local A", ["10-1-0-99.prod.pod.cluster.local. 5 A 10.1.0.99"]),
    ("F2", "fd00--5.prod.pod.cluster.local AAAA", ["fd00--5.prod.pod.cluster.local. 5 AAAA fd00::5"]),
    ("B11 K11", "x.y.10-1-0-5.prod.pod.cluster.local A", ["x.y.10-1-0-5.prod.pod.cluster.local. 5 A 10.1.0.5"]),
    ("F4", "10.0.96.10.in-addr.arpa PTR", [f"10.0.96.10.in-addr.arpa. 5 PTR {WEB}."]),
    ("F5", "5.0.1.10.in-addr.arpa PTR", [f"5.0.1.10.in-addr.arpa. 5 PTR db-0.{DB}."]),
    ("F5", "7.0.1.10.in-addr.arpa PTR", [f"7.0.1.10.in-addr.arpa. 5 PTR 10-1-0-7.{WEB}."]),
    ("F13", "cluster.local SOA", ["cluster.local. 5 SOA ns.dns.cluster.local. hostmaster.cluster.local. 0 7200 1800 86400 5"]),
    ("A7", "WEB.Prod.svc.Cluster.LOCAL A", ["WEB.Prod.svc.Cluster.LOCAL. 5 A 10.96.0.10"]),
    ("A7", "WEB.Prod.svc.Cluster.LOCAL SRV", [f"WEB.Prod.svc.Cluster.LOCAL. 5 SRV 0 50 {port} web.prod.svc.Cluster.LOCAL." for port in (80, 9090)]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "question", "answer"), POSITIVE)
def test_names_hold_what_the_rules_say(rule: str, question: str, answer: list[str]) -> None:
    finding = ask(question)

    assert isinstance(finding, Found), rule
    assert zone_texts(finding.answer) == sorted(answer), rule


NO_DATA = [
    ("C2", f"{WEB} AAAA"), ("A13", f"{WEB} MX"), ("A14", f"{WEB} CNAME"), ("C13", f"{WEB} TXT"),
    ("A10", f"{WEB} ANY"), ("A10", f"{WEB} HTTPS"), ("A10", f"{WEB} TYPE65280"),
    ("F11", f"{WEB} PTR"), ("A10", f"{WEB} NS"), ("C5", f"noport.{SVC} SRV"),
    ("D10", f"portless.{SVC} SRV"), ("D5", f"twin.{SVC} AAAA"), ("E8", f"ext.{SVC} SRV"),
    ("E8", f"ext.{SVC} TXT"), ("E8", f"ext.{SVC} HTTPS"), ("E5", f"int.{SVC} AAAA"),
    ("E5 K8", f"lost.{SVC} A"), ("E6", f"self.{SVC} A"), ("E6", f"ping.{SVC} A"),
    ("D11", f"badname.{SVC} A"), ("B2 F18", "cluster.local A"), ("F18", "cluster.local AAAA"), ("F18", "cluster.local SRV"), ("F18", "cluster.local MX"), ("F18", "cluster.local PTR"), ("F18", "cluster.local ANY"), ("B2", "svc.cluster.local A"),
    ("B2", "pod.cluster.local HTTPS"), ("B3", "prod.svc.cluster.local A"),
    ("B4", "prod.pod.cluster.local A"), ("A11 K5", "nope.nowhere.cluster.local SOA"),
    ("A11", "7.0.1.10.in-addr.arpa SOA"), ("F10", "in-addr.arpa PTR"), ("F16", "cluster.local NS"),
    ("F16", "ns.dns.cluster.local A"), ("F15", "ns.dns.cluster.local MX"),
    ("F2", "1-2-3-4.prod.pod.cluster.local AAAA"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "question"), NO_DATA)
def test_names_that_exist_without_the_type_are_nodata(rule: str, question: str) -> None:
    assert isinstance(ask(question), NoData), rule


NO_NAME = [
    ("B3", "ghost.svc.cluster.local A"), ("B5", "foo.cluster.local A"),
    ("B5 K7", "dns.cluster.local A"), ("B5", "web.prod.cluster.local A"),
    ("C12", "dns-version.cluster.local A"), ("B6", f"_tcp.{WEB} SRV"),
    ("B8", f"_http._udp.{WEB} SRV"), ("B8", f"_nope._tcp.{WEB} A"), ("B9", f"a.b.c.{WEB} A"),
    ("B10", f"*.{SVC} A"), ("B11", "x.y.z.10-1-0-5.prod.pod.cluster.local A"),
    ("B12", "web.orphan.svc.cluster.local A"), ("B13", f"api.example.net.{SVC} A"),
    ("C13 F18 K6", "cluster.local TXT"), ("C13", "svc.cluster.local TXT"), ("C13", f"{SVC} TXT"),
    ("C13", "ns.dns.cluster.local TXT"), ("D4", f"empty.{SVC} A"), ("D4", f"empty.{SVC} SRV"),
    ("D8", f"10-1-0-5.{DB} A"), ("D2", f"10-1-0-9.{DB} A"), ("E8", f"_x._tcp.ext.{SVC} SRV"),
    ("E8", f"foo.ext.{SVC} A"), ("E9 K9", f"extip.{SVC} A"),
    ("F2", "10-1-0-99.ghost.pod.cluster.local A"), ("F2", "999-1-1-1.prod.pod.cluster.local A"),
    ("F2", "010-0-0-1.prod.pod.cluster.local A"), ("F2", "foo.prod.pod.cluster.local A"),
    ("F5", "9.0.1.10.in-addr.arpa PTR"), ("F9", "9.9.9.10.in-addr.arpa PTR"),
    ("F10", "1.10.in-addr.arpa PTR"), ("F10", "010.0.96.10.in-addr.arpa PTR"),
    ("F10", "7.0.1.10.in-addr.arpa A"), ("F10", "web.prod.svc.in-addr.arpa A"),
    ("F11", f"nope.{SVC} PTR"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "question"), NO_NAME)
def test_names_outside_the_grammar_or_without_objects_do_not_exist(
    rule: str, question: str
) -> None:
    assert isinstance(ask(question), NoName), rule


OPTIONS: list[tuple[str, str, dict[str, object], type]] = [
    ("F1", "10-1-0-6.prod.pod.cluster.local A", {"pods": PodMode.DISABLED}, NoName),
    ("F1", "pod.cluster.local A", {"pods": PodMode.DISABLED}, NoData),
    ("B4", "prod.pod.cluster.local A", {"pods": PodMode.DISABLED}, NoName),
    ("F3", "10-1-0-6.prod.pod.cluster.local A", {"pods": PodMode.VERIFIED}, Found),
    ("F3", "10-1-0-99.prod.pod.cluster.local A", {"pods": PodMode.VERIFIED}, NoName),
    ("G1", f"{WEB} A", {"namespaces": frozenset({"stage"})}, NoName),
    ("G1", f"{SVC} A", {"namespaces": frozenset({"stage"})}, NoName),
    ("G1", "10.0.96.10.in-addr.arpa PTR", {"namespaces": frozenset({"stage"})}, NoName),
    ("G1", f"{WEB} A", {"namespaces": frozenset({"prod"})}, Found),
    ("G4", f"none-ready.{SVC} A", {"ignore_empty_service": True}, NoName),
    ("G4", f"{WEB} A", {"ignore_empty_service": True}, Found),
    ("G4", f"ext.{SVC} CNAME", {"ignore_empty_service": True}, Found),
    ("D8", f"db-x.{DB} A", {"endpoint_pod_names": True}, Found),
    ("D8", f"10-1-0-6.{DB} A", {"endpoint_pod_names": True}, NoName),
]


@pytest.mark.parametrize(("rule", "question", "options", "outcome"), OPTIONS)
def test_options_change_what_exists(
    rule: str, question: str, options: dict[str, object], outcome: type
) -> None:
    assert isinstance(ask(question, **options), outcome), rule


def test_glue_holds_every_address_once() -> None:
    """C9, D7."""
    finding = ask(f"twin.{SVC} SRV")

    assert isinstance(finding, Found)
    assert zone_texts(finding.additional) == [
        f"same.twin.{SVC}. 5 A 10.1.0.40",
        f"same.twin.{SVC}. 5 A 10.1.0.41",
    ]


def test_an_external_name_outside_is_left_to_the_server() -> None:
    """E1."""
    finding = ask(f"out2.{SVC} AAAA")

    assert isinstance(finding, Chase)
    assert finding.target == wire_name("api.example.net")
    assert zone_texts(finding.answer) == [
        f"ext.{SVC}. 5 CNAME api.example.net.",
        f"out2.{SVC}. 5 CNAME ext.{SVC}.",
    ]


def test_the_ttl_option_is_the_minimum_and_the_soa_lives_300_seconds_at_most() -> None:
    """A3, A8."""
    cluster = zones(ttl=3600)

    assert zone_texts([cluster.soa(wire_name("cluster.local"))]) == [
        "cluster.local. 300 SOA ns.dns.cluster.local. hostmaster.cluster.local. "
        "0 7200 1800 86400 3600"
    ]


def test_the_longest_zone_wins() -> None:
    """A6."""
    index = ClusterIndex(store_of(), wall=lambda: 0.0)
    names = ("cluster.local", "prod.svc.cluster.local")
    cluster = ClusterZones(ZoneOptions(zones=tuple(map(wire_name, names))), index)

    assert cluster.match(wire_name("a.prod.svc.cluster.local")) == wire_name(names[1])
    assert cluster.match(wire_name("a.stage.svc.cluster.local")) == wire_name(names[0])
    assert cluster.match(wire_name("xcluster.local")) is None


SERVED_BY_US: tuple[KubeObject, ...] = (
    namespace("kube-system"),
    service("kube-system/kube-dns", "10.96.0.2", ports=("dns:UDP:53",)),
    endpoint_slice("kube-system/kube-dns-1", "10.1.0.53", of="kube-dns", ports=("dns:UDP:53",)),
)


@pytest.mark.parametrize("zone", ["cluster.local", "CLUSTER.Local"])
def test_the_name_server_is_the_service_in_front_of_this_process(zone: str) -> None:
    """F14, F15, F17, register K13."""
    cluster = zones(*SERVED_BY_US, local_addresses=("10.1.0.53",))

    found = cluster.lookup(wire_name(zone), wire_name("cluster.local"), 2)
    address = cluster.lookup(wire_name(f"ns.dns.{zone}"), wire_name("cluster.local"), 1)

    assert isinstance(found, Found)
    assert zone_texts(found.answer) == [f"{zone}. 5 NS kube-dns.kube-system.svc.{zone}."]
    assert zone_texts(found.additional) == [f"kube-dns.kube-system.svc.{zone}. 5 A 10.96.0.2"]
    assert isinstance(address, Found)
    assert zone_texts(address.answer) == [f"ns.dns.{zone}. 5 A 10.96.0.2"]


def test_without_a_service_the_name_server_is_this_process() -> None:
    """F14."""
    found = ask("cluster.local NS", local_addresses=("192.0.2.53",))

    assert isinstance(found, Found)
    assert zone_texts(found.answer) == ["cluster.local. 5 NS ns.dns.cluster.local."]
    assert zone_texts(found.additional) == ["ns.dns.cluster.local. 5 A 192.0.2.53"]


OWNERS: list[tuple[str, set[object]]] = [
    (f"{WEB} A", {of_namespace("prod"), of_service("prod", "web")}),
    (f"_x._tcp.{WEB} A", {of_namespace("prod"), of_service("prod", "web")}),
    (f"www.example.net.{SVC} A", {of_namespace("prod"), of_service("prod", "net")}),
    (
        f"int.{SVC} A",
        {of_namespace("prod"), of_service("prod", "int"), of_service("prod", "web")},
    ),
    ("ghost.svc.cluster.local A", {of_namespace("ghost")}),
    ("10.0.96.10.in-addr.arpa PTR", {of_address("10.96.0.10")}),
    ("foo.cluster.local A", set()),
]


@pytest.mark.parametrize(("question", "owners"), OWNERS)
def test_every_finding_names_its_owners(question: str, owners: set[object]) -> None:
    finding = ask(question)

    assert not isinstance(finding, Chase)
    assert set(finding.owners or ()) == owners


def test_a_headless_service_without_a_selector_has_the_slices_that_carry_its_label() -> None:
    """D13."""
    headless = service("prod/manual", "None", ports=("x:TCP:1",))
    slices = (
        endpoint_slice("prod/by-hand", "192.0.2.7", of="manual", ports=("x:TCP:1",)),
        endpoint_slice("prod/manual", "192.0.2.8", of="", ports=("x:TCP:1",)),
    )
    cluster = zones(namespace("prod"), headless, *slices)
    found = cluster.lookup(wire_name(f"manual.{SVC}"), wire_name("cluster.local"), 1)

    assert isinstance(found, Found)
    assert zone_texts(found.answer) == [f"manual.{SVC}. 5 A 192.0.2.7"]


def test_without_slices_only_cluster_ips_have_names() -> None:
    """D14: ``noendpoints`` watches no slices."""
    cluster = zones(
        namespace("prod"),
        service("prod/web", "10.96.0.10", ports=("http:TCP:80",)),
        service("prod/db", "None", ports=("pg:TCP:5432",)),
        no_endpoints=True,
    )
    zone = wire_name("cluster.local")
    arpa = wire_name("in-addr.arpa")

    assert isinstance(cluster.lookup(wire_name(WEB), zone, 1), Found)
    assert isinstance(cluster.lookup(wire_name(DB), zone, 1), NoName)
    assert isinstance(cluster.lookup(wire_name(f"10-1-0-7.{WEB}"), zone, 1), NoName)
    assert isinstance(cluster.lookup(wire_name("7.0.1.10.in-addr.arpa"), arpa, 12), NoName)


def test_a_service_that_changes_its_kind_answers_anew_at_once() -> None:
    """E10."""
    cluster = zones(namespace("prod"), service("prod/web", external_name="api.example.net"))
    zone = wire_name("cluster.local")
    assert isinstance(cluster.lookup(wire_name(WEB), zone, 1), Chase)

    cluster.index.store.apply(service("prod/web", "10.96.0.10", ports=("http:TCP:80",)))
    assert isinstance(cluster.lookup(wire_name(WEB), zone, 1), Found)


def test_the_clusterset_has_a_serial_of_its_own() -> None:
    """A5: moved by changes of ServiceImports, which leave the cluster zone's serial alone."""
    cluster = zones(namespace("prod"))
    kind = {"metadata": {"name": "web", "namespace": "prod"}, "spec": {"ips": ["10.100.0.1"]}}
    store = cluster.index.store
    store.apply(msgspec.convert(kind, ServiceImport))
    before = (cluster.index.serial, cluster.index.multicluster_serial)
    kind["spec"] = {"ips": ["10.100.0.2"]}
    store.apply(msgspec.convert(kind, ServiceImport))

    assert before == (7, 0)
    assert cluster.index.multicluster_serial == 7
