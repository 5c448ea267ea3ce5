import asyncio
import os
import signal
import socket

import pytest

from svcdns.aio.forking import FAILED, Child, fork, reap


async def heard(child: Child) -> bytes:
    """Read what a child says until it has ended."""
    loop = asyncio.get_running_loop()
    found = b""
    with child.channel:
        while data := await asyncio.wait_for(loop.sock_recv(child.channel, 4096), 30):
            found += data
    return found


async def test_a_child_has_a_loop_of_its_own_and_what_the_parent_knew() -> None:
    known = {"answer": 42}

    async def work(channel: socket.socket) -> int:
        await asyncio.sleep(0)
        await asyncio.get_running_loop().sock_sendall(channel, str(known["answer"]).encode())
        return 7

    child = fork(work, ())

    assert await heard(child) == b"42"
    assert await reap(child.pid) == 7


async def test_a_child_has_no_descriptors_but_those_it_needs() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.socket() as other:

        async def work(channel: socket.socket) -> int:
            links = [os.readlink(f"/proc/self/fd/{one.fileno()}") for one in (theirs, other)]
            await asyncio.get_running_loop().sock_sendall(channel, "\n".join(links).encode())
            return 0

        child = fork(work, (theirs.fileno(),))
        kept, gone = (await heard(child)).decode().split("\n")

        assert kept == os.readlink(f"/proc/self/fd/{theirs.fileno()}")
        assert gone == os.devnull
        assert await reap(child.pid) == 0


async def test_what_a_child_does_to_its_loop_leaves_the_parent_s_alone() -> None:
    """The parent's epoll instance is inherited; nothing may be taken out of it."""
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    read = asyncio.Event()
    with ours, theirs:
        loop.add_reader(ours.fileno(), read.set)

        async def work(channel: socket.socket) -> int:
            loop.remove_reader(ours.fileno())
            loop.close()
            return 0

        child = fork(work, ())
        assert await heard(child) == b""
        assert await reap(child.pid) in (0, FAILED)
        theirs.send(b"x")

        await asyncio.wait_for(read.wait(), 30)
        loop.remove_reader(ours.fileno())


async def test_a_bug_ends_a_child_with_status_1(capfd: pytest.CaptureFixture[str]) -> None:
    async def work(channel: socket.socket) -> int:
        raise ValueError("a bug")

    child = fork(work, ())

    assert await heard(child) == b""
    assert await reap(child.pid) == FAILED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
async def test_signals_are_not_for_children(number: signal.Signals) -> None:
    async def work(channel: socket.socket) -> int:
        os.kill(os.getpid(), number)
        await asyncio.get_running_loop().sock_sendall(channel, b"alive")
        return 0

    child = fork(work, ())

    assert await heard(child) == b"alive"
    assert await reap(child.pid) == 0


async def test_a_killed_child_is_known_by_the_signal() -> None:
    async def work(channel: socket.socket) -> int:
        await asyncio.Event().wait()
        return 0

    child = fork(work, ())
    os.kill(child.pid, signal.SIGKILL)

    assert await heard(child) == b""
    assert await reap(child.pid) == -signal.SIGKILL


async def test_signals_of_the_parent_are_unblocked_again() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())

    async def work(channel: socket.socket) -> int:
        return 0

    child = fork(work, ())

    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    assert await heard(child) == b""
    await reap(child.pid)
