"""Orders of address records."""

import random

from svcdns.dns.constants import RRType
from svcdns.dns.response import Record, Response
from svcdns.plugins.rotation import ORDERS, orders, shuffle


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
