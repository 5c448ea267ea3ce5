import pytest

from svcdns.dns.constants import RRType
from svcdns.dns.response import Record, Response
from svcdns.errors import CorefileError
from svcdns.plugins import loadbalance
from svcdns.plugins.base import Outcome, Reply, Storable
from tests.support.corefile import Outside, directives, set_up
from tests.support.records import wire_name
from tests.support.serving import CLIENT, Scripted, always, answer, server_of

NAME = wire_name("web.example")
ADDRESSES = tuple(Record(NAME, RRType.A, 5, bytes((192, 0, 2, last))) for last in (1, 2, 3, 4))
ALIAS = Record(wire_name("www.example"), RRType.CNAME, 5, NAME)


def _served(outcome: Outcome, question: str = "www.example. A") -> list[str]:
    outside = Outside(numbers=(0.1, 0.6, 0.3))
    plugin = loadbalance.setup(directives("loadbalance round_robin"), outside.context())
    message = answer(server_of([plugin, always(outcome)]), question)
    return [record.to_text() for rrset in message.answer for record in rrset]


def _outcome(response: Response, store: Storable | None) -> Outcome:
    """Give what the plugin makes of a reply."""
    plugin = loadbalance.setup(directives("loadbalance"), Outside().context())
    seen: list[Outcome] = []

    def spy(request: object, proceed: object) -> Outcome:
        seen.append(plugin.serve(request, lambda _request: Reply(response, "x", store)))  # type: ignore[arg-type]
        return seen[0]

    server_of([Scripted(spy)]).respond(b"\0\1\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1", CLIENT, 0.0)
    return seen[0]


def test_addresses_come_in_another_order_behind_the_alias() -> None:
    """Rule J19."""
    found = _served(Reply(Response(answer=(*ADDRESSES, ALIAS)), "kubernetes"))

    assert found[0] == "web.example."
    assert sorted(found[1:]) == ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]
    assert found[1:] != sorted(found[1:])


def test_a_stored_answer_rotates() -> None:
    outcome = _outcome(Response(answer=ADDRESSES), Storable(until=9.0))

    assert isinstance(outcome, Reply)
    assert outcome.store == Storable(until=9.0, rotate=True)


@pytest.mark.parametrize(
    ("why", "response"),
    [
        ("J19: errors stay as they are", Response(rcode=3, answer=ADDRESSES)),
        ("one record has one order", Response(answer=ADDRESSES[:1])),
    ],
)
def test_what_stays_as_it_is(why: str, response: Response) -> None:
    store = Storable(until=9.0)

    assert _outcome(response, store) == Reply(response, "x", store)


@pytest.mark.parametrize(
    "text",
    [
        "loadbalance random",
        "loadbalance weighted f",
        "loadbalance\nloadbalance",
        "loadbalance {\nx\n}",
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(CorefileError):
        set_up(loadbalance.setup, text)
