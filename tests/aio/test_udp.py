"""The UDP loop on real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import dns.message
import pytest

from svcdns.aio import mmsg
from svcdns.aio.binding import open_datagram
from svcdns.aio.udp import UdpListener
from svcdns.dns.response import Record, Response
from svcdns.metrics import Registry
from svcdns.plugins.base import Ask, Plugin, Reply, Storable
from svcdns.plugins.server import Server
from tests.support.records import wire_name
from tests.support.serving import Scripted, always, asking, question, server_of

pytestmark = pytest.mark.parametrize(
    "batches",
    [
        pytest.param(
            True,
            id="many-at-once",
            marks=pytest.mark.skipif(not mmsg.available(), reason="no recvmmsg on this machine"),
        ),
        pytest.param(False, id="one-by-one"),
    ],
)

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
    batches: bool,
    address: str = "127.0.0.1",
    settle: Callable[[Ask], Awaitable[object]] = _immediately,
    registry: Registry | None = None,
) -> AsyncIterator[tuple[UdpListener, Server, int]]:
    server = server_of(list(plugins), registry=registry)
    listener = UdpListener(open_datagram(address, 0), server, settle, batches=batches)
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
        async with asyncio.timeout(30):
            for _ in wires:
                wire, peer = await loop.sock_recvfrom(sock, 65535)
                found.append((wire, peer[0]))
        return found


def first(wire: bytes) -> str:
    return str(dns.message.from_wire(wire).answer[0][0])


async def test_the_second_like_query_comes_from_the_table_with_its_own_id(batches: bool) -> None:
    plugin = always(ANSWER)
    async with listening(plugin, batches=batches) as (_, server, port):
        for ident in (7, 8):
            ((wire, _),) = await ask(port, question("a.test A", id=ident))
            decoded = dns.message.from_wire(wire)
            assert decoded.id == ident
            assert decoded.answer[0][0].to_text() == "10.0.0.1"
        assert len(plugin.asked) == 1
        server.drop(["web"])
        await ask(port, question("a.test A"))
        assert len(plugin.asked) == 2


async def test_an_answer_past_its_time_is_made_anew(batches: bool) -> None:
    stale = Reply(Response(answer=RECORDS[:1]), "x", Storable(until=0.0))
    plugin = always(stale)
    async with listening(plugin, batches=batches) as (_, _server, port):
        await ask(port, question("a.test A"))
        await ask(port, question("a.test A"))
    assert len(plugin.asked) == 2


async def test_rotated_answers_take_turns(batches: bool) -> None:
    rotating = Reply(Response(answer=RECORDS), "x", Storable(rotate=True))
    async with listening(always(rotating), batches=batches) as (_, _server, port):
        await ask(port, question("a.test A"))
        found = [first((await ask(port, question("a.test A")))[0][0]) for _ in range(6)]
    assert sorted(found) == ["10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.3", "10.0.0.3"]


async def test_answers_from_outside_do_not_hold_up_the_others(batches: bool) -> None:
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
    async with listening(plugin, settle=settle, batches=batches) as (_, _server, port):
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
async def test_answers_come_from_the_address_that_was_asked(
    bound: str, asked: str, batches: bool
) -> None:
    plugin = always(ANSWER)
    async with listening(plugin, address=bound, batches=batches) as (_, _server, port):
        for _ in ("made", "stored"):
            ((wire, source),) = await ask(port, question("a.test A"), to=asked)
            assert source == asked
            assert first(wire) == "10.0.0.1"
    assert len(plugin.asked) == 1
    assert plugin.asked[0].client.local_address == asked
    assert plugin.asked[0].client.family == ("2" if ":" in asked else "1")


async def test_garbage_between_queries_loses_none_of_them(batches: bool) -> None:
    async with listening(always(ANSWER), batches=batches) as (_, _server, port):
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noise:
            noise.setblocking(False)
            for garbage in (b"", b"\0", b"\xff" * 11, b"\0" * 12, b"\xc0\x0c" * 300):
                await loop.sock_sendto(noise, garbage, ("127.0.0.1", port))
        found = await ask(port, *[question("a.test A", id=n) for n in range(200)])
    assert len(found) == 200


async def test_a_client_that_went_away_costs_nothing(batches: bool) -> None:
    async with listening(always(ANSWER), batches=batches) as (_, _server, port):
        for _ in range(20):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.sendto(question("a.test A"), ("127.0.0.1", port))
        ((wire, _),) = await ask(port, question("a.test A"))
    assert first(wire) == "10.0.0.1"


async def test_stopping_waits_for_queries_under_way(batches: bool) -> None:
    gate = asyncio.Event()

    async def settle(asked: Ask) -> object:
        await gate.wait()
        return asked.resume(None, 0.0)

    server = server_of([asking(lambda result: ANSWER)])
    listener = UdpListener(open_datagram("127.0.0.1", 0), server, settle, batches=batches)
    listener.start()
    late = asyncio.create_task(ask(listener.sock.getsockname()[1], question("a.test A")))
    async with asyncio.timeout(30):
        while not listener.under_way:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0)
    stopping = asyncio.create_task(listener.stop())
    await asyncio.sleep(0)
    gate.set()

    assert first((await late)[0][0]) == "10.0.0.1"
    await stopping
    assert listener.sock.fileno() == -1


async def test_what_has_arrived_is_answered_before_the_end(batches: bool) -> None:
    server = server_of([always(ANSWER)])
    listener = UdpListener(open_datagram("127.0.0.1", 0), server, _immediately, batches=batches)
    listener.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.sendto(question("a.test A"), listener.sock.getsockname())

        await listener.stop()  # the loop has had no turn in which it could have heard of it

        answer = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 512), 5)
        assert first(answer) == "10.0.0.1"


async def test_time_in_the_table_is_counted(batches: bool) -> None:
    registry = Registry()
    async with listening(always(ANSWER), registry=registry, batches=batches) as (_, _server, port):
        for _ in range(3):
            await ask(port, question("a.test A"))
    registry.collect()
    (histogram,) = registry.families["coredns_dns_request_duration_seconds"].histograms.values()
    assert sum(histogram.counts) == 3


async def test_many_answers_of_all_sorts_each_go_to_their_own_client(batches: bool) -> None:
    """Stored, made, late and none at all, in one batch: places and answers must not shift."""
    gate = asyncio.Event()

    async def settle(asked: Ask) -> object:
        await gate.wait()
        return asked.resume(None, 0.0)

    late = asking(lambda result: ANSWER)
    plugin = Scripted(
        lambda request, proceed: (
            late.serve(request, proceed) if request.query.name.startswith(b"\x04late") else ANSWER
        )
    )
    async with listening(plugin, settle=settle, batches=batches) as (_, _server, port):
        await ask(port, question("a.test A"))
        loop = asyncio.get_running_loop()
        clients = []
        for number in range(90):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.setblocking(False)
            name = ("a.test A", "late.test A", f"new-{number}.test A")[number % 3]
            sock.sendto(question(name, id=number), ("127.0.0.1", port))
            sock.sendto(b"\0", ("127.0.0.1", port))
            clients.append((number, name, sock))
        for when in (0, 2, 1):
            if when == 1:
                gate.set()
            for number, name, sock in clients:
                if number % 3 == when:
                    async with asyncio.timeout(30):
                        decoded = dns.message.from_wire(await loop.sock_recv(sock, 65535))
                    assert decoded.id == number
                    assert str(decoded.question[0].name) == name.split()[0] + "."
        for _, _, sock in clients:
            sock.close()


async def test_answers_that_the_kernel_refuses_hold_up_none_of_the_others(batches: bool) -> None:
    huge = tuple(Record(wire_name("big.test"), 16, 5, b"\xff" + b"x" * 255) for _ in range(300))
    plugin = Scripted(
        lambda request, proceed: (
            Reply(Response(answer=huge), "x")
            if request.query.name.startswith(b"\x03big")
            else ANSWER
        )
    )
    async with listening(plugin, batches=batches) as (_, _server, port):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            # An answer of more than 65,507 octets is no datagram of IPv4.
            sock.sendto(question("big.test A", use_edns=0, payload=65535), ("127.0.0.1", port))
        found = await ask(port, *[question("a.test A", id=n) for n in range(100)])
    assert len(found) == 100
