"""Answers to bytes, decoded by dnspython."""

from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svcdns.dns import name, rdata
from svcdns.dns.constants import Rcode, RRClass, RRType
from svcdns.dns.query import Edns, Query, parse
from svcdns.dns.render import bare, render
from svcdns.dns.response import Record, Response
from tests.support.cases import Case, case, check
from tests.support.wire import ask, decode, records, wire_name

WEB = "WeB.prod.svc.cluster.local."
QNAME = wire_name(WEB)
ZONE = wire_name("cluster.local")


def query(question: str = f"{WEB} A", **options: object) -> Query:
    parsed = parse(ask(question, **options))
    assert isinstance(parsed, Query)
    return parsed


def address(last: int, owner: bytes = QNAME) -> Record:
    return Record(owner, RRType.A, 5, bytes((10, 96, last >> 8, last & 0xFF)))


SOA = Record(
    ZONE,
    RRType.SOA,
    5,
    rdata.soa(
        wire_name("ns.dns.cluster.local"),
        wire_name("hostmaster.cluster.local"),
        1,
        7200,
        1800,
        86400,
        5,
    ),
)
SOA_TEXT = (
    "cluster.local. 5 SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 5"
)
SRV = Record(QNAME, RRType.SRV, 5, rdata.srv(0, 100, 80, wire_name("web.prod.svc.Cluster.local")))
GLUE = address(10, wire_name("web.prod.svc.Cluster.local"))

CASES: list[tuple[Case, Response]] = [
    (
        case("A1", f"{WEB} A", flags="QR AA RD", answer=[f"{WEB} 5 A 10.96.0.10"]),
        Response(answer=(address(10),), aa=True),
    ),
    (
        case("A3", f"{WEB} A", rcode="NXDOMAIN", flags="QR AA RD", authority=[SOA_TEXT]),
        Response(rcode=Rcode.NXDOMAIN, authority=(SOA,), aa=True),
    ),
    (
        case(
            "A7",
            f"{WEB} SRV",
            flags="QR AA RD",
            answer=[f"{WEB} 5 SRV 0 100 80 web.prod.svc.Cluster.local."],
            additional=["web.prod.svc.Cluster.local. 5 A 10.96.0.10"],
        ),
        Response(answer=(SRV,), additional=(GLUE,), aa=True),
    ),
    (case("flags", f"{WEB} A", flags="QR AA TC RD RA AD"), Response(aa=True, tc=True, ra=True, ad=True)),
    (case("forwarded", f"{WEB} A", rcode="REFUSED", flags="QR RD RA"), Response(rcode=5, ra=True)),
    (case("root", ". NS", flags="QR RD", answer=[". 5 NS a."]), Response(answer=(Record(b"\x00", 2, 5, b"\x01a\x00"),))),
    (case("root owner", ". TXT", flags="QR RD", answer=['. 5 TXT "x"']), Response(answer=(Record(b"\x00", 16, 5, b"\x01x"),))),
    (
        case("root target", f"{WEB} SRV", flags="QR RD", answer=[f"{WEB} 5 MX 0 ."]),
        Response(answer=(Record(QNAME, RRType.MX, 5, b"\x00\x00\x00"),)),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("expected", "response"), CASES, ids=[str(case) for case, _ in CASES])
@pytest.mark.parametrize("edns", [None, 1232], ids=["plain", "EDNS"])
def test_an_answer_says_what_the_response_says(
    expected: Case, response: Response, edns: int | None
) -> None:
    options = {} if edns is None else {"use_edns": 0, "payload": edns, "want_dnssec": True}
    parsed = parse(expected.ask(**options))
    assert isinstance(parsed, Query)
    message = check(expected, render(parsed, response, limit=512))
    assert message.id == 4242
    assert message.edns == (-1 if edns is None else 0)
    if edns is not None:
        assert (message.payload, message.ednsflags) == (1232, 0x8000)


@pytest.mark.parametrize(
    ("rule", "sent", "got"),
    [
        ("A1", dns.flags.RD, "QR RD"),
        ("A1", dns.flags.CD, "QR CD"),
        ("A1", 0, "QR"),
        ("A1 AD is ours", dns.flags.AD, "QR"),
        ("A1 AA, TC, RA are ours", dns.flags.AA | dns.flags.TC | dns.flags.RA, "QR"),
        ("A1 Z", 0x40, "QR"),
        ("a client's rcode", 0x000F, "QR"),
    ],
)
def test_rd_and_cd_are_copied_and_nothing_else(rule: str, sent: int, got: str) -> None:
    answer = decode(render(query(flags=sent), Response(), limit=512))
    assert dns.flags.to_text(answer.flags) == got
    assert answer.rcode() == Rcode.NOERROR


def test_opcode_is_copied_and_rd_only_for_queries() -> None:
    """J3: NOTIFY."""
    wire = bytearray(ask("cluster.local. SOA", flags=dns.flags.RD | dns.flags.CD))
    wire[2] |= 4 << 3
    parsed = parse(bytes(wire))
    assert isinstance(parsed, Query)
    answer = decode(render(parsed, Response(aa=True), limit=512))
    assert answer.opcode() == dns.opcode.NOTIFY
    assert dns.flags.to_text(answer.flags) == "QR AA"


def test_case_of_the_question_comes_back_octet_by_octet() -> None:
    """A7."""
    wire = render(query(), Response(answer=(address(1),)), limit=512)
    assert wire[12 : 12 + len(QNAME)] == QNAME
    assert records(decode(wire).answer)[0].startswith(WEB)


def test_names_that_differ_in_case_are_not_compressed_into_one() -> None:
    """A7: a pointer would give the record the question's case."""
    lower = Record(QNAME.lower(), RRType.A, 5, bytes(4))
    message = decode(render(query(), Response(answer=(lower,)), limit=512))
    assert records(message.answer) == ["web.prod.svc.cluster.local. 5 A 0.0.0.0"]


def test_names_in_rdata_are_compressed_for_rfc_1035_types_only() -> None:
    """RFC 3597 §4; RFC 2782 for SRV."""
    target = wire_name("a.prod.svc.cluster.local")
    sizes = {}
    for rrtype, data in [
        (RRType.CNAME, target),
        (RRType.NS, target),
        (RRType.PTR, target),
        (RRType.MX, rdata.mx(1, target)),
        (RRType.DNAME, target),
        (RRType.SRV, rdata.srv(0, 0, 0, target)),
    ]:
        wire = render(query(), Response(answer=(Record(QNAME, rrtype, 5, data),)), limit=512)
        decode(wire)
        sizes[rrtype] = len(wire) - 12 - len(QNAME) - 4 - 12
    assert sizes == {
        RRType.CNAME: 4,
        RRType.NS: 4,
        RRType.PTR: 4,
        RRType.MX: 6,
        RRType.DNAME: len(target),
        RRType.SRV: 6 + len(target),
    }


@pytest.mark.parametrize(
    ("rule", "options", "limit", "fitting"),
    [
        ("J10 no EDNS", {}, 512, 29),
        ("J10 EDNS 1232", {"use_edns": 0, "payload": 1232}, 1232, 73),
        ("J10 TCP", {}, 65535, 100),
    ],
)
def test_as_many_whole_records_as_fit_are_sent(
    rule: str, options: dict[str, int], limit: int, fitting: int
) -> None:
    """J10's example: 100 addresses of db.prod.svc.cluster.local."""
    asked = query("db.prod.svc.cluster.local. A", **options)
    response = Response(answer=tuple(address(n, asked.qname) for n in range(100)), aa=True)
    message = decode(render(asked, response, limit=limit))
    assert len(records(message.answer)) == fitting
    assert bool(message.flags & dns.flags.TC) is (fitting < 100)
    assert message.edns == (0 if options else -1)


def test_every_limit_cuts_between_records() -> None:
    """J10: ANSWER first, then AUTHORITY, ADDITIONAL; TC when any record was lost; OPT kept."""
    asked = query(f"{WEB} SRV", use_edns=0, payload=512)
    whole = Response(
        answer=tuple(Record(QNAME, RRType.SRV, 5, SRV.rdata[:5] + bytes((n,)) + SRV.rdata[6:]) for n in range(20)),
        authority=tuple(Record(ZONE, RRType.NS, 5, wire_name(f"ns{n}.cluster.local")) for n in range(5)),
        additional=tuple(address(n, wire_name(f"ns{n % 5}.cluster.local")) for n in range(15)),
    )  # fmt: skip
    everything = decode(render(asked, whole, limit=65535))
    expected = [records(section) for section in everything.sections[1:]]
    previous = -1
    for limit in range(512, len(render(asked, whole, limit=65535)) + 2):
        wire = render(asked, whole, limit=limit)
        assert len(wire) <= limit
        message = decode(wire)
        found = [records(section) for section in message.sections[1:]]
        counts = [len(section) for section in found]
        total = sum(counts)
        assert total >= previous
        previous = total
        assert bool(message.flags & dns.flags.TC) is (total < 40)
        assert message.edns == 0
        assert set(found[0]) <= set(expected[0])
        if counts[1]:
            assert counts[0] == 20
        if counts[2]:
            assert counts[:2] == [20, 5]
    assert previous == 40
    exact = render(asked, whole, limit=len(render(asked, whole, limit=65535)))
    assert not decode(exact).flags & dns.flags.TC, "a message of just the limit is whole"


def test_options_never_crowd_out_the_question() -> None:
    asked = Query(1, 0, QNAME, 1, edns=Edns(512, options=((12, bytes(600)),)))
    wire = render(asked, Response(), limit=512)
    message = decode(wire)
    assert len(wire) <= 512
    assert message.question
    assert (message.edns, message.options) == (0, ())


def test_a_message_of_many_names_over_16_kib_is_right() -> None:
    """Offsets from 0x4000 on do not fit a pointer (RFC 1035 §4.1.4)."""
    chain = []
    for n in range(600):
        owner, target = wire_name(f"alias-{n}.cluster.local"), wire_name(f"host-{n}.cluster.local")
        chain.append(Record(owner, RRType.CNAME, 5, target))
        chain.append(address(n, target))
    wire = render(query(), Response(answer=tuple(chain)), limit=65535)
    assert 0x4000 < len(wire) <= 65535
    message = decode(wire)
    assert not message.flags & dns.flags.TC
    expected = {f"alias-{n}.cluster.local. 5 CNAME host-{n}.cluster.local." for n in range(600)}
    expected |= {f"host-{n}.cluster.local. 5 A 10.96.{n >> 8}.{n & 255}" for n in range(600)}
    assert set(records(message.answer)) == expected


def test_a_message_is_filled_up_to_64_kib() -> None:
    answer = tuple(address(n) for n in range(5000))
    message = decode(render(query(), Response(answer=answer), limit=65535))
    assert message.flags & dns.flags.TC
    assert len(records(message.answer)) == (65535 - 12 - len(QNAME) - 4) // 16


def test_a_class_other_than_in_is_kept() -> None:
    """J4: ``version.bind CH TXT``."""
    asked = query("version.bind. TXT", rdclass="CH")
    answer = Record(asked.qname, RRType.TXT, 0, rdata.txt(b"svcdns"), RRClass.CH)
    message = decode(render(asked, Response(answer=(answer,)), limit=512))
    assert message.answer[0].to_text() == 'version.bind. 0 CH TXT "svcdns"'


@pytest.mark.parametrize("rcode", [Rcode.SERVFAIL, Rcode.REFUSED, Rcode.FORMERR, Rcode.NOTIMP])
@pytest.mark.parametrize("edns", [False, True])
def test_a_bare_error_holds_the_question_and_opt(rcode: int, edns: bool) -> None:
    """J6, J7: no AA, no SOA."""
    options: dict[str, Any] = {"use_edns": 0, "payload": 4096} if edns else {}
    message = decode(bare(query(**options), rcode))
    assert message.rcode() == rcode
    assert dns.flags.to_text(message.flags) == "QR RD"
    assert str(message.question[0].name) == WEB
    assert message.edns == (0 if edns else -1)
    assert not any(message.sections[1:])


def test_badvers_is_spread_over_header_and_opt() -> None:
    """J5."""
    message = decode(bare(query(use_edns=1, payload=1232), Rcode.BADVERS))
    assert message.rcode() == dns.rcode.BADVERS
    assert (message.edns, message.payload) == (0, 0)


def test_a_long_response_code_without_edns_is_a_failure() -> None:
    """RFC 6891 §6.1.3: 16 cut to four bits would say NOERROR."""
    assert decode(bare(query(), Rcode.BADVERS)).rcode() == dns.rcode.SERVFAIL


LABEL = st.sampled_from([b"a", b"A", b"b", b"web", b"\x00", b"\xc0\x0c", b"x" * 63])
NAMES = st.lists(LABEL, max_size=3).map(name.join)
RECORDS = st.lists(
    st.one_of(
        st.builds(Record, NAMES, st.just(1), st.integers(0, 2**31 - 1), st.binary(min_size=4, max_size=4)),
        st.builds(Record, NAMES, st.sampled_from([2, 5, 12, 39]), st.just(5), NAMES),
        st.builds(lambda o, t: Record(o, 33, 5, rdata.srv(1, 2, 3, t)), NAMES, NAMES),
        st.builds(lambda o, t: Record(o, 15, 5, rdata.mx(1, t)), NAMES, NAMES),
        st.builds(lambda o, m, r: Record(o, 6, 5, rdata.soa(m, r, 1, 2, 3, 4, 5)), NAMES, NAMES, NAMES),
        st.builds(Record, NAMES, st.just(65280), st.just(5), st.binary(max_size=70)),
    ),
    max_size=8,
).map(tuple)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(NAMES, RECORDS, RECORDS, RECORDS)
def test_any_records_come_out_of_dnspython_as_they_went_in(
    qname: bytes,
    answer: tuple[Record, ...],
    authority: tuple[Record, ...],
    additional: tuple[Record, ...],
) -> None:
    asked = Query(1, 0x100, qname, 1, name=qname.lower())
    wire = render(asked, Response(0, answer, authority, additional), limit=65535)
    message = dns.message.from_wire(wire, one_rr_per_rrset=True)
    assert message.question[0].name.to_wire() == qname
    for section, expected in zip(
        message.sections[1:], (answer, authority, additional), strict=True
    ):
        found = [
            (rrset.name.to_wire(), int(rrset.rdtype), rrset.ttl, rrset[0].to_wire())
            for rrset in section
        ]
        assert found == [(r.owner, r.rrtype, r.ttl, r.rdata) for r in expected]


@pytest.mark.parametrize(
    ("question", "zone", "mname", "rname"),
    [
        ("web.cluster.local.", "cluster.local.", "ns.dns.cluster.local.", "root.cluster.local."),
        ("x.ns.dns.cluster.local.", "cluster.local.", "ns.dns.cluster.local.", "cluster.local."),
        ("cluster.local.", "cluster.local.", "ns.cluster.local.", "root.cluster.local."),
        ("web.CLUSTER.local.", "CLUSTER.local.", "ns.CLUSTER.local.", "root.cluster.local."),
        ("web.cluster.local.", "CLUSTER.local.", "ns.CLUSTER.local.", "root.CLUSTER.local."),
        ("web.cluster.local.", "cluster.local.", "ns.outside.", "root.cluster.local."),
        ("web.cluster.local.", "cluster.local.", "ns.cluster.local.", "."),
        ("web.cluster.local.", "other.local.", "ns.other.local.", "root.other.local."),
        (r"web\005local.", "local.", "ns.local.", "root.local."),
        ("web.cluster.local.", ".", "a.root.", "nstld."),
        (".", ".", ".", "."),
    ],
)
def test_a_soa_is_right_wherever_its_zone_is(
    question: str, zone: str, mname: str, rname: str
) -> None:
    """RFC 1035 §4.1.4: most denials are a SOA whose names end where the question does."""
    owner = wire_name(zone)
    data = rdata.soa(wire_name(mname), wire_name(rname), 1, 7200, 1800, 86400, 5)
    soa = Record(owner, RRType.SOA, 30, data)
    server = address(1, wire_name(mname))
    response = Response(Rcode.NXDOMAIN, authority=(soa, soa), additional=(server,))
    message = decode(render(query(f"{question} A"), response, limit=512))
    assert records(message.authority) == [f"{zone} 30 SOA {mname} {rname} 1 7200 1800 86400 5"]
    assert records(message.additional) == [f"{mname} 5 A 10.96.0.1"]


def test_a_soa_that_does_not_fit_is_left_out_whole() -> None:
    """J10."""
    for limit in range(12 + len(QNAME) + 4, 512):
        wire = render(query(), Response(Rcode.NXDOMAIN, authority=(SOA,)), limit=limit)
        message = decode(wire)
        fits = limit >= 12 + len(QNAME) + 4 + 12 + 9 + 13 + 20
        assert records(message.authority) == ([SOA_TEXT] if fits else [])
        assert bool(message.flags & dns.flags.TC) is not fits


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize(("said", "sent"), [(None, None), (True, True), (False, False)])
def test_rd_follows_the_query_unless_the_answer_says_otherwise(
    asked: bool, said: bool | None, sent: bool | None
) -> None:
    message = dns.message.make_query("a.test.", "A")
    message.flags = dns.flags.RD if asked else 0
    query = parse(message.to_wire())
    assert isinstance(query, Query)
    found = dns.message.from_wire(render(query, Response(rd=said), limit=512))

    assert bool(found.flags & dns.flags.RD) is (asked if sent is None else sent)
