"""Changes of answers, each on its own."""

from svcdns.dns.response import Record, Response
from svcdns.plugins import rewriteanswers
from svcdns.plugins.base import Drop, Failed, Outcome, Reply, Request
from svcdns.plugins.rewriteanswers import Undo
from svcdns.zones.records import soa, srv
from tests.support.records import wire_name, zone_texts
from tests.support.serving import request

ASKED = request("Asked.example A")


def swap(name: str) -> str | None:
    return name.replace("old", "new") if "old" in name else None


def broken(name: str) -> str | None:
    return "a..b"


def changed(undo: Undo, *records: Record) -> list[str]:
    outcome = undo(Reply(Response(answer=records)), ASKED)
    assert isinstance(outcome, Reply)
    return zone_texts(outcome.response.answer)


def test_owners_and_values_are_renamed_apart() -> None:
    record = srv(wire_name("old.example"), 5, weight=1, port=80, target=wire_name("t.OLD.example"))

    assert changed(rewriteanswers.owners(swap), record) == [
        "new.example. 5 SRV 0 1 80 t.OLD.example."
    ]
    assert changed(rewriteanswers.values(swap), record) == [
        "old.example. 5 SRV 0 1 80 t.new.example."
    ]


def test_of_soa_only_the_server_is_renamed() -> None:
    (text,) = changed(rewriteanswers.values(swap), soa(wire_name("old"), ttl=5, serial=1))

    assert text == "old. 5 SOA ns.dns.new. hostmaster.old. 1 7200 1800 86400 5"


def test_types_without_a_name_and_names_that_would_be_none_stay() -> None:
    txt = Record(wire_name("old"), 16, 5, b"\x03old")

    assert changed(rewriteanswers.values(swap), txt) == ['old. 5 TXT "old"']
    assert changed(rewriteanswers.owners(broken), txt) == ['old. 5 TXT "old"']


def test_ttls_are_kept_within_bounds() -> None:
    records = [Record(wire_name("a"), 16, ttl, b"\x01x") for ttl in (1, 20, 99)]

    assert changed(rewriteanswers.ttls(10, 30), *records) == [
        'a. 10 TXT "x"', 'a. 20 TXT "x"', 'a. 30 TXT "x"',
    ]  # fmt: skip


def test_response_codes_change_in_answers_and_in_errors() -> None:
    undo = rewriteanswers.rcode(2, 3)
    rows: list[tuple[Outcome, Outcome]] = [
        (Reply(Response(2)), Reply(Response(3))),
        (Reply(Response(5)), Reply(Response(5))),
        (Failed(2, "why"), Failed(3, "why")),
        (Failed(5), Failed(5)),
        (Drop(), Drop()),
    ]
    for before, after in rows:
        assert undo(before, ASKED) == after


def test_the_clients_name_comes_back_as_the_client_wrote_it() -> None:
    rows = [
        Record(wire_name(name), 16, 5, b"\x01x") for name in ("asked.example", "b.asked.example")
    ]

    assert changed(rewriteanswers.own_case, *rows) == [
        'Asked.example. 5 TXT "x"',
        'b.asked.example. 5 TXT "x"',
    ]


def test_options_are_added_or_take_the_place_of_others() -> None:
    outcome = rewriteanswers.options({9: b"new"})(
        Reply(Response(options=((9, b"old"), (8, b"")))), ASKED
    )

    assert isinstance(outcome, Reply)
    assert outcome.response.options == ((8, b""), (9, b"new"))


def test_a_cname_leads_elsewhere_with_what_is_there() -> None:
    address = Record(wire_name("new.example"), 1, 30, bytes((10, 0, 0, 1)))
    asked: list[bytes] = []

    def resolve(inner: Request) -> Outcome:
        asked.append(inner.query.name)
        return Reply(Response(answer=(address,), tc=True))

    alias = Record(wire_name("asked.example"), 5, 60, wire_name("old.example"))
    gone = Record(wire_name("old.example"), 1, 60, bytes((10, 0, 0, 2)))
    client = Request(ASKED.query, ASKED.client, 0.0, resolve)
    outcome = rewriteanswers.targets(swap)(Reply(Response(answer=(alias, gone))), client)

    assert isinstance(outcome, Reply)
    assert asked == [wire_name("new.example")]
    assert outcome.response.tc
    assert zone_texts(outcome.response.answer) == [
        "asked.example. 60 CNAME new.example.",
        "new.example. 30 A 10.0.0.1",
    ]


def test_a_cname_stays_when_its_new_target_cannot_be_resolved() -> None:
    alias = Record(wire_name("asked.example"), 5, 60, wire_name("old.example"))

    assert changed(rewriteanswers.targets(swap), alias) == ["asked.example. 60 CNAME old.example."]
