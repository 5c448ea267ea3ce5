"""Ask a resolver over UDP, one connected socket a query.

A socket of its own gives every query a source port that the kernel picks at random and an ID from
the kernel's generator (RFC 5452 §9.2), lets ICMP errors find their query, and needs no table of
IDs.  The sockets hang in an epoll instance of their own inside the loop's, and their deadlines in
one heap with one timer, so that a query costs neither a task nor an asyncio handle.
"""

import asyncio
import heapq
import os
import select
import socket
from collections.abc import Callable

from svcdns.aio.addresses import call_reason, joined, reason, sockaddr
from svcdns.dns.matching import answers, question_end
from svcdns.hostport import host_port
from svcdns.plugins.commands import Exchange, Exchanged, Result, Unanswered

Done = Callable[[Result], None]

_BATCH = 256
"Events taken from epoll in one turn of the loop: keeps the listeners' turn near."


class _Pending:
    """One query on its way."""

    __slots__ = ("deadline", "done", "end", "exchange", "forged", "sent_at", "socket", "wire")

    def __init__(
        self, exchange: Exchange, sock: socket.socket, wire: bytes, done: Done, now: float
    ) -> None:
        self.exchange = exchange
        self.socket = sock
        self.wire = wire
        self.end = question_end(wire)
        self.done = done
        self.sent_at = now
        self.deadline = now + exchange.timeout
        self.forged = 0


class DatagramExchanges:
    """All queries under way over UDP.

    Use inside a running loop; :meth:`close` drops what is under way.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._pending: dict[int, _Pending] = {}
        self._deadlines: list[tuple[float, int]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._buffer = memoryview(bytearray(65535))
        loop.add_reader(self._epoll.fileno(), self._readable)

    def start(self, exchange: Exchange, done: Done) -> None:
        """Send the query; *done* is called once, perhaps before this returns.

        Args:
            exchange: Over UDP.
            done: Gets the answer, or why there is none.
        """
        upstream = exchange.upstream
        try:
            address = sockaddr(upstream.address, upstream.port)
            sock = socket.socket(address.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        except (OSError, ValueError) as error:
            done(Unanswered(f"dial udp {joined(upstream)}: {reason(error)}", ours=True))
            return
        try:
            if upstream.source:
                sock.bind(sockaddr(upstream.source, 0).value)
            sock.connect(address.value)
            wire = os.urandom(2) + exchange.wire[2:]
            sock.send(wire)
            self._epoll.register(sock.fileno(), select.EPOLLIN)
        except OSError as error:
            sock.close()
            done(Unanswered(f"dial udp {joined(upstream)}: {call_reason('connect', error)}"))
            return
        pending = _Pending(exchange, sock, wire, done, self._loop.time())
        self._pending[sock.fileno()] = pending
        heapq.heappush(self._deadlines, (pending.deadline, sock.fileno()))
        if self._timer is None or pending.deadline < self._timer.when():
            self._arm()

    def close(self) -> None:
        """Close every socket; queries under way are not reported any more."""
        if self._timer:
            self._timer.cancel()
        self._loop.remove_reader(self._epoll.fileno())
        for pending in self._pending.values():
            pending.socket.close()
        self._pending.clear()
        self._epoll.close()

    def _readable(self) -> None:
        for fd, _ in self._epoll.poll(0, _BATCH):
            pending = self._pending.get(fd)
            if pending:
                self._receive(fd, pending)

    def _receive(self, fd: int, pending: _Pending) -> None:
        while True:
            try:
                size = pending.socket.recv_into(self._buffer)
            except BlockingIOError:
                return
            except OSError as error:
                # An ICMP error: a connected socket reports it, and nobody else's query sees it.
                self._finish(
                    fd, pending, Unanswered(self._complaint(pending, call_reason("read", error)))
                )
                return
            message = bytes(self._buffer[:size])
            if answers(pending.wire, pending.end, message):
                seconds = self._loop.time() - pending.sent_at
                self._finish(fd, pending, Exchanged(message, seconds))
                return
            # RFC 5452 §9.1: what does not match is not there; the real answer may still come.
            pending.forged += 1

    def _finish(self, fd: int, pending: _Pending, result: Result) -> None:
        del self._pending[fd]
        pending.socket.close()
        pending.done(result)

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline, fd = heapq.heappop(self._deadlines)
            pending = self._pending.get(fd)
            # The descriptor may be another query's by now; the deadline tells.
            if pending and pending.deadline == deadline:
                what = "i/o timeout"
                if pending.forged:
                    what += f" ({pending.forged} messages did not match the query)"
                complaint = self._complaint(pending, what)
                self._finish(fd, pending, Unanswered(complaint, timeout=True))
        self._arm()

    def _arm(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._deadlines:
            self._timer = self._loop.call_at(self._deadlines[0][0], self._expire)

    @staticmethod
    def _complaint(pending: _Pending, what: str) -> str:
        host, port = pending.socket.getsockname()[:2]
        local = host_port(host, port)
        return f"read udp {local}->{joined(pending.exchange.upstream)}: {what}"
