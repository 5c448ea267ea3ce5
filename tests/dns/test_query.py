"""Queries from strangers: verdicts by rule, then dnspython as the judge."""

import struct

import dns.edns
import dns.exception
import dns.message
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svcdns.dns.constants import Opcode, Rcode
from svcdns.dns.query import Edns, Query, Rejected, parse
from tests.support.wire import ask, edns_option, wire_name

COOKIE = edns_option(10, b"12345678")
NSID = edns_option(3, b"")
PADDING = edns_option(12, bytes(100))

VALID = {
    "plain": ask("web.prod.svc.cluster.local. A"),
    "mixed case": ask("WeB.Prod.svc.CLUSTER.local. AAAA", flags=0),
    "root": ask(". NS"),
    "EDNS": ask("a. TXT", use_edns=0, payload=1232),
    "EDNS DO": ask("a. SOA", use_edns=0, payload=4096, want_dnssec=True),
    "cookie": ask("a.b. SRV", use_edns=0, payload=512, options=[COOKIE]),
    "NSID and cookie": ask("a.b. ANY", use_edns=0, payload=65535, options=[NSID, COOKIE]),
    "padding": ask("a.b. HTTPS", use_edns=0, payload=0, options=[PADDING]),
    "EDNS version 1": ask("a.b. A", use_edns=1, payload=1232),
    "TYPE65535": ask("a.b. TYPE65535"),
    "TYPE0": ask("a.b. TYPE0"),
}

PLAIN = VALID["plain"]
OPT = b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00"
TSIG_LIKE = b"\x01k\x00\x00\xfa\x00\xff\x00\x00\x00\x00\x00\x02ab"


def counts(wire: bytes, *, qd: int = 1, an: int = 0, ns: int = 0, ar: int = 0) -> bytes:
    return wire[:4] + struct.pack("!4H", qd, an, ns, ar) + wire[12:]


def flags(wire: bytes, value: int) -> bytes:
    return wire[:2] + struct.pack("!H", value) + wire[4:]


@pytest.mark.parametrize("wire", VALID.values(), ids=VALID.keys())
@pytest.mark.parametrize("tail", [b"", b"\x00", b"trailing octets"], ids=["", "tail 0", "tail"])
def test_a_query_is_read_as_dnspython_reads_it(wire: bytes, tail: bytes) -> None:
    """J26: miekg/dns and NSD ignore octets behind the last record."""
    query = parse(wire + tail)
    assert isinstance(query, Query)
    expected = dns.message.from_wire(wire)
    [question] = expected.question
    assert query.id == expected.id
    assert query.flags == expected.flags
    assert query.qname == question.name.to_wire()
    assert query.name == question.name.canonicalize().to_wire()
    assert (query.qtype, query.qclass) == (question.rdtype, question.rdclass)
    assert query.size == len(wire + tail)
    assert_same_edns(query.edns, expected)


def assert_same_edns(edns: Edns | None, expected: dns.message.Message) -> None:
    if edns is None:
        assert expected.edns == -1
        return
    assert (edns.size, edns.version) == (expected.payload, expected.edns)
    assert edns.do is bool(expected.ednsflags & 0x8000)
    assert edns.options == tuple(
        (int(option.otype), option.to_wire() or b"") for option in expected.options
    )


@pytest.mark.parametrize("wire", VALID.values(), ids=VALID.keys())
def test_a_query_cut_off_anywhere_is_no_query(wire: bytes) -> None:
    """J2, J26: silence up to 11 octets, FORMERR from there."""
    for size in range(len(wire)):
        verdict = parse(wire[:size])
        if size < 12:
            assert verdict is None
        else:
            assert isinstance(verdict, Rejected), size
            assert verdict.rcode == Rcode.FORMERR


MALFORMED = {
    "J26 no question": counts(PLAIN, qd=0),
    "J26 header alone": counts(PLAIN[:12], qd=0),
    "J26 two questions": counts(PLAIN + PLAIN[12:], qd=2),
    "J1 two answers": counts(PLAIN, an=2),
    "J1 two authority records": counts(PLAIN, ns=2),
    "J1 three additional records": counts(PLAIN + OPT * 3, ar=3),
    "J26 pointer loop": PLAIN[:12] + b"\xc0\x0c\x00\x01\x00\x01",
    "pointer to the header": PLAIN[:12] + b"\xc0\x00\x00\x01\x00\x01",
    "label type 0x40": PLAIN[:12] + b"\x41a\x00\x00\x01\x00\x01",
    "label type 0x80": PLAIN[:12] + b"\x80\x00\x00\x01\x00\x01",
    "name of 256 octets": PLAIN[:12] + b"\x02aa" + b"\x01a" * 126 + b"\x00" + b"\x00\x01" * 2,
    "label over the end": PLAIN[:12] + b"\x3fa",
    "endless labels": PLAIN[:12] + b"\x01a" * 32000,
}  # fmt: skip


@pytest.mark.parametrize("wire", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_question_gets_a_bare_header(wire: bytes) -> None:
    verdict = parse(wire)
    assert isinstance(verdict, Rejected)
    assert verdict.rcode == Rcode.FORMERR
    assert len(verdict.wire) == 12
    answer = dns.message.from_wire(verdict.wire)
    assert answer.id == 4242
    assert answer.rcode() == Rcode.FORMERR
    assert dns.flags.to_text(answer.flags) == "QR RD"


UNREADABLE_REST = {
    "announced record missing": counts(PLAIN, ar=1),
    "answer missing": counts(PLAIN, an=1),
    "OPT cut off": counts(PLAIN + OPT[:-1], ar=1),
    "option cut off": counts(PLAIN + OPT[:-2] + b"\x00\x05\x00\x0a\x00\x02x", ar=1),
    "option header cut off": counts(PLAIN + OPT[:-2] + b"\x00\x03\x00\x0a\x00", ar=1),
    "rdata over the end": counts(PLAIN + OPT[:-2] + b"\x00\x01", ar=1),
    "OPT not at the root": counts(PLAIN + b"\x01x" + OPT, ar=1),
    "OPT in answer": counts(PLAIN + OPT, an=1),
    "OPT in authority": counts(PLAIN + OPT, ns=1),
    "owner points at itself": counts(PLAIN + b"\xc0\x2c" + OPT[1:], ar=1),
    "second record cut off": counts(PLAIN + OPT + TSIG_LIKE[:-1], ar=2),
}  # fmt: skip


@pytest.mark.parametrize("wire", UNREADABLE_REST.values(), ids=UNREADABLE_REST.keys())
def test_an_unreadable_rest_gets_formerr_with_the_question(wire: bytes) -> None:
    """J2; the question was readable, and clients match answers by it (RFC 5452 §9.1)."""
    verdict = parse(wire)
    assert isinstance(verdict, Rejected)
    answer = dns.message.from_wire(verdict.wire)
    assert answer.rcode() == Rcode.FORMERR
    assert answer.question == dns.message.from_wire(PLAIN).question
    assert answer.edns == -1


def test_of_two_opt_records_the_last_counts() -> None:
    """J26: two OPT are accepted, the first from the end is used."""
    second = OPT[:3] + b"\x02\x00" + OPT[5:]
    query = parse(counts(PLAIN + OPT + second, ar=2))
    assert isinstance(query, Query)
    assert query.edns == Edns(512, 0, True)


@pytest.mark.parametrize("records", [OPT + TSIG_LIKE, TSIG_LIKE + OPT], ids=["before", "after"])
def test_another_additional_record_is_skipped(records: bytes) -> None:
    query = parse(counts(PLAIN + records, ar=2))
    assert isinstance(query, Query)
    assert query.edns == Edns(1232, 0, True)


@pytest.mark.parametrize("section", ["an", "ns"])
def test_one_record_before_the_additional_ones_is_accepted(section: str) -> None:
    """J1: NOTIFY has an answer, IXFR an authority record."""
    soa = b"\xc0\x0c\x00\x06\x00\x01\x00\x00\x00\x00\x00\x02ab"
    query = parse(counts(PLAIN + soa + OPT, ar=1, **{section: 1}))
    assert isinstance(query, Query)
    assert query.edns == Edns(1232, 0, True)


def test_a_query_over_512_octets_is_read() -> None:
    """K16: lenient where CoreDNS's buffer ends."""
    padding = edns_option(12, bytes(1000))
    query = parse(ask("a. A", use_edns=0, options=[padding]))
    assert isinstance(query, Query)
    assert query.edns is not None
    assert query.edns.options == ((12, bytes(1000)),)


@pytest.mark.parametrize("opcode", range(16))
def test_opcodes_but_query_and_notify_are_not_implemented(opcode: int) -> None:
    """J1, J3."""
    verdict = parse(flags(PLAIN, opcode << 11 | 0x0110))
    if opcode in (Opcode.QUERY, Opcode.NOTIFY):
        assert isinstance(verdict, Query)
        assert verdict.opcode == opcode
        return
    assert isinstance(verdict, Rejected)
    answer = dns.message.from_wire(verdict.wire)
    assert answer.rcode() == Rcode.NOTIMP
    assert answer.opcode() == opcode
    assert dns.flags.to_text(answer.flags) == "QR RD CD"


@pytest.mark.parametrize("value", [0x8000, 0x8180, 0x8003, 0xA800, 0xFFFF])
def test_an_answer_is_not_answered(value: int) -> None:
    """J1: two servers must not talk to each other for ever."""
    assert parse(flags(PLAIN, value)) is None


def test_flags_of_ours_do_not_come_back_in_a_rejection() -> None:
    verdict = parse(flags(counts(PLAIN, qd=0), 0x07FF))
    assert isinstance(verdict, Rejected)
    assert dns.flags.to_text(dns.message.from_wire(verdict.wire).flags) == "QR RD CD"


@pytest.mark.parametrize(
    ("rule", "options", "udp", "tcp"),
    [
        ("J10 no EDNS", {}, 512, 65535),
        ("J10 small", {"use_edns": 0, "payload": 100}, 512, 65535),
        ("J10 zero", {"use_edns": 0, "payload": 0}, 512, 65535),
        ("J10 flag day", {"use_edns": 0, "payload": 1232}, 1232, 65535),
        ("J10 largest", {"use_edns": 0, "payload": 65535}, 65535, 65535),
    ],
)
def test_the_client_says_how_much_it_takes(
    rule: str, options: dict[str, int], udp: int, tcp: int
) -> None:
    query = parse(ask("a. A", **options))
    assert isinstance(query, Query)
    assert (query.limit(udp=True), query.limit(udp=False)) == (udp, tcp)


def test_every_octet_may_be_in_a_label() -> None:
    for octet in range(256):
        wire = PLAIN[:12] + b"\x01" + bytes([octet]) + b"\x00" + PLAIN[-4:]
        query = parse(wire)
        assert isinstance(query, Query)
        assert query.qname == wire_name(f"\\{octet:03d}")


def header(opcode: int = 0, **section: int) -> bytes:
    return counts(struct.pack("!HH", 1, opcode << 11 | 0x100) + bytes(8), **section)


HEADERS = st.sampled_from(
    [header(), header(ar=1), header(ar=2), header(an=1, ar=1), header(4, ns=1), header(qd=0), b""]
)
PIECES = st.lists(
    st.one_of(
        st.binary(max_size=12),
        st.sampled_from(
            [PLAIN[12:], OPT, TSIG_LIKE, b"\x01a\x00\x00\x01\x00\x01", b"\xc0\x0c", OPT[:9]]
        ),
    ),
    max_size=5,
).map(b"".join)


@settings(max_examples=1500, deadline=None)
@given(HEADERS, PIECES)
def test_parse_never_raises_and_agrees_with_dnspython(head: bytes, body: bytes) -> None:
    wire = head + body
    query = parse(wire)
    if isinstance(query, Rejected):
        dns.message.from_wire(query.wire)
    if not isinstance(query, Query):
        return
    try:
        expected = dns.message.from_wire(wire, ignore_trailing=True)
    except (dns.message.BadEDNS, dns.message.UnknownTSIGKey):
        return  # two OPT records (rule J26); signatures are not ours to judge
    except dns.exception.DNSException:
        # dnspython reads rdata of other types too, which a query's reader has no use for.
        only_opt = wire[4:12] == header(ar=1)[4:] and query.edns is not None
        assert not only_opt
        assert wire[4:12] != header()[4:]
        return
    assert query.qname == expected.question[0].name.to_wire()
    assert (query.qtype, query.qclass) == (
        expected.question[0].rdtype,
        expected.question[0].rdclass,
    )
    assert_same_edns(query.edns, expected)


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(list(VALID.values())), st.data())
def test_a_damaged_query_never_raises(wire: bytes, data: st.DataObject) -> None:
    damaged = bytearray(wire)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    parse(bytes(damaged))


def test_an_ixfr_tells_the_serial_that_the_client_has() -> None:
    """RFC 1995 §3; everything else has none."""
    ixfr = dns.message.make_query("Example.org", "IXFR", use_edns=0)
    assert serial(ixfr) is None
    soa = dns.rrset.from_text("example.org.", 0, "IN", "SOA", "ns. host. 4294967295 1 2 3 4")
    ixfr.authority.append(soa)
    assert serial(ixfr) == 4294967295
    ixfr.authority[0] = dns.rrset.from_text("example.org.", 0, "IN", "NS", "ns.")
    assert serial(ixfr) is None
    axfr = dns.message.make_query("example.org", "AXFR")
    axfr.authority.append(soa)
    assert serial(axfr) is None
    for size in range(12, len(axfr.to_wire())):
        parse(axfr.to_wire()[:size])


def serial(message: dns.message.Message) -> int | None:
    found = parse(message.to_wire())
    assert isinstance(found, Query)
    return found.serial
