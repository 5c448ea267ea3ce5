"""One connection of HTTP/2, with h2's client side as the peer and no socket."""

import asyncio
import itertools
from collections.abc import Awaitable, Iterable

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.settings import SettingCodes
from msgspec.structs import replace

from svcdns.aio.connections import Limits
from svcdns.aio.http2 import Http2
from svcdns.aio.turns import Turns
from svcdns.dns.http2 import MAX_RESETS, MAX_STREAMS, Request
from svcdns.plugins.base import HttpAnswer
from tests.support.streams import PATIENT
from tests.support.waiting import pace, until

GET = [(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "/x")]
POST = [*[(":method", "POST")], *GET[1:], ("content-type", "text/x")]


class _Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.pieces: list[bytes] = []
        self.closed = False
        self.aborted = False
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.pieces += [bytes(one) for one in list_of_data]
        self.written += b"".join(list_of_data)

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Pair:
    """A server and a client that speak through memory."""

    def __init__(
        self, size: int = 10, turns: Turns | None = None, limits: Limits = PATIENT
    ) -> None:
        self.size = size
        self.hold = asyncio.Event()
        self.hold.set()
        self.asked: list[Request] = []
        self.server = Http2(self._answer, limits, turns or Turns(3600.0))
        self.transport = _Transport()
        self.client = H2Connection(H2Configuration(client_side=True))
        self.client.initiate_connection()
        self.server.connection_made(self.transport)

    def _answer(self, request: Request) -> HttpAnswer | Awaitable[HttpAnswer]:
        self.asked.append(request)
        answer = HttpAnswer(200, b"y" * self.size, "text/y", (("X-More", "1"),))
        return answer if self.hold.is_set() else self._later(answer)

    async def _later(self, answer: HttpAnswer) -> HttpAnswer:
        await self.hold.wait()
        return answer

    def ask(self, headers: list[tuple[str, str]] | None = None, body: bytes = b"") -> int:
        stream = self.client.get_next_available_stream_id()
        self.client.send_headers(stream, headers or GET, end_stream=not body)
        while body:
            room = min(self.client.local_flow_control_window(stream), 16384)
            if not room:
                self.exchange()
                continue
            self.client.send_data(stream, body[:room], end_stream=len(body) <= room)
            body = body[room:]
        return stream

    def exchange(self) -> list[Event]:
        """Carry what both sides have said; give the client's events."""
        events: list[Event] = []
        while True:
            sent = self.client.data_to_send()
            if sent:
                self.server.data_received(sent)
            got = bytes(self.transport.written)
            self.transport.written.clear()
            if not sent and not got:
                return events
            for event in self.client.receive_data(got):
                events.append(event)
                if isinstance(event, DataReceived):
                    self.client.acknowledge_received_data(
                        event.flow_controlled_length, event.stream_id
                    )

    async def settle(self) -> list[Event]:
        """Let the answers be made, too."""
        events = self.exchange()
        for _ in range(20):
            await asyncio.sleep(0)
            events += self.exchange()
        return events


def body_of(events: list[Event], stream: int) -> bytes:
    return b"".join(
        event.data
        for event in events
        if isinstance(event, DataReceived) and event.stream_id == stream
    )


async def test_a_request_is_taken_apart_and_its_answer_put_together() -> None:
    pair = Pair()
    stream = pair.ask(POST, b"hello")
    events = await pair.settle()

    assert pair.asked == [Request(1, "POST", "/x", "text/x", b"hello")]
    (response,) = [event for event in events if isinstance(event, ResponseReceived)]
    assert dict(response.headers) == {
        b":status": b"200", b"content-type": b"text/y", b"content-length": b"10", b"x-more": b"1"
    }  # fmt: skip
    assert body_of(events, stream) == b"y" * 10


async def test_many_large_answers_wait_for_the_clients_windows() -> None:
    """RFC 9113 §5.2: the client's first window holds 65,535 octets for the connection."""
    pair = Pair(size=60_000)
    streams = [pair.ask() for _ in range(20)]
    events = await pair.settle()

    assert [len(body_of(events, stream)) for stream in streams] == [60_000] * 20
    assert len([event for event in events if isinstance(event, StreamEnded)]) == 20


async def test_a_body_longer_than_any_message_is_not_kept() -> None:
    pair = Pair()
    pair.ask(POST, bytes(300_000))
    await pair.settle()

    assert pair.asked == [Request(1, "POST", "/x", "text/x", None)]


async def test_a_request_taken_back_is_not_answered() -> None:
    pair = Pair()
    pair.hold.clear()
    stream = pair.ask()
    await pair.settle()
    pair.client.reset_stream(stream)
    await pair.settle()
    pair.hold.set()
    events = await pair.settle()

    assert not [event for event in events if isinstance(event, ResponseReceived | StreamReset)]


async def test_who_takes_back_requests_without_end_is_closed() -> None:
    """CVE-2023-44487."""
    pair = Pair()
    pair.hold.clear()
    for _ in range(MAX_RESETS + 1):
        pair.client.reset_stream(pair.ask())
    events = await pair.settle()

    assert [event for event in events if isinstance(event, ConnectionTerminated)]
    assert pair.transport.closed


async def test_the_client_is_told_how_much_it_may_ask_at_a_time() -> None:
    pair = Pair()
    pair.exchange()

    assert pair.client.remote_settings.max_concurrent_streams == MAX_STREAMS


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", bytes(100), b"\xff" * 100])
async def test_garbage_ends_the_connection(garbage: bytes) -> None:
    pair = Pair()
    pair.server.data_received(garbage)

    assert pair.transport.closed


@pytest.mark.parametrize("cut", range(1, 120, 7))
async def test_a_request_may_come_in_any_pieces(cut: int) -> None:
    pair = Pair()
    pair.ask(POST, b"hello")
    data = pair.client.data_to_send()
    pair.server.data_received(data[:cut])
    pair.server.data_received(data[cut:])
    await pair.settle()

    assert pair.asked == [Request(1, "POST", "/x", "text/x", b"hello")]


async def test_a_client_that_does_not_read_is_not_read_from() -> None:
    pair = Pair(size=1000)
    pair.server.pause_writing()
    assert not pair.transport.reading
    stream = pair.ask()
    held = await pair.settle()
    assert body_of(held, stream) == b""

    pair.server.resume_writing()
    events = await pair.settle()

    assert pair.transport.reading
    assert len(body_of(events, stream)) == 1000


async def test_a_lost_connection_drops_what_is_under_way() -> None:
    pair = Pair()
    pair.hold.clear()
    pair.ask()
    await pair.settle()

    pair.server.connection_lost(None)
    pair.hold.set()
    events = await pair.settle()

    assert events == []


async def test_requests_that_come_at_once_are_taken_in_by_turns() -> None:
    """However much two clients send, a piece of it at a time comes before everybody else's turn."""
    turns = Turns(0.0)
    pairs = [Pair(turns=turns), Pair(turns=turns)]
    for pair in pairs:
        pair.exchange()
        for _ in range(100):
            pair.ask(POST, b"x" * 40)
        pair.server.data_received(pair.client.data_to_send())
    counts = [sum(len(pair.asked) for pair in pairs)]
    while counts[-1] < 200 and len(counts) < 1000:
        await asyncio.sleep(0)
        counts.append(sum(len(pair.asked) for pair in pairs))

    assert counts[-1] == 200
    steps = [after - before for before, after in itertools.pairwise([0, *counts])]
    assert max(steps) <= 12
    await asyncio.gather(*(pair.settle() for pair in pairs))


async def test_who_sends_more_than_may_wait_for_a_turn_is_not_read_from_until_then() -> None:
    turns = Turns(0.0)
    pair, other = Pair(turns=turns), Pair(turns=turns)
    await pair.settle()
    other.ask()
    other.exchange()  # has the turn of this round
    unknown = b"\0\x40\0\xfe\0\0\0\0\0" + bytes(16384)  # no window bounds what nobody knows
    pair.ask()
    pair.server.data_received(unknown * 5 + pair.client.data_to_send())
    assert not pair.transport.reading

    await until(lambda: pair.transport.reading)
    assert len(pair.asked) == 1


async def test_an_answer_is_one_piece_that_a_tls_record_holds() -> None:
    """As dnsperf needs it: it passes over all answers of a record but the last."""
    pair = Pair(size=50)
    pair.exchange()
    pair.transport.pieces.clear()
    for _ in range(3):
        pair.ask()
    pair.server.data_received(pair.client.data_to_send())

    answers = [
        events for piece in pair.transport.pieces if (events := pair.client.receive_data(piece))
    ]
    assert [len(body_of(events, 2 * at + 1)) for at, events in enumerate(answers)] == [50] * 3


async def test_no_more_answers_are_made_than_the_client_takes_and_it_has_to_in_time() -> None:
    """RFC 9113 §10.5: a client without room is a client that does not read."""
    pair = Pair(size=40_000, limits=replace(PATIENT, write=0.1))
    pair.client.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
    for _ in range(50):
        pair.ask()
    await pair.settle()

    assert len(pair.asked) == 2
    await until(lambda: pair.transport.aborted)


@pytest.mark.parametrize("flood", ["nothing", "pings", "settings", "half a request"])
async def test_a_client_that_asks_nothing_is_closed_whatever_it_says(flood: str) -> None:
    pair = Pair(limits=replace(PATIENT, read=0.1))
    if flood == "half a request":
        pair.client.send_headers(1, POST)
    end = asyncio.get_running_loop().time() + 30
    while not pair.transport.closed and asyncio.get_running_loop().time() < end:
        if flood == "pings":
            pair.client.ping(b"12345678")
        elif flood == "settings":
            pair.client.update_settings({SettingCodes.HEADER_TABLE_SIZE: 4096})
        elif flood == "half a request":
            pair.client.send_data(1, b"")
        pair.exchange()
        await pace(0.01)

    assert pair.transport.closed
    assert not pair.asked


async def test_half_a_request_ends_the_connection_though_others_are_answered() -> None:
    pair = Pair(limits=replace(PATIENT, read=0.1))
    pair.client.send_headers(pair.client.get_next_available_stream_id(), POST)
    end = asyncio.get_running_loop().time() + 30
    while not pair.transport.closed and asyncio.get_running_loop().time() < end:
        pair.ask()
        pair.exchange()
        await pace(0.01)

    assert pair.transport.closed
    assert pair.asked


async def test_a_client_that_waits_for_a_slow_answer_is_neither_idle_nor_late() -> None:
    pair = Pair(limits=Limits(read=0.05, idle=0.05))
    pair.hold.clear()
    pair.ask()
    pair.exchange()
    await pace(0.3)
    assert not pair.transport.closed

    pair.hold.set()
    events = await pair.settle()
    assert [event for event in events if isinstance(event, StreamEnded)]
    await until(lambda: pair.transport.closed)


async def test_requests_beyond_what_may_be_under_way_wait() -> None:
    pair = Pair(limits=replace(PATIENT, under_way=3))
    pair.hold.clear()
    for _ in range(10):
        pair.ask()
    await pair.settle()
    assert len(pair.asked) == 3
    pair.client.reset_stream(1)  # what was begun for it goes on
    await pair.settle()
    assert len(pair.asked) == 3

    pair.hold.set()
    events = await pair.settle()
    assert len([event for event in events if isinstance(event, StreamEnded)]) == 9


async def test_the_end_comes_behind_the_answers_that_are_owed() -> None:
    """RFC 9113 §6.8."""
    pair = Pair()
    pair.hold.clear()
    stream = pair.ask()
    await pair.settle()
    pair.server.finish()
    assert not pair.transport.closed

    pair.hold.set()
    await until(lambda: pair.transport.closed)
    events = pair.client.receive_data(bytes(pair.transport.written))
    assert body_of(events, stream) == b"y" * 10
    assert isinstance(events[-1], ConnectionTerminated)
    assert (events[-1].error_code, events[-1].last_stream_id) == (0, stream)
