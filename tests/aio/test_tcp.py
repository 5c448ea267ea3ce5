"""The listening socket and its server."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import dns.asyncquery
import dns.message
import pytest
import pytest_asyncio
from msgspec.structs import replace

from svcdns.aio.upstream import Upstreams
from tests.support.certificates import authority
from tests.support.server import EchoServer
from tests.support.streams import PATIENT, closed, frame, listening, read
from tests.support.waiting import until


@pytest_asyncio.fixture
async def upstreams() -> AsyncIterator[Upstreams]:
    made = Upstreams()
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("bind", "ask"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("", "127.0.0.1"), ("", "::1")],
)
async def test_a_query_is_answered_over_either_family(
    upstreams: Upstreams, bind: str, ask: str
) -> None:
    async with listening(upstreams, address=bind) as (_, port):
        query = dns.message.make_query("a.example.", "TXT")
        answer = await dns.asyncquery.tcp(query, ask, port=port, timeout=30)

    assert answer.answer[0][0].to_text() == f'"tcp {ask}"'


async def test_dns_over_tls_is_its_own_protocol(upstreams: Upstreams, tmp_path: Path) -> None:
    """RFC 7858; metrics call it tcp-tls."""
    certificate = authority(tmp_path, "dns.example.org")
    async with listening(upstreams, tls=certificate.server_context()) as (_, port):
        answer = await dns.asyncquery.tls(
            dns.message.make_query("a.example.", "TXT"),
            "127.0.0.1",
            port=port,
            timeout=30,
            server_hostname="dns.example.org",
            verify=certificate.authority,
        )

    assert answer.answer[0][0].to_text() == '"tcp-tls 127.0.0.1"'


async def test_too_many_connections_cost_the_longest_idle_one(upstreams: Upstreams) -> None:
    async with listening(upstreams, limits=replace(PATIENT, connections=2)) as (_, port):
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
    server = EchoServer()
    async with listening(upstreams, server=server) as (listener, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(frame("slow.example."))
        await until(lambda: server.clients)
        stopping = asyncio.ensure_future(listener.stop())

        assert str((await read(reader)).question[0].name) == "slow.example."
        assert await closed(reader)
        await stopping
        writer.close()
