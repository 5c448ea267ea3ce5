"""One connection of a client, over real sockets."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator

import dns.message
import pytest
import pytest_asyncio
from msgspec.structs import replace

from svcdns.aio.connections import Limits
from svcdns.aio.stream import StreamConnection
from svcdns.aio.turns import Turns
from svcdns.aio.upstream import Upstreams
from svcdns.dns.name import from_text
from svcdns.dns.response import Record, Response
from svcdns.metrics import Registry
from svcdns.plugins.base import Ask, Client, Rendered, Reply, Storable
from svcdns.plugins.server import Server
from tests.support.server import EchoServer
from tests.support.serving import Scripted, always, server_of
from tests.support.streams import PATIENT, closed, frame, listening, read
from tests.support.waiting import pace, until


@pytest_asyncio.fixture
async def upstreams() -> AsyncIterator[Upstreams]:
    made = Upstreams()
    yield made
    await made.close()


async def test_frames_may_arrive_octet_by_octet(upstreams: Upstreams) -> None:
    async with listening(upstreams) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for octet in frame("a.example.") + frame("b.example."):
            writer.write(bytes((octet,)))
            await writer.drain()
        names = [str((await read(reader)).question[0].name) for _ in range(2)]
        writer.close()

    assert names == ["a.example.", "b.example."]


async def test_a_client_may_end_after_any_octet_of_a_frame(upstreams: Upstreams) -> None:
    """RFC 7766 §8: what is there in part is no message, and nobody waits for it."""
    whole = frame("a.example.")
    async with listening(upstreams) as (listener, port):
        for end in range(len(whole) + 1):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(whole + whole[:end])
            writer.write_eof()
            got = await asyncio.wait_for(reader.read(), 30)
            writer.close()

            size = int.from_bytes(got[:2], "big")
            assert len(got) == (2 + size) * (2 if end == len(whole) else 1), end
            assert dns.message.from_wire(got[2 : 2 + size]).question
        await until(lambda: not len(listener.connections))


async def test_a_client_that_pipelines_takes_turns_with_others(upstreams: Upstreams) -> None:
    """Reading as fast as it asks, it never meets the limit of what may wait to be read."""
    asked: list[int] = []
    many = 500

    class Interrupted(EchoServer):
        def respond(self, wire: bytes, client: Client, now: float) -> Rendered | Ask:
            asked.append(client.port)
            if asked.count(client.port) == 2:  # well inside the many
                others.write(frame("other.example."))
            return super().respond(wire, client, now)

    async with listening(upstreams, server=Interrupted(), turns=Turns(0.0)) as (_, port):
        other, others = await asyncio.open_connection("127.0.0.1", port)
        others.write(frame("first.example."))
        await read(other)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(frame("a.example.") * many)
        for _number in range(many):
            await read(reader)
        await read(other)
        writer.close()
        others.close()

    assert asked.index(asked[0], 1) < many // 2


async def test_a_client_that_closes_its_side_gets_the_answers_of_later_turns(
    upstreams: Upstreams,
) -> None:
    """RFC 7766 §6.2.4."""
    async with listening(upstreams, turns=Turns(0.0)) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(frame("a.example.") * 20)
        writer.write_eof()
        for _number in range(20):
            await read(reader)
        assert await closed(reader)
        writer.close()


async def test_a_fast_answer_overtakes_a_slow_one(upstreams: Upstreams) -> None:
    """RFC 7766 §6.2.1.1."""
    async with listening(upstreams) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(frame("slow.example.") + frame("fast.example."))
        names = [str((await read(reader)).question[0].name) for _ in range(2)]
        writer.close()

    assert names == ["fast.example.", "slow.example."]


async def test_more_queries_than_allowed_under_way_wait_and_are_answered(
    upstreams: Upstreams,
) -> None:
    limits = replace(PATIENT, under_way=4)
    async with listening(upstreams, limits=limits, server=EchoServer(delay=0.01)) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"".join(frame(f"slow.{n}.example.") for n in range(40)))
        names = {str((await read(reader)).question[0].name) for _ in range(40)}
        assert upstreams.under_way == 0
        writer.close()

    assert len(names) == 40


async def test_a_message_without_an_answer_keeps_the_connection(upstreams: Upstreams) -> None:
    """Rule J26: a frame shorter than a header is met with silence."""
    async with listening(upstreams) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(struct.pack("!H", 3) + b"abc" + struct.pack("!H", 0) + frame("a.example."))

        assert str((await read(reader)).question[0].name) == "a.example."
        writer.close()


@pytest.mark.parametrize("sent", [b"", b"\x00", frame("a.example.")[:-1]])
async def test_a_client_that_does_not_finish_its_query_is_closed_in_time(
    upstreams: Upstreams, sent: bytes
) -> None:
    """Rule J12: the read time-out."""
    limits = Limits(read=0.05, idle=60.0)
    async with listening(upstreams, limits=limits) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)

        assert await closed(reader)
        writer.close()


async def test_an_idle_client_is_closed_in_time(upstreams: Upstreams) -> None:
    """Rule J12: the idle time-out."""
    async with listening(upstreams, limits=Limits(read=60.0, idle=0.05)) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(frame("a.example."))
        await read(reader)

        assert await closed(reader)
        writer.close()


async def test_a_client_waiting_for_a_slow_answer_is_not_idle(upstreams: Upstreams) -> None:
    limits = Limits(read=0.02, idle=0.02)
    async with listening(upstreams, limits=limits) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(frame("slow.example."))

        assert str((await read(reader)).question[0].name) == "slow.example."
        writer.close()


async def test_a_client_that_does_not_read_is_cut_off(upstreams: Upstreams) -> None:
    """Rule J12: the write time-out."""
    server = EchoServer()
    limits = replace(PATIENT, write=0.1)
    async with listening(upstreams, limits=limits, server=server) as (listener, port):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", port))
            sock.sendall(frame("stream.1000.example.") * 3)
            await until(lambda: server.clients)
            await until(lambda: not listener.connections)


async def test_a_long_transfer_reaches_a_client_that_reads(upstreams: Upstreams) -> None:
    async with listening(upstreams) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(frame("stream.12.example.") + frame("a.example."))
        sizes = [len((await read(reader)).answer[0]) for _ in range(13)]
        writer.close()

    assert sizes == [284] * 12 + [1]


async def test_a_client_that_closes_its_side_still_gets_its_answers(upstreams: Upstreams) -> None:
    async with listening(upstreams) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(frame("slow.example."))
        writer.write_eof()

        assert str((await read(reader)).question[0].name) == "slow.example."
        assert await closed(reader)
        writer.close()


async def test_a_limit_of_queries_ends_the_connection(upstreams: Upstreams) -> None:
    async with listening(upstreams, limits=replace(PATIENT, queries=1)) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(frame("a.example.") + frame("b.example."))

        assert str((await read(reader)).question[0].name) == "a.example."
        assert await closed(reader)
        writer.close()


async def test_a_client_that_goes_away_with_a_query_under_way_hurts_nobody(
    upstreams: Upstreams,
) -> None:
    server = EchoServer()
    async with listening(upstreams, server=server) as (listener, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(frame("slow.example."))
        await until(lambda: server.clients)
        writer.transport.abort()
        await until(lambda: not upstreams.under_way)

        await until(lambda: not listener.connections)


def stored_answers(registry: Registry) -> tuple[Server, Scripted]:
    """Give a server whose answers are kept, in two orders, and the plugin that made them."""
    addresses = [Record(from_text("a.example."), 1, 5, bytes((10, 0, 0, last))) for last in (1, 2)]
    plugin = always(Reply(Response(answer=tuple(addresses)), store=Storable(("web",), rotate=True)))
    return server_of([plugin], registry=registry), plugin


async def test_what_was_asked_before_is_answered_from_the_table_in_turning_order(
    upstreams: Upstreams,
) -> None:
    registry = Registry()
    server, plugin = stored_answers(registry)
    wires = [
        dns.message.make_query(name, "A").to_wire() for name in ("a.example.", "A.Example.") * 4
    ]
    async with listening(upstreams, server=server) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"".join(struct.pack("!H", len(wire)) + wire for wire in wires))
        answers = [await read(reader) for _ in wires]
        server.drop(["web"])
        writer.write(struct.pack("!H", len(wires[0])) + wires[0])
        answers.append(await read(reader))
        writer.close()

    assert len(plugin.asked) == 2, "the first one, and the one after a change"
    asked = [dns.message.from_wire(wire) for wire in (*wires, wires[0])]
    assert [one.id for one in answers] == [one.id for one in asked]
    assert [str(one.question[0].name) for one in answers] == [
        str(one.question[0].name) for one in asked
    ]
    assert {one.answer[0][0].to_text() for one in answers} == {"10.0.0.1", "10.0.0.2"}
    [requests] = [one for one in registry.collect() if one.name == "coredns_dns_requests_total"]
    [(labels, counted)] = requests.cells.items()
    assert ("tcp" in labels, counted.value) == (True, 9)


@pytest.mark.parametrize("size", range(3))
async def test_a_frame_that_holds_no_message_is_passed_over(
    upstreams: Upstreams, size: int
) -> None:
    server, _ = stored_answers(Registry())
    async with listening(upstreams, server=server) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(struct.pack("!H", size) + b"x" * size + frame("a.example."))

        assert str((await read(reader)).question[0].name) == "a.example."
        writer.close()


async def test_many_clients_that_pipeline_leave_room_for_others(upstreams: Upstreams) -> None:
    """However many they are, one answer to them at a time comes before everybody else's turn."""
    rounds: list[int] = []

    class Counting(EchoServer):
        def respond(self, wire: bytes, client: Client, now: float) -> Rendered | Ask:
            rounds[-1] += 1
            return super().respond(wire, client, now)

    def count() -> None:
        rounds.append(0)
        asyncio.get_running_loop().call_soon(count)

    async with listening(upstreams, server=Counting(), turns=Turns(0.0)) as (_, port):
        clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        count()
        for _, writer in clients:
            writer.write(frame("a.example.") * 20)
        for reader, writer in clients:
            for _ in range(20):
                await read(reader)
            writer.close()
        most = max(rounds)
        rounds[:] = [sum(rounds)]

    assert rounds[0] == 400
    # One who is next in the queue, and one who comes first in a round that has just begun.
    assert most <= 2


async def test_a_slow_sender_cannot_stretch_the_time_for_a_query(upstreams: Upstreams) -> None:
    """J12: the limit is for the whole of it, not for each octet."""
    limits = Limits(read=0.3, idle=30.0)
    async with listening(upstreams, limits=limits) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(frame("a.example."))
        await read(reader)
        ended = asyncio.ensure_future(closed(reader))
        while not ended.done():
            with contextlib.suppress(ConnectionError):
                writer.write(b"\xff")  # 65,535 octets are announced
                await writer.drain()
            await pace(0.05)

        assert await ended
        writer.close()


class _Reading(asyncio.Transport):
    """Notes whether it is read from."""

    reading = True

    def __init__(self) -> None:
        there = ("127.0.0.1", 40000)
        super().__init__({"peername": there, "sockname": there})

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


async def test_a_client_that_waits_for_its_turn_cannot_pile_up_queries(
    upstreams: Upstreams,
) -> None:
    turns = Turns(0.0)
    async with listening(upstreams, turns=turns) as (listener, _):
        turns.take(lambda _ends: None)  # has the turn of this round
        connection, transport = StreamConnection(listener), _Reading()
        connection.connection_made(transport)
        query = frame("a.example.")
        connection.data_received(query)
        assert transport.reading
        connection.data_received(query * (65536 // len(query) + 1))
        assert not transport.reading
        await until(lambda: transport.reading)
        connection.connection_lost(None)
