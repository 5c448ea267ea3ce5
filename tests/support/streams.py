"""Talking to listeners of streams."""

import asyncio
import contextlib
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable

import dns.message

from svcdns.aio.binding import open_stream
from svcdns.aio.connections import Limits
from svcdns.aio.stream import Responder
from svcdns.aio.tcp import StreamListener
from svcdns.aio.turns import Turns
from svcdns.aio.upstream import Upstreams
from svcdns.plugins.base import Ask
from svcdns.plugins.commands import Transport
from tests.support.server import EchoServer

PATIENT = Limits(read=60.0, write=60.0, idle=60.0)
"""For clients that may stall in the middle of what they do, because we are in one process."""


@contextlib.asynccontextmanager
async def listening(
    upstreams: Upstreams,
    *,
    limits: Limits = PATIENT,
    address: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
    server: Responder | None = None,
    turns: Turns | None = None,
) -> AsyncIterator[tuple[StreamListener, int]]:
    """Listen over TCP, or TLS; give the listener and its port."""

    def settle(ask: Ask) -> Awaitable[object]:
        return upstreams.settle(ask)

    sock = open_stream(address, 0)
    listener = StreamListener(
        sock,
        server or EchoServer(),
        settle,
        transport=Transport.TLS if tls else Transport.TCP,
        limits=limits,
        turns=turns,
    )
    port = sock.getsockname()[1]
    await listener.start(tls)
    try:
        yield listener, port
    finally:
        await listener.stop(grace=0.2)


def frame(name: str) -> bytes:
    """Make a query as it goes over TCP."""
    wire = dns.message.make_query(name, "TXT").to_wire()
    return struct.pack("!H", len(wire)) + wire


async def read(reader: asyncio.StreamReader) -> dns.message.Message:
    """Read one answer."""
    async with asyncio.timeout(30):
        (size,) = struct.unpack("!H", await reader.readexactly(2))
        return dns.message.from_wire(await reader.readexactly(size))


async def closed(reader: asyncio.StreamReader) -> bool:
    """Tell whether the server closes next."""
    async with asyncio.timeout(30):
        try:
            return await reader.read(1) == b""
        except ConnectionResetError:
            return True
