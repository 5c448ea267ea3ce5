import pytest

from svcdns.dns.constants import RRType
from svcdns.dns.response import Record, Response
from svcdns.errors import CorefileError
from svcdns.plugins import loadbalance
from svcdns.plugins.base import Outcome, Reply, Storable, WatchFile
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
        "loadbalance weighted",
        "loadbalance weighted f g",
        "loadbalance weighted f {\nreload 0s\n}",
        "loadbalance weighted f {\nreload\n}",
        "loadbalance weighted f {\nx\n}",
        "loadbalance {\nprefer nowhere\n}",
        "loadbalance {\nreload 1s\n}",
        "loadbalance {\nx\n}",
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(CorefileError):
        set_up(loadbalance.setup, text)


def test_a_bad_weight_file_is_refused_with_its_line() -> None:
    outside = Outside({"f": b"192.0.2.1 1"})

    with pytest.raises(CorefileError, match=r"Corefile:2 .* missing domain name in weight file f"):
        loadbalance.setup(directives("loadbalance weighted f"), outside.context())


def _first(plugin: loadbalance.Loadbalance, question: str = "web.example. A") -> str:
    reply = Reply(Response(answer=ADDRESSES), "x", Storable())
    message = answer(server_of([plugin, always(reply)]), question)
    return str(message.answer[0][0])


def test_weights_follow_their_file() -> None:
    heavy = "web.example\n192.0.2.{} 255\n"
    outside = Outside({"f": heavy.format(3).encode()}, numbers=(0.5,))
    plugin = loadbalance.setup(directives("loadbalance weighted f"), outside.context())
    (need,) = plugin.needs
    assert isinstance(need, WatchFile)
    assert (need.path, need.interval) == ("f", 30.0)
    assert _first(plugin) == "192.0.2.3"

    need.changed(heavy.format(4).encode())
    assert _first(plugin) == "192.0.2.4"
    need.changed(b"nonsense here now")
    need.changed(None)
    assert _first(plugin) == "192.0.2.4"
    assert outside.lines == [
        "[INFO] plugin/loadbalance: Successfully reloaded weight file f",
        '[ERROR] plugin/loadbalance: could not parse weight line:"nonsense here now"'
        " in weight file f",
        "[WARNING] plugin/loadbalance: Failed to open weight file: f",
    ]


def test_a_weight_file_may_come_later() -> None:
    plugin = loadbalance.setup(
        directives("loadbalance weighted f {\nreload 1m\n}"), Outside(numbers=(0.5,)).context()
    )

    assert _first(plugin) == "192.0.2.3"


def test_weights_and_preferences_are_for_each_answer_anew() -> None:
    for text in ("loadbalance weighted f", "loadbalance {\nprefer 192.0.2.4/32\n}"):
        outside = Outside({"f": b""}, numbers=(0.0,))
        plugin = loadbalance.setup(directives(text), outside.context())
        ends = plugin._ordered(Reply(Response(answer=ADDRESSES), "x", Storable()), 0.0)

        assert isinstance(ends, Reply)
        assert ends.store is None


def test_preferred_addresses_come_first() -> None:
    outside = Outside(numbers=(0.7, 0.2, 0.4))
    text = "loadbalance round_robin {\nprefer 192.0.2.4/32 192.0.2.2/32\n}"
    plugin = loadbalance.setup(directives(text), outside.context())
    message = answer(
        server_of([plugin, always(Reply(Response(answer=ADDRESSES), "x"))]), "web.example. A"
    )

    assert [record.to_text() for record in message.answer[0]][:2] == ["192.0.2.4", "192.0.2.2"]
