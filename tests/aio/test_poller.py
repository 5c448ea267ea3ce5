import asyncio
import socket
from collections.abc import Callable, Iterator

import pytest

from svcdns.aio.poller import EDGE_IN, LEVEL, Poller
from tests.support.endpoints import until


class Script:
    """Does what a test wants when it is ready."""

    def __init__(self, act: Callable[[int], object]) -> None:
        self.calls = 0
        self._act = act

    def ready(self, events: int) -> None:
        self.calls += 1
        self._act(events)

    def again(self) -> None:
        self.ready(0)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    yield left, right
    left.close()
    right.close()


def make() -> Poller:
    made = Poller(asyncio.get_running_loop())
    made.start()
    return made


async def test_an_edge_is_reported_once(pair: tuple[socket.socket, socket.socket]) -> None:
    poller, script = make(), Script(lambda events: None)
    poller.add(pair[0].fileno(), script, EDGE_IN)
    pair[1].send(b"x")
    await until(lambda: script.calls == 1)
    pair[1].send(b"y")
    await until(lambda: script.calls == 2)
    poller.stop()


async def test_paused_events_are_not_lost(pair: tuple[socket.socket, socket.socket]) -> None:
    poller, script = make(), Script(lambda events: pair[0].recv(100) and None)
    poller.add(pair[0].fileno(), script, LEVEL)
    poller.pause()
    pair[1].send(b"x")
    for _ in range(10):
        await asyncio.sleep(0)
    assert script.calls == 0
    poller.start()
    await until(lambda: script.calls == 1)
    poller.stop()


async def test_a_number_is_not_given_out_again_within_a_batch() -> None:
    """Two sockets are ready at once; the first closes the other and opens a third."""
    poller = make()
    one, two = socket.socketpair(), socket.socketpair()
    opened: list[socket.socket] = []

    def act(events: int) -> None:
        one[0].recv(10)
        number = two[0].fileno()
        poller.close(two[0])
        opened.append(socket.socket())
        assert opened[0].fileno() != number

    victim = Script(lambda events: None)
    poller.add(one[0].fileno(), Script(act), EDGE_IN)
    poller.add(two[0].fileno(), victim, EDGE_IN)
    one[1].send(b"x")
    two[1].send(b"x")
    await until(lambda: two[0].fileno() == -1)
    assert len(opened) == 1
    assert victim.calls == 0
    poller.stop()
    for sock in (*one, two[1], *opened):
        sock.close()


async def test_a_bug_in_one_target_is_reported_and_the_others_go_on(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    reports: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda loop, context: reports.append(context["message"])
    )

    def fail(events: int) -> None:
        raise LookupError("a bug")

    poller, good = make(), Script(lambda events: None)
    poller.add(pair[0].fileno(), Script(fail), EDGE_IN)
    poller.add(pair[1].fileno(), good, EDGE_IN)
    pair[0].send(b"x")
    pair[1].send(b"x")
    await until(lambda: bool(good.calls and reports))
    assert "a bug" in reports[0]
    poller.again(Script(fail))
    await until(lambda: len(reports) == 2)
    poller.stop()


async def test_who_always_wants_another_turn_does_not_keep_the_loop_to_itself() -> None:
    poller, others = make(), 0
    greedy = Script(lambda events: poller.again(greedy))
    poller.again(greedy)
    while greedy.calls < 100:
        await asyncio.sleep(0)
        others += 1
    assert others >= 100
    poller.stop()
