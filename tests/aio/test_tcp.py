import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import dns.asyncquery
import dns.message
import pytest
import pytest_asyncio

from svcdns.aio.tcp import Limits, StreamListener, open_socket
from svcdns.aio.upstream import Upstreams
from svcdns.plugins.base import Ask, Client, Rendered, Transport
from tests.support.certificates import authority
from tests.support.server import EchoServer
from tests.support.waiting import until


@pytest_asyncio.fixture
async def upstreams() -> AsyncIterator[Upstreams]:
    made = Upstreams()
    yield made
    await made.close()


@contextlib.asynccontextmanager
async def listening(
    upstreams: Upstreams,
    *,
    limits: Limits | None = None,
    address: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
    server: EchoServer | None = None,
) -> AsyncIterator[tuple[StreamListener, int]]:
    def settle(ask: Ask) -> Awaitable[object]:
        return upstreams.settle(ask)

    sock = open_socket(address, 0)
    listener = StreamListener(
        sock,
        server or EchoServer(),
        settle,
        transport=Transport.TLS if tls else Transport.TCP,
        limits=limits,
    )
    port = sock.getsockname()[1]
    await listener.start(tls)
    try:
        yield listener, port
    finally:
        await listener.stop(grace=0.2)


def frame(name: str) -> bytes:
    wire = dns.message.make_query(name, "TXT").to_wire()
    return struct.pack("!H", len(wire)) + wire


async def read(reader: asyncio.StreamReader) -> dns.message.Message:
    async with asyncio.timeout(10):
        (size,) = struct.unpack("!H", await reader.readexactly(2))
        return dns.message.from_wire(await reader.readexactly(size))


async def closed(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(10):
        try:
            return await reader.read(1) == b""
        except ConnectionResetError:
            return True


@pytest.mark.parametrize(
    ("bind", "ask"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("", "127.0.0.1"), ("", "::1")],
)
async def test_a_query_is_answered_over_either_family(
    upstreams: Upstreams, bind: str, ask: str
) -> None:
    async with listening(upstreams, address=bind) as (_, port):
        query = dns.message.make_query("a.example.", "TXT")
        answer = await dns.asyncquery.tcp(query, ask, port=port, timeout=5)

    assert answer.answer[0][0].to_text() == f'"tcp {ask}"'


async def test_dns_over_tls_is_its_own_protocol(upstreams: Upstreams, tmp_path: Path) -> None:
    """RFC 7858; metrics call it tcp-tls."""
    certificate = authority(tmp_path, "dns.example.org")
    async with listening(upstreams, tls=certificate.server_context()) as (_, port):
        answer = await dns.asyncquery.tls(
            dns.message.make_query("a.example.", "TXT"),
            "127.0.0.1",
            port=port,
            timeout=5,
            server_hostname="dns.example.org",
            verify=certificate.authority,
        )

    assert answer.answer[0][0].to_text() == '"tcp-tls 127.0.0.1"'


async def test_frames_may_arrive_octet_by_octet(upstreams: Upstreams) -> None:
    async with listening(upstreams) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for octet in frame("a.example.") + frame("b.example."):
            writer.write(bytes((octet,)))
            await writer.drain()
        names = [str((await read(reader)).question[0].name) for _ in range(2)]
        writer.close()

    assert names == ["a.example.", "b.example."]


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

    limits = Limits(turn=0)
    async with listening(upstreams, server=Interrupted(), limits=limits) as (_, port):
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
    async with listening(upstreams, limits=Limits(turn=0)) as (_, port):
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
    limits = Limits(under_way=4)
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
    async with listening(upstreams, limits=Limits(write=0.1)) as (listener, port):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", port))
            sock.sendall(frame("stream.1000.example.") * 3)
            await until(lambda: listener.connections)
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


async def test_too_many_connections_cost_the_longest_idle_one(upstreams: Upstreams) -> None:
    async with listening(upstreams, limits=Limits(connections=2)) as (_, port):
        open_ones = []
        for name in ("a.example.", "b.example."):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(frame(name))
            await read(reader)
            open_ones.append((reader, writer))
        first, second = open_ones
        first[1].write(frame("again.example."))
        await read(first[0])

        third = await asyncio.open_connection("127.0.0.1", port)
        third[1].write(frame("c.example."))
        assert await read(third[0])
        assert await closed(second[0])
        first[1].write(frame("still.example."))
        assert await read(first[0])
        for _, writer in (*open_ones, third):
            writer.close()


async def test_a_limit_of_queries_ends_the_connection(upstreams: Upstreams) -> None:
    async with listening(upstreams, limits=Limits(queries=1)) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(frame("a.example.") + frame("b.example."))

        assert str((await read(reader)).question[0].name) == "a.example."
        assert await closed(reader)
        writer.close()


async def test_an_exchanged_server_answers_on_open_connections(upstreams: Upstreams) -> None:
    async with listening(upstreams, server=EchoServer(text="old")) as (listener, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(frame("a.example."))
        before = (await read(reader)).answer[0][0].to_text()
        listener.server = EchoServer(text="new")
        writer.write(frame("a.example."))
        after = (await read(reader)).answer[0][0].to_text()
        writer.close()

    assert (before, after) == ('"old"', '"new"')


async def test_stopping_lets_answers_under_way_out(upstreams: Upstreams) -> None:
    async with listening(upstreams) as (listener, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(frame("slow.example."))
        await until(lambda: upstreams.under_way)
        stopping = asyncio.ensure_future(listener.stop())

        assert str((await read(reader)).question[0].name) == "slow.example."
        assert await closed(reader)
        await stopping
        writer.close()


async def test_a_client_that_goes_away_with_a_query_under_way_hurts_nobody(
    upstreams: Upstreams,
) -> None:
    async with listening(upstreams) as (listener, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(frame("slow.example."))
        await until(lambda: upstreams.under_way)
        writer.transport.abort()
        assert await upstreams.drained(5)
        await asyncio.sleep(0)

        assert not listener.connections


def test_a_taken_port_is_an_error() -> None:
    with open_socket("127.0.0.1", 0) as first:
        first.listen()
        with pytest.raises(OSError, match="in use"):
            open_socket("127.0.0.1", first.getsockname()[1])


def test_limits_are_those_of_the_reference() -> None:
    """Rule J12."""
    limits = Limits()

    assert (limits.read, limits.write, limits.idle, limits.queries) == (3.0, 5.0, 10.0, -1)
