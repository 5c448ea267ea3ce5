"""Orders of address records."""

import random
from itertools import islice

import dns.message
import dns.rrset
import pytest

from svcdns.dns.constants import RRType
from svcdns.dns.response import Record, Response
from svcdns.plugins.rotation import ORDERS, orders, shuffle, turning


def records(count: int, rrtype: int = RRType.A) -> tuple[Record, ...]:
    return tuple(Record(b"\x00", rrtype, 5, bytes((number,))) for number in range(count))


def test_names_come_first_then_others_then_addresses_then_mail() -> None:
    """J19."""
    mixed = (
        *records(1, RRType.MX),
        *records(2),
        *records(1, RRType.TXT),
        *records(1, RRType.CNAME),
    )

    found = shuffle(Response(answer=mixed), random.Random(1).random)

    assert [record.rrtype for record in found.answer] == [
        RRType.CNAME, RRType.TXT, RRType.A, RRType.A, RRType.MX,
    ]  # fmt: skip


def test_a_shuffle_loses_nothing_and_changes_the_order() -> None:
    answer = records(30)

    found = shuffle(Response(answer=answer), random.Random(1).random).answer

    assert set(found) == set(answer)
    assert found != answer


def test_every_address_leads_one_order() -> None:
    answer = Response(answer=records(5))

    firsts = [order.answer[0] for order in (answer, *orders(answer))]

    assert sorted(record.rdata for record in firsts) == [bytes((n,)) for n in range(5)]


def test_orders_are_bounded_and_one_address_has_one() -> None:
    assert len(list(orders(Response(answer=records(100))))) == ORDERS - 1
    assert list(orders(Response(answer=records(1)))) == []
    assert list(orders(Response())) == []


NAME = "db.prod.svc.cluster.local."


def message(*lines: str, edns: bool = False, more: str = "") -> bytes:
    """Have dnspython write an answer to a question for :data:`NAME`."""
    query = dns.message.make_query(NAME, "A", use_edns=edns)
    made = dns.message.make_response(query)
    for line in lines:
        owner, _, rest = line.partition(" ")
        rrtype, text = rest.split(" ", 1)
        made.answer.append(dns.rrset.from_text(owner, 5, "IN", rrtype, text))
    if more:
        made.additional.append(dns.rrset.from_text(more, 5, "IN", "A", "10.9.9.9"))
    return made.to_wire(max_size=65535)


def section_of(wire: bytes) -> int:
    end = wire.index(b"\0", 12)
    return end + 5


def addresses(wire: bytes) -> list[str]:
    return [one.to_text() for rrset in dns.message.from_wire(wire).answer for one in rrset]


def known(count: int, rrtype: int = RRType.A) -> tuple[Record, ...]:
    size = 4 if rrtype == RRType.A else 16
    return tuple(Record(b"", rrtype, 5, bytes((number,)) * size) for number in range(count))


@pytest.mark.parametrize("count", [2, 3, 10, ORDERS, ORDERS + 1, 100])
@pytest.mark.parametrize(("rrtype", "prefix"), [("A", "10.0.0."), ("AAAA", "fd00::")])
@pytest.mark.parametrize("edns", [False, True])
def test_octets_are_moved_into_the_orders_that_records_would_have(
    count: int, rrtype: str, prefix: str, *, edns: bool
) -> None:
    texts = [f"{prefix}{number}" for number in range(1, count + 1)]
    wire = message(*(f"{NAME} {rrtype} {text}" for text in texts), edns=edns, more=f"x.{NAME}")
    given = known(count, RRType.A if rrtype == "A" else RRType.AAAA)
    numbers = {record: number for number, record in enumerate(given)}

    found = turning(wire, section_of(wire), count)

    assert found is not None
    expected = [
        [texts[numbers[record]] for record in order.answer]
        for order in (Response(answer=given), *orders(Response(answer=given)))
    ]
    got = list(islice(found, 2 * len(expected)))
    assert [addresses(one) for one in got] == expected * 2
    for one in got:
        read = dns.message.from_wire(one)
        assert len(one) == len(wire)
        assert (read.edns, len(read.additional)) == (0 if edns else -1, 1)


@pytest.mark.parametrize(
    ("lines", "count"),
    [
        ([], 0),
        ([f"{NAME} A 10.0.0.1"], 1),
        ([f"{NAME} CNAME a.b.", "a.b. A 10.0.0.1", "a.b. A 10.0.0.2"], 3),
        (["a.b. A 10.0.0.1", "a.b. A 10.0.0.2"], 2),
        ([f"{NAME} A 10.0.0.1", "a.b. A 10.0.0.2"], 2),
        ([f"{NAME} TXT a", f"{NAME} TXT b"], 2),
        ([f"{NAME} A 10.0.0.1", f"{NAME} AAAA fd00::1"], 2),
        ([f"{NAME} A 10.0.0.1"], 2),
        ([], 2),
    ],
    ids=["none", "one", "alias", "another name", "other names", "text", "both", "cut", "empty"],
)
@pytest.mark.parametrize("edns", [False, True])
def test_what_is_not_addresses_of_the_question_alone_is_left_to_others(
    lines: list[str], count: int, *, edns: bool
) -> None:
    wire = message(*lines, edns=edns)

    assert turning(wire, section_of(wire), count) is None
