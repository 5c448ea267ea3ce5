"""The UDP loop on real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import dns.message
import pytest

from svcdns.aio.udp import UdpListener, open_socket
from svcdns.dns.response import Record, Response
from svcdns.metrics import Registry
from svcdns.plugins.base import Ask, Plugin, Reply, Storable
from svcdns.plugins.server import Server
from tests.support.records import wire_name
from tests.support.serving import Scripted, always, asking, question, server_of

RECORDS = tuple(Record(wire_name("a.test"), 1, 5, bytes((10, 0, 0, n))) for n in (1, 2, 3))
ANSWER = Reply(Response(answer=RECORDS[:1], aa=True), "x", Storable(("web",)))


async def _immediately(ask: Ask) -> object:
    outcome: object = ask
    while isinstance(outcome, Ask):
        await asyncio.sleep(0)
        outcome = outcome.resume(None, 0.0)
    return outcome


@asynccontextmanager
async def listening(
    *plugins: Plugin,
    address: str = "127.0.0.1",
    settle: Callable[[Ask], Awaitable[object]] = _immediately,
    registry: Registry | None = None,
) -> AsyncIterator[tuple[UdpListener, Server, int]]:
    server = server_of(list(plugins), registry=registry)
    listener = UdpListener(open_socket(address, 0), server, settle)
    listener.start()
    try:
        yield listener, server, listener.sock.getsockname()[1]
    finally:
        await listener.stop()


async def ask(port: int, *wires: bytes, to: str = "127.0.0.1") -> list[tuple[bytes, str]]:
    """Send queries and collect as many answers, with the addresses they came from."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        for wire in wires:
            await loop.sock_sendto(sock, wire, (to, port))
        found = []
        async with asyncio.timeout(5):
            for _ in wires:
                wire, peer = await loop.sock_recvfrom(sock, 65535)
                found.append((wire, peer[0]))
        return found


def first(wire: bytes) -> str:
    return dns.message.from_wire(wire).answer[0][0].to_text()


async def test_the_second_like_query_comes_from_the_table_with_its_own_id() -> None:
    plugin = always(ANSWER)
    async with listening(plugin) as (_, server, port):
        for ident in (7, 8):
            ((wire, _),) = await ask(port, question("a.test A", id=ident))
            decoded = dns.message.from_wire(wire)
            assert decoded.id == ident
            assert decoded.answer[0][0].to_text() == "10.0.0.1"
        assert len(plugin.asked) == 1
        server.drop(["web"])
        await ask(port, question("a.test A"))
        assert len(plugin.asked) == 2


async def test_an_answer_past_its_time_is_made_anew() -> None:
    stale = Reply(Response(answer=RECORDS[:1]), "x", Storable(until=0.0))
    plugin = always(stale)
    async with listening(plugin) as (_, _server, port):
        await ask(port, question("a.test A"))
        await ask(port, question("a.test A"))
    assert len(plugin.asked) == 2


async def test_rotated_answers_take_turns() -> None:
    rotating = Reply(Response(answer=RECORDS), "x", Storable(rotate=True))
    async with listening(always(rotating)) as (_, _server, port):
        await ask(port, question("a.test A"))
        found = [first((await ask(port, question("a.test A")))[0][0]) for _ in range(6)]
    assert sorted(found) == ["10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.3", "10.0.0.3"]


async def test_answers_from_outside_do_not_hold_up_the_others() -> None:
    gate = asyncio.Event()

    async def settle(asked: Ask) -> object:
        await gate.wait()
        return asked.resume(None, 0.0)

    slow = asking(lambda result: ANSWER)
    plugin = Scripted(
        lambda request, proceed: (
            slow.serve(request, proceed) if request.query.name.startswith(b"\x04slow") else ANSWER
        )
    )
    async with listening(plugin, settle=settle) as (_, _server, port):
        late = asyncio.create_task(ask(port, question("slow.test A")))
        ((wire, _),) = await ask(port, question("a.test A"))
        assert first(wire) == "10.0.0.1"
        assert not late.done()
        gate.set()
        ((wire, _),) = await late
        assert first(wire) == "10.0.0.1"


@pytest.mark.parametrize(
    ("bound", "asked"),
    [
        ("", "127.0.0.1"),
        ("", "127.0.0.5"),
        ("", "::1"),
        ("0.0.0.0", "127.0.0.6"),
        ("::1", "::1"),
    ],
)
async def test_answers_come_from_the_address_that_was_asked(bound: str, asked: str) -> None:
    plugin = always(ANSWER)
    async with listening(plugin, address=bound) as (_, _server, port):
        for _ in ("made", "stored"):
            ((wire, source),) = await ask(port, question("a.test A"), to=asked)
            assert source == asked
            assert first(wire) == "10.0.0.1"
    assert len(plugin.asked) == 1
    assert plugin.asked[0].client.local_address == asked
    assert plugin.asked[0].client.family == ("2" if ":" in asked else "1")


async def test_garbage_between_queries_loses_none_of_them() -> None:
    async with listening(always(ANSWER)) as (_, _server, port):
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noise:
            noise.setblocking(False)
            for garbage in (b"", b"\0", b"\xff" * 11, b"\0" * 12, b"\xc0\x0c" * 300):
                await loop.sock_sendto(noise, garbage, ("127.0.0.1", port))
        found = await ask(port, *[question("a.test A", id=n) for n in range(200)])
    assert len(found) == 200


async def test_a_client_that_went_away_costs_nothing() -> None:
    async with listening(always(ANSWER)) as (_, _server, port):
        for _ in range(20):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.sendto(question("a.test A"), ("127.0.0.1", port))
        ((wire, _),) = await ask(port, question("a.test A"))
    assert first(wire) == "10.0.0.1"


async def test_stopping_waits_for_queries_under_way() -> None:
    gate = asyncio.Event()

    async def settle(asked: Ask) -> object:
        await gate.wait()
        return asked.resume(None, 0.0)

    server = server_of([asking(lambda result: ANSWER)])
    listener = UdpListener(open_socket("127.0.0.1", 0), server, settle)
    listener.start()
    late = asyncio.create_task(ask(listener.sock.getsockname()[1], question("a.test A")))
    async with asyncio.timeout(5):
        while not listener.under_way:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0)
    stopping = asyncio.create_task(listener.stop())
    await asyncio.sleep(0)
    gate.set()

    assert first((await late)[0][0]) == "10.0.0.1"
    await stopping
    assert listener.sock.fileno() == -1


async def test_a_taken_port_is_an_error_and_leaves_no_socket_behind() -> None:
    with open_socket("127.0.0.1", 0) as taken, pytest.raises(OSError, match="in use"):
        open_socket("127.0.0.1", taken.getsockname()[1])


async def test_time_in_the_table_is_counted() -> None:
    registry = Registry()
    async with listening(always(ANSWER), registry=registry) as (_, _server, port):
        for _ in range(3):
            await ask(port, question("a.test A"))
    registry.collect()
    (histogram,) = registry.families["coredns_dns_request_duration_seconds"].histograms.values()
    assert sum(histogram.counts) == 3
