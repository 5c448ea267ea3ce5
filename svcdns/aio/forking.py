"""A child of this process that begins with everything this one knows.

Parity: the worker processes of nginx and of gunicorn; descriptors and signals by ``fork(2)``.

The child goes on in the middle of the parent's call stack, which nobody returns to: what the stack
holds (the parent's loop, its connections) is never used, and never freed either.  Descriptors that
the child has no use for are turned into ``/dev/null`` instead of closed.  Their numbers stay taken,
so that an object of the parent's that does die closes nothing of ours; and what is behind them,
the parent's epoll instance above all, is out of reach.
"""

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

from msgspec import Struct

log = logging.getLogger(__name__)

DESCRIPTORS = Path("/proc/self/fd")

IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGHUP)
"""The first process takes signals and tells its workers; some are sent to the whole group."""

FAILED = 1
"""Exit status of a worker that a bug has ended."""

Work = Callable[[socket.socket], Coroutine[Any, Any, int]]
"""Runs in the child, with its end of the channel; gives the exit status."""


class Child(Struct, frozen=True):
    """A process that was forked, as its parent sees it."""

    pid: int
    channel: socket.socket
    "Ends when the child does, for whatever reason."


def fork(work: Work, keep: Iterable[int]) -> Child:
    """Have a child do *work*; returns in the parent only.

    Args:
        work: A coroutine function; it gets a loop of its own.
        keep: Descriptors that the child needs, beside the standard ones.

    Raises:
        OSError: The system allows no more processes or descriptors.
    """
    ours, theirs = socket.socketpair()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, IGNORED)
    try:
        pid = os.fork()
        if pid == 0:
            _live(work, theirs, {0, 1, 2, theirs.fileno(), *keep}, before)
    except OSError:
        ours.close()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
    ours.setblocking(False)
    return Child(pid, ours)


def _live(
    work: Work, channel: socket.socket, keep: set[int], mask: set[int | signal.Signals]
) -> None:
    """Be the child; never returns."""
    status = FAILED
    try:
        # What came before stays: the collector would copy every page of it by looking.
        gc.freeze()
        signal.set_wakeup_fd(-1)
        for number in IGNORED:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _detach(keep)
        channel.setblocking(False)
        status = asyncio.run(work(channel))
    except BaseException:
        log.critical("worker %d has died", os.getpid(), exc_info=True)
    finally:
        os._exit(status)


def _detach(keep: set[int]) -> None:
    """Put nothing behind all descriptors but *keep*."""
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        for number in [int(name) for name in os.listdir(DESCRIPTORS)]:
            if number not in keep and number != nothing:
                try:
                    os.fstat(number)
                except OSError:
                    continue  # that of the listing itself, closed by now
                os.dup2(nothing, number, inheritable=False)
    finally:
        os.close(nothing)


async def reap(pid: int) -> int:
    """Wait for a child that is ending; its status, negative for a signal."""
    pause = 0.001
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)  # noqa: ASYNC222 - returns at once
        if done:
            return os.waitstatus_to_exitcode(status)
        await asyncio.sleep(pause)
        pause = min(0.1, pause * 2)
