"""HTTP/2 on one connection, for servers whose requests and answers are small.

The protocol itself is the package h2's, which does no I/O; kdig and dig speak nothing else for DNS
over HTTPS.

Spec: RFC 9113; RFC 8484 §5.2 recommends this version.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from svcdns.aio.turns import Turns
from svcdns.dns.constants import MAX_MESSAGE
from svcdns.plugins.base import HttpAnswer

Answer = Callable[[str, str, str, bytes | None], Awaitable[HttpAnswer]]
"""Answers a method, a target, a media type and a body (``None``: longer than any message)."""

MAX_STREAMS = 128
"""Requests under way on one connection; Go's default is 250."""

MAX_HEADER_OCTETS = 16384

MAX_RESETS = 1000
"""Requests that a client may take back before it is closed (CVE-2023-44487)."""

_PIECE = 512
"""Octets taken in between two looks at the clock: some ten requests at most."""

_READ_AHEAD = 65536
"""Octets that may wait for a turn; no more are read beyond."""


_SETTINGS: dict[SettingCodes, int] = {
    SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
    SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEADER_OCTETS,
}


class _Request:
    """A request that comes in."""

    __slots__ = ("body", "headers")

    def __init__(self, headers: dict[str, str]) -> None:
        self.headers = headers
        self.body: bytearray | None = bytearray()


class Http2(asyncio.Protocol):
    """The server's side of one connection."""

    def __init__(self, answer: Answer, begun: Callable[[], None], turns: Turns) -> None:
        """Prepare.

        Args:
            answer: Called for every complete request.
            begun: Told when a request has begun to come in.
            turns: What comes in is taken in only when it is our turn.
        """
        self._turns = turns
        self._loop = asyncio.get_running_loop()
        self._unread = bytearray()
        self._queued = False
        self._answer = answer
        self._begun = begun
        self._requests: dict[int, _Request] = {}
        self._unsent: dict[int, bytearray] = {}
        "Rest of answers, by stream: what the client's windows had no room for."
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._resets = 0
        self._writable = True
        self._http = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._http.local_settings = Settings(client=False, initial_values=_SETTINGS)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send our settings."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._http.initiate_connection()
        self._write()

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop what is under way."""
        for task in self._tasks.values():
            task.cancel()
        self._turns.leave(self._work)
        self._unread.clear()
        self._requests.clear()
        self._unsent.clear()

    def data_received(self, data: bytes) -> None:
        """Take frames in as soon as it is our turn."""
        self._unread += data
        self._take_turn()
        if self._queued and len(self._unread) > _READ_AHEAD:
            self._transport.pause_reading()

    def _take_turn(self) -> None:
        if not self._queued:
            self._queued = True
            self._turns.take(self._work)

    def _work(self, ends: float) -> None:
        """Take in what came, and send what it calls for, as far as there is time."""
        self._queued = False
        while self._unread and self._writable and not self._transport.is_closing():
            piece = bytes(self._unread[:_PIECE])
            del self._unread[:_PIECE]
            self._receive(piece)
            if self._unread and self._loop.time() >= ends:
                self._queued = True
                self._turns.queue(self._work)
                return
        if self._writable and not self._transport.is_closing():
            self._transport.resume_reading()

    def _receive(self, data: bytes) -> None:
        try:
            events = self._http.receive_data(data)
            for event in events:
                self._take(event)
            self._flush()
        except ProtocolError:
            self._write()  # h2 has its GOAWAY ready
            self._transport.close()
            return
        self._write()
        if self._resets > MAX_RESETS:
            self._http.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
            self._write()
            self._transport.close()

    def eof_received(self) -> None:
        """Close as well."""
        self._transport.close()

    def pause_writing(self) -> None:
        """Send nothing, and take nothing in, until the client has read."""
        self._writable = False
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._writable = True
        self._flush()
        self._write()
        self._take_turn()

    def _take(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=stream, headers=headers):
                # header_encoding makes them text, which h2's own annotations do not know
                fields = cast("list[tuple[str, str]]", headers)
                self._requests[stream] = _Request(dict(fields))
                self._begun()
            case DataReceived(stream_id=stream, data=data, flow_controlled_length=octets):
                self._http.acknowledge_received_data(octets or 0, stream)
                self._add(self._requests.get(stream), data or b"")
            case StreamEnded(stream_id=stream):
                request = self._requests.pop(stream, None)
                if request is not None:
                    self._start(stream, request)
            case StreamReset(stream_id=stream):
                self._resets += 1
                self._forget(stream)
            case _:
                pass  # h2 itself answers settings and pings, and keeps account of windows

    def _add(self, request: _Request | None, data: bytes) -> None:
        if request is not None and request.body is not None:
            request.body += data
            if len(request.body) > MAX_MESSAGE:
                request.body = None

    def _start(self, stream: int, request: _Request) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(stream, request))
        self._tasks[stream] = task
        task.add_done_callback(lambda _: self._tasks.pop(stream, None))

    async def _serve(self, stream: int, request: _Request) -> None:
        headers = request.headers
        answer = await self._answer(
            headers.get(":method", ""),
            headers.get(":path", ""),
            headers.get("content-type", ""),
            None if request.body is None else bytes(request.body),
        )
        fields = [
            (":status", str(answer.status)),
            ("content-type", answer.content_type),
            ("content-length", str(len(answer.body))),
            *[(name.lower(), value) for name, value in answer.headers],
        ]
        try:
            self._http.send_headers(stream, fields)
            self._unsent[stream] = bytearray(answer.body)
            self._flush()
        except ProtocolError:
            self._unsent.pop(stream, None)  # the client has ended the stream or the connection
        self._write()

    def _flush(self) -> None:
        """Send as much of the answers as the client's windows and our buffer allow."""
        for stream, rest in list(self._unsent.items()):
            while self._writable:
                room = min(
                    self._http.local_flow_control_window(stream), self._http.max_outbound_frame_size
                )
                if len(rest) > room and room <= 0:
                    break
                last = len(rest) <= room
                self._http.send_data(stream, bytes(rest[:room]), end_stream=last)
                del rest[:room]
                if last:
                    del self._unsent[stream]
                    break

    def _forget(self, stream: int) -> None:
        self._requests.pop(stream, None)
        self._unsent.pop(stream, None)
        task = self._tasks.pop(stream, None)
        if task:
            task.cancel()

    def _write(self) -> None:
        data = self._http.data_to_send()
        if data and not self._transport.is_closing():
            self._transport.write(data)
