"""A small upstream resolver over UDP and TCP that does what a test tells it to.

It answers every A question with 192.0.2.1, after the script's next :class:`Step`; without a script
it is well behaved.  Messages are made by dnspython.
"""

import asyncio
import ssl
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self, cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset

ADDRESS = "192.0.2.1"


@dataclass(frozen=True, slots=True)
class Step:
    """What to do with one query."""

    delay: float = 0.0
    gate: asyncio.Event | None = None
    "Answered when it is set."
    drop: bool = False
    truncate: bool = False
    wrong_id: bool = False
    wrong_question: bool = False
    rcode: str = "NOERROR"
    garbage: bytes | None = None
    "Sent instead of an answer."
    close: bool = False
    "TCP: close the connection instead of answering."
    then_right: bool = False
    "Send the right answer after a wrong one."
    flags: str = ""
    "Flags of the answer besides QR, RD and RA: ``aa ad``."


@dataclass
class Resolver:
    """One resolver on one loopback port, for both transports."""

    script: Iterable[Step] = ()
    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None
    silent_udp: bool = False
    named: Mapping[str, Step] = field(default_factory=dict)
    "Steps for names, in lower case, whoever asks before; they take none of the script's."
    port: int = 0
    queries: list[tuple[str, dns.message.Message]] = field(default_factory=list)
    "Transport and message, in the order received."
    sources: list[tuple[str, int]] = field(default_factory=list)
    connections: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        self._steps = iter(self.script)
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        loop = asyncio.get_running_loop()
        self._server = await asyncio.start_server(self._stream, self.host, self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self._datagram, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self), local_addr=(self.host, self.port)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._datagram.close()
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def received(self, count: int) -> None:
        """Wait until *count* queries have arrived."""
        async with asyncio.timeout(30):
            while len(self.queries) < count:
                self.asked.clear()
                await self.asked.wait()

    def spawn(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def answers(self, wire: bytes, transport: str) -> list[bytes] | None:
        """Give the messages to send, or ``None``: close the connection."""
        query = dns.message.from_wire(wire)
        self.queries.append((transport, query))
        self.asked.set()
        name = query.question[0].name.to_text().lower()
        step = self.named.get(name) or next(self._steps, Step())
        if step.delay:
            await asyncio.sleep(step.delay)
        if step.gate:
            await step.gate.wait()
        if step.drop:
            return []
        if step.close:
            return None
        if step.garbage is not None:
            return [step.garbage]
        right = _answer(query, step).to_wire(max_size=65535)
        if step.wrong_id:
            wrong = bytes((right[0] ^ 0xFF, right[1])) + right[2:]
        elif step.wrong_question:
            other = dns.message.make_query("other.example.", "A")
            other.id = query.id
            wrong = _answer(other, step).to_wire()
        else:
            return [right]
        return [wrong, right] if step.then_right else [wrong]

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            while True:
                (size,) = struct.unpack("!H", await reader.readexactly(2))
                wire = await reader.readexactly(size)
                self.sources.append(writer.get_extra_info("peername")[:2])
                self.spawn(self._reply(wire, writer))
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    async def _reply(self, wire: bytes, writer: asyncio.StreamWriter) -> None:
        messages = await self.answers(wire, "tcp")
        if messages is None:
            writer.close()
            return
        for message in messages:
            writer.write(struct.pack("!H", len(message)) + message)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._resolver.sources.append(addr[:2])
        if not self._resolver.silent_udp:
            self._resolver.spawn(self._reply(data, addr))

    async def _reply(self, data: bytes, addr: tuple[str, int]) -> None:
        for message in await self._resolver.answers(data, "udp") or ():
            self._transport.sendto(message, addr)


def _answer(query: dns.message.Message, step: Step) -> dns.message.Message:
    response = dns.message.make_response(query, recursion_available=True)
    response.set_rcode(dns.rcode.from_text(step.rcode))
    response.flags |= dns.flags.from_text(step.flags.upper())
    if step.truncate:
        response.flags |= dns.flags.TC
    elif step.rcode == "NOERROR":
        name = query.question[0].name
        response.answer.append(dns.rrset.from_text(name, 60, "IN", "A", ADDRESS))
    return response
