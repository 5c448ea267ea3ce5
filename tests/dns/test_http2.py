"""The server's side of HTTP/2, with h2's client and with frames that no client would send."""

import random

import hpack
import pytest
from h2.events import DataReceived, Event, StreamEnded, WindowUpdated
from h2.settings import SettingCodes
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from svcdns.dns.http2 import (
    MAX_HEADER_OCTETS,
    MAX_RESETS,
    MAX_SILENT_OCTETS,
    MAX_STREAMS,
    Connection,
    Request,
)
from tests.support.http2 import (
    FOUND,
    GET,
    POST,
    PREFACE,
    Peer,
    client_of,
    data,
    ended,
    pumped,
    talk,
)

CALM = 11
"""ENHANCE_YOUR_CALM (RFC 9113 §7)."""


def test_a_request_may_be_cut_at_each_octet() -> None:
    client = client_of()
    client.send_headers(1, POST)
    client.send_data(1, b"hello", end_stream=True)
    wire = client.data_to_send()
    for cut in range(len(wire)):
        server = Connection()
        for part in (wire[:cut], wire[cut:]):
            server.receive(part)
            while server.step(0.0):
                pass
        assert list(server.ready) == [Request(1, "POST", "/x", "text/x", b"hello")]
        assert not server.waiting


def test_a_request_may_end_anywhere_without_harm() -> None:
    peer = Peer()
    wire = peer.headers(1, "END_HEADERS", fields=POST).serialize() + data(1, b"hello").serialize()
    for end in range(len(wire)):
        cut = Peer()
        assert ended(cut.send(wire[:end])) is None
        assert not cut.server.ready


VIOLATIONS: list[tuple[str, list[Frame | bytes]]] = [
    ("§4.2 too large a frame", [b"\0\x40\x01\xfe\0\0\0\0\1" + bytes(16385)]),
    ("§5.1 data before a request", [data(1, b"x")]),
    ("§5.1 a reset before a request", [RstStreamFrame(1)]),
    ("§5.1 a window before a request", [WindowUpdateFrame(1, 1)]),
    ("§5.1.1 a server's stream", [Peer().get(2)]),
    ("§6.1 data on the connection", [b"\0\0\0\0\0\0\0\0\0"]),
    ("§6.2 a request on the connection", [b"\0\0\0\1\5\0\0\0\0"]),
    ("§6.2 more padding than frame", [b"\0\0\1\1\x0d\0\0\0\1\xbe"]),
    ("§6.4 a reset of another size", [b"\0\0\3\3\0\0\0\0\1abc"]),
    ("§6.4 a reset of the connection", [b"\0\0\4\3\0\0\0\0\0abcd"]),
    ("§6.5 settings of a request", [b"\0\0\0\4\0\0\0\0\1"]),
    ("§6.5 settings in an ACK", [b"\0\0\6\4\1\0\0\0\0\0\3\0\0\0\1"]),
    ("§6.5 part of a setting", [b"\0\0\5\4\0\0\0\0\0\0\3\0\0\0"]),
    ("§6.6 a promise", [Peer().get(1), b"\0\0\4\5\4\0\0\0\1\0\0\0\2"]),
    ("§6.7 a ping of another size", [b"\0\0\7\6\0\0\0\0\x001234567"]),
    ("§6.7 a ping of a request", [b"\0\0\x08\6\0\0\0\0\x0112345678"]),
    ("§6.9 a window of another size", [b"\0\0\3\x08\0\0\0\0\0abc"]),
    ("§6.9 a window of nothing", [b"\0\0\4\x08\0\0\0\0\0\0\0\0\0"]),
    ("§6.9.1 too large a window", [WindowUpdateFrame(0, 2**31 - 1)]),
    ("§6.10 nothing to go on with", [ContinuationFrame(1)]),
    ("§8.2.2 a field of HTTP/1.1", [Peer().headers(
        1, "END_HEADERS", "END_STREAM", fields=[*GET, ("connection", "close")])]),
    ("§8.3.1 no path", [Peer().headers(1, "END_HEADERS", "END_STREAM", fields=GET[:3])]),
    ("RFC 7541 §2.3.3 no entry", [b"\0\0\1\1\5\0\0\0\1\xbe"]),
]  # fmt: skip


@pytest.mark.parametrize("frames", [row[1] for row in VIOLATIONS], ids=[r[0] for r in VIOLATIONS])
def test_violations_end_the_connection(frames: list[Frame | bytes]) -> None:
    peer = Peer()

    assert ended(peer.send(*frames)) not in (None, 0)
    assert peer.server.over
    assert not peer.server.ready
    assert peer.send(peer.get(101)) == []


@pytest.mark.parametrize(
    "greeting", [b"GET / HTTP/1.1\r\n", bytes(24), PREFACE[:-1] + b"x", PREFACE + bytes(9)]
)
def test_who_begins_with_something_else_speaks_something_else(greeting: bytes) -> None:
    """RFC 9113 §3.4."""
    server = Connection()
    server.receive(greeting)
    while server.step(0.0):
        pass
    assert server.over


def test_a_header_block_may_come_in_pieces() -> None:
    block = hpack.Encoder().encode(GET)
    first = HeadersFrame(1, block[:1])
    first.flags.add("END_STREAM")
    pieces = [ContinuationFrame(1, block[at : at + 1]) for at in range(1, len(block))]
    pieces[-1].flags.add("END_HEADERS")
    peer = Peer()
    peer.send(first, *pieces)

    assert [one.target for one in peer.server.ready] == ["/x"]


@pytest.mark.parametrize("size", [0, 1, 1000, 16384])
def test_a_header_block_without_an_end_is_bounded(size: int) -> None:
    """CVE-2024-27316 and its kin: frames without anything in them count as well."""
    peer = Peer()
    peer.send(peer.headers(1))
    sent = 0
    while not peer.server.over:
        peer.send(ContinuationFrame(1, bytes(size)))
        sent += size + 9
        assert sent < MAX_SILENT_OCTETS + size + 1000


def test_a_frame_too_large_is_not_waited_for() -> None:
    """A frame's header can announce 16 MB."""
    peer = Peer()
    peer.send(b"\xff\xff\xff\0\0\0\0\0\1", bytes(MAX_SILENT_OCTETS))

    assert peer.server.over


def test_a_header_bomb_ends_the_connection() -> None:
    """RFC 7541 §7.3: 5,000 octets that stand for 4 MB."""
    made = HeadersFrame(1, b"\x40\x01a\x7f\xa1\x1e" + b"b" * 4000 + b"\xbe" * 1000)
    made.flags.add("END_HEADERS")
    peer = Peer()
    peer.send(made)

    assert peer.server.over
    fields = [*GET, *(("x", "y" * 1000) for _ in range(MAX_HEADER_OCTETS // 1000))]
    peer = Peer()
    peer.send(peer.headers(1, "END_HEADERS", "END_STREAM", fields=fields))
    assert peer.server.over


def test_trailers_end_a_request() -> None:
    """RFC 9113 §8.1."""
    peer = Peer()
    peer.send(peer.headers(1, "END_HEADERS", fields=POST), data(1, b"abc"))
    peer.send(peer.headers(1, "END_HEADERS", "END_STREAM", fields=[("x-sum", "1")]))

    assert [one.body for one in peer.server.ready] == [b"abc"]


def test_an_answer_to_a_request_that_was_taken_back_is_dropped() -> None:
    peer = Peer()
    peer.send(peer.get(1), peer.get(3), RstStreamFrame(3))
    (request,) = peer.server.ready
    peer.send(RstStreamFrame(1))
    for stream in (1, 3):
        peer.server.respond(stream, FOUND, b"late")

    assert request.stream == 1
    assert peer.send() == []
    assert not peer.server.ready
    assert not peer.server.owing


@pytest.mark.parametrize("how", ["taken back", "after its end", "no window"])
def test_requests_without_an_answer_have_an_end(how: str) -> None:
    """CVE-2023-44487; CVE-2025-8671, where the server is made to do it."""
    peer = Peer()
    for stream in range(1, 2 * MAX_RESETS + 4, 2):
        more: Frame | bytes = RstStreamFrame(stream)
        if how == "after its end":
            more = data(stream)
        elif how == "no window":
            more = b"\0\0\4\x08\0" + stream.to_bytes(4, "big") + bytes(4)
        frames = peer.send(peer.get(stream), more)
        if peer.server.over:
            break
    assert ended(frames) == CALM or how == "no window"
    assert peer.server.over


def test_one_request_too_many_ends_the_connection() -> None:
    peer = Peer()
    peer.send(*(peer.get(2 * at + 1) for at in range(MAX_STREAMS)))
    assert not peer.server.over
    assert len(peer.server.ready) == MAX_STREAMS
    peer.send(peer.get(2 * MAX_STREAMS + 1))
    assert peer.server.over


def test_what_calls_for_nothing_gets_nothing() -> None:
    peer = Peer()
    acknowledged = PingFrame(0)
    acknowledged.flags.add("ACK")
    unknown = b"\0\0\2\xfe\xff\0\0\0\x09ab"

    assert peer.send(unknown, PriorityFrame(1), acknowledged) == []
    (pong,) = peer.send(PingFrame(0, b"12345678"))
    assert isinstance(pong, PingFrame)
    assert (pong.opaque_data, set(pong.flags)) == (b"12345678", {"ACK"})
    (settled,) = peer.send(SettingsFrame(0, {0x77: 1}))
    assert set(settled.flags) == {"ACK"}


@pytest.mark.parametrize("window", [0, 100, 16384, 65535, 2**31 - 1])
def test_answers_keep_to_windows_however_they_change(window: int) -> None:
    """RFC 9113 §6.9.2: settings change windows of streams that there are."""
    client, server = client_of(window), Connection()
    streams = [2 * at + 1 for at in range(5)]
    for stream in streams:
        client.send_headers(stream, GET, end_stream=True)
    body = bytes(range(250)) * 160
    events = talk(client, server, body)
    client.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 30_000})
    events += talk(client, server, body)
    for stream in streams:
        if stream not in _ended(events):
            client.increment_flow_control_window(20_000, stream)
    events += talk(client, server, body)

    assert _ended(events) == set(streams)
    for stream in streams:
        parts = [e.data for e in events if isinstance(e, DataReceived) and e.stream_id == stream]
        assert b"".join(part or b"" for part in parts) == body
    assert (server.unsent, server.owing, server.finished) == (0, False, 5)


def _ended(events: list[Event]) -> set[int | None]:
    return {event.stream_id for event in events if isinstance(event, StreamEnded)}


def test_an_answer_without_a_body_needs_no_window() -> None:
    client, server = client_of(window=0), Connection()
    client.send_headers(1, GET, end_stream=True)

    assert _ended(talk(client, server, b"")) == {1}


@pytest.mark.parametrize(
    ("size", "kept"), [(0, True), (49152, True), (65535, True), (65536, False), (400_000, False)]
)
def test_the_largest_message_arrives_and_what_is_longer_is_not_kept(size: int, kept: bool) -> None:
    client, server = client_of(), Connection()
    client.receive_data(pumped(client, server))
    for stream in (1, 3):
        client.send_headers(stream, POST)
        sent = 0
        while sent < size:
            part = min(size - sent, client.local_flow_control_window(stream), 16384)
            assert part
            client.send_data(stream, b"x" * part)
            sent += part
            client.receive_data(pumped(client, server))
        client.end_stream(stream)
        client.receive_data(pumped(client, server))
        request = server.ready.popleft()
        assert request.body == (b"x" * size if kept else None)
        server.taken(request)


def test_bodies_that_do_not_end_are_bounded_for_the_connection() -> None:
    client, server = client_of(), Connection()
    client.receive_data(pumped(client, server))
    streams = range(1, 40, 2)
    for stream in streams:
        client.send_headers(stream, POST)
        room = min(client.local_flow_control_window(stream), 16384)
        if room:
            client.send_data(stream, b"x" * room)
        client.receive_data(pumped(client, server))
    assert client.outbound_flow_control_window == 0

    for stream in streams:  # what was kept is given back
        client.reset_stream(stream)
    events = client.receive_data(pumped(client, server))
    assert client.outbound_flow_control_window > 65535
    assert [one for one in events if isinstance(one, WindowUpdated)]


def test_padding_comes_back() -> None:
    peer = Peer()
    peer.send(peer.headers(1, "END_HEADERS", fields=POST))
    for _ in range(2000):  # 510 KB of padding around nothing
        padded = DataFrame(1, b"", pad_length=255)
        padded.flags.add("PADDED")
        assert ended(peer.send(padded)) is None
    peer.send(data(1, b"hello", "END_STREAM"))

    assert peer.server.ready[0].body == b"hello"


def test_the_end_is_announced() -> None:
    """RFC 9113 §6.8."""
    peer = Peer()
    peer.send(peer.get(1))
    peer.server.leave()
    peer.server.leave()
    (goodbye,) = peer.send(peer.get(3))

    assert isinstance(goodbye, GoAwayFrame)
    assert (goodbye.error_code, goodbye.last_stream_id) == (0, 1)


def test_a_client_that_says_goodbye_gets_nothing_more() -> None:
    peer = Peer()
    peer.send(peer.get(1), peer.get(3))
    peer.send(GoAwayFrame(0))
    peer.server.respond(1, FOUND, b"late")

    assert peer.server.over
    assert not peer.server.ready
    assert peer.send() == []


def test_the_oldest_unfinished_request_is_what_has_to_hurry() -> None:
    peer = Peer()
    server = peer.server
    for stream, now in ((1, 10.0), (3, 20.0)):
        server.receive(peer.headers(stream, "END_HEADERS", fields=POST).serialize())
        server.step(now)
    assert server.incoming_since == 10.0
    peer.send(data(1, b"", "END_STREAM"))
    assert server.incoming_since == 20.0
    assert server.owing
    peer.send(RstStreamFrame(3))
    assert server.incoming_since is None


def test_any_octets_are_taken_in_or_end_the_connection() -> None:
    """No exception, whatever comes."""
    chance = random.Random(9113)
    for _ in range(300):
        peer = Peer()
        for _ in range(30):
            size = chance.randrange(40)
            peer.send(
                size.to_bytes(3, "big")
                + bytes((chance.randrange(11), chance.randrange(256)))
                + chance.choice((0, 1, 1, 3, 5)).to_bytes(4, "big")
                + chance.randbytes(size)
            )
        for request in list(peer.server.ready):
            peer.server.respond(request.stream, FOUND, b"x")
