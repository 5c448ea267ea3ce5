"""No packet of any content crashes, hangs or leaks; any history leaves what a fresh start says."""

import struct

import dns.edns
import dns.exception
import dns.message
import dns.rdatatype
from hypothesis import given, settings
from hypothesis import strategies as st

from svcdns.corefile.parser import parse
from svcdns.kube.objects import Kind, KubeObject
from svcdns.kube.store import Store
from svcdns.metrics import Registry
from svcdns.plugins.base import Rendered
from svcdns.plugins.build import Environment, build
from svcdns.plugins.clusters import Clusters
from svcdns.plugins.commands import Transport
from svcdns.plugins.server import Server
from tests.support.cluster import endpoint, endpoint_slice, namespace, pod, service
from tests.support.serving import CLIENT, TCP_CLIENT, question
from tests.support.wire import edns_option

COREFILE = """
.:53 {
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        endpoint http://127.0.0.1:1
        pods verified
        fallthrough ip6.arpa
    }
    cache 30
    loadbalance
}
"""


def cluster_server() -> tuple[Server, Store]:
    """Make a server as a Corefile would, and the store that it answers from."""
    blocks = parse(COREFILE, "Corefile", {}, lambda pattern, base: None, lambda line: None)

    def panic(asked: str, error: Exception) -> None:
        raise error

    environment = Environment(
        registry=Registry(),
        clusters=Clusters(wall=lambda: 1.0),
        read=lambda path: b"",
        random=lambda: 0.5,
        clock=lambda: 0.0,
        wall=lambda: 1.0,
        warn=lambda line: None,
        write=lambda line: None,
        panic=panic,
        spawn=lambda ask: None,
    )
    configuration = build(blocks, environment)
    store = configuration.clusters[0].store
    for kind in store.wanted:
        store.replace(kind, ())
    return configuration.servers[0], store


def answered(server: Server, wire: bytes) -> bytes | None:
    """Answer as the UDP loop does: from the table where it can be."""
    stored = server.table(Transport.UDP, "1").find(wire[2:], 0.0)
    if stored is not None:
        return wire[:2] + stored
    outcome = server.respond(wire, CLIENT, 0.0)
    assert isinstance(outcome, Rendered)
    return next(iter(outcome.wires), None)


FULL, STORE = cluster_server()
for thing in (namespace("a"), service("a/web", "10.96.0.1", ports=("http:TCP:80",))):
    STORE.apply(thing)
SEEDS = [
    question("web.a.svc.cluster.local A"),
    question("_http._tcp.web.a.svc.cluster.local SRV", use_edns=0),
    question("1.0.96.10.in-addr.arpa PTR", use_edns=0, want_dnssec=True),
    question("cluster.local AXFR"),
    question("nope.a.svc.cluster.local TXT", use_edns=0, payload=512),
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A valid query with some octets changed, some cut off, some added."""
    wire = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 8))):
        wire[draw(st.integers(0, len(wire) - 1))] = draw(st.integers(0, 255))
    cut = draw(st.integers(0, len(wire)))
    return bytes(wire[:cut]) + draw(st.binary(max_size=40))


@given(st.one_of(st.binary(max_size=600), damaged(), st.sampled_from(SEEDS)))
@settings(max_examples=400, deadline=None)
def test_every_packet_gets_a_sound_answer_or_none(wire: bytes) -> None:
    for client in (CLIENT, TCP_CLIENT):
        outcome = FULL.respond(wire, client, 0.0)

        assert isinstance(outcome, Rendered)
        for reply in outcome.wires:
            assert reply[:2] == wire[:2]
            assert reply[2] & 0x80, "an answer says that it is one"
            assert len(reply) <= 65535
            dns.message.from_wire(reply, ignore_trailing=False)
    table = FULL.table(Transport.UDP, "1")
    assert len(table.entries) <= table.limit


COOKIE = edns_option(10, b"12345678")
ALIKE = [
    *SEEDS,
    question("ns.dns.cluster.local TXT"),
    question("www.ns.dns.cluster.local A"),
    question("hostmaster.cluster.local MX"),
    question("web.a.svc.cluster.local SRV"),
    question("_http._tcp.web.a.svc.cluster.local SRV"),
    question("_http._tcp.web.a.svc.cluster.local SRV", use_edns=0, options=[COOKIE]),
    question("web.a.svc.cluster.local AAAA", use_edns=0, options=[COOKIE]),
    question("www.example.org.a.svc.cluster.local A", use_edns=0, options=[COOKIE]),
    question("web.a.svc.cluster.local A", use_edns=0, want_dnssec=True, options=[COOKIE]),
]


@st.composite
def unlike(draw: st.DrawFn) -> bytes:
    """A query as clients with random case and cookies vary it, or nearly so."""
    wire = bytearray(draw(st.sampled_from(ALIKE)))
    end = wire.index(b"\0", 12)
    name = wire[12:end]
    spelling = draw(st.integers(0, 2 ** len(name) - 1))
    wire[12:end] = bytes(
        octet - 32 if 97 <= octet <= 122 and spelling >> at & 1 else octet
        for at, octet in enumerate(name)
    )
    if wire.endswith(b"12345678"):
        cookie = draw(st.binary(min_size=8, max_size=41))
        wire[-14:] = struct.pack("!3H", 4 + len(cookie), 10, len(cookie)) + cookie
    for _ in range(draw(st.integers(0, 1))):
        wire[draw(st.integers(0, len(wire) - 1))] = draw(st.integers(0, 255))
    return bytes(wire)


@given(st.lists(unlike(), min_size=2, max_size=4))
@settings(max_examples=400, deadline=None)
def test_a_stored_answer_is_octet_for_octet_what_the_chain_would_say(wires: list[bytes]) -> None:
    """A7, J8, J10."""
    table = FULL.table(Transport.UDP, "1")
    for wire in (*ALIKE, *wires, *wires):
        # The table first: to respond is to store, which would compare an answer with itself.
        stored = table.find(wire[2:], 0.0)
        outcome = FULL.respond(wire, CLIENT, 0.0)

        assert isinstance(outcome, Rendered)
        if stored is not None:
            assert list(outcome.wires) == [wire[:2] + stored]


ADDRESSES = ("10.0.0.1", "10.0.0.2", "fd00::1")
NAMES = ("web", "db")
SPACES = ("a", "b")


def objects() -> st.SearchStrategy[KubeObject]:
    address = st.sampled_from(ADDRESSES)
    name, space = st.sampled_from(NAMES), st.sampled_from(SPACES)
    ports = st.sampled_from(((), ("http:TCP:80",), ("http:TCP:80", "dns:UDP:53")))
    return st.one_of(
        st.builds(namespace, space),
        st.builds(
            lambda s, n, a, p: service(f"{s}/{n}", a, ports=p),
            space, name, st.sampled_from((*ADDRESSES, "None")), ports,
        ),
        st.builds(
            lambda s, n, t: service(f"{s}/{n}", external_name=t),
            space, name, st.sampled_from(("web.a.svc.cluster.local", "db.b.svc.cluster.local")),
        ),
        st.builds(
            lambda s, n, of, found, ready, host, p: endpoint_slice(
                f"{s}/{n}",
                *[endpoint(a, ready=ready, hostname=host) for a in found],
                of=of, ports=p,
            ),
            space, st.sampled_from(("s1", "s2")), name,
            st.lists(address, max_size=2, unique=True), st.booleans(),
            st.sampled_from((None, "host")), ports,
        ),
        st.builds(lambda s, n, a: pod(f"{s}/{n}", a), space, st.sampled_from("pq"), address),
    )  # fmt: skip


STEPS = st.lists(
    st.one_of(
        objects(),
        st.tuples(
            st.sampled_from((Kind.NAMESPACE, Kind.SERVICE, Kind.ENDPOINT_SLICE, Kind.POD)),
            st.sampled_from(SPACES),
            st.sampled_from((*NAMES, "s1", "s2", "p", "q")),
        ),
    ),
    max_size=8,
)

START: tuple[KubeObject, ...] = (
    namespace("a"),
    namespace("b"),
    service("a/web", "10.0.0.1", ports=("http:TCP:80",)),
    service("b/web", external_name="web.a.svc.cluster.local"),
    service("a/db", "None", ports=("http:TCP:80",)),
    endpoint_slice("a/s1", endpoint("10.0.0.2", hostname="host"), of="db", ports=("http:TCP:80",)),
    pod("a/p", "10.0.0.1"),
)

QUESTIONS = [
    question(text)
    for space in SPACES
    for text in (
        f"web.{space}.svc.cluster.local A",
        f"web.{space}.svc.cluster.local AAAA",
        f"web.{space}.svc.cluster.local SRV",
        f"WEB.{space}.svc.cluster.local A",
        f"db.{space}.svc.cluster.local A",
        f"host.db.{space}.svc.cluster.local A",
        f"10-0-0-1.web.{space}.svc.cluster.local A",
        f"_http._tcp.web.{space}.svc.cluster.local SRV",
        f"{space}.svc.cluster.local A",
        f"10-0-0-1.{space}.pod.cluster.local A",
    )
] + [question("1.0.0.10.in-addr.arpa PTR"), question("2.0.0.10.in-addr.arpa PTR")]


def view(server: Server) -> list[object]:
    """Everything a client can see, apart from order and the serial."""
    seen: list[object] = []
    for wire in QUESTIONS:
        reply = answered(server, wire)
        assert reply is not None
        message = dns.message.from_wire(reply)
        sections = [
            sorted(
                f"{rrset.name} {rrset.ttl} {rrset.rdtype} {item}"
                for rrset in section
                if rrset.rdtype != dns.rdatatype.SOA
                for item in rrset
            )
            for section in message.sections[1:]
        ]
        seen.append((message.question[0].to_text(), message.rcode(), message.flags, sections))
    return seen


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_any_history_of_events_and_questions_leaves_what_a_fresh_start_says(
    steps: list[object],
) -> None:
    """Every question is asked after every event, so every answer that may be stored is."""
    server, store = cluster_server()
    for thing in START:
        store.apply(thing)
    lived = view(server)
    for step in steps:
        if isinstance(step, tuple):
            kind, space, name = step
            store.delete(kind, ("", space) if kind is Kind.NAMESPACE else (space, name))
        else:
            store.apply(step)  # type: ignore[arg-type]
        lived = view(server)
    fresh, empty = cluster_server()
    held = (store.namespaces, store.services, store.slices, store.pods)
    for objects_of_a_kind in held:
        for thing in objects_of_a_kind.values():
            empty.apply(thing)

    assert lived == view(fresh)
    assert view(server) == lived
