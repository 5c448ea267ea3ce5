"""Pages for strangers: what they may keep open, and what they may write into the log."""

import asyncio
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from svcdns.aio import httpserver
from svcdns.aio.httpserver import HttpServer


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/bug":
            raise KeyError("a bug")
        return web.Response(text="OK")

    sock = socket.socket()
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))
    server = HttpServer(sock, handler)
    await server.start()
    yield sock.getsockname()[1]
    await server.close()


async def get(port: int, path: str = "/") -> tuple[int, str]:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
        session.get(f"http://127.0.0.1:{port}{path}") as response,
    ):
        return response.status, await response.text()


@pytest.mark.parametrize(
    "words", [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"]
)
async def test_who_holds_connections_keeps_no_probe_out(
    port: int, words: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(httpserver, "MOST_CONNECTIONS", 4)
    held = []
    for _ in range(9):
        held.append(await asyncio.open_connection("127.0.0.1", port))
        held[-1][1].write(words)
    assert await get(port) == (200, "OK")

    async with asyncio.timeout(10):
        for reader, _ in held[:6]:
            await reader.read()  # to its end: these were closed
    for _, writer in held:
        writer.close()


@pytest.mark.parametrize(
    "words",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET http://[::1/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
async def test_a_request_that_is_none_leaves_no_trace(
    port: int, words: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(words)
    async with asyncio.timeout(10):
        assert (await reader.readline()).split()[1] == b"400"
    writer.close()

    assert caplog.text == ""


async def test_a_bug_costs_its_request_and_is_told(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert await get(port, "/bug") == (500, "500 internal server error\n")
    assert "a bug in the page /bug" in caplog.text
    assert "KeyError: 'a bug'" in caplog.text
    assert await get(port) == (200, "OK")
