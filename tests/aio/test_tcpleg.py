"""Streams through a relay, seen from both ends: nothing is lost, and ends are passed on as such."""

import asyncio
import hashlib
import random
import socket
from struct import unpack

import pytest

from svcdns.aio.pipes import PipePool
from svcdns.aio.userspace import UserspaceProxy
from tests.support.endpoints import (
    address,
    dial,
    echo,
    endpoints,
    receive,
    receive_all,
    reset,
    until,
)
from tests.support.plans import service_plan
from tests.support.relays import FRONT, FRONT_ADDRESS, proxying
from tests.support.waiting import pace

LOOP_SIZES = [1, 1000, 65_535, 65_536, 65_537, 131_072, 5_000_001]


async def send_all(sock: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(sock, data)


@pytest.mark.parametrize("size", LOOP_SIZES)
async def test_octets_come_back_whole_whatever_their_number(size: int) -> None:
    data = random.Random(size).randbytes(size)
    async with endpoints(1) as (server,), proxying(service_plan(FRONT, server.name)):
        with await dial(*FRONT_ADDRESS) as client:
            sending = asyncio.create_task(send_all(client, data))
            got = b""
            while len(got) < size:
                got += await receive(client)
            await sending
            assert hashlib.sha256(got).digest() == hashlib.sha256(data).digest()


async def test_without_pipes_bulk_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PipePool, "take", lambda self: None)
    data = random.Random(1).randbytes(3_000_000)
    async with endpoints(1) as (server,), proxying(service_plan(FRONT, server.name)):
        with await dial(*FRONT_ADDRESS) as client:
            sending = asyncio.create_task(send_all(client, data))
            got = b""
            while len(got) < len(data):
                got += await receive(client)
            await sending
            assert got == data


async def test_a_client_that_has_finished_still_gets_its_answer_r132() -> None:
    async def answer_at_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.read()
        writer.write(b"you said " + asked)
        await writer.drain()

    async with (
        endpoints(1, answer_at_the_end) as (server,),
        proxying(service_plan(FRONT, server.name)),
    ):
        with await dial(*FRONT_ADDRESS) as client:
            await send_all(client, b"hello")
            client.shutdown(socket.SHUT_WR)
            assert await receive_all(client) == b"you said hello"


async def test_a_client_may_go_on_after_the_endpoint_has_finished_r132() -> None:
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def finish_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"that was all")
        writer.write_eof()
        heard.set_result(await reader.read())

    async with endpoints(1, finish_first) as (server,), proxying(service_plan(FRONT, server.name)):
        with await dial(*FRONT_ADDRESS) as client:
            assert await receive_all(client) == b"that was all"
            await send_all(client, b"but I have more")
            client.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(30):
                assert await heard == b"but I have more"


async def test_an_endpoint_that_speaks_first_is_heard() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        await echo(reader, writer)

    async with endpoints(1, greet) as (server,), proxying(service_plan(FRONT, server.name)):
        with await dial(*FRONT_ADDRESS) as client:
            assert await receive(client) == b"220 ready\r\n"


async def test_an_endpoint_that_speaks_and_leaves_at_once_is_heard() -> None:
    async def daytime(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"noon")

    async with endpoints(1, daytime) as (server,), proxying(service_plan(FRONT, server.name)):
        for _ in range(50):
            with await dial(*FRONT_ADDRESS) as client:
                assert await receive_all(client) == b"noon"


@pytest.mark.parametrize("size", LOOP_SIZES)
async def test_last_words_are_whole_whatever_their_number(size: int) -> None:
    data = random.Random(size).randbytes(size)

    async def say_and_leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    async with endpoints(1, say_and_leave) as (server,), proxying(service_plan(FRONT, server.name)):
        with await dial(*FRONT_ADDRESS) as client:
            assert await receive_all(client) == data


async def test_last_words_and_the_end_of_a_stream_are_one_segment() -> None:
    host, loop = address(1000), asyncio.get_running_loop()
    with socket.create_server((host, 9000)) as server:
        server.setblocking(False)
        async with proxying(service_plan(FRONT, f"{host}:9000")):
            with await dial(*FRONT_ADDRESS) as client:
                endpoint, _ = await loop.sock_accept(server)
                before = segments_received(client)
                endpoint.send(b"answer")
                endpoint.close()
                assert await receive_all(client) == b"answer"
                assert segments_received(client) == before + 1


def segments_received(sock: socket.socket) -> int:
    """Give ``tcpi_segs_in`` of ``struct tcp_info`` (linux/tcp.h): its 36th word."""
    found: int = unpack("36I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 144))[35]
    return found


async def test_rst_of_the_client_reaches_the_endpoint() -> None:
    seen: asyncio.Future[Exception | bytes] = asyncio.get_running_loop().create_future()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        try:
            seen.set_result(await reader.read())
        except ConnectionError as error:
            seen.set_result(error)

    async with endpoints(1, wait) as (server,), proxying(service_plan(FRONT, server.name)):
        client = await dial(*FRONT_ADDRESS)
        assert await receive(client) == b"hello"
        reset(client)
        async with asyncio.timeout(30):
            assert isinstance(await seen, ConnectionResetError)


async def test_rst_of_the_endpoint_reaches_the_client() -> None:
    async with endpoints(1) as (server,), proxying(service_plan(FRONT, server.name)):
        with await dial(*FRONT_ADDRESS) as client:
            await send_all(client, b"hello")
            assert await receive(client) == b"hello"
            server.kill()
            with pytest.raises(ConnectionResetError):
                await receive(client)


async def test_an_answer_before_a_reset_is_not_lost() -> None:
    """413 in the middle of an upload: the server answers and closes with octets unread."""

    async def refuse_upload(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"413 too large")
        await writer.drain()

    async with endpoints(1, refuse_upload) as (server,), proxying(service_plan(FRONT, server.name)):
        with await dial(*FRONT_ADDRESS) as client:
            await send_all(client, bytes(200_000))
            assert await receive(client) == b"413 too large"


def queued(proxy: UserspaceProxy) -> int:
    (served,) = proxy.services.values()
    proxy._publish()
    return sum(endpoint.sent for endpoint in served.endpoints())


async def test_an_endpoint_that_does_not_read_stops_the_client() -> None:
    release = asyncio.Event()
    total = 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal total
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await release.wait()
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        while data := await reader.read(1 << 20):
            total += len(data)

    async with endpoints(1, slow) as (server,), proxying(service_plan(FRONT, server.name)) as proxy:
        with await dial(*FRONT_ADDRESS) as client:
            sent = 0
            stuck = 0
            while stuck < 20:
                try:
                    sent += client.send(bytes(1 << 16))
                    stuck = 0
                except BlockingIOError:
                    stuck += 1
                await pace(0.005)
                assert sent < 64 << 20, "nothing holds the client back"
            assert queued(proxy) <= sent
            release.set()
            client.shutdown(socket.SHUT_WR)
            await until(lambda: total == sent)


async def test_urgent_data_stays_in_its_place() -> None:
    async with endpoints(1) as (server,), proxying(service_plan(FRONT, server.name)):
        with await dial(*FRONT_ADDRESS) as client:
            client.send(b"abc")
            client.send(b"X", socket.MSG_OOB)
            client.send(b"def")
            client.shutdown(socket.SHUT_WR)
            assert await receive_all(client) == b"abcXdef"


async def test_urgent_data_does_not_hide_what_follows() -> None:
    async with endpoints(1) as (server,), proxying(service_plan(FRONT, server.name)):
        with await dial(*FRONT_ADDRESS) as client:
            got = b""
            for _ in range(20):
                client.send(b"ab")
                client.send(b"!", socket.MSG_OOB)
                client.send(b"cd")
            while len(got) < 100:
                got += await receive(client)
            assert got == b"ab!cd" * 20


async def test_many_streams_at_once_do_not_mix() -> None:
    async def one(number: int) -> bool:
        data = random.Random(number).randbytes(200_000 + number)
        with await dial(*FRONT_ADDRESS) as client:
            sending = asyncio.create_task(send_all(client, data))
            got = b""
            while len(got) < len(data):
                got += await receive(client)
            await sending
            return got == data

    async with endpoints(3) as servers, proxying(service_plan(FRONT, *(s.name for s in servers))):
        assert all(await asyncio.gather(*(one(n) for n in range(60))))
