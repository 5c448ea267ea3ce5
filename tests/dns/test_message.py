"""Answers of upstreams, hostile ones too; dnspython makes and judges them."""

import struct

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svcdns.dns.constants import Rcode, RRType
from svcdns.dns.edns import Edns
from svcdns.dns.message import Message, build_query, parse_response, to_response
from svcdns.dns.query import Query, parse
from svcdns.dns.render import render
from svcdns.dns.response import Record
from tests.support.wire import ask, decode, edns_option, rrset, wire_name

ANSWER = [
    "www.example.net. 300 IN CNAME a.example.net.",
    "a.example.net. 60 IN A 192.0.2.1",
    "a.example.net. 60 IN AAAA 2001:db8::1",
    "example.net. 60 IN MX 10 a.example.net.",
    "example.net. 60 IN TXT \"a b\" c",
    "example.net. 60 IN SRV 1 2 3 a.example.net.",
    "example.net. 60 IN NAPTR 100 50 \"s\" \"http\" \"\" a.example.net.",
    "example.net. 60 IN DNAME a.example.net.",
    "example.net. 60 IN RP a.example.net. b.example.net.",
    "example.net. 60 IN AFSDB 1 a.example.net.",
    "example.net. 60 IN CAA 0 issue \"ca.example\"",
    "example.net. 60 IN HTTPS 1 . alpn=h2",
    "example.net. 60 IN RRSIG A 5 3 86400 20200101000000 20200101000000 2642 example.net. AAAA",
    "example.net. 60 IN TYPE65280 \\# 3 c00c01",
]  # fmt: skip
AUTHORITY = [
    "example.net. 60 IN SOA ns.example.net. root.example.net. 1 2 3 4 5",
    "example.net. 60 IN NS ns.example.net.",
]
ADDITIONAL = ["ns.example.net. 60 IN A 192.0.2.53"]


def answer(
    *,
    flags: int = dns.flags.RA,
    edns: bool = True,
    rcode: int = 0,
    want: str = "www.example.net. A",
) -> dns.message.Message:
    options = [dns.edns.EDEOption(dns.edns.EDECode.BLOCKED, "blocked"), edns_option(10, b"c" * 16)]
    query = dns.message.from_wire(ask(want, **({"use_edns": 0} if edns else {})))
    message = dns.message.make_response(query)
    if edns:
        message.use_edns(0, dns.flags.DO, 1400, options=options)
    message.flags |= flags
    message.set_rcode(dns.rcode.Rcode(rcode))
    for section, lines in zip(message.sections[1:], (ANSWER, AUTHORITY, ADDITIONAL), strict=True):
        for line in lines:
            section.append(rrset(line))
    return message


def read(wire: bytes) -> Message:
    message = parse_response(wire)
    assert message is not None
    return message


def assert_same_records(section: list[dns.rrset.RRset], found: tuple[Record, ...]) -> None:
    assert [(r.owner, r.rrtype, r.rrclass, r.ttl, r.rdata) for r in found] == [
        (rrset.name.to_wire(), rrset.rdtype, rrset.rdclass, rrset.ttl, rdata.to_wire())
        for rrset in section
        for rdata in rrset
    ]


WIRE = answer().to_wire()


@pytest.mark.parametrize("tail", [b"", b"tail"])
def test_an_answer_is_read_as_dnspython_wrote_it(tail: bytes) -> None:
    """RFC 3597 §4: names in rdata come compressed and are written out."""
    expected = answer()
    message = read(WIRE + tail)
    assert (message.id, message.flags, message.rcode) == (4242, expected.flags, 0)
    assert (message.qname, message.qtype, message.qclass) == (wire_name("www.example.net"), 1, 1)
    assert_same_records(expected.answer, message.answer)
    assert_same_records(expected.authority, message.authority)
    assert_same_records(expected.additional, message.additional)
    assert message.edns == Edns(1400, 0, True, ((15, b"\x00\x0fblocked"), (10, b"c" * 16)))
    assert (message.aa, message.tc, message.ra, message.ad) == (False, False, True, False)


def test_a_relayed_answer_holds_the_same_records() -> None:
    asked = parse(ask("www.example.net. A", use_edns=0, payload=4096))
    assert isinstance(asked, Query)
    relayed = decode(render(asked, to_response(read(WIRE)), limit=4096))
    original = decode(WIRE)
    assert relayed.answer == original.answer
    assert relayed.authority == original.authority
    assert relayed.additional == original.additional
    assert dns.flags.to_text(relayed.flags) == "QR RD RA"
    assert [option.otype for option in relayed.options] == [15]


def test_an_answer_cut_off_anywhere_is_no_answer() -> None:
    for size in range(len(WIRE)):
        assert parse_response(WIRE[:size]) is None, size


@pytest.mark.parametrize(
    ("flag", "names"),
    [(dns.flags.AA, "aa"), (dns.flags.TC, "tc"), (dns.flags.RA, "ra"), (dns.flags.AD, "ad")],
)
def test_flags_are_read_one_by_one(flag: int, names: str) -> None:
    message = read(answer(flags=flag).to_wire())
    assert [bit for bit in ("aa", "tc", "ra", "ad") if getattr(message, bit)] == [names]
    response = to_response(message)
    assert [bit for bit in ("aa", "tc", "ra", "ad") if getattr(response, bit)] == [names]


def test_an_error_without_a_question_is_an_answer() -> None:
    message = read(b"\x10\x92\x80\x01" + bytes(8))
    assert (message.rcode, message.qname) == (Rcode.FORMERR, None)


@pytest.mark.parametrize(("rcode", "relayed"), [(3, 3), (5, 5), (10, 10), (16, 2), (23, 2)])
def test_response_codes_of_the_hop_become_failures(rcode: int, relayed: int) -> None:
    """BADVERS and BADCOOKIE say something about our query, not about the client's."""
    message = read(answer(rcode=rcode).to_wire())
    assert message.rcode == rcode
    assert to_response(message).rcode == relayed


def test_a_signature_of_the_hop_ends_here() -> None:
    tsig = Record(b"\x00", RRType.TSIG, 0, b"x", 255)
    message = Message(1, 0x8000, 0, None, additional=(tsig,))
    assert to_response(message).additional == ()


def counts(wire: bytes, **changed: int) -> bytes:
    values = dict(zip(("qd", "an", "ns", "ar"), struct.unpack_from("!4H", wire, 4), strict=True))
    return wire[:4] + struct.pack("!4H", *(values | changed).values()) + wire[12:]


HEAD = struct.pack("!6H", 1, 0x8000, 1, 1, 0, 0) + b"\x01a\x00\x00\x01\x00\x01"
OPT = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"


def rr(rrtype: int, data: bytes, owner: bytes = b"\xc0\x0c", ttl: int = 5) -> bytes:
    return owner + struct.pack("!HHIH", rrtype, 1, ttl, len(data)) + data


@pytest.mark.parametrize(
    ("why", "wire"),
    [
        ("a query", ask("a. A")),
        ("two questions", counts(WIRE, qd=2)),
        ("more records than fit", counts(WIRE, an=65535)),
        ("one record more", counts(WIRE, ar=3)),
        ("owner points at itself", HEAD + rr(1, bytes(4), b"\xc0\x13")),
        ("target points at itself", HEAD + rr(5, b"\xc0\x1f")),
        ("target runs over its record", HEAD + rr(5, b"\x01")),
        ("HTTPS target runs over its record", HEAD + rr(65, b"\x00\x01\x01") + b"a\x00"),
        ("octets behind the target", HEAD + rr(5, b"\xc0\x0cx")),
        ("address of 3 octets", HEAD + rr(1, bytes(3))),
        ("address of 15 octets", HEAD + rr(28, bytes(15))),
        ("CNAME of nothing", HEAD + rr(5, b"")),
        ("SOA without numbers", HEAD + rr(6, b"\xc0\x0c\xc0\x0c")),
        ("OPT in answer", HEAD + OPT),
        ("two OPT", counts(HEAD + OPT + OPT, an=0, ar=2)),
        ("OPT with half an option", counts(HEAD + OPT[:-1] + b"\x01x", an=0, ar=1)),
        ("OPT not at the root", counts(HEAD + b"\x01x" + OPT, an=0, ar=1)),
    ],
)
def test_a_malformed_answer_is_no_answer(why: str, wire: bytes) -> None:
    assert parse_response(wire) is None


def test_a_ttl_over_31_bits_is_zero() -> None:
    """RFC 2181 §8."""
    [record] = read(HEAD + rr(1, bytes(4), ttl=0x80000000)).answer
    assert record.ttl == 0
    [record] = read(HEAD + rr(1, bytes(4), ttl=0x7FFFFFFF)).answer
    assert record.ttl == 0x7FFFFFFF


def test_types_of_class_in_are_left_alone_in_other_classes() -> None:
    chaos = b"\xc0\x0c" + struct.pack("!HHIH", RRType.A, 3, 0, 5) + b"\x01a\x00\x00\x01"
    assert read(HEAD + chaos).answer[0].rdata == b"\x01a\x00\x00\x01"
    chaos = b"\xc0\x0c" + struct.pack("!HHIH", RRType.CNAME, 3, 0, 2) + b"\xc0\x0c"
    assert read(HEAD + chaos).answer[0].rdata == b"\x01a\x00"


def test_a_message_full_of_pointers_is_read_in_bounded_steps() -> None:
    """64 KiB in which every owner leads through 126 labels: the work grows with the octets only."""
    labels = b"\x01a" * 126
    head = struct.pack("!6H", 1, 0x8000, 1, 5300, 0, 0) + labels + b"\x00\x00\x01\x00\x01"
    owners = [0xC000 | (12 + 2 * (n % 126)) for n in range(5300)]
    wire = head + b"".join(rr(65280, b"", owner.to_bytes(2, "big")) for owner in owners)
    message = read(wire)
    assert len(message.answer) == 5300
    assert {len(record.owner) for record in message.answer} == set(range(3, 254, 2))


PIECES = st.lists(
    st.one_of(
        st.binary(max_size=8),
        st.sampled_from([rr(1, bytes(4)), rr(5, b"\xc0\x0c"), rr(33, bytes(6) + b"\xc0\x0c"), OPT,
                         rr(6, b"\xc0\x0c" * 2 + bytes(20)), rr(16, b"\x01x"), b"\xc0\x0c", rr(35, bytes(4) + b"\x01a\x00\x00\xc0\x0c")]),
    ),
    max_size=6,
)  # fmt: skip


@settings(max_examples=1500, deadline=None)
@given(PIECES, st.lists(st.integers(0, 3), min_size=3, max_size=3))
def test_parse_never_raises_and_agrees_with_dnspython(
    pieces: list[bytes], section_counts: list[int]
) -> None:
    an, ns, ar = section_counts
    wire = counts(HEAD, an=an, ns=ns, ar=ar) + b"".join(pieces)
    message = parse_response(wire)
    if message is None:
        return
    try:
        expected = dns.message.from_wire(wire, ignore_trailing=True, one_rr_per_rrset=True)
    except dns.exception.DNSException:
        assert (
            any(
                record.rrtype not in (1, 5, 6, 33, 65280) or record.rrclass != 1
                for record in message.answer + message.authority + message.additional
            )
            or message.edns is not None
        )
        return
    assert message.rcode == expected.rcode()
    assert_same_records(expected.answer, message.answer)
    assert_same_records(expected.authority, message.authority)
    assert_same_records(expected.additional, message.additional)


@settings(max_examples=1000, deadline=None)
@given(st.data())
def test_a_damaged_answer_never_raises(data: st.DataObject) -> None:
    damaged = bytearray(WIRE)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(WIRE) - 1))] = data.draw(st.integers(0, 255))
    message = parse_response(bytes(damaged))
    if message is not None:
        asked = Query(1, 0, b"\x01a\x00", 1)
        render(asked, to_response(message), limit=65535)


@given(st.binary(max_size=60))
def test_any_octets_are_read_or_refused(wire: bytes) -> None:
    parse_response(wire)


@pytest.mark.parametrize("size", [None, 0, 512, 1232, 65535])
def test_a_query_is_read_by_dnspython(size: int | None) -> None:
    wire = build_query(
        wire_name("Www.example.net"), RRType.AAAA,
        ident=7, rd=True, cd=True, ad=True, size=size, do=True, options=((10, b"12345678"),),
    )  # fmt: skip
    message = decode(wire)
    assert message.id == 7
    assert dns.flags.to_text(message.flags) == "RD AD CD"
    assert message.question[0].to_text() == "Www.example.net. IN AAAA"
    if size is None:
        assert message.edns == -1
    else:
        assert (message.edns, message.payload, message.ednsflags) == (0, size, 0x8000)
        assert [option.otype for option in message.options] == [10]


def test_a_plain_query_has_id_zero_and_asks_for_recursion() -> None:
    """``. NS`` is the health check of forward (rule J21)."""
    message = decode(build_query(b"\x00", RRType.NS))
    assert (message.id, dns.flags.to_text(message.flags)) == (0, "RD")
    assert message.question[0].to_text() == ". IN NS"
    assert decode(build_query(b"\x00", RRType.NS, rd=False)).flags == 0
