"""Zones from outside, made by dnspython."""

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.dns.response import Record
from svcdns.dns.transfer import Incoming, Times, newer, times
from tests.support.records import wire_name
from tests.support.transfers import SOA, WEB, message

ORIGIN = wire_name("example.org")
FIRST, LAST = SOA.format(7), SOA.format(7)


def taken(*wires: bytes) -> Incoming:
    incoming = Incoming(ORIGIN)
    ends = [incoming.take(wire) for wire in wires]
    assert ends == [False] * (len(wires) - 1) + [True]
    return incoming


@pytest.mark.parametrize(
    "wires",
    [
        [message(FIRST, WEB, LAST)],
        [message(FIRST), message(WEB), message(LAST)],
        [message(FIRST, WEB), message(LAST)],
        [message(FIRST.replace("example.org. 60", "EXAMPLE.org. 60"), WEB), message(LAST)],
        [message(FIRST, WEB, "other.example. 60 IN A 10.9.9.9", LAST)],
    ],
)
def test_a_zone_may_come_in_any_number_of_messages(wires: list[bytes]) -> None:
    """RFC 5936 §2.2; what is outside of the zone is left out."""
    records = taken(*wires).records

    assert [(one.owner.lower(), one.rrtype) for one in records] == [
        (ORIGIN, dns.rdatatype.SOA),
        (wire_name("web.example.org"), dns.rdatatype.A),
    ]


def test_the_query_asks_for_the_zone() -> None:
    query = dns.message.from_wire(Incoming(ORIGIN).query)

    assert (query.question[0].to_text(), query.flags) == ("example.org. IN AXFR", 0)


@pytest.mark.parametrize(
    ("wires", "complaint"),
    [
        ([b""], "cannot be read"),
        ([message(FIRST, WEB, LAST)[:-1]], "cannot be read"),
        ([message(rcode=5)], "bad xfr rcode: REFUSED"),
        ([message()], "without records"),
        ([message(WEB, LAST)], "no SOA first"),
        ([message(FIRST, WEB, flags=dns.flags.TC)], "truncated"),
        ([message(FIRST, question="example.net")], "another question"),
        ([message(FIRST, kind="A")], "another question"),
        ([message(FIRST), message(SOA.format(8))], "changed while it was sent"),
        ([message(FIRST, LAST, WEB)], "behind the last SOA"),
        ([message(FIRST), message(WEB), message()], "without records"),
    ],
)
def test_what_is_not_the_zone_ends_it(wires: list[bytes], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        taken(*wires)


def test_a_zone_without_end_ends() -> None:
    incoming = Incoming(ORIGIN, max_octets=len(message(FIRST)) + 20 * len(message(WEB)))
    incoming.take(message(FIRST))
    for _ in range(20):
        assert not incoming.take(message(WEB))
    with pytest.raises(ValueError, match="too large"):
        incoming.take(message(WEB))


def test_a_zone_of_more_records_than_may_be_kept_ends_wherever_they_belong() -> None:
    incoming = Incoming(ORIGIN, max_records=3)
    incoming.take(message(FIRST, WEB))
    assert not incoming.take(message("other.example. 60 IN A 10.9.9.9"))
    with pytest.raises(ValueError, match="too large"):
        incoming.take(message(WEB))


def test_names_count_as_long_as_they_are_not_as_they_are_sent() -> None:
    """Two octets may stand for 255 (RFC 1035 §4.1.4)."""
    label = "a" * 63
    long = f"{label}.{label}.{label}.example.org. 60 IN A 10.0.0."
    sent = message(FIRST, *[f"{long}{last}" for last in range(1, 99)])
    incoming = Incoming(ORIGIN, max_octets=len(sent) + 1000)
    with pytest.raises(ValueError, match="too large"):
        incoming.take(sent)


@pytest.mark.parametrize("cut", range(len(message(FIRST, WEB, LAST))))
def test_a_message_cut_anywhere_is_no_zone(cut: int) -> None:
    with pytest.raises(ValueError, match="read"):
        Incoming(ORIGIN).take(message(FIRST, WEB, LAST)[:cut])


@given(st.binary(max_size=200))
def test_any_octets_are_a_zone_or_an_error(octets: bytes) -> None:
    try:
        Incoming(ORIGIN).take(octets)
    except ValueError:
        return


def test_the_numbers_of_an_soa() -> None:
    [soa] = taken(message(FIRST, LAST)).records

    assert times(soa) == Times(7, 7200, 1800, 86400)
    with pytest.raises(ValueError, match="cannot be read"):
        times(Record(ORIGIN, 6, 60, b"\0\0short"))


@pytest.mark.parametrize(
    ("serial", "known", "expected"),
    [
        (2, 1, True),
        (1, 1, False),
        (1, 2, False),
        (0, 0xFFFFFFFF, True),
        (0xFFFFFFFF, 0, False),
        (0x7FFFFFFF, 0, True),
        (0x80000000, 0, False),
    ],
)
def test_serials_wrap_around(serial: int, known: int, expected: bool) -> None:
    """RFC 1982 §3.2."""
    assert newer(serial, known) is expected
