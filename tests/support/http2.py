"""Peers of HTTP/2: h2's client, and raw frames for what no client library would send."""

import hpack
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event
from h2.settings import SettingCodes, Settings
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, HeadersFrame, SettingsFrame

from svcdns.dns.http2 import Connection

GET = [(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "/x")]
POST = [(":method", "POST"), *GET[1:], ("content-type", "text/x")]
FOUND = [(b":status", b"200")]
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HELLO = PREFACE + SettingsFrame(0).serialize()


class Peer:
    """Raw frames."""

    def __init__(self, greeting: bytes = HELLO) -> None:
        self.server = Connection()
        self._coder = hpack.Encoder()
        self.send(greeting)
        self.server.out.clear()

    def send(self, *frames: Frame | bytes) -> list[Frame]:
        """Send, and give what comes back."""
        self.server.receive(
            b"".join(one if isinstance(one, bytes) else one.serialize() for one in frames)
        )
        while self.server.step(0.0):
            pass
        data, found = b"".join(self.server.out), []
        self.server.out.clear()
        while data:
            frame, size = Frame.parse_frame_header(memoryview(data[:9]))
            frame.parse_body(memoryview(data[9 : 9 + size]))
            found.append(frame)
            data = data[9 + size :]
        return found

    def headers(
        self, stream: int, *flags: str, fields: list[tuple[str, str]] | None = None
    ) -> HeadersFrame:
        """Make a HEADERS frame."""
        made = HeadersFrame(stream, self._coder.encode(fields or GET))
        for flag in flags:
            made.flags.add(flag)
        return made

    def get(self, stream: int) -> HeadersFrame:
        """Make a whole request."""
        return self.headers(stream, "END_HEADERS", "END_STREAM")


def ended(frames: list[Frame]) -> int | None:
    """Give the code a connection was ended with."""
    codes = [one.error_code for one in frames if isinstance(one, GoAwayFrame)]
    return codes[0] if codes else None


def data(stream: int, body: bytes = b"", *flags: str) -> DataFrame:
    """Make a DATA frame."""
    made = DataFrame(stream, body)
    for flag in flags:
        made.flags.add(flag)
    return made


def client_of(window: int = 65535) -> H2Connection:
    """Make a client whose streams have a window of that size at first."""
    client = H2Connection(H2Configuration(client_side=True))
    values = {SettingCodes.INITIAL_WINDOW_SIZE: window}
    client.local_settings = Settings(client=True, initial_values=values)
    client.initiate_connection()
    return client


def pumped(client: H2Connection, server: Connection) -> bytes:
    """Carry what a client said to a server; give what that says."""
    server.receive(client.data_to_send())
    while server.step(0.0):
        pass
    got = b"".join(server.out)
    server.out.clear()
    return got


def talk(client: H2Connection, server: Connection, body: bytes) -> list[Event]:
    """Have a client's requests answered with *body* until both are silent."""
    events: list[Event] = []
    while got := _answered(client, server, body):
        for event in client.receive_data(got):
            events.append(event)
            if isinstance(event, DataReceived) and event.flow_controlled_length:
                assert event.stream_id is not None
                client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
    return events


def _answered(client: H2Connection, server: Connection, body: bytes) -> bytes:
    got = pumped(client, server)
    while server.ready:
        request = server.ready.popleft()
        server.taken(request)
        server.respond(request.stream, FOUND, body)
    got += b"".join(server.out)
    server.out.clear()
    return got
