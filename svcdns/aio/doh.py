"""The HTTPS listener: DNS messages in HTTP/1.1 and HTTP/2, answered like any others.

TLS chooses the version (ALPN); without TLS it is HTTP/1.1.  Everything a client can pile up is
bounded: connections, requests under way on one, octets of a request, and time.

Spec: RFC 8484.
Parity: CoreDNS ``core/dnsserver/server_https.go``.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Awaitable, Iterator
from typing import cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from svcdns.aio.acceptor import Acceptor
from svcdns.aio.connections import Connections, Limits
from svcdns.aio.http2 import Http2
from svcdns.aio.paced import PIECE, Paced
from svcdns.aio.stream import Responder, Settle
from svcdns.aio.turns import Turns
from svcdns.dns.constants import MAX_MESSAGE
from svcdns.dns.doh import MESSAGE_TYPE, Refusal, max_age, read_request
from svcdns.dns.http2 import Request
from svcdns.plugins.base import Ask, Client, HttpAnswer, Rendered
from svcdns.plugins.commands import Transport

GRACE_SECONDS = 5.0
"""For requests under way at the end (CoreDNS stops servers gracefully for 5)."""

TOO_LARGE = Refusal(413, f"a DNS message has at most {MAX_MESSAGE} octets")

_KEEP = 86400.0
"""Seconds; aiohttp's own limit between requests, which ours comes before."""

_BODY_AHEAD = 1024
"""Octets of a body that may wait to be read, twice; each may be a chunk, which costs 2 us."""

_LAST_WORDS = frozenset({408, 413})
"""After these the rest of the request may still be on its way."""


_CLIENTS_FAULTS = (HttpProcessingError, ConnectionError)
"""What is no HTTP, and who goes away in the middle of it."""


class _OnlyBugs(logging.Filter):
    """Keeps out of the log what clients do wrong: a line for each would be theirs to write."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line is to be written."""
        return not (record.exc_info and isinstance(record.exc_info[1], _CLIENTS_FAULTS))


_log = logging.getLogger(__name__)
_log.addFilter(_OnlyBugs())


class DohListener:
    """One listening socket and the server it feeds; the server may be exchanged at any time."""

    def __init__(
        self,
        sock: socket.socket,
        server: Responder,
        settle: Settle,
        limits: Limits,
        turns: Turns | None = None,
    ) -> None:
        """Serve *sock* from :meth:`start` on.

        Args:
            sock: From :func:`svcdns.aio.binding.open_stream`.
            server: Answers.
            settle: Carries out an :class:`~svcdns.plugins.base.Ask`; never raises.
            limits: Of every connection from now on.
            turns: Shared with the other listeners of this loop.
        """
        self.sock = sock
        self.server = server
        self.limits = limits
        self.connections: Connections[_Connection] = Connections()
        self.turns = turns or Turns()
        self._settle = settle
        self._loop = asyncio.get_running_loop()
        self._acceptor = Acceptor(sock, lambda: _Connection(self))
        self._speakers: dict[object, _Connection] = {}
        "Connections by what speaks HTTP/1.1 on them."
        self._http1 = web.Server(
            self._handle,
            access_log=None,
            logger=_log,
            keepalive_timeout=_KEEP,
            lingering_time=1.0,
            read_bufsize=_BODY_AHEAD,
        )

    async def start(self, tls: ssl.SSLContext | None) -> None:
        """Accept connections from now on, with these TLS settings; may be called again.

        Raises:
            OSError: The socket cannot listen.
        """
        await self._acceptor.start(tls)

    async def stop(self, grace: float = GRACE_SECONDS) -> None:
        """Accept nothing more, let requests under way be answered, close.

        Args:
            grace: Seconds for the answers.
        """
        self._acceptor.stop()
        await self.connections.finish(grace)
        self.close()

    def close(self) -> None:
        """Close at once; requests under way are not answered."""
        self._acceptor.close()
        self.connections.abort()

    def speaker(self, connection: "_Connection") -> asyncio.Protocol:
        """Make what speaks HTTP/1.1 on a connection."""
        made = self._http1()
        self._speakers[made] = connection
        return made

    def forget(self, speaker: asyncio.Protocol | None) -> None:
        """Forget what spoke HTTP/1.1 on a connection."""
        self._speakers.pop(speaker, None)

    def answer(
        self, client: Client, method: str, target: str, media_type: str, body: bytes | None
    ) -> HttpAnswer | Awaitable[HttpAnswer]:
        """Answer one request, whatever the version of HTTP.

        Args:
            client: Who asks.
            method: Of the request.
            target: Path and query of its URL.
            media_type: Its Content-Type; empty without one.
            body: ``None``: longer than any message.
        """
        if body is None:
            return self.refuse(TOO_LARGE)
        query = read_request(method, target, media_type, body)
        if isinstance(query, Refusal):
            return self.refuse(query)
        now = self._loop.time()
        stored = self.server.table(client.transport, client.family).find(query[2:], now)
        if stored is not None:
            self.server.accounts.time_stored(self._loop.time() - now, 1)
            return self._found(query[:2] + stored)
        result = self.server.respond(query, client, now)
        if isinstance(result, Rendered):
            return self._found(next(iter(result.wires), None))
        return self._ask(result)

    async def _ask(self, ask: Ask) -> HttpAnswer:
        result = cast("Rendered", await self._settle(ask))
        return self._found(next(iter(result.wires), None))

    def _found(self, wire: bytes | None) -> HttpAnswer:
        if wire is None:
            # RFC 8484 §4.2.1 speaks of DNS errors in answers; there is none for "no answer".
            return self.refuse(Refusal(500, "No response"))
        self.server.accounts.count_https(200)
        return HttpAnswer(200, wire, MESSAGE_TYPE, (("Cache-Control", f"max-age={max_age(wire)}"),))

    def refuse(self, refusal: Refusal) -> HttpAnswer:
        """Make the answer of a refusal, and count it."""
        self.server.accounts.count_https(refusal.status)
        more = (("Allow", "GET, POST"),) if refusal.status == 405 else ()
        return HttpAnswer(refusal.status, f"{refusal.text}\n".encode(), headers=more)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request of HTTP/1.1."""
        connection = self._speakers.get(request.protocol)
        if connection is None:
            # The client has gone; its requests may have been read before.
            raise ConnectionResetError
        with connection.serving():
            found = await self._answer_1(request, connection.client)
        headers = {"Content-Type": found.content_type, "Server": "svcdns", **dict(found.headers)}
        response = web.Response(status=found.status, body=found.body, headers=headers)
        if connection.finishing or found.status in _LAST_WORDS:
            response.force_close()
        return response

    async def _answer_1(self, request: web.BaseRequest, client: Client) -> HttpAnswer:
        try:
            async with asyncio.timeout(self.limits.read):
                body = await self._body(request)
        except TimeoutError:
            return self.refuse(Refusal(408, "the request did not come to its end"))
        await self.turns.wait()
        media_type = request.headers.get("Content-Type", "")
        answer = self.answer(client, request.method, request.raw_path, media_type, body)
        return answer if isinstance(answer, HttpAnswer) else await answer

    async def _body(self, request: web.BaseRequest) -> bytes | None:
        """Read a body by turns, or nothing if it is longer than any message."""
        content, body = request.content, bytearray()
        while True:
            body += await content.read(PIECE)
            if len(body) > MAX_MESSAGE:
                return None
            if content.at_eof():
                return bytes(body)
            await self.turns.wait()


class _Connection(asyncio.Protocol):
    """One client's connection: passes its octets to who speaks its version of HTTP."""

    def __init__(self, listener: DohListener) -> None:
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._speaker: asyncio.Protocol | None = None
        self._paced: Paced | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._waits_for_rest = False
        self.under_way = 0
        "Requests being answered."
        self.finishing = False

    @property
    def busy(self) -> bool:
        """Whether an answer is still owed."""
        return self._speaker.busy if isinstance(self._speaker, Http2) else bool(self.under_way)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self.client = Client(
            str(peer[0]).removeprefix("::ffff:"),
            peer[1],
            Transport.HTTPS,
            str(local[0]).removeprefix("::ffff:"),
            local[1],
        )
        self._listener.connections.admit(self, self._listener.limits.connections)
        if transport.is_closing():
            return
        encrypted = transport.get_extra_info("ssl_object")
        if encrypted is not None and encrypted.selected_alpn_protocol() == "h2":
            self._speaker = Http2(self._answer_2, self._listener.limits, self._listener.turns)
        else:
            self._speaker = self._listener.speaker(self)
            turns = self._listener.turns
            transport = self._paced = Paced(transport, self._speaker.data_received, turns)
            self.begun()
        self._speaker.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._listener.connections.leave(self)
        self._listener.forget(self._speaker)
        if self._paced:
            self._paced.leave()
        if self._speaker:
            # aiohttp may have read a request in this round, which it begins to serve in the next.
            self._loop.call_soon(self._speaker.connection_lost, exc)

    def data_received(self, data: bytes) -> None:
        self._listener.connections.touch(self)
        if isinstance(self._speaker, Http2):
            self._speaker.data_received(data)
        elif self._paced:
            self.begun()
            self._paced.receive(data)

    def eof_received(self) -> bool | None:
        return self._speaker.eof_received() if self._speaker else None

    def pause_writing(self) -> None:
        if self._speaker:
            self._speaker.pause_writing()

    def resume_writing(self) -> None:
        if self._speaker:
            self._speaker.resume_writing()

    def _answer_2(self, request: Request) -> HttpAnswer | Awaitable[HttpAnswer]:
        """Serve one request of HTTP/2."""
        asked = (request.method, request.target, request.media_type, request.body)
        return self._listener.answer(self.client, *asked)

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Have no deadline while an answer is owed; what asks others has its own time-outs."""
        self.under_way += 1
        self._waits_for_rest = False
        if self._deadline:
            self._deadline.cancel()
        try:
            yield
        finally:
            self.under_way -= 1
            self._listener.connections.touch(self)
            if not self.under_way:
                self._expect(self._listener.limits.idle)

    def begun(self) -> None:
        """Note that a request has begun to come in; it has to come to its end."""
        if not self.under_way and not self._waits_for_rest:
            self._waits_for_rest = True
            self._expect(self._listener.limits.read)

    def finish(self) -> None:
        """Take no more requests; close when the last answer is written."""
        self.finishing = True
        if isinstance(self._speaker, Http2):
            self._speaker.finish()
        elif not self.under_way:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _expect(self, seconds: float) -> None:
        if self._deadline:
            self._deadline.cancel()
        if not self._transport.is_closing():
            self._deadline = self._loop.call_later(seconds, self._transport.abort)
