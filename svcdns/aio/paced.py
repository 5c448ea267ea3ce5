"""Has somebody else's protocol take in what a client sends by turns.

A few octets can be much work for a parser (chunks of one octet, short header lines), so they are
handed over in pieces, and between two of them everybody else may have his turn.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from svcdns.aio.turns import Turns

PIECE = 512
"""Octets handed over between two looks at the clock: half a millisecond of work at most."""

_READ_AHEAD = 65536
"""Octets that may wait for a turn; no more are read beyond."""


class Paced(asyncio.Transport):
    """The transport that the protocol sees; what it does not read is not handed over to it."""

    def __init__(
        self, transport: asyncio.Transport, take: Callable[[bytes], None], turns: Turns
    ) -> None:
        """Stand between *transport* and a protocol.

        Args:
            transport: Of the connection.
            take: The protocol's ``data_received``.
            turns: Shared with the other connections of this loop.
        """
        super().__init__()
        self._transport = transport
        self._take = take
        self._turns = turns
        self._loop = asyncio.get_running_loop()
        self._unread = bytearray()
        self._queued = False
        self._held = False
        "Whether the protocol wants nothing now."

    def receive(self, data: bytes) -> None:
        """Hand over what came as soon as it is our turn."""
        self._unread += data
        self._take_turn()

    def leave(self) -> None:
        """Hand over nothing any more."""
        self._turns.leave(self._work)
        self._unread.clear()

    def pause_reading(self) -> None:
        """Hand over nothing until :meth:`resume_reading`."""
        self._held = True
        self._read()

    def resume_reading(self) -> None:
        """Go on, but not in the middle of whatever asks for it.

        aiohttp does so while its parser reports the end of a request, and a parser that is called
        again from there writes where it has no memory.
        """
        self._held = False
        if self._unread and not self._queued:
            self._queued = True
            self._turns.queue(self._work)
        self._read()

    def is_reading(self) -> bool:
        """Tell whether the protocol is given what comes."""
        return not self._held

    def _take_turn(self) -> None:
        if not self._queued and self._unread:
            self._queued = True
            self._turns.take(self._work)
        self._read()

    def _work(self, ends: float) -> None:
        self._queued = False
        while self._unread and not self._held and not self._transport.is_closing():
            piece = bytes(self._unread[:PIECE])
            del self._unread[:PIECE]
            self._take(piece)
            if self._unread and self._loop.time() >= ends:
                self._queued = True
                self._turns.queue(self._work)
                break
        self._read()

    def _read(self) -> None:
        if self._transport.is_closing():
            return
        if self._held or len(self._unread) > _READ_AHEAD:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # -- the rest is the connection's

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Give what the connection knows."""
        return self._transport.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send."""
        self._transport.write(data)

    def is_closing(self) -> bool:
        """Tell whether the connection ends."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Close when everything is sent."""
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()
