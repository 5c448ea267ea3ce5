"""The server's side of an HTTP/2 connection: octets in, requests out, answers in, octets out.

The protocol itself is the package h2's.  What is added here is what a server of small requests
owes its other clients: everything that a client can pile up is bounded.

Spec: RFC 9113; RFC 8484 §5.2 recommends this version.
"""

from collections import deque

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from msgspec import Struct

from svcdns.dns.constants import MAX_MESSAGE

MAX_STREAMS = 128
"""Requests under way on one connection; Go's default is 250."""

MAX_HEADER_OCTETS = 16384
"""Of the fields that a header block stands for, counted as RFC 9113 §6.5.2 does."""

MAX_RESETS = 1000
"""Requests that a client may take back, or have us throw back, before it is closed
(CVE-2023-44487, CVE-2025-8671)."""

MAX_SILENT_OCTETS = 40_000
"""That may come without anything in them that has come to its end: a frame and a header block
(CVE-2024-27316)."""

_PIECE = 512
"""Octets taken in between two looks at the clock: some ten requests at most."""

_WINDOW = 65535
"""Octets of bodies that a stream, and a connection, may send at first."""

_LATE = _WINDOW * 3 // 4
"""Octets of a body that is kept after which its sender gets room for what is no message."""

_SETTINGS: dict[SettingCodes, int] = {
    SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
    SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEADER_OCTETS,
}

_CONFIGURATION = H2Configuration(
    client_side=False,
    header_encoding=None,
    validate_outbound_headers=False,  # they are ours
    normalize_outbound_headers=False,
)

Field = tuple[bytes, bytes]


class Request(Struct, frozen=True, gc=False):
    """A request that is there to its end."""

    stream: int
    method: str
    target: str
    media_type: str
    body: bytes | None
    "``None``: longer than any message, and not kept."


class _Incoming:
    """A request that comes in."""

    __slots__ = ("begun", "body", "fields", "widened")

    def __init__(self, fields: dict[bytes, bytes], begun: float) -> None:
        self.fields = fields
        self.begun = begun
        self.body: bytearray | None = bytearray()
        self.widened = False


class Connection:
    """One client's connection; what is to be sent is in :attr:`out`, each answer on its own."""

    def __init__(self) -> None:
        self.out: list[bytes] = []
        self.ready: deque[Request] = deque()
        "Requests to be answered; who takes one calls :meth:`taken`."
        self.unsent = 0
        "Octets of answers that the client's windows have no room for."
        self.finished = 0
        "Answers that were sent to their end."
        self.over = False
        "Whether the client did what it may not, and was told."
        self._unread = bytearray()
        self._silent = 0
        self._resets = 0
        self._incoming: dict[int, _Incoming] = {}
        "The oldest one first."
        self._owed: set[int] = set()
        "Streams whose requests are there and whose answers are not sent to their end."
        self._rests: dict[int, bytes] = {}
        "What the client's windows had no room for, by stream."
        self._http = H2Connection(_CONFIGURATION)
        self._http.local_settings = Settings(client=False, initial_values=_SETTINGS)
        self._http.decoder.max_header_list_size = MAX_HEADER_OCTETS
        self._http.initiate_connection()
        self._http.increment_flow_control_window(_WINDOW)
        self._collect()

    @property
    def waiting(self) -> int:
        """Octets that were not looked at."""
        return len(self._unread)

    @property
    def owing(self) -> bool:
        """Whether an answer is owed, in whole or in part."""
        return bool(self._owed)

    @property
    def incoming_since(self) -> float | None:
        """When the oldest request began that is not there to its end."""
        oldest = next(iter(self._incoming.values()), None)
        return None if oldest is None else oldest.begun

    def receive(self, data: bytes) -> None:
        """Add what came."""
        self._unread += data

    def step(self, now: float) -> bool:
        """Take a few frames in.

        Args:
            now: Monotonic seconds.

        Returns:
            Whether there was anything.
        """
        if not self._unread or self.over:
            return False
        piece = bytes(self._unread[:_PIECE])
        del self._unread[:_PIECE]
        try:
            events = self._http.receive_data(piece)
            for event in events:
                self._take(event, now)
        except ProtocolError:
            self._end()  # h2 has its GOAWAY ready
            return True
        self._silent = 0 if events else self._silent + len(piece)
        if self._resets > MAX_RESETS or self._silent > MAX_SILENT_OCTETS:
            self._http.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
            self._end()
        self._collect()
        return True

    def taken(self, request: Request) -> None:
        """Give the client room for another body."""
        if request.body and not self.over:
            self._http.acknowledge_received_data(len(request.body), request.stream)

    def respond(self, stream: int, fields: list[Field], body: bytes) -> None:
        """Answer a request, if the client still wants that.

        Args:
            stream: Of the request.
            fields: ``:status`` first, names in lower case.
            body: What windows have no room for is sent when they do.
        """
        if stream not in self._owed:
            return
        http = self._http
        http.send_headers(stream, fields)
        self._rests[stream] = body
        self.unsent += len(body)
        self._send(stream)
        self._collect()

    def leave(self) -> None:
        """Tell the client that the connection ends; what is owed is not sent any more."""
        if not self.over:
            self._http.close_connection(ErrorCodes.NO_ERROR)
            self._end()

    def _take(self, event: Event, now: float) -> None:
        match event:
            case RequestReceived(stream_id=stream, headers=headers):
                assert stream is not None
                self._incoming[stream] = _Incoming(dict(headers or ()), now)
            case DataReceived(stream_id=stream):
                self._take_data(event)
            case StreamEnded(stream_id=stream):
                assert stream is not None
                self._complete(stream)
            case StreamReset(stream_id=stream):
                assert stream is not None
                self._resets += 1
                self._forget(stream)
            case WindowUpdated() | RemoteSettingsChanged():
                for stream in list(self._rests):
                    self._send(stream)
            case ConnectionTerminated():
                self._end()  # h2 sends nothing any more
            case _:
                pass  # h2 itself answers settings and pings

    def _take_data(self, event: DataReceived) -> None:
        stream, data = event.stream_id, event.data or b""
        assert stream is not None
        spare, found = event.flow_controlled_length or 0, self._incoming.get(stream)
        if found is not None and found.body is not None:
            if len(found.body) + len(data) > MAX_MESSAGE:
                spare += len(found.body)
                found.body = None
            else:
                found.body += data
                spare -= len(data)
                if len(found.body) > _LATE and not found.widened:
                    found.widened = True
                    self._http.increment_flow_control_window(_WINDOW, stream)
        if spare:
            self._http.acknowledge_received_data(spare, stream)

    def _complete(self, stream: int) -> None:
        found = self._incoming.pop(stream, None)
        if found is None:
            return
        method, target, media_type = (
            found.fields.get(name, b"").decode("latin-1")
            for name in (b":method", b":path", b"content-type")
        )
        body = None if found.body is None else bytes(found.body)
        self._owed.add(stream)
        self.ready.append(Request(stream, method, target, media_type, body))

    def _forget(self, stream: int) -> None:
        """Drop a request that ended before its answer, on whoever's wish."""
        found = self._incoming.pop(stream, None)
        if found is not None and found.body:
            self._http.acknowledge_received_data(len(found.body), stream)
        if stream not in self._owed:
            return
        self._owed.remove(stream)
        self.unsent -= len(self._rests.pop(stream, b""))
        at = next((at for at, one in enumerate(self.ready) if one.stream == stream), None)
        if at is not None:
            self.taken(self.ready[at])
            del self.ready[at]

    def _send(self, stream: int) -> None:
        """Send as much of an answer as the client's windows have room for."""
        http, rest, at = self._http, self._rests[stream], 0
        while True:
            left = len(rest) - at
            room = min(http.local_flow_control_window(stream), http.max_outbound_frame_size)
            if left > room and room <= 0:
                break
            size = min(left, room) if left else 0
            http.send_data(stream, rest[at : at + size], end_stream=size == left)
            at += size
            self.unsent -= size
            if size == left:
                del self._rests[stream]
                self._owed.remove(stream)
                self.finished += 1
                return
        self._rests[stream] = rest[at:]

    def _collect(self) -> None:
        data = self._http.data_to_send()
        if data:
            self.out.append(data)

    def _end(self) -> None:
        self._collect()
        self.over = True
        self.unsent = 0
        self.ready.clear()
        self._incoming.clear()
        self._owed.clear()
        self._rests.clear()
        self._unread.clear()
