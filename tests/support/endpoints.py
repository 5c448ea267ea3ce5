"""Endpoints for relays: real servers on loopback addresses that no other test run uses."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from struct import pack

DEADLINE = 30.0
"""Seconds after which a test gives up waiting; no test takes as long when it passes."""

RESET = pack("ii", 1, 0)
"""``struct linger``: on, 0 seconds."""

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


def address(number: int) -> str:
    """Give loopback address *number* (0 to 65535) of this process's own network."""
    return f"127.{64 + os.getpid() % 128}.{number >> 8}.{number & 255}"


async def until(condition: Callable[[], bool], what: str = "condition") -> None:
    """Wait until *condition* holds."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.002)
    assert condition(), what


class StreamEndpoint:
    """A TCP server that says who it is, or echoes, or whatever *handler* does; can be killed."""

    def __init__(self, host: str, port: int, handler: Handler | None = None) -> None:
        self.host, self.port = host, port
        self.taken = 0
        self.open: set[asyncio.StreamWriter] = set()
        self._handler = handler or echo
        self._server: asyncio.Server | None = None

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, self.host, self.port, reuse_address=True, backlog=1024
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken += 1
        self.open.add(writer)
        try:
            await self._handler(reader, writer)
            writer.close()
            await writer.wait_closed()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open.discard(writer)

    def kill(self) -> None:
        """Refuse connections from now on; those that are open end with RST."""
        self.refuse()
        for writer in list(self.open):
            sock = writer.get_extra_info("socket")
            if sock.fileno() == -1:
                continue  # it has just ended by itself
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()

    def refuse(self) -> None:
        """Refuse connections from now on; those that are open go on."""
        if self._server is not None:
            self._server.close()
            self._server = None


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def endpoints(
    count: int, handler: Handler | None = None, *, first: int = 1000, port: int = 9000
) -> AsyncIterator[list[StreamEndpoint]]:
    """Run *count* servers at addresses of their own."""
    async with AsyncExitStack() as stack:
        made = []
        for number in range(count):
            server = StreamEndpoint(address(first + number), port, handler)
            await server.start()
            stack.callback(server.kill)
            made.append(server)
        yield made


class DatagramEndpoint:
    """A UDP server that answers each datagram with itself, or with what *reply* makes of it."""

    def __init__(
        self, host: str, port: int, reply: Callable[[bytes], list[bytes]] | None = None
    ) -> None:
        self.taken: list[tuple[bytes, tuple[str, int]]] = []
        self._reply = reply or (lambda data: [data])
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._sock.bind((host, port))
        asyncio.get_running_loop().add_reader(self._sock, self._ready)

    def _ready(self) -> None:
        data, client = self._sock.recvfrom(65_535)
        self.taken.append((data, client))
        for answer in self._reply(data):
            self._sock.sendto(answer, client)

    def send(self, data: bytes, client: tuple[str, int]) -> None:
        """Send something unasked."""
        self._sock.sendto(data, client)

    def close(self) -> None:
        """Be not there any more."""
        if self._sock.fileno() != -1:
            asyncio.get_running_loop().remove_reader(self._sock)
            self._sock.close()


@asynccontextmanager
async def datagram_endpoints(
    count: int,
    reply: Callable[[bytes], list[bytes]] | None = None,
    *,
    first: int = 2000,
    port: int = 9000,
) -> AsyncIterator[list[DatagramEndpoint]]:
    """Run *count* UDP servers at addresses of their own."""
    made = [DatagramEndpoint(address(first + number), port, reply) for number in range(count)]
    try:
        yield made
    finally:
        for server in made:
            server.close()


async def dial(host: str, port: int) -> socket.socket:
    """Connect a plain non-blocking socket."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        async with asyncio.timeout(DEADLINE):
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
    except BaseException:
        sock.close()
        raise
    return sock


async def receive(sock: socket.socket, size: int = 1 << 16) -> bytes:
    """Receive something, within the deadline."""
    async with asyncio.timeout(DEADLINE):
        return await asyncio.get_running_loop().sock_recv(sock, size)


async def receive_all(sock: socket.socket) -> bytes:
    """Receive up to the end of the stream."""
    parts = []
    while part := await receive(sock, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def reset(sock: socket.socket) -> None:
    """Close with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()
