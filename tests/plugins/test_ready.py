import pytest

from svcdns.errors import CorefileError
from svcdns.plugins import ready
from svcdns.plugins.base import HttpAnswer, ServeHttp
from svcdns.plugins.passive import Passive
from tests.support.corefile import Outside, directives, set_up


class Unready(Passive):
    """A plugin that can be unready."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.ready = False


def probe(plugin: ready.Ready) -> HttpAnswer:
    (need,) = plugin.needs
    assert isinstance(need, ServeHttp)
    return need.routes["/ready"]()


def make(text: str = "ready", outside: Outside | None = None) -> ready.Ready:
    return ready.setup(directives(text), (outside or Outside()).context())


def test_names_of_the_unready_come_sorted_with_503() -> None:
    plugin = make()
    plugin.meet([Unready("kubernetes"), Passive("cache"), Unready("erratic")])

    assert probe(plugin) == HttpAnswer(503, b"erratic,kubernetes")


def test_who_was_ready_once_is_not_asked_again() -> None:
    plugin, one = make(), Unready("kubernetes")
    plugin.meet([one])
    one.ready = True
    assert probe(plugin) == HttpAnswer(200, b"OK")
    one.ready = False

    assert probe(plugin) == HttpAnswer(200, b"OK")


def test_monitor_continuously_asks_again() -> None:
    plugin, one = make("ready {\nmonitor continuously\n}"), Unready("kubernetes")
    plugin.meet([one])
    one.ready = True
    assert probe(plugin) == HttpAnswer(200, b"OK")
    one.ready = False

    assert probe(plugin) == HttpAnswer(503, b"kubernetes")


def test_blocks_with_one_address_answer_for_each_other() -> None:
    outside = Outside()
    first, second = make(outside=outside), make(outside=outside)
    one = Unready("kubernetes")
    first.meet([])
    second.meet([one])

    assert probe(first) == HttpAnswer(503, b"kubernetes")


@pytest.mark.parametrize(
    ("text", "address"), [("ready", ":8181"), ("ready 127.0.0.1:9000", "127.0.0.1:9000")]
)
def test_the_address(text: str, address: str) -> None:
    (need,) = make(text).needs

    assert isinstance(need, ServeHttp)
    assert need.address == address
    assert need.closes_first, "the probe fails from the start of the lame duck period"


@pytest.mark.parametrize(
    "text",
    ["ready\nready", "ready a b", "ready localhost", "ready {\nx\n}", "ready {\nmonitor often\n}"],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(CorefileError):
        set_up(ready.setup, text)
