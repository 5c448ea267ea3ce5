"""The loop that waits for relayed sockets itself, and everybody else's share of it."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from svcdns.aio.directloop import DirectLoop, hub, run
from svcdns.aio.poller import EDGE_IN, LEVEL
from tests.support.endpoints import until

Pair = tuple[socket.socket, socket.socket]


class Target:
    """Does what a test wants when its socket is ready."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.calls = 0
        self._act = act

    def ready(self, events: int) -> None:
        self.calls += 1
        self._act()


@pytest.fixture
def pair() -> Iterator[Pair]:
    left, right = socket.socketpair()
    left.setblocking(False)
    yield left, right
    left.close()
    right.close()


@pytest.fixture
def other() -> Iterator[Pair]:
    left, right = socket.socketpair()
    left.setblocking(False)
    yield left, right
    left.close()
    right.close()


@pytest.fixture
def loop() -> Iterator[DirectLoop]:
    made = DirectLoop()
    yield made
    made.close()


def busy(pair: Pair) -> Target:
    """Watch a socket of the running loop's hub that is ready for ever."""
    target = Target(lambda: None)
    found = hub(asyncio.get_running_loop())
    assert found is not None
    found.add(pair[0].fileno(), target, LEVEL)
    pair[1].send(b"x")
    return target


def test_one_wait_serves_one_event_after_the_other(
    loop: DirectLoop, pair: Pair, other: Pair
) -> None:
    done: list[str] = []

    def ask() -> None:
        done.append(pair[0].recv(9).decode())
        other[1].send(b"second")

    def answer() -> None:
        done.append(other[0].recv(9).decode())
        loop.call_soon(done.append, "turn")

    loop.hub.add(pair[0].fileno(), Target(ask), EDGE_IN)
    loop.hub.add(other[0].fileno(), Target(answer), EDGE_IN)
    pair[1].send(b"first")
    assert loop._direct.select(None) == []
    assert done == ["first", "second"]
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert done == ["first", "second", "turn"]


def test_a_timer_that_is_set_meanwhile_ends_the_wait(loop: DirectLoop, pair: Pair) -> None:
    target = Target(lambda: loop.call_later(0.01, loop.stop))
    loop.hub.add(pair[0].fileno(), target, EDGE_IN)
    pair[1].send(b"x")
    loop.run_forever()
    assert target.calls == 1


def test_timers_are_kept_while_relayed_sockets_are_always_ready(pair: Pair) -> None:
    async def main() -> int:
        target, due = busy(pair), asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, due.set)
        async with asyncio.timeout(30):
            await due.wait()
        return target.calls

    assert run(main()) > 1


def test_sockets_of_asyncio_are_served_while_relayed_ones_are_always_ready(
    pair: Pair, other: Pair
) -> None:
    async def main() -> bytes:
        busy(pair)
        other[1].send(b"y")
        async with asyncio.timeout(30):
            return await asyncio.get_running_loop().sock_recv(other[0], 9)

    assert run(main()) == b"y"


def test_others_are_served_while_nothing_is_relayed(other: Pair) -> None:
    async def main() -> bytes:
        other[1].send(b"y")
        async with asyncio.timeout(30):
            return await asyncio.get_running_loop().sock_recv(other[0], 9)

    assert run(main()) == b"y"


@pytest.mark.parametrize("ready", [True, False])
def test_another_thread_gets_through(pair: Pair, ready: bool) -> None:
    async def main() -> None:
        busy(pair)
        if not ready:
            pair[0].recv(9)
        called = asyncio.Event()
        asked = asyncio.get_running_loop().call_soon_threadsafe
        thread = threading.Thread(target=lambda: asked(called.set))
        thread.start()
        async with asyncio.timeout(30):
            await called.wait()
        thread.join()

    run(main())


@pytest.mark.parametrize("ready", [True, False])
def test_a_signal_gets_through(pair: Pair, ready: bool) -> None:
    async def main() -> None:
        busy(pair)
        if not ready:
            pair[0].recv(9)
        came, loop = asyncio.Event(), asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, came.set)
        loop.call_later(0.01, os.kill, os.getpid(), signal.SIGUSR1)
        async with asyncio.timeout(30):
            await came.wait()
        loop.remove_signal_handler(signal.SIGUSR1)

    run(main())


def test_a_bug_in_a_target_is_reported_and_the_loop_goes_on(pair: Pair, other: Pair) -> None:
    reports: list[str] = []

    def fail() -> None:
        raise LookupError("a bug")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: reports.append(context["message"]))
        found = hub(loop)
        assert found is not None
        found.add(other[0].fileno(), Target(fail), EDGE_IN)
        target = busy(pair)
        other[1].send(b"x")
        await until(lambda: bool(reports and target.calls))

    run(main())
    assert "a bug" in reports[0]


def test_what_the_coroutine_raises_comes_out_and_descriptors_go_back() -> None:
    async def main() -> None:
        raise LookupError("an end")

    before = os.listdir("/proc/self/fd")
    with pytest.raises(LookupError, match="an end"):
        run(main())
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_loop_of_another_kind_has_no_hub() -> None:
    async def main() -> bool:
        return hub(asyncio.get_running_loop()) is None

    assert asyncio.run(main())
