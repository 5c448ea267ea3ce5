"""Both ends of a query: what a server does itself."""

from typing import Any

import dns.edns
import dns.flags
import dns.message
import pytest
from msgspec.structs import replace

from svcdns.dns.name import ROOT
from svcdns.dns.response import Record, Response
from svcdns.metrics import Registry
from svcdns.plugins.base import (
    Ask,
    Drop,
    Failed,
    Handler,
    Outcome,
    Rendered,
    Reply,
    Request,
    Storable,
    Stream,
)
from svcdns.plugins.chain import Block
from svcdns.plugins.commands import Transport
from svcdns.plugins.server import Server
from tests.support.records import wire_name
from tests.support.serving import (
    CLIENT,
    TCP_CLIENT,
    Scripted,
    always,
    answer,
    asking,
    question,
    rows,
    server_of,
)
from tests.support.wire import edns_option


def a_record(number: int = 1) -> Record:
    return Record(wire_name("a.test"), 1, 5, bytes((10, 0, 0, number)))


def test_an_answer_is_decoded_as_it_was_meant() -> None:
    server = server_of([always(Reply(Response(answer=(a_record(),), aa=True)))])

    assert rows(answer(server, "a.test A")) == (
        "NOERROR",
        "qr aa rd",
        ["a.test. 5 IN A 10.0.0.1"],
        [],
        [],
    )


BARE = [
    ("J6 nobody serves it", [], "a.test A", {}, "REFUSED"),
    ("J7 a plugin gave up", [always(Failed(2))], "a.test A", {}, "SERVFAIL"),
    ("J4 class", [always(Reply(Response()))], "a.test A", {"rdclass": "CH"}, "REFUSED"),
    ("J5 version", [always(Reply(Response()))], "a.test A", {"use_edns": 1}, "BADVERS"),
]


@pytest.mark.parametrize(("rule", "plugins", "text", "settings", "rcode"), BARE)
def test_errors_without_a_writer_are_bare(
    rule: str, plugins: list[Scripted], text: str, settings: dict[str, Any], rcode: str
) -> None:
    found = answer(server_of(plugins), text, **settings)

    assert rows(found)[:3] == (rcode, "qr rd", []), rule
    assert not found.authority
    assert [q.name.to_text() for q in found.question] == ["a.test."]


def test_other_classes_pass_where_forward_is_loaded() -> None:
    """J4, register K17."""
    server = server_of([always(Reply(Response(aa=True)), "forward")])

    assert rows(answer(server, "a.test A", rdclass="CH"))[0] == "NOERROR"


def test_a_name_outside_all_zones_is_refused() -> None:
    """J6."""
    server = server_of(Block((wire_name("test"),), [always(Reply(Response()))]))

    assert rows(answer(server, "a.example A"))[0] == "REFUSED"


@pytest.mark.parametrize(
    "wire", [b"", b"x" * 11, question("a.test A")[:2] + b"\x80" + question("a.test A")[3:]]
)
def test_what_is_no_query_gets_no_answer(wire: bytes) -> None:
    """J1, J2, J26."""
    assert server_of([always(Reply(Response()))]).respond(wire, CLIENT, 0.0) == Rendered()


def test_a_dropped_query_gets_no_answer() -> None:
    assert server_of([always(Drop())]).respond(question("a.test A"), CLIENT, 0.0) == Rendered()


def test_a_stream_is_rendered_message_by_message() -> None:
    server = server_of([always(Stream([Response(answer=(a_record(n),)) for n in (1, 2)]))])

    rendered = server.respond(question("a.test A"), TCP_CLIENT, 0.0)

    assert isinstance(rendered, Rendered)
    found = [dns.message.from_wire(wire) for wire in rendered.wires]
    assert [message.answer[0][0].to_text() for message in found] == ["10.0.0.1", "10.0.0.2"]


def test_udp_answers_are_cut_to_the_client_and_tcp_answers_are_not() -> None:
    """J10."""
    response = Response(answer=tuple(a_record(n) for n in range(60)), aa=True)
    server = server_of([always(Reply(response))])

    cut, whole = answer(server, "a.test A"), answer(server, "a.test A", TCP_CLIENT)

    assert cut.flags & dns.flags.TC
    assert len(cut.answer[0]) == 30
    assert not whole.flags & dns.flags.TC
    assert len(whole.answer[0]) == 60


def stored(server: Server, transport: Transport = Transport.UDP) -> int:
    return len(server.table(transport, "1").entries)


def test_only_answers_that_may_be_are_stored_and_they_die_with_their_owner() -> None:
    keep = Reply(Response(answer=(a_record(),)), store=Storable(("web",)))
    server, other = server_of([always(keep)]), server_of([always(Reply(Response()))])
    answer(server, "a.test A")
    answer(other, "a.test A")

    assert (stored(server), stored(other)) == (1, 0)
    entry = server.table(Transport.UDP, "1").entries[question("a.test A")[2:]]
    decoded = dns.message.from_wire(b"\0\1" + entry.tail)
    assert decoded.answer[0][0].to_text() == "10.0.0.1"
    server.drop(["api"])
    assert stored(server) == 1
    server.drop(["web"])
    assert stored(server) == 0


def test_the_key_is_the_whole_query_without_its_id() -> None:
    keep = Reply(Response(answer=(a_record(),)), store=Storable())
    server = server_of([always(keep)])
    for text, settings in (
        ("a.test A", {}),
        ("a.test A", {"id": 7}),
        ("a.test A", {"rd": False}),
        ("a.test A", {"use_edns": 0}),
    ):
        answer(server, text, **settings)

    assert stored(server) == 3


def test_rotated_answers_are_stored_in_every_order() -> None:
    records = tuple(a_record(n) for n in (1, 2, 3))
    server = server_of([always(Reply(Response(answer=records), store=Storable(rotate=True)))])
    answer(server, "a.test A")
    (entry,) = server.table(Transport.UDP, "1").entries.values()

    assert entry.rotation is not None
    firsts = [
        dns.message.from_wire(b"\0\1" + next(entry.rotation)).answer[0][0].to_text()
        for _ in range(3)
    ]
    assert sorted(firsts) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def test_an_answer_from_outside_is_finished_like_any_other() -> None:
    server = server_of([asking(lambda result: Reply(Response(answer=(a_record(),), aa=True)))])

    asked = server.respond(question("a.test A"), CLIENT, 0.0)

    assert isinstance(asked, Ask)
    rendered = asked.resume(None, 1.0)
    assert isinstance(rendered, Rendered)
    (wire,) = rendered.wires
    assert rows(dns.message.from_wire(wire))[2] == ["a.test. 5 IN A 10.0.0.1"]


def buggy(request: Request, proceed: Handler) -> Outcome:
    raise ZeroDivisionError("a bug")


def after_asking(result: object) -> Outcome:
    raise ZeroDivisionError("a bug")


@pytest.mark.parametrize("plugin", [Scripted(buggy), asking(after_asking)])
def test_a_bug_in_a_plugin_costs_its_query_and_is_counted(plugin: Scripted) -> None:
    """J7."""
    registry = Registry()
    server = server_of([plugin], registry=registry)
    told: list[str] = []
    server._panic = lambda question, error: told.append(f"{question}: {error}")

    outcome: Outcome = server.respond(question("a.test A"), CLIENT, 0.0)
    if isinstance(outcome, Ask):
        outcome = outcome.resume(None, 0.0)

    assert isinstance(outcome, Rendered)
    (wire,) = outcome.wires
    assert rows(dns.message.from_wire(wire))[0] == "SERVFAIL"
    assert told == ["a.test. A: a bug"]
    assert registry.families["coredns_panics_total"].cell().value == 1


def test_queries_inside_queries_go_through_the_whole_server_and_end() -> None:
    """E1."""
    inner = always(Reply(Response(answer=(a_record(),))))
    outer = Scripted(lambda request, proceed: request.resolve(request_for(request, "x.inner")))
    endless = Scripted(lambda request, proceed: request.resolve(request))
    server = server_of(
        Block((wire_name("."),), [outer]),
        Block((wire_name("inner"),), [inner]),
        Block((wire_name("endless"),), [endless]),
    )

    assert rows(answer(server, "a.test A"))[2] == ["a.test. 5 IN A 10.0.0.1"]
    assert inner.asked[0].zone == wire_name("inner")
    assert rows(answer(server, "endless A"))[0] == "SERVFAIL"
    assert len(endless.asked) < 20


def request_for(request: Request, name: str) -> Request:
    qname = wire_name(name)
    return replace(request, query=replace(request.query, qname=qname, name=qname))


def test_forgetting_empties_every_table() -> None:
    server = server_of([always(Reply(Response(answer=(a_record(),)), store=Storable()))])
    answer(server, "a.test A")
    answer(server, "a.test A", TCP_CLIENT)

    assert stored(server, Transport.TCP) == 1
    server.forget()
    assert (stored(server), stored(server, Transport.TCP)) == (0, 0)


COOKIE = edns_option(10, b"12345678")


def asked_twice(server: Server, text: str, **settings: Any) -> dns.message.Message:
    """Ask as the UDP loop does: the table first."""
    wire = question(text, **settings)
    stored = server.table(Transport.UDP, "1").find(wire[2:], 0.0)
    if stored is None:
        return answer(server, text, **settings)
    return dns.message.from_wire(wire[:2] + stored)


def test_questions_that_never_come_twice_alike_share_one_answer() -> None:
    """A7, J8."""
    plugin = Scripted(
        lambda request, proceed: Reply(
            Response(answer=(Record(request.query.qname, 1, 5, b"\n\0\0\1"),), aa=True),
            store=Storable(("web",)),
        )
    )
    server = server_of([plugin])
    for number, name in enumerate(("A.Test.", "a.test.", "A.TEST.", "a.tesT.", "A.Test.")):
        cookie = edns_option(10, bytes((number,)) * 8)
        found = asked_twice(server, f"{name} A", use_edns=0, options=[cookie])
        assert found.answer[0][0].to_text() == "10.0.0.1"
        assert found.answer[0].name.to_text() == name
        assert found.question[0].name.to_text() == name
        assert found.options[0].to_wire() == bytes((number,)) * 8
        assert found.flags & dns.flags.AA

    assert len(plugin.asked) == 1
    assert stored(server) == 1
    server.drop(["web"])
    asked_twice(server, "A.Test A", use_edns=0, options=[COOKIE])
    assert len(plugin.asked) == 2


def test_a_query_that_never_comes_twice_leaves_an_answer_for_those_that_do() -> None:
    """A7."""
    plugin = always(Reply(Response(answer=(a_record(),)), store=Storable()))
    server = server_of([plugin])
    for name in ("A.Test.", "a.test."):
        assert asked_twice(server, f"{name} A").question[0].name.to_text() == name

    assert len(plugin.asked) == 1


def _ages(now: float) -> tuple[int, float] | None:
    """Count down from 5 at second 0."""
    second = int(now)
    return (5 - second, second + 1.0) if second < 5 else None


def _stored_at(server: Server, now: float, name: str, **settings: Any) -> tuple[list[str], int]:
    """Give the addresses and the TTL of a stored answer; without one there are none."""
    wire = question(f"{name} A", **settings)
    tail = server.table(Transport.UDP, "1").find(wire[2:], now)
    if tail is None:
        return [], 0
    read = dns.message.from_wire(wire[:2] + tail)
    assert (read.question[0].name.to_text(), read.answer[0].name.to_text()) == (name, name)
    assert [one.to_wire() for one in read.options] == [
        one.to_wire() for one in settings.get("options", [])
    ]
    return [one.to_text() for one in read.answer[0]], read.answer[0].ttl


@pytest.mark.parametrize("count", [1, 2, 10, 20])
@pytest.mark.parametrize("rotate", [False, True])
def test_a_stored_answer_gets_its_ttls_where_it_is_and_goes_on_in_turn(
    count: int, *, rotate: bool
) -> None:
    """J13, J19."""
    records = tuple(a_record(number) for number in range(1, count + 1))
    store = Storable(until=1.0, rotate=rotate, renew=_ages)
    plugin = always(Reply(Response(answer=records), store=store))
    server = server_of([plugin])
    answer(server, "a.test A")
    answer(server, "a.test A", use_edns=0, options=[COOKIE])
    asked = len(plugin.asked)

    seen = [_stored_at(server, now, "a.test.") for now in (0.5, 1.5, 1.75, 2.5, 3.5, 4.5)]

    assert [ttl for _, ttl in seen] == [5, 4, 4, 3, 2, 1]
    firsts = [found[0] for found, _ in seen]
    assert len(set(firsts)) == (min(count, 6) if rotate else 1)
    assert all(len(found) == count for found, _ in seen)
    cookie = edns_option(10, b"another1")
    other, ttl = _stored_at(server, 3.5, "A.tEst.", use_edns=0, options=[cookie])
    assert (len(other), ttl) == (count, 2)
    assert _stored_at(server, 4.75, "A.Test.")[1] == 1
    for _ in range(2):
        assert _stored_at(server, 5.0, "a.test.") == ([], 0)
    assert len(plugin.asked) == asked


def test_queries_answered_with_a_new_ttl_are_counted_like_others() -> None:
    registry = Registry()
    cell = registry.counter("hits_total", "").cell()
    store = Storable(until=1.0, cells=(cell,), renew=_ages)
    server = server_of(
        [always(Reply(Response(answer=(a_record(),)), store=store))], registry=registry
    )
    answer(server, "a.test A")
    for now in (0.5, 1.5, 2.5, 9.0):
        _stored_at(server, now, "a.test.")

    server.accounts.fold()
    assert cell.value == 3


def test_orders_that_are_written_anew_each_are_not_given_other_ttls() -> None:
    alias = Record(wire_name("a.test"), 5, 5, wire_name("b.test"))
    targets = tuple(Record(wire_name("b.test"), 1, 5, bytes((10, 0, 0, n))) for n in (1, 2))
    store = Storable(until=1.0, rotate=True, renew=_ages)
    server = server_of([always(Reply(Response(answer=(alias, *targets)), store=store))])
    answer(server, "a.test A")

    assert _stored_at(server, 0.5, "a.test.")[1] == 5
    assert _stored_at(server, 1.5, "a.test.") == ([], 0)


def test_a_stored_answer_is_not_for_other_flags() -> None:
    """J13: RD, CD and DO may change an answer."""
    plugin = always(Reply(Response(answer=(a_record(),)), store=Storable()))
    server = server_of([plugin])
    settings: list[dict[str, object]] = [{}, {"cd": True}, {"rd": False}, {"want_dnssec": True}]
    for name in ("a.test A", "A.tEST A"):
        for flags in settings:
            found = asked_twice(server, name, use_edns=0, options=[COOKIE], **flags)
            assert bool(found.flags & dns.flags.CD) is bool(flags.get("cd"))

    assert len(plugin.asked) == 4


def test_an_answer_whose_names_repeat_the_case_is_for_lower_case_only() -> None:
    """A7."""
    target = Record(wire_name("a.test"), 33, 5, b"\0\0\0\1\0P" + wire_name("x.a.test"))
    plugin = always(Reply(Response(answer=(target,)), store=Storable()))
    server = server_of([plugin])
    for name in ("A.test", "a.test", "A.test", "a.test"):
        asked_twice(server, f"{name} SRV", use_edns=0, options=[COOKIE])

    assert len(plugin.asked) == 3


def test_an_srv_record_repeats_the_zone_of_every_spelling() -> None:
    """A7, C6: what is left of the zone is the Service's own."""

    def srv_of(request: Request, proceed: Handler) -> Outcome:
        target = b"\x03web\x03svc" + request.query.qname[-len(b"\x04test\0") :]
        srv = Record(request.query.qname, 33, 5, bytes((0, 0, 0, 1, 0, 80)) + target)
        response = Response(answer=(srv,), additional=(Record(target, 1, 5, b"\n\0\0\1"),))
        return Reply(response, store=Storable(("web",), repeats=len(b"\x03svc\x04test\0")))

    plugin = Scripted(srv_of)
    server = server_of([plugin])
    spellings = [
        ("_http._tcp.web.SVC.Test.", 1),
        ("_Http._tCp.weB.sVc.tesT.", 1),
        ("_http._tcp.web.SVC.test.", 1),
        ("_HTTP._TCP.WEB.SVC.TEST.", 1),
        ("_Http._tcp.web.svc.Test.", 2),  # shares more than the zone with where it points
        ("_http._tcp.web.svc.test.", 3),
        ("_http._tcp.web.svc.test.", 3),
        ("_HTTP._tcp.web.sVC.test.", 3),
    ]
    for name, asked in spellings:
        found = asked_twice(server, f"{name} SRV")
        target = f"web.svc.{name[-5:]}"
        assert [one.to_text() for one in found.answer] == [f"{name} 5 IN SRV 0 1 80 {target}"]
        assert [one.to_text() for one in found.additional] == [f"{target} 5 IN A 10.0.0.1"]
        assert len(plugin.asked) == asked, name
    for number in range(3):
        cookie = edns_option(10, bytes((number,)) * 8)
        found = asked_twice(server, "_hTTp._tcp.web.Svc.test. SRV", use_edns=0, options=[cookie])
        assert found.options[0].to_wire() == bytes((number,)) * 8
    assert len(plugin.asked) == 4
    server.drop([("web")])
    asked_twice(server, "_Http._tCp.weB.sVc.tesT. SRV")
    assert len(plugin.asked) == 5


def _denial(zone: str) -> Response:
    below = zone.removeprefix(".")
    names = wire_name(f"ns.dns.{below}") + wire_name(f"hostmaster.{below}")
    return Response(rcode=3, authority=(Record(wire_name(zone), 6, 5, names + b"\0" * 20),))


@pytest.mark.parametrize(
    ("name", "zone", "asked"),
    [
        ("a.test", "test.", 1),
        ("test", "test.", 1),
        ("a.dns.x.test", "test.", 1),
        ("ns.dns.test", "test.", 3),
        ("a.ns.dns.test", "test.", 3),
        ("HOSTMASTER.test", "test.", 3),
        ("a.test", ".", 1),
        ("a.ns", ".", 1),
        ("a.dns", ".", 3),
        ("a.test", "example.", 3),
    ],
)
def test_an_soa_that_names_more_of_the_question_than_its_zone_is_for_lower_case_only(
    name: str, zone: str, asked: int
) -> None:
    """A7: what is pointed at would change its case with the question."""
    plugin = always(Reply(_denial(zone), store=Storable()))
    server = server_of([plugin])
    for spelling in (name.lower(), name.swapcase(), name.title(), name.lower()):
        asked_twice(server, f"{spelling} A", use_edns=0, options=[COOKIE])

    assert len(plugin.asked) == asked


OWN_OPTIONS = [
    ("J8 an extended error", Response(options=((15, b"\0\x16"),))),
    ("J5 an extended response code", Response(rcode=16)),
]


@pytest.mark.parametrize(("rule", "response"), OWN_OPTIONS)
def test_a_cookie_is_looked_for_only_where_it_is_at_the_end(rule: str, response: Response) -> None:
    server = server_of([always(Reply(response, store=Storable()))])
    answer(server, "a.test A", use_edns=0, options=[COOKIE])

    assert stored(server) == 0, rule


def test_an_nsid_is_stored_for_who_asks_for_one() -> None:
    """J9."""
    server = server_of([always(Reply(Response(nsid=b"me"), store=Storable()))])
    asks: list[dict[str, object]] = [
        {"options": [edns_option(3, b"")]},
        {"options": [COOKIE]},
        {"options": []},
    ]
    for _ in range(2):
        told = [
            [
                option.to_wire()
                for option in asked_twice(server, "a.test A", use_edns=0, **ask).options
            ]
            for ask in asks
        ]
        assert told == [[b"me"], [b"12345678"], []]
    assert stored(server) == 3


def test_a_name_with_a_zero_octet_is_not_stored() -> None:
    """A zero octet is taken for the name's end where packets are compared."""
    server = server_of([always(Reply(Response(), store=Storable()))])
    answer(server, "a\\000b.test A")

    assert stored(server) == 0


def test_an_answer_too_large_for_a_client_is_cut_for_it() -> None:
    """J10."""
    records = tuple(a_record(number) for number in range(60))
    plugin = always(Reply(Response(answer=records), store=Storable()))
    server = server_of([plugin])
    for name in ("a.test", "A.test"):
        whole = asked_twice(server, f"{name} A", use_edns=0, options=[COOKIE], payload=4096)
        cut = asked_twice(server, f"{name} A", use_edns=0, options=[COOKIE], payload=512)

        assert (len(whole.answer[0]), bool(whole.flags & dns.flags.TC)) == (60, False)
        assert len(cut.answer[0]) == (512 - 12 - 12 - 23) // 16
        assert cut.flags & dns.flags.TC
        assert cut.options[0].to_wire() == b"12345678"
    assert len(plugin.asked) == 2


def test_streams_have_a_table_of_their_own() -> None:
    server = server_of([always(Reply(Response(answer=(a_record(),)), store=Storable()))])
    answer(server, "a.test A", TCP_CLIENT)

    assert (stored(server), stored(server, Transport.TCP)) == (0, 1)


def test_all_kinds_of_sockets_share_the_room_for_answers() -> None:
    """Half of it is for whoever comes first, the rest for what is asked again.

    That is told by traces of hashes, so one of some hundred names is taken for another one.
    """
    server = server_of([always(Reply(Response(), store=Storable()))], limit=8)

    def shares() -> tuple[int, int]:
        return stored(server), stored(server, Transport.TCP)

    for number in range(20):
        answer(server, f"u{number}.test A")
    for number in range(6):
        answer(server, f"t{number}.test A", TCP_CLIENT)
    assert (sum(shares()), min(shares()) > 1) == (8, True)
    for number in range(20):
        answer(server, f"v{number}.test A", TCP_CLIENT)
    for number in range(20):
        answer(server, f"w{number}.test A")

    assert (sum(shares()), min(shares()) > 1) == (8, True)


def test_of_more_than_there_is_room_for_some_stays_when_all_is_asked_in_turns() -> None:
    """First in, first out alone would push out each answer just before it is wanted again."""
    server = server_of([always(Reply(Response(), store=Storable()))], limit=256)
    turns = [
        (f"n{number}.test A", client) for client in (CLIENT, TCP_CLIENT) for number in range(200)
    ]
    for _ in range(6):
        for text, client in turns:
            answer(server, text, client)

    def known() -> int:
        found = 0
        for text, client in turns:
            table = server.table(client.transport, client.family)
            found += table.find(question(text)[2:], 0.0) is not None
            answer(server, text, client)
        return found

    assert min(known() for _ in range(4)) > 100


def test_where_views_choose_the_block_nothing_is_stored() -> None:
    """J6: the next client with the same packet may belong to another block."""
    stored = Storable(owners=("web",))
    inside = Reply(Response(answer=(a_record(1),)), store=stored)
    outside = Reply(Response(answer=(a_record(2),)), store=stored)
    server = server_of(
        Block((ROOT,), [always(inside)], view="in", filters=[lambda r: r.client.port == 40000]),
        Block((ROOT,), [always(outside)]),
    )
    other = replace(CLIENT, port=50000)

    found = [rows(answer(server, "a.test A", client))[2] for client in (other, CLIENT, other)]
    assert [text[0].split()[-1] for text in found] == ["10.0.0.2", "10.0.0.1", "10.0.0.2"]
    assert not server.table(Transport.UDP, "1").entries
