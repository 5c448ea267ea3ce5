import pytest

from svcdns.dns.constants import Rcode
from svcdns.dns.response import Record, Response
from svcdns.errors import CorefileError
from svcdns.plugins import minimal
from svcdns.plugins.base import Failed, Outcome, Reply, Storable, Stream
from svcdns.plugins.commands import Transport
from svcdns.plugins.server import Server
from svcdns.zones.records import soa
from tests.support.corefile import Outside, directives, set_up
from tests.support.records import wire_name
from tests.support.serving import always, answer, rows, server_of

A = Record(wire_name("a.test"), 1, 5, bytes((10, 0, 0, 1)))
NS = Record(wire_name("test"), 2, 5, wire_name("ns.test"))
GLUE = Record(wire_name("ns.test"), 1, 5, bytes((10, 0, 0, 2)))
SOA = soa(wire_name("test"), ttl=5, serial=1)


def serving(*behind: object) -> Server:
    return server_of([minimal.setup(directives("minimal"), Outside().context()), *behind])  # type: ignore[list-item]


CASES = [
    ("positive", Response(answer=(A,), authority=(NS,), additional=(GLUE,)), (1, 0, 0)),
    ("empty", Response(additional=(GLUE,)), (0, 0, 0)),
    ("NODATA", Response(authority=(SOA,), additional=(GLUE,)), (0, 1, 1)),
    ("NXDOMAIN", Response(Rcode.NXDOMAIN, authority=(SOA,)), (0, 1, 0)),
    ("delegation", Response(authority=(NS,), additional=(GLUE,)), (0, 1, 1)),
    ("error", Response(Rcode.REFUSED, additional=(GLUE,)), (0, 0, 1)),
]


@pytest.mark.parametrize(("rule", "response", "sizes"), CASES)
def test_only_positive_answers_are_shortened(
    rule: str, response: Response, sizes: tuple[int, int, int]
) -> None:
    """J23."""
    message = answer(serving(always(Reply(response))), "a.test A")

    sections = (message.answer, message.authority, message.additional)
    assert tuple(sum(len(rrset) for rrset in section) for section in sections) == sizes, rule


def test_a_shortened_answer_may_still_be_stored() -> None:
    server = serving(always(Reply(Response(answer=(A,), authority=(NS,)), store=Storable())))
    answer(server, "a.test A")

    assert len(server.table(Transport.UDP, "1").entries) == 1


def test_what_is_no_answer_passes() -> None:
    assert rows(answer(serving(always(Failed(5))), "a.test A"))[0] == "REFUSED"
    stream: Outcome = Stream([Response(answer=(SOA, A, SOA), additional=(GLUE,))])
    assert len(answer(serving(always(stream)), "test AXFR").additional) == 1


@pytest.mark.parametrize("text", ["minimal x", "minimal {\nx\n}"])
def test_there_are_no_options(text: str) -> None:
    with pytest.raises(CorefileError):
        set_up(minimal.setup, text)
