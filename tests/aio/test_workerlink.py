"""The first process's end; the worker is a plain child that says what the test wants."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator

import pytest

from svcdns.aio.forking import Child
from svcdns.aio.workerlink import WorkerLink
from svcdns.plugins.figures import Usage
from svcdns.plugins.workers import Beat, Notified, Said, Serving, Told, frame, to_worker
from tests.support.waiting import until


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def link(
    ours: socket.socket,
    pid: int = 0,
    notified: list[bytes] | None = None,
    say: Callable[[int, str], None] = lambda _place, _line: None,
) -> WorkerLink:
    heard: list[bytes] = [] if notified is None else notified
    loop = asyncio.get_running_loop()
    return WorkerLink(Child(pid, ours), 1, loop, lambda _link, zone: heard.append(zone), say)


async def test_what_a_worker_says_is_noted(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    zones: list[bytes] = []
    lines: list[tuple[int, str]] = []
    one = link(ours, notified=zones, say=lambda place, line: lines.append((place, line)))
    told = one.told_of(5)
    assert not one.serving

    theirs.send(
        frame(Serving())
        + frame(Notified(b"\1a\0"))
        + frame(Beat(3))
        + frame(Told(5, (), Usage()))
        + frame(Said("[INFO] é"))
    )

    assert await one.served(10)
    await asyncio.wait_for(told, 30)
    assert one.serving
    assert zones == [b"\1a\0"]
    assert one.heard == 3
    await until(lambda: lines == [(1, "[INFO] é")])
    assert one.told == Told(5, (), Usage())
    theirs.close()
    await one.ended()


async def test_the_end_of_a_worker_ends_all_waiting(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    one = link(ours)
    told = one.told_of(1)

    theirs.close()

    await asyncio.wait_for(told, 30)
    assert await one.served(10)
    assert not one.serving
    one.send(b"to nobody")
    one.kill()  # of a process that may be somebody else by now: not done


async def test_a_worker_that_does_not_begin_is_not_waited_for_long(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    one = link(ours)

    assert not await one.served(0.01)
    theirs.close()
    await one.ended()


async def test_what_a_busy_worker_has_not_read_waits_and_is_counted(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    one = link(ours)
    message = frame(Beat(1)) * 1000
    for _ in range(2000):
        one.send(message)
    assert one.behind > 1_000_000

    loop, frames, found = asyncio.get_running_loop(), to_worker(), 0
    theirs.setblocking(False)
    while found < 2_000_000:
        found += sum(1 for _ in frames.feed(await loop.sock_recv(theirs, 1 << 20)))

    assert one.behind == 0
    theirs.close()
    await one.ended()


async def test_a_worker_that_speaks_in_tongues_is_ended() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    child = await asyncio.create_subprocess_exec("cat", stdin=asyncio.subprocess.PIPE)
    one = link(ours, child.pid)

    theirs.send(b"\0\0\0\1\xc1")

    assert await asyncio.wait_for(child.wait(), 30) == -signal.SIGKILL
    assert "tongues" in one.reproach
    theirs.close()
    await one.ended()
    assert ours.fileno() == -1


async def test_the_first_reproach_is_the_one_that_counts() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    child = await asyncio.create_subprocess_exec("cat", stdin=asyncio.subprocess.PIPE)
    one = link(ours, child.pid)

    one.give_up("is late")
    one.give_up("is dead")

    assert one.reproach == "is late and was ended"
    assert await asyncio.wait_for(child.wait(), 30) == -signal.SIGKILL
    theirs.close()
    await until(lambda: ours.fileno() == -1)
