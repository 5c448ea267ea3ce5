"""The first process's end of the channel to one worker."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable

from svcdns.aio.forking import Child
from svcdns.plugins.workers import (
    Beat,
    BrokenStreamError,
    Notified,
    Said,
    Serving,
    ToFirst,
    Told,
    to_first,
)

log = logging.getLogger(__name__)


PIECE = 1 << 18
"""Octets moved by one call."""


class WorkerLink:
    """One worker, as long as its process lives.

    Reads and writes without a transport of asyncio's, so that everything said after the fork waits
    in order from the very moment of the fork on.
    """

    def __init__(
        self,
        child: Child,
        place: int,
        loop: asyncio.AbstractEventLoop,
        notified: Callable[["WorkerLink", bytes], None],
        say: Callable[[int, str], None],
    ) -> None:
        """Read what *child* says.

        Args:
            child: The process.
            place: Which sockets it reads, counted from 1.
            loop: Ours.
            notified: Hears of a zone that it got a NOTIFY for.
            say: Takes its place and lines that others may have to say as well.
        """
        self.pid = child.pid
        self.place = place
        "Which sockets it reads, counted from 1."
        self.leaving = False
        "Whether it was told to end."
        self.reproach = ""
        "Why it was given up, if it was."
        self.heard = 0
        "The last beat it answered."
        self.told: Told | None = None
        "Its last figures."
        self._loop = loop
        self._notified = notified
        self._say = say
        self._channel = child.channel
        self._frames = to_first()
        self._outbox = bytearray()
        self._serving = asyncio.Event()
        self._ended = asyncio.Event()
        self._asked: dict[int, asyncio.Future[None]] = {}
        loop.add_reader(self._channel.fileno(), self._read)

    @property
    def serving(self) -> bool:
        """Whether it answers queries."""
        return self._serving.is_set() and not self._ended.is_set()

    @property
    def behind(self) -> int:
        """Octets that it has yet to take."""
        return len(self._outbox)

    async def served(self, seconds: float) -> bool:
        """Wait until it answers queries or has ended; tell whether that was in time."""
        try:
            await asyncio.wait_for(self._serving.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def ended(self) -> None:
        """Wait until its end of the channel is closed."""
        await self._ended.wait()

    def told_of(self, number: int) -> "asyncio.Future[None]":
        """Give a future that is done when report *number* is in, or the worker has ended."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._asked[number] = future
        return future

    def send(self, data: bytes) -> None:
        """Say something; it waits here when the worker is busy."""
        if self._ended.is_set():
            return
        waiting = bool(self._outbox)
        self._outbox += data
        if not waiting:
            self._write()

    def give_up(self, reproach: str) -> None:
        """End a worker that is of no use."""
        self.reproach = self.reproach or f"{reproach} and was ended"
        self.kill()

    def kill(self) -> None:
        """End it at once; a zombie does not mind."""
        if not self._ended.is_set():
            os.kill(self.pid, signal.SIGKILL)

    def _write(self) -> None:
        try:
            while self._outbox:
                sent = self._channel.send(bytes(self._outbox[:PIECE]))
                del self._outbox[:sent]
        except BlockingIOError:
            self._loop.add_writer(self._channel.fileno(), self._write)
            return
        except OSError:
            self._outbox.clear()  # it is ending, which the reader will see
        self._loop.remove_writer(self._channel.fileno())

    def _read(self) -> None:
        try:
            data = self._channel.recv(PIECE)
        except BlockingIOError:
            return
        except OSError as error:
            log.debug("the channel to worker process %d: %s", self.pid, error)
            data = b""
        if not data:
            self._close()
            return
        try:
            for message in self._frames.feed(data):
                self._note(message)
        except BrokenStreamError as error:
            self.give_up(f"speaks in tongues ({error})")

    def _note(self, message: ToFirst) -> None:
        match message:
            case Serving():
                self._serving.set()
            case Beat(number):
                self.heard = number
            case Told(number):
                self.told = message
                self._answered(number)
            case Notified(zone):
                self._notified(self, zone)
            case Said(line):
                self._say(self.place, line)

    def _answered(self, number: int) -> None:
        if (future := self._asked.pop(number, None)) and not future.done():
            future.set_result(None)

    def _close(self) -> None:
        self._loop.remove_reader(self._channel.fileno())
        self._loop.remove_writer(self._channel.fileno())
        self._channel.close()
        self._outbox.clear()
        self._ended.set()
        self._serving.set()
        for number in list(self._asked):
            self._answered(number)
