import pytest

from svcdns.dns.constants import Rcode
from svcdns.errors import CorefileError
from svcdns.plugins import cancel
from svcdns.plugins.base import Ask, Outcome, Rendered
from svcdns.plugins.commands import Delay, Exchange, Upstream
from tests.support.corefile import Outside, directives, set_up
from tests.support.serving import CLIENT, Scripted, question, server_of

EXCHANGE = Exchange(Upstream("192.0.2.1", 53), b"", 2.0)


def _endless(command: object) -> Scripted:
    """A plugin that asks the same again and again."""

    def ask(*_: object) -> Outcome:
        return Ask(command, lambda result, now: ask())  # type: ignore[arg-type]

    return Scripted(ask)


def _start(text: str, command: object) -> Ask:
    plugin = cancel.setup(directives(text), Outside().context())
    ask = server_of([plugin, _endless(command)]).respond(question("a. A"), CLIENT, 100.0)
    assert isinstance(ask, Ask)
    return ask


def test_a_query_fails_when_its_time_is_over() -> None:
    ask: object = _start("cancel 1s", EXCHANGE)
    for now in (100.4, 100.8):
        assert isinstance(ask, Ask)
        ask = ask.resume(None, now)
    assert isinstance(ask, Ask)
    last = ask.resume(None, 101.0)

    assert isinstance(last, Rendered)
    (wire,) = last.wires
    assert wire[3] & 15 == Rcode.SERVFAIL


def test_time_outs_are_cut_to_what_is_left() -> None:
    ask = _start("cancel 3s", EXCHANGE)
    assert isinstance(ask.command, Exchange)
    assert ask.command.timeout == 2.0
    later = ask.resume(None, 102.5)

    assert isinstance(later, Ask)
    assert isinstance(later.command, Exchange)
    assert later.command.timeout == 0.5


def test_a_delay_stays_what_it_is() -> None:
    assert _start("cancel", Delay(60.0)).command == Delay(60.0)


def test_the_default_is_a_bit_more_than_forwards() -> None:
    plugin = cancel.setup(directives("cancel"), Outside().context())

    assert plugin.seconds == 5.001


@pytest.mark.parametrize("text", ["cancel 0s", "cancel x", "cancel 1s 1s"])
def test_what_is_refused(text: str) -> None:
    with pytest.raises(CorefileError):
        set_up(cancel.setup, text)
