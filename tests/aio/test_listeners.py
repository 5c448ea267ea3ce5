import asyncio
import socket
from collections.abc import AsyncIterator

import dns.asyncquery
import dns.message
import pytest
import pytest_asyncio

from svcdns.aio.listeners import Listeners, limits_of
from svcdns.aio.tcp import Limits
from svcdns.aio.upstream import Upstreams
from svcdns.dns.name import ROOT
from svcdns.dns.response import Response
from svcdns.errors import ConfigError
from svcdns.metrics import Registry
from svcdns.plugins import timeouts
from svcdns.plugins.accounts import Accounts
from svcdns.plugins.base import Plugin, Reply
from svcdns.plugins.chain import Block
from svcdns.plugins.server import Listen, Server
from tests.support.corefile import Outside, directives
from tests.support.ports import free_port
from tests.support.serving import always


def server(
    port: int, rcode: int = 0, *more: Plugin, address: str = "127.0.0.1", scheme: str = "dns"
) -> Server:
    return Server(
        Listen(scheme, (address,) if address else (), port),
        [Block((ROOT,), [*more, always(Reply(Response(rcode=rcode)))])],
        accounts=Accounts("dns://:53", Registry()),
        clock=lambda: 0.0,
        panic=lambda question, error: None,
        spawn=lambda ask: None,
    )


@pytest_asyncio.fixture
async def listeners() -> AsyncIterator[Listeners]:
    upstreams = Upstreams()
    made = Listeners(upstreams.settle)
    yield made
    await made.stop()
    await upstreams.close()


async def ask(port: int, address: str = "127.0.0.1") -> tuple[int, int]:
    query = dns.message.make_query("a.example.", "A")
    over_udp = await dns.asyncquery.udp(query, address, port=port, timeout=5)
    over_tcp = await dns.asyncquery.tcp(query, address, port=port, timeout=5)
    return over_udp.rcode(), over_tcp.rcode()


@pytest.mark.parametrize(
    ("bind", "address"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("", "127.0.0.1"), ("", "::1")],
)
async def test_both_transports_answer(listeners: Listeners, bind: str, address: str) -> None:
    port = free_port()
    await listeners.change([server(port, 3, address=bind)])

    assert await ask(port, address) == (3, 3)


async def test_a_new_configuration_takes_over_the_sockets(listeners: Listeners) -> None:
    stays, goes, comes = free_port(), free_port(), free_port()
    await listeners.change([server(stays, 3), server(goes, 3)])

    await listeners.change([server(stays, 5), server(comes, 5)])

    assert await ask(stays) == (5, 5)
    assert await ask(comes) == (5, 5)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", goes)


async def test_closing_waits_for_nobody(listeners: Listeners) -> None:
    port = free_port()
    await listeners.change([server(port, 3)])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    listeners.close()

    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
@pytest.mark.parametrize("check", [True, False])
async def test_a_taken_port_is_told_and_nothing_changes(
    listeners: Listeners, kind: socket.SocketKind, check: bool
) -> None:
    old = free_port()
    await listeners.change([server(old, 3)])
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        servers = [server(free_port()), server(port)]
        network = "udp" if kind == socket.SOCK_DGRAM else "tcp"
        expected = f"listen {network} 127.0.0.1:{port}: bind: address already in use \\(another"
        if check:
            with pytest.raises(ConfigError, match=expected):
                listeners.check(servers)
        else:
            with pytest.raises(ConfigError, match=expected):
                await listeners.change(servers)

    assert await ask(old) == (3, 3)


async def test_an_address_of_another_machine_is_told(listeners: Listeners) -> None:
    with pytest.raises(ConfigError, match="this machine does not have the address"):
        listeners.check([server(free_port(), address="192.0.2.1")])


@pytest.mark.parametrize("scheme", ["quic", "grpc", "https3"])
async def test_a_scheme_without_a_server_is_refused(listeners: Listeners, scheme: str) -> None:
    with pytest.raises(ConfigError, match=f"{scheme}://: svcdns has no server"):
        listeners.check([server(free_port(), scheme=scheme)])


def test_timeouts_set_the_limits_of_connections() -> None:
    plugin = timeouts.setup(
        directives("timeouts {\nread 7s\nmaxtcpqueries 9\n}"), Outside().context()
    )

    assert limits_of(server(53, 0, plugin)) == Limits(read=7.0, queries=9)
    assert limits_of(server(53)) == Limits()
