import msgspec
import pytest

from svcdns.errors import CorefileError
from svcdns.plugins import forward, loop
from svcdns.plugins.base import Ask, Client, Rendered
from svcdns.plugins.commands import Exchange, Exchanged, Unanswered
from svcdns.plugins.server import Server
from tests.support.corefile import Outside, directives, set_up
from tests.support.serving import question, server_of

CLIENT = Client("192.0.2.53", 5353, local_address="10.96.0.10", local_port=53)
SILENCE = Unanswered("i/o timeout", timeout=True)


class World:
    """A block with ``loop`` and two upstreams."""

    def __init__(self) -> None:
        self.outside = Outside(numbers=tuple(n / 17 for n in range(17)))
        context = self.outside.context()
        self.forwards = forward.setup(
            directives("forward . 192.0.2.1 192.0.2.2 {\npolicy sequential\n}"), context
        )
        self.loop = loop.setup(directives("loop"), context)
        self.loop.meet([self.loop, self.forwards])
        self.server: Server = server_of([self.loop, self.forwards])

    def comes_back(self, ask: Ask) -> "Rendered | Ask":
        """Have the upstream of a probe send it to us."""
        assert isinstance(ask.command, Exchange)
        wire = b"\x12\x34" + ask.command.wire[2:]
        return self.server.respond(wire, CLIENT, 0.0)

    def looping(self) -> list[bool]:
        return [proxy.looping for proxy in self.forwards.proxies]


def test_every_upstream_gets_a_name_of_its_own_once() -> None:
    world = World()
    asks = world.loop.look(0.0)

    commands = [ask.command for ask in asks if isinstance(ask.command, Exchange)]
    assert [command.upstream.address for command in commands] == ["192.0.2.1", "192.0.2.2"]
    assert len({command.wire for command in commands}) == 2
    assert world.loop.look(1.0) == (), "they are under way"
    for ask in asks:
        ask.resume(Exchanged(b"", 0.01), 1.0)
    assert world.loop.look(100.0) == (), "they have answered"


def test_an_upstream_that_sends_its_probe_back_is_named_and_left_out() -> None:
    world = World()
    first, second = world.loop.look(0.0)
    back = world.comes_back(first)
    first.resume(SILENCE, 2.0)
    second.resume(Exchanged(b"", 0.01), 2.0)

    assert isinstance(back, Rendered)
    (wire,) = back.wires
    assert wire[3] & 15 == 5, "the probe is refused, not forwarded again"
    assert world.looping() == [True, False]
    (line,) = world.outside.lines
    assert line.startswith(
        "[ERROR] plugin/loop: Loop (192.0.2.53:5353 -> 10.96.0.10:53) detected:"
        " upstream 192.0.2.1:53 sends queries back to this server"
    )
    ask = world.server.respond(question("www.example. A"), CLIENT, 3.0)
    assert isinstance(ask, Ask)
    assert isinstance(ask.command, Exchange)
    assert ask.command.upstream.address == "192.0.2.2"


def test_a_loop_that_is_gone_is_noticed() -> None:
    world = World()
    first, second = world.loop.look(0.0)
    world.comes_back(first)
    first.resume(SILENCE, 2.0)
    second.resume(Exchanged(b"", 0.01), 2.0)
    assert world.loop.look(20.0) == ()
    (again,) = world.loop.look(33.0)
    again.resume(Exchanged(b"", 0.01), 33.1)

    assert world.looping() == [False, False]
    assert world.outside.lines[1] == "[INFO] plugin/loop: upstream 192.0.2.1:53 is used again"


def test_a_loop_is_told_once_however_often_the_probe_comes() -> None:
    world = World()
    first, _ = world.loop.look(0.0)
    world.comes_back(first)
    world.comes_back(first)

    assert len(world.outside.lines) == 1


def test_a_silent_upstream_is_asked_again_for_half_a_minute() -> None:
    world = World()
    for ask in world.loop.look(0.0):
        ask.resume(SILENCE, 2.0)
    later = world.loop.look(2.0)
    for ask in later:
        ask.resume(SILENCE, 31.0)

    assert len(later) == 2
    assert world.loop.look(40.0) == ()
    assert world.looping() == [False, False]


def test_a_probe_that_comes_back_late_is_no_news() -> None:
    """Its name is forgotten with its answer: somebody may replay it."""
    world = World()
    first, _ = world.loop.look(0.0)
    first.resume(Exchanged(b"", 0.01), 1.0)
    back = world.comes_back(first)

    assert isinstance(back, Ask), "forwarded like any query"
    assert world.looping() == [False, False]


def test_queries_of_others_pass() -> None:
    world = World()
    world.loop.look(0.0)

    assert isinstance(world.server.respond(question("1.2. HINFO"), CLIENT, 0.0), Ask)


def test_upstreams_that_are_gone_are_forgotten() -> None:
    world = World()
    first, _ = world.loop.look(0.0)
    world.forwards.forwards[0].proxies.change([])
    assert world.loop.look(1.0) == ()
    first.resume(SILENCE, 2.0)

    assert world.loop.look(3.0) == ()


@pytest.mark.parametrize("text", ["loop x", "loop {\nx\n}", "loop\nloop"])
def test_what_is_refused(text: str) -> None:
    with pytest.raises(CorefileError):
        set_up(loop.setup, text)


def kin(text: str) -> World:
    """A process of a server whose processes know each other by *text*."""
    world = World()
    context = msgspec.structs.replace(world.outside.context(), kin=text)
    world.loop = loop.setup(directives("loop"), context)
    world.loop.meet([world.loop, world.forwards])
    world.server = server_of([world.loop, world.forwards])
    return world


def test_a_probe_that_comes_back_to_another_process_is_a_loop() -> None:
    prober, sibling = kin("0123456789abcdef"), kin("0123456789abcdef")
    first, second = prober.loop.look(0.0)

    answer = sibling.comes_back(first)
    assert isinstance(answer, Rendered)
    (wire,) = answer.wires
    first.resume(Exchanged(wire, 0.01), 1.0)
    second.resume(Exchanged(b"", 0.01), 1.0)

    assert prober.looping() == [True, False]
    assert "detected: upstream 192.0.2.1:53" in prober.outside.lines[0]
    assert sibling.looping() == [False, False]
    assert sibling.outside.lines == []


def test_a_probe_of_another_server_is_forwarded_as_any_query() -> None:
    (first, _), stranger = kin("0123456789abcdef").loop.look(0.0), kin("fedcba9876543210")

    assert isinstance(stranger.comes_back(first), Ask)


def test_a_probe_s_question_alone_is_no_proof() -> None:
    """An upstream that echoes the question refuses HINFO, no more."""
    prober = kin("0123456789abcdef")
    first, _ = prober.loop.look(0.0)
    assert isinstance(first.command, Exchange)

    first.resume(Exchanged(first.command.wire, 0.01), 1.0)

    assert prober.looping() == [False, False]
