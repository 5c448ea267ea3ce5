"""Ask a resolver over TCP or TLS, on connections that stay open.

Queries share connections: an idle one is taken first, then a new one is opened, and only when
there are :data:`MAX_CONNECTIONS` do queries wait behind each other, because many servers answer
the queries of a connection one by one (CoreDNS does, rule J12).  Answers are matched by ID and
question, so they may come in any order (RFC 7766 §6.2.1.1 and §7).

A connection that the peer closed while a query was on it costs that query nothing: it is sent
once more on a new connection (CoreDNS plugin/pkg/proxy/connect.go ErrCachedClosed).
"""

import asyncio
import logging
import os
import ssl
import struct
from collections.abc import Callable

from msgspec import Struct

from svcdns.aio.addresses import call_reason, joined, reason, sockaddr
from svcdns.aio.files import Mark, mark_of
from svcdns.dns.matching import answers, question_end
from svcdns.plugins.commands import Exchange, Exchanged, Result, Transport, Unanswered, Upstream

_log = logging.getLogger(__name__)

Done = Callable[[Result], None]

MAX_CONNECTIONS = 8
"""Connections to one upstream before queries share one."""

MAX_ON_CONNECTION = 128
"""Queries under way on one connection; more are refused (a resolver that slow is down)."""


class _Asked:
    """One query on its way."""

    __slots__ = ("done", "end", "exchange", "reused", "sent_at", "timer", "wire")

    def __init__(self, exchange: Exchange, done: Done, now: float) -> None:
        self.exchange = exchange
        self.done = done
        self.wire = exchange.wire
        self.end = question_end(exchange.wire)
        self.sent_at = now
        self.timer: asyncio.TimerHandle | None = None
        self.reused = False


class _Connection(asyncio.Protocol):
    """One connection and the queries on it."""

    def __init__(self, pool: "_Pool", loop: asyncio.AbstractEventLoop) -> None:
        self._pool = pool
        self._loop = loop
        self._transport: asyncio.WriteTransport | None = None
        self._buffer = bytearray()
        self._idle: asyncio.TimerHandle | None = None
        self.connecting: asyncio.Task[None] | None = None
        self.asked: dict[bytes, _Asked] = {}
        self.opened_at = loop.time()
        self.served = False
        self.stale = False
        "Takes no new queries; closed when the last one is done."

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        for asked in self.asked.values():
            self._write(asked.wire)

    def send(self, asked: _Asked) -> None:
        """Put a query on the connection, under an ID that is free on it."""
        if self._idle:
            self._idle.cancel()
            self._idle = None
        ident = os.urandom(2)
        while ident in self.asked:
            ident = os.urandom(2)
        asked.wire = ident + asked.exchange.wire[2:]
        asked.reused = self.served
        self.asked[ident] = asked
        if self._transport:
            self._write(asked.wire)

    def _write(self, wire: bytes) -> None:
        assert self._transport
        self._transport.write(struct.pack("!H", len(wire)) + wire)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        buffer = self._buffer
        while len(buffer) >= 2:
            size = buffer[0] << 8 | buffer[1]
            if len(buffer) < 2 + size:
                return
            message = bytes(buffer[2 : 2 + size])
            del buffer[: 2 + size]
            self._answered(message)

    def _answered(self, message: bytes) -> None:
        asked = self.asked.get(message[:2])
        if asked is None or not answers(asked.wire, asked.end, message):
            return  # an answer that came too late, or to nothing we asked (RFC 5452 §9.1)
        self.served = True
        self._forget(asked)
        seconds = self._loop.time() - asked.sent_at
        asked.done(Exchanged(message, seconds, reused=asked.reused))
        self._rest(asked.exchange)

    def give_up(self, asked: _Asked, why: Unanswered) -> None:
        """End one query without an answer; the connection takes no more of them."""
        # A connection that goes silent is often dead on the way (half open): do not use it again.
        self.stale = True
        self._forget(asked)
        asked.done(why)
        self._rest(asked.exchange)

    def _forget(self, asked: _Asked) -> None:
        del self.asked[asked.wire[:2]]
        if asked.timer:
            asked.timer.cancel()

    def _rest(self, exchange: Exchange) -> None:
        if self.asked:
            return
        age = self._loop.time() - self.opened_at
        if self.stale or exchange.max_idle <= 0 or (exchange.max_age and age >= exchange.max_age):
            self.close()
        elif not self._idle:
            self._idle = self._loop.call_later(exchange.max_idle, self.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.lost(self, exc)

    def eof_received(self) -> None:
        """Let the transport close: a resolver that closes its side answers nothing more."""

    def close(self) -> None:
        """Close now; queries on it are the pool's to deal with."""
        self.stale = True
        self._pool.forget(self)
        if self._idle:
            self._idle.cancel()
        if self.connecting:
            self.connecting.cancel()  # the kernel goes on trying for two minutes
        if self._transport:
            self._transport.abort()


class _Pool:
    """The connections to one upstream."""

    def __init__(
        self, upstream: Upstream, loop: asyncio.AbstractEventLoop, tasks: set[asyncio.Task[None]]
    ) -> None:
        self._upstream = upstream
        self._loop = loop
        self._tasks = tasks
        self._connections: list[_Connection] = []

    def start(self, exchange: Exchange, done: Done) -> None:
        asked = _Asked(exchange, done, self._loop.time())
        asked.timer = self._loop.call_later(exchange.timeout, self._expire, asked)
        self._place(asked, fresh=False)

    def _place(self, asked: _Asked, *, fresh: bool) -> None:
        now = self._loop.time()
        max_age = asked.exchange.max_age
        usable = [
            connection
            for connection in self._connections
            if not connection.stale and not (max_age and now - connection.opened_at >= max_age)
        ]
        best = min(usable, key=lambda connection: len(connection.asked), default=None)
        if fresh or best is None or (best.asked and len(self._connections) < MAX_CONNECTIONS):
            best = self._open()
        elif len(best.asked) >= MAX_ON_CONNECTION:
            if asked.timer:
                asked.timer.cancel()
            asked.done(Unanswered(f"{self._name()}: too many queries under way"))
            return
        best.send(asked)

    def _open(self) -> _Connection:
        connection = _Connection(self, self._loop)
        self._connections.append(connection)
        connection.connecting = task = self._loop.create_task(self._connect(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return connection

    async def _connect(self, connection: _Connection) -> None:
        upstream = self._upstream
        try:
            address = sockaddr(upstream.address, upstream.port)
            secure = upstream.transport is Transport.TLS
            await self._loop.create_connection(
                lambda: connection,
                upstream.address,
                upstream.port,
                family=address.family,
                ssl=client_context(upstream.tls) if secure else None,
                server_hostname=(upstream.server_name or upstream.address) if secure else None,
                local_addr=(upstream.source, 0) if upstream.source else None,
            )
        except (OSError, ValueError, ssl.SSLError) as error:
            self.lost(connection, error)

    def lost(self, connection: _Connection, error: Exception | None) -> None:
        """Have the queries of a connection that is no more asked again, or fail them."""
        connection.stale = True
        self.forget(connection)
        asked, connection.asked = list(connection.asked.values()), {}
        for one in asked:
            if one.reused:
                one.reused = False
                self._place(one, fresh=True)
                continue
            if one.timer:
                one.timer.cancel()
            what = tls_reason(error) if error else "EOF"
            one.done(Unanswered(f"{self._name()}: {what}"))

    def _expire(self, asked: _Asked) -> None:
        why = Unanswered(f"{self._name()}: i/o timeout", timeout=True)
        for connection in self._connections:
            if connection.asked.get(asked.wire[:2]) is asked:
                connection.give_up(asked, why)
                return

    def forget(self, connection: _Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)

    def _name(self) -> str:
        return f"dial tcp {joined(self._upstream)}"

    def close(self) -> None:
        for connection in list(self._connections):
            connection.asked.clear()
            connection.close()


class StreamExchanges:
    """All queries under way over TCP and TLS."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pools: dict[Upstream, _Pool] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, exchange: Exchange, done: Done) -> None:
        """Send the query; *done* is called once, perhaps before this returns."""
        pool = self._pools.get(exchange.upstream)
        if pool is None:
            pool = _Pool(exchange.upstream, self._loop, self._tasks)
            self._pools[exchange.upstream] = pool
        pool.start(exchange, done)

    def close(self) -> None:
        """Close every connection; queries under way are not reported any more."""
        for task in self._tasks:
            task.cancel()
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()


class _Files(Struct):
    """TLS settings, and the files that they were read from."""

    marks: tuple[Mark, ...]
    context: ssl.SSLContext


_contexts: dict[tuple[str, ...], _Files] = {}


def client_context(paths: tuple[str, ...]) -> ssl.SSLContext:
    """Give the TLS settings for an upstream; files are read again when they have changed.

    Certificates are renewed while a server runs.  When new files cannot be used, what the old ones
    held stays in force, and the log says so.

    Args:
        paths: Nothing, CA, certificate and key, or certificate, key and CA (CoreDNS
            plugin/pkg/tls NewTLSConfigFromArgs).

    Raises:
        OSError: A file cannot be read.
        ssl.SSLError: A file is not what it should be.
    """
    known = _contexts.get(paths)
    marks: tuple[Mark, ...] = ()
    try:
        marks = tuple(mark_of(path) for path in paths)
        if known is None or known.marks != marks:
            known = _contexts[paths] = _Files(marks, _read_context(paths))
    except (OSError, ssl.SSLError) as error:
        if known is None:
            raise
        if known.marks != marks:
            known.marks = marks
            _log.error(
                "%s: %s; going on with what they held before", " ".join(paths), tls_reason(error)
            )
    return known.context


def _read_context(paths: tuple[str, ...]) -> ssl.SSLContext:
    authority = paths[0] if len(paths) == 1 else paths[2] if len(paths) == 3 else None
    context = ssl.create_default_context(cafile=authority or None)
    if len(paths) >= 2:
        context.load_cert_chain(paths[0], paths[1])
    return context


def tls_reason(error: Exception) -> str:
    """Give the cause of a failed TLS connection, or of an ordinary one."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"tls: failed to verify certificate: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"tls: {error.reason or error}"
    if isinstance(error, ConnectionRefusedError):
        return call_reason("connect", error)
    return reason(error)
