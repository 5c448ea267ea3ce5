"""One TCP or TLS connection of a client: frames in, answers out, in whatever order they are ready.

Parity: CoreDNS ``core/dnsserver/server.go`` and rule J12 for the time-outs.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

from svcdns.aio.connections import Connections, Limits
from svcdns.aio.turns import Turns
from svcdns.plugins.accounts import Accounts
from svcdns.plugins.answers import AnswerTable
from svcdns.plugins.base import Ask, Client, Rendered
from svcdns.plugins.commands import Transport

log = logging.getLogger(__name__)

Settle = Callable[[Ask], Awaitable[object]]

_HEADER = 2
_JOINED = 384
"""Pieces that are written at once: some 100 ordinary answers."""

_READ_AHEAD = 65536
"""Octets that may wait for a turn; no more are read beyond."""


class Responder(Protocol):
    """What answers: a :class:`svcdns.plugins.server.Server`."""

    accounts: Accounts

    def table(self, transport: Transport, family: str) -> AnswerTable:
        """Give the stored answers for one kind of socket."""
        ...

    def respond(self, wire: bytes, client: Client, now: float) -> Rendered | Ask:
        """Answer one message that is not in the table."""
        ...


class Listener(Protocol):
    """What a connection needs of the listener it came in by."""

    server: Responder
    limits: Limits
    settle: Settle
    transport: Transport
    turns: Turns

    @property
    def connections(self) -> Connections["StreamConnection"]:
        """All of them."""
        ...


class StreamConnection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._at = 0
        "Where the first frame that was not answered starts."
        self._begun = False
        "Whether a frame is there in part, and its deadline is set."
        self._under_way = 0
        self._asked = 0
        self._outbox: deque[Iterator[bytes]] = deque()
        self._queued = False
        self._writable = True
        self._reading = True
        self._finishing = False
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._futures: set[asyncio.Future[object]] = set()

    @property
    def busy(self) -> bool:
        """Whether an answer is still owed."""
        return bool(self._under_way or self._outbox or self._queued or not self._writable)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note who it is."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._encrypted = transport.get_extra_info("ssl_object") is not None
        peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self._client = Client(
            str(peer[0]).removeprefix("::ffff:"),
            peer[1],
            self._listener.transport,
            str(local[0]).removeprefix("::ffff:"),
            local[1],
        )
        self._expect(self._listener.limits.read)
        self._listener.connections.admit(self, self._listener.limits.connections)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was to be written."""
        self._listener.connections.leave(self)
        self._listener.turns.leave(self._work)
        if self._timer:
            self._timer.cancel()
        self._outbox.clear()

    def data_received(self, data: bytes) -> None:
        """Answer as soon as it is our turn."""
        self._buffer = self._buffer[self._at :] + data
        self._at = 0
        self._listener.connections.touch(self)
        self._take_turn()
        if self._queued and len(self._buffer) - self._at > _READ_AHEAD:
            self._pause()

    def eof_received(self) -> bool:
        """Stay open for the answers (RFC 7766 §6.2.4); TLS cannot."""
        self.finish()
        return self.busy and not self._encrypted

    def pause_writing(self) -> None:
        """Read no more of a client that does not read."""
        self._writable = False
        self._pause()
        self._expect(self._listener.limits.write)

    def resume_writing(self) -> None:
        """Go on."""
        self._writable = True
        self._take_turn()

    def finish(self) -> None:
        """Take no more queries; close when the last answer is written."""
        self._finishing = True
        if not self.busy:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    # -- work, in turns with all other connections

    def _take_turn(self) -> None:
        if not self._queued:
            self._queued = True
            self._listener.turns.take(self._work)

    def _work(self, ends: float) -> None:
        """Write what waits, answer the frames that are there; as far as time and bounds allow."""
        self._queued = False
        if self._transport.is_closing():
            return
        out_of_time = self._flush(ends) or self._answer_frames(ends)
        if self._transport.is_closing():
            return
        if out_of_time:
            self._queued = True
            self._listener.turns.queue(self._work)
            self._pause()
        elif self._outbox or not self._writable or self._under_way >= self._most:
            self._pause()
        else:
            self._await_more()

    @property
    def _most(self) -> int:
        return self._listener.limits.under_way

    def _answer_frames(self, ends: float) -> bool:
        """Answer what came in, until nothing is left or a bound is met.

        Returns:
            Whether it was the end of the turn that left something.
        """
        table = self._listener.server.table(self._client.transport, self._client.family)
        buffer, now = self._buffer, self._loop.time()
        answers: list[bytes] = []
        stored = 0
        while self._writable and not self._outbox and self._under_way < self._most:
            start = self._at + _HEADER
            end = start + int.from_bytes(buffer[self._at : start], "big")
            if start > len(buffer) or end > len(buffer):
                break
            self._at = end
            if not self._may_ask():
                break
            tail = table.find(buffer[start + 2 : end], now)
            if tail is not None:
                stored += 1
                size = (len(tail) + 2).to_bytes(_HEADER, "big")
                answers += (size, buffer[start : start + 2], tail)
            else:
                self._respond(buffer[start:end], now, answers)
            if len(answers) >= _JOINED:
                self._write(answers)
            if self._loop.time() >= ends:
                break
        self._write(answers)
        if stored:
            self._listener.server.accounts.time_stored(self._loop.time() - now, stored)
        out_of_time = self._flush(ends)
        return out_of_time or (self._has_frame() and self._loop.time() >= ends)

    def _has_frame(self) -> bool:
        start = self._at + _HEADER
        size = int.from_bytes(self._buffer[self._at : start], "big")
        return len(self._buffer) >= start + size

    def _may_ask(self) -> bool:
        """Count a query; beyond the limit the connection ends, and what it has sent is dropped."""
        self._asked += 1
        limit = self._listener.limits.queries
        if limit < 0 or self._asked <= limit:
            return True
        self._buffer, self._at = b"", 0
        self._finishing = True
        return False

    def _respond(self, wire: bytes, now: float, answers: list[bytes]) -> None:
        result = self._listener.server.respond(wire, self._client, now)
        if isinstance(result, Rendered):
            if isinstance(result.wires, tuple):
                for answer in result.wires:
                    answers += (len(answer).to_bytes(_HEADER, "big"), answer)
            else:
                self._outbox.append(iter(result.wires))
            return
        self._under_way += 1
        future = asyncio.ensure_future(self._listener.settle(result))
        self._futures.add(future)
        future.add_done_callback(self._settled)

    def _settled(self, future: "asyncio.Future[object]") -> None:
        self._futures.discard(future)
        self._under_way -= 1
        if self._transport.is_closing():
            return
        result = None if future.cancelled() else future.result()
        if isinstance(result, Rendered):
            self._outbox.append(iter(result.wires))
        self._take_turn()

    # -- writing

    def _write(self, answers: list[bytes]) -> None:
        if answers:
            self._transport.write(b"".join(answers))
            answers.clear()

    def _flush(self, ends: float) -> bool:
        """Write what waits; a zone transfer is made only as fast as it is read.

        Returns:
            Whether it was the end of the turn that left something.
        """
        while self._outbox and self._writable:
            wire = next(self._outbox[0], None)
            if wire is None:
                self._outbox.popleft()
                continue
            self._transport.write(len(wire).to_bytes(_HEADER, "big") + wire)
            if self._loop.time() >= ends:
                return True
        return False

    # -- reading and waiting

    def _await_more(self) -> None:
        if not self._reading and not self._finishing:
            self._reading = True
            self._transport.resume_reading()
        limits = self._listener.limits
        begun = self._at < len(self._buffer)
        if self._finishing and not self.busy:
            self._transport.close()
        elif begun and not self._begun:
            self._expect(limits.read)
        elif not begun and self._asked:
            self._expect(limits.idle)
        self._begun = begun

    def _pause(self) -> None:
        if self._reading and not self._transport.is_closing():
            self._reading = False
            self._transport.pause_reading()

    def _expect(self, seconds: float) -> None:
        """Set when the connection is late; one timer serves all queries of a connection."""
        self._due = self._loop.time() + seconds
        if self._timer is None:
            self._timer = self._loop.call_at(self._due, self._look)
        elif self._timer.when() > self._due:
            self._timer.cancel()
            self._timer = self._loop.call_at(self._due, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._loop.time() < self._due:
            self._timer = self._loop.call_at(self._due, self._look)
        else:
            self._late()

    def _late(self) -> None:
        """Close a connection on which nothing happened; wait on while an answer is owed."""
        if (self._under_way or self._queued) and self._writable:
            self._expect(self._listener.limits.idle)
        elif self._writable:
            self._transport.close()
        else:
            log.debug("%s does not read its answers", self._client.address)
            self._transport.abort()
