"""What answers amount to."""

import pytest

from svcdns.dns.constants import Rcode
from svcdns.dns.query import Query
from svcdns.dns.response import Record, Response
from svcdns.plugins.cacheitems import Item, Sort, keepable, lifetime, sort_of
from svcdns.zones.records import soa
from tests.support.records import wire_name

NAME = wire_name("a.test")
SOA = soa(wire_name("test"), ttl=60, serial=1)
A = Record(NAME, 1, 300, b"\x0a\0\0\1")
NS = Record(wire_name("test"), 2, 300, wire_name("ns.test"))
CNAME = Record(NAME, 5, 300, wire_name("b.test"))


def query(qtype: int = 1, opcode: int = 0) -> Query:
    return Query(1, opcode << 11, NAME, qtype, name=NAME)


SORTS = [
    (Response(answer=(A,)), 1, 0, Sort.POSITIVE),
    (Response(authority=(SOA,)), 1, 0, Sort.NO_DATA),
    (Response(Rcode.NXDOMAIN, authority=(SOA,)), 1, 0, Sort.NAME_ERROR),
    (Response(Rcode.NXDOMAIN), 1, 0, Sort.OTHER),
    (Response(Rcode.SERVFAIL), 1, 0, Sort.SERVER_ERROR),
    (Response(Rcode.NOTIMP), 1, 0, Sort.SERVER_ERROR),
    (Response(Rcode.REFUSED), 1, 0, Sort.OTHER),
    (Response(authority=(NS,)), 1, 0, Sort.DELEGATION),
    (Response(), 1, 0, Sort.POSITIVE),
    (Response(answer=(A,)), 252, 0, Sort.OTHER),
    (Response(answer=(A,)), 1, 4, Sort.OTHER),
]


@pytest.mark.parametrize(("response", "qtype", "opcode", "sort"), SORTS)
def test_answers_are_sorted(response: Response, qtype: int, opcode: int, sort: Sort) -> None:
    assert sort_of(query(qtype, opcode), response) is sort


def test_the_least_ttl_counts_and_an_empty_answer_has_five_seconds() -> None:
    assert lifetime(Response(answer=(A,), additional=(NS,)), Sort.POSITIVE) == 300
    assert lifetime(Response(authority=(SOA,)), Sort.NO_DATA) == 60
    assert lifetime(Response(), Sort.POSITIVE) == 5
    assert lifetime(Response(answer=(A,)), Sort.SERVER_ERROR) == 5


def test_half_answers_are_not_kept() -> None:
    """J14."""
    alone = Response(answer=(CNAME,))

    assert not keepable(query(), alone, Sort.POSITIVE)
    assert keepable(query(5), alone, Sort.POSITIVE)
    assert keepable(query(), Response(answer=(CNAME, A)), Sort.POSITIVE)
    assert keepable(query(), Response(answer=(CNAME,), authority=(SOA,)), Sort.POSITIVE)


def test_hits_count_together_until_it_is_quiet_for_long() -> None:
    item = Item(Response(), Sort.POSITIVE, 0.0, 60)

    assert [item.hit(now, 10.0) for now in (100, 105, 115, 126, 127)] == [1, 2, 3, 1, 2]
