"""The plugin around the zones: negatives, falling through, targets outside, storing."""

from msgspec.structs import replace

from svcdns.dns.query import Query, parse
from svcdns.dns.response import Record, Response
from svcdns.plugins.base import (
    Ask,
    ClusterSource,
    Drop,
    Failed,
    Outcome,
    Rendered,
    Reply,
    Request,
    Storable,
)
from svcdns.plugins.commands import Delay, Transport
from svcdns.plugins.kubernetes import owners_of
from svcdns.plugins.server import Server
from tests.support.cluster import service, store_of
from tests.support.kubernetesplugin import CLUSTER, plugin
from tests.support.records import wire_name
from tests.support.serving import (
    CLIENT,
    Scripted,
    always,
    answer,
    asking,
    question,
    rows,
    server_of,
)

SVC = "prod.svc.cluster.local"
SOA = "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 0 7200 1800 86400 5"


def outside(name: str = "api.example.net") -> Reply:
    record = Record(wire_name(name), 1, 300, bytes((203, 0, 113, 9)))
    return Reply(Response(answer=(record,), ra=True), "forward", Storable(until=9.0))


def stored(server: Server) -> int:
    return len(server.table(Transport.UDP, "1").entries)


def test_negative_answers_carry_one_soa() -> None:
    """A2."""
    server = server_of([plugin()])

    assert rows(answer(server, f"nope.{SVC} A")) == ("NXDOMAIN", "qr aa rd", [], [SOA], [])
    assert rows(answer(server, f"web.{SVC} AAAA")) == ("NOERROR", "qr aa rd", [], [SOA], [])


def test_the_soa_keeps_the_case_of_the_query() -> None:
    """A7."""
    found = rows(answer(server_of([plugin()]), "nope.Cluster.LOCAL A"))[3]

    assert found == [
        "Cluster.LOCAL. 5 IN SOA ns.dns.Cluster.LOCAL. hostmaster.Cluster.LOCAL. "
        "0 7200 1800 86400 5"
    ]


def test_transfers_are_refused_without_a_word() -> None:
    """H1."""
    assert rows(answer(server_of([plugin()]), "cluster.local AXFR"))[:4] == (
        "REFUSED",
        "qr rd",
        [],
        [],
    )


def test_other_names_are_the_next_plugins() -> None:
    """A6."""
    server = server_of([plugin(), always(outside(), "forward")])

    assert rows(answer(server, "api.example.net A"))[2] == ["api.example.net. 300 IN A 203.0.113.9"]


def test_missing_names_fall_through_and_existing_ones_do_not() -> None:
    """G5."""
    after = always(Failed(5))
    server = server_of([plugin(through=("in-addr.arpa",)), after])

    assert rows(answer(server, "9.9.9.10.in-addr.arpa PTR"))[0] == "REFUSED"
    assert rows(answer(server, "10.0.96.10.in-addr.arpa PTR"))[0] == "NOERROR"
    assert rows(answer(server, f"nope.{SVC} A"))[0] == "NXDOMAIN"
    assert len(after.asked) == 1


def test_before_the_first_lists_nothing_is_denied() -> None:
    """A12, I2."""
    unsynced = plugin(store_of(*CLUSTER, synced=False))
    server = server_of([unsynced])

    assert rows(answer(server, f"nope.{SVC} A")) == ("SERVFAIL", "qr aa rd", [], [SOA], [])
    assert rows(answer(server, f"web.{SVC} A"))[0] == "NOERROR"
    assert rows(answer(server, "svc.cluster.local A"))[0] == "NOERROR"
    assert not unsynced.ready
    assert stored(server) == 1


def test_an_external_name_is_followed_through_the_whole_server() -> None:
    """E1: the CNAME, then whatever the server says about the target; RA is not passed on."""
    server = server_of([plugin(), always(outside(), "forward")])

    assert rows(answer(server, f"ext.{SVC} A")) == (
        "NOERROR",
        "qr aa rd",
        ["api.example.net. 300 IN A 203.0.113.9", f"ext.{SVC}. 5 IN CNAME api.example.net."],
        [],
        [],
    )
    assert stored(server) == 0


CNAME_ONLY = [f"ext.{SVC}. 5 IN CNAME api.example.net."]


def test_a_target_that_fails_leaves_the_name_alone() -> None:
    """E2, E3, register K10."""
    cases: list[tuple[Outcome, list[str], list[str]]] = [
        (Failed(2), CNAME_ONLY, []),
        (Reply(Response(3, aa=True)), CNAME_ONLY, []),
        (Drop(), [], [SOA]),
    ]
    for outcome, found, authority in cases:
        got = rows(answer(server_of([plugin(), always(outcome)]), f"ext.{SVC} A"))
        assert got == ("NOERROR", "qr aa rd", found, authority, [])


def test_work_that_nobody_waits_for_is_passed_on_from_the_target() -> None:
    """J18: a target that ``cache`` wants to renew is renewed."""
    renewal = Ask(Delay(0.0), lambda result, now: Drop())
    spawned: list[Ask] = []
    forward = always(replace(outside(), background=(renewal,)), "forward")
    answer(server_of([plugin(), forward], spawned=spawned), f"ext.{SVC} A")

    assert spawned == [renewal]


def test_a_truncated_target_truncates_the_answer() -> None:
    """E4."""
    server = server_of([plugin(), always(Reply(Response(tc=True)))])

    assert rows(answer(server, f"ext.{SVC} A"))[1] == "qr aa tc rd"


def test_a_new_service_ends_the_stored_denial_of_its_name() -> None:
    store = store_of(*CLUSTER)
    server = server_of([plugin(store)])
    store.subscribe(lambda delta: server.drop(owners_of(delta)))

    assert rows(answer(server, f"new.{SVC} A"))[0] == "NXDOMAIN"
    answer(server, f"web.{SVC} A")
    assert stored(server) == 2
    store.apply(service("prod/new", "10.96.0.20", ports=("http:TCP:80",)))
    assert stored(server) == 1
    assert rows(answer(server, f"new.{SVC} A"))[2] == [f"new.{SVC}. 5 IN A 10.96.0.20"]


def test_an_answer_that_fell_through_depends_on_the_missing_service_too() -> None:
    store = store_of(*CLUSTER)
    server = server_of([plugin(store, ("cluster.local",)), always(outside(f"new.{SVC}"))])
    store.subscribe(lambda delta: server.drop(owners_of(delta)))
    answer(server, f"new.{SVC} A")

    assert stored(server) == 1
    store.apply(service("prod/new", "10.96.0.20"))
    assert stored(server) == 0


def test_an_answer_overtaken_by_a_change_is_not_stored() -> None:
    store = store_of(*CLUSTER)
    server = server_of([plugin(store, ("cluster.local",)), asking(lambda result: outside())])
    asked = server.respond(question(f"new.{SVC} A"), CLIENT, 0.0)
    assert isinstance(asked, Ask)
    store.apply(service("prod/new", "10.96.0.20"))

    assert isinstance(asked.resume(None, 1.0), Rendered)
    assert stored(server) == 0


def test_the_plugin_needs_its_source() -> None:
    found = plugin()

    assert found.needs == (ClusterSource(found.cluster),)
    assert found.ready
    assert replace(found.cluster.source, endpoint="x") != found.cluster.source


def test_metadata_of_the_client_does_not_leak_into_the_look_up_of_a_target() -> None:
    forward = Scripted(lambda request, proceed: outside(), "forward")
    answer(server_of([plugin(), forward]), f"ext.{SVC} A")

    assert forward.asked[0].metadata is None
    assert forward.asked[0].query.qname == wire_name("api.example.net")


def test_dnssec_ok_changes_nothing_but_the_echo() -> None:
    """J11, J25: no signatures, no AD; the DO bit comes back."""
    server = server_of([plugin()])
    plain = answer(server, f"web.{SVC} A", use_edns=0)
    signed = answer(server, f"web.{SVC} A", use_edns=0, want_dnssec=True)

    assert rows(plain) == rows(signed)
    assert (plain.ednsflags, signed.ednsflags) == (0, 0x8000)


def test_the_labels_of_a_query_can_be_logged() -> None:
    """G14: what ``metadata`` collects from this plugin."""
    query = parse(question(f"web.{SVC} A"))
    assert isinstance(query, Query)
    request = Request(query, CLIENT, 0.0, lambda request: Failed(2))

    assert plugin().metadata(request)["kubernetes/service"] == "web"
