"""One connection of HTTP/2: what :mod:`svcdns.dns.http2` makes of its octets, in turns and in time.

Whatever can be answered at once is answered within the turn, without a task, and everything that a
turn made goes out at once.

Spec: RFC 9113; RFC 8484 §5.2 recommends this version.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from svcdns.aio.connections import Limits
from svcdns.aio.turns import Turns
from svcdns.dns.http2 import Connection, Request
from svcdns.plugins.base import HttpAnswer

log = logging.getLogger(__name__)

Answer = Callable[[Request], HttpAnswer | Awaitable[HttpAnswer]]
"""Answers a request, now or when others have answered; never raises."""

_READ_AHEAD = 65536
"""Octets that may wait for a turn; no more are read beyond."""

_UNSENT = 65536
"""Octets of answers that may wait for the client's windows; no more are made beyond."""

_JOINED = 256
"""Frames that are written at once: some 100 ordinary answers."""


class Http2(asyncio.Protocol):
    """The server's side of one connection."""

    def __init__(self, answer: Answer, limits: Limits, turns: Turns) -> None:
        """Prepare.

        Args:
            answer: Called for every complete request.
            limits: In seconds, and what may be under way.
            turns: What comes in is taken in only when it is our turn.
        """
        self._answer = answer
        self._limits = limits
        self._turns = turns
        self._loop = asyncio.get_running_loop()
        self._http = Connection()
        self._futures: dict[asyncio.Future[HttpAnswer], int] = {}
        "Answers under way, with their streams; they go on when their requests are taken back."
        self._queued = False
        self._writable = True
        self._finishing = False
        self._finished = 0
        self._since = self._loop.time()
        "When the last answer was sent to its end; frames that ask nothing put nothing off."
        self._stalled = 0.0
        "Since when the client takes nothing of what it is owed; 0: it takes everything."
        self._timer: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> bool:
        """Whether an answer is still owed."""
        return self._http.owing or self._queued or not self._writable

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send our settings."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._write()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop what is under way."""
        self._turns.leave(self._work)
        if self._timer:
            self._timer.cancel()
        for future in self._futures:
            future.cancel()
        self._http = Connection()

    def data_received(self, data: bytes) -> None:
        """Take frames in as soon as it is our turn."""
        self._http.receive(data)
        self._take_turn()
        if self._queued and self._http.waiting > _READ_AHEAD:
            self._transport.pause_reading()

    def eof_received(self) -> None:
        """Close as well."""
        self._transport.close()

    def pause_writing(self) -> None:
        """Send nothing, and take nothing in, until the client has read."""
        self._writable = False
        self._transport.pause_reading()
        self._wait()

    def resume_writing(self) -> None:
        """Go on."""
        self._writable = True
        self._take_turn()

    def finish(self) -> None:
        """Take no more requests; close when the last answer is written."""
        self._finishing = True
        if not self.busy:
            self._leave()

    # -- work, in turns with all other connections

    def _take_turn(self) -> None:
        if not self._queued:
            self._queued = True
            self._turns.take(self._work)

    def _work(self, ends: float) -> None:
        """Take in what came and answer it, as far as time and bounds allow."""
        self._queued = False
        if self._transport.is_closing():
            return
        out_of_time = self._go_on(ends)
        self._write()
        if self._http.over or (self._finishing and not self._http.owing and not out_of_time):
            self._leave()
            return
        if out_of_time:
            self._queued = True
            self._turns.queue(self._work)
        elif self._writable:
            self._transport.resume_reading()
        self._wait()

    def _go_on(self, ends: float) -> bool:
        """Answer what is there, and take in what came.

        Returns:
            Whether it was the end of the turn that left something.
        """
        http, now, most = self._http, self._loop.time(), self._limits.under_way
        while self._writable:
            if http.ready and http.unsent < _UNSENT and len(self._futures) < most:
                self._respond(http.ready.popleft())
            elif not http.step(now):
                return False
            if len(http.out) >= _JOINED:
                self._write()
            if self._loop.time() >= ends:
                return True
        return False

    def _respond(self, request: Request) -> None:
        self._http.taken(request)
        answer = self._answer(request)
        if isinstance(answer, HttpAnswer):
            self._send(request.stream, answer)
            return
        future = asyncio.ensure_future(answer)
        self._futures[future] = request.stream
        future.add_done_callback(self._settled)

    def _settled(self, future: "asyncio.Future[HttpAnswer]") -> None:
        stream = self._futures.pop(future)
        if not future.cancelled() and not self._transport.is_closing():
            self._send(stream, future.result())
            self._take_turn()

    def _send(self, stream: int, answer: HttpAnswer) -> None:
        fields = [
            (b":status", b"%d" % answer.status),
            (b"content-type", answer.content_type.encode()),
            (b"content-length", b"%d" % len(answer.body)),
            *((name.lower().encode(), value.encode()) for name, value in answer.headers),
        ]
        self._http.respond(stream, fields, answer.body)

    def _leave(self) -> None:
        self._http.leave()
        self._write()
        self._transport.close()

    def _write(self) -> None:
        """Send everything at once, each answer in a TLS record of its own.

        A client need not care, but dnsperf loses all but the last of the answers in a record
        (https://github.com/DNS-OARC/dnsperf/issues/240).
        """
        out = self._http.out
        if out and not self._transport.is_closing():
            self._transport.writelines(out)
        out.clear()

    # -- time

    def _wait(self) -> None:
        """Have somebody look when the connection is late; one timer serves all its requests."""
        due = self._due()
        if self._timer is None or self._timer.when() > due:
            if self._timer:
                self._timer.cancel()
            self._timer = self._loop.call_at(due, self._look)

    def _due(self) -> float:
        """Say when it is late, if nothing happens until then."""
        http, limits, now = self._http, self._limits, self._loop.time()
        if http.finished != self._finished:
            self._finished = http.finished
            self._since = now
            self._stalled = 0.0
        if self._writable and not http.unsent:
            self._stalled = 0.0
        elif not self._stalled:
            self._stalled = now
        if self._stalled:
            due = self._stalled + limits.write
        elif http.owing:  # what asks others has its own time-outs
            due = now + limits.idle
        else:
            due = self._since + (limits.idle if self._finished else limits.read)
        begun = http.incoming_since
        return due if begun is None else min(due, begun + limits.read)

    def _look(self) -> None:
        self._timer = None
        if self._transport.is_closing():
            return
        now = self._loop.time()
        due = now + self._limits.read if self._queued else self._due()
        if now < due:
            self._timer = self._loop.call_at(due, self._look)
        elif self._stalled:
            log.debug("a client does not read its answers")
            self._transport.abort()
        else:
            self._leave()
