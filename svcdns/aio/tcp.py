"""The TCP and TLS listeners: frames in, answers out, in whatever order they are ready.

Connections live long (NodeLocal DNSCache forwards everything over a few of them), so queries are
read ahead and an answer may overtake a slower one (RFC 7766 §6.2.1.1); CoreDNS answers a
connection's queries one by one.  Everything a client can pile up is bounded: queries under way on
a connection, octets that it does not read, connections, and time; and a client that reads as fast
as it asks takes turns with all others.

Parity: CoreDNS ``core/dnsserver/server.go`` and rule J12 for the time-outs.
"""

import asyncio
import logging
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

from msgspec import Struct

from svcdns.aio.acceptor import Acceptor
from svcdns.aio.addresses import sockaddr
from svcdns.plugins.base import Ask, Client, Rendered, Transport

log = logging.getLogger(__name__)

Settle = Callable[[Ask], Awaitable[object]]

_HEADER = 2


class Responder(Protocol):
    """What answers: a :class:`svcdns.plugins.server.Server`."""

    def respond(self, wire: bytes, client: Client, now: float) -> Rendered | Ask:
        """Answer one message."""


class Limits(Struct, frozen=True):
    """What a client gets (rule J12; the ``timeouts`` plugin changes it)."""

    read: float = 3.0
    "Seconds until the first query is there, and for the rest of one that has begun."
    write: float = 5.0
    "Seconds that answers may wait for a client to read them."
    idle: float = 10.0
    "Seconds between queries."
    queries: int = -1
    "Queries on one connection; -1: no limit."
    under_way: int = 128
    "Queries of one connection waiting for an answer; reading pauses beyond."
    turn: float = 0.002
    "Seconds of answering one connection before others come in between."
    connections: int = 4096
    "Connections of one listener; the one that was idle longest makes room."


def open_socket(address: str, port: int, *, shared: bool = False) -> socket.socket:
    """Bind a TCP socket; it takes connections when the listener starts.

    Args:
        address: An IP address; ``""`` and ``"::"`` take IPv4 and IPv6 both.
        port: 0 chooses one.
        shared: Whether other processes may bind the same (SO_REUSEPORT).

    Raises:
        OSError: The address or the port cannot be had.
    """
    six = ":" in address or not address
    sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if six:
            both = address in ("", "::")
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if both else 1)
        sock.bind(sockaddr(address or "::", port).value)
    except BaseException:
        sock.close()
        raise
    return sock


class StreamListener:
    """One listening socket and the server it feeds.

    The server can be exchanged while connections are open: a reload costs none of them.
    """

    def __init__(
        self,
        sock: socket.socket,
        server: Responder,
        settle: Settle,
        *,
        transport: Transport = Transport.TCP,
        limits: Limits | None = None,
    ) -> None:
        """Serve *sock* from :meth:`start` on.

        Args:
            sock: From :func:`open_socket`.
            server: Answers; may be replaced at any time.
            settle: Carries out an :class:`Ask`; never raises.
            transport: For metrics and logs.
            limits: Of every connection from now on; may be replaced at any time.
        """
        self.sock = sock
        self.server = server
        self.limits = limits or Limits()
        self.settle = settle
        self.transport = transport
        loop = asyncio.get_running_loop()
        self._acceptor = Acceptor(sock, lambda: _Connection(self, loop))
        self._empty = asyncio.Event()
        self.connections: dict[_Connection, None] = {}
        "In the order of their last activity, the longest idle first."

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        """Accept connections from now on; called again, with other TLS settings from now on.

        Args:
            tls: For DNS over TLS (RFC 7858).

        Raises:
            OSError: The socket cannot listen.
        """
        await self._acceptor.start(tls)

    async def stop(self, grace: float = 5.0) -> None:
        """Accept nothing more, let queries under way be answered, close.

        Args:
            grace: Seconds for the answers (CoreDNS stops servers gracefully for 5).
        """
        self._acceptor.stop()
        for connection in list(self.connections):
            connection.finish()
        if self.connections:
            self._empty.clear()
            try:
                await asyncio.wait_for(self._empty.wait(), grace)
            except TimeoutError:
                pass  # who is not done by now loses the answer
        self.close()

    def close(self) -> None:
        """Close at once; queries under way are not answered."""
        self._acceptor.close()
        for connection in list(self.connections):
            connection.abort()

    def admit(self, connection: "_Connection") -> None:
        """Take a connection in, at the cost of the one that was idle longest."""
        self.connections[connection] = None
        if len(self.connections) > self.limits.connections:
            idle = next((one for one in self.connections if not one.busy), connection)
            idle.abort()

    def leave(self, connection: "_Connection") -> None:
        """Forget a connection that is closed."""
        self.connections.pop(connection, None)
        if not self.connections:
            self._empty.set()

    def touch(self, connection: "_Connection") -> None:
        """Note that a connection is in use."""
        if connection in self.connections:
            del self.connections[connection]
            self.connections[connection] = None


class _Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, listener: StreamListener, loop: asyncio.AbstractEventLoop) -> None:
        self._listener = listener
        self._loop = loop
        self._buffer = bytearray()
        self._under_way = 0
        self._asked = 0
        self._outbox: deque[Iterator[bytes]] = deque()
        self._writable = True
        self._reading = True
        self._finishing = False
        self._deadline: asyncio.TimerHandle | None = None
        self._next_turn: asyncio.Handle | None = None
        self._futures: set[asyncio.Future[object]] = set()

    @property
    def busy(self) -> bool:
        """Whether an answer is still owed."""
        return bool(self._under_way or self._outbox or self._next_turn or not self._writable)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self._client = Client(
            str(peer[0]).removeprefix("::ffff:"),
            peer[1],
            self._listener.transport,
            str(local[0]).removeprefix("::ffff:"),
            local[1],
        )
        self._expect(self._listener.limits.read)
        self._listener.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.leave(self)
        if self._deadline:
            self._deadline.cancel()
        if self._next_turn:
            self._next_turn.cancel()
        self._outbox.clear()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._listener.touch(self)
        self._work()

    def eof_received(self) -> bool:
        # A client that closes its side still wants its answers (RFC 7766 §6.2.4).
        self.finish()
        return self.busy and not self._listener_is_tls()

    def pause_writing(self) -> None:
        self._writable = False
        self._pause()
        self._expect(self._listener.limits.write)

    def resume_writing(self) -> None:
        self._writable = True
        self._flush()
        self._work()

    def finish(self) -> None:
        """Take no more queries; close when the last answer is written."""
        self._finishing = True
        if not self.busy:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _listener_is_tls(self) -> bool:
        return self._transport.get_extra_info("ssl_object") is not None

    def _take_turn(self) -> None:
        self._next_turn = None
        if not self._transport.is_closing():
            self._work()

    def _work(self) -> None:
        """Answer the frames that are there, as far as the bounds allow."""
        if self._next_turn:
            return
        limits = self._listener.limits
        turn_ends = self._loop.time() + limits.turn
        while self._writable and not self._outbox and self._under_way < limits.under_way:
            wire = self._frame()
            if wire is None:
                break
            self._answer(wire)
            if self._transport.is_closing():
                return
            if len(self._buffer) >= _HEADER and self._loop.time() >= turn_ends:
                self._next_turn = self._loop.call_soon(self._take_turn)
                self._pause()
                return
        else:
            self._pause()
            return
        if not self._reading and not self._finishing:
            self._reading = True
            self._transport.resume_reading()
        if self._finishing and not self.busy:
            self._transport.close()
        elif self._buffer:
            self._expect(limits.read)
        elif self._asked:
            self._expect(limits.idle)

    def _frame(self) -> bytes | None:
        buffer = self._buffer
        if len(buffer) < _HEADER:
            return None
        end = _HEADER + (buffer[0] << 8 | buffer[1])
        if len(buffer) < end:
            return None
        wire = bytes(buffer[_HEADER:end])
        del buffer[:end]
        return wire

    def _answer(self, wire: bytes) -> None:
        self._asked += 1
        limit = self._listener.limits.queries
        if limit >= 0 and self._asked > limit:
            self.finish()
            return
        result = self._listener.server.respond(wire, self._client, self._loop.time())
        if isinstance(result, Rendered):
            self._send(result)
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
            self._send(result)
        self._work()

    def _send(self, rendered: Rendered) -> None:
        self._outbox.append(iter(rendered.wires))
        self._flush()

    def _flush(self) -> None:
        """Write what waits; a zone transfer is made only as fast as it is read."""
        while self._outbox and self._writable:
            wire = next(self._outbox[0], None)
            if wire is None:
                self._outbox.popleft()
            else:
                self._transport.write(len(wire).to_bytes(_HEADER, "big") + wire)

    def _pause(self) -> None:
        if self._reading and not self._transport.is_closing():
            self._reading = False
            self._transport.pause_reading()

    def _expect(self, seconds: float) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = self._loop.call_later(seconds, self._late)

    def _late(self) -> None:
        """Close a connection on which nothing happened; wait on while an answer is owed."""
        if (self._under_way or self._next_turn) and self._writable:
            self._expect(self._listener.limits.idle)
        elif self._writable:
            self._transport.close()
        else:
            log.debug("%s does not read its answers", self._client.address)
            self._transport.abort()
