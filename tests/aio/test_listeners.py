import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import dns.asyncquery
import dns.message
import pytest
import pytest_asyncio

from svcdns.aio.binding import open_datagram
from svcdns.aio.connections import Limits
from svcdns.aio.listeners import Listeners, limits_of
from svcdns.aio.upstream import Upstreams
from svcdns.dns.name import ROOT
from svcdns.dns.response import Response
from svcdns.errors import ConfigError
from svcdns.metrics import Registry
from svcdns.plugins import https, timeouts
from svcdns.plugins.accounts import Accounts
from svcdns.plugins.base import Plugin, Reply
from svcdns.plugins.chain import Block
from svcdns.plugins.multisocket import Multisocket
from svcdns.plugins.server import Listen, Server
from svcdns.plugins.tls import ClientAuth, Tls
from tests.support.certificates import Certificate, authority
from tests.support.corefile import Outside, directives
from tests.support.ports import free_port
from tests.support.serving import always

PATIENCE = directives("timeouts {\nread 60s\nwrite 60s\nidle 60s\n}")
"""For clients that may stall in the middle of what they do, because we are in one process."""


def server(
    port: int, rcode: int = 0, *more: Plugin, address: str = "127.0.0.1", scheme: str = "dns"
) -> Server:
    if not any(isinstance(one, timeouts.Timeouts) for one in more):
        more += (timeouts.setup(PATIENCE, Outside().context()),)
    return Server(
        Listen(scheme, (address,) if address else (), port),
        [Block((ROOT,), [always(Reply(Response(rcode=rcode)))], beside=more)],
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
    over_udp = await dns.asyncquery.udp(query, address, port=port, timeout=30)
    over_tcp = await dns.asyncquery.tcp(query, address, port=port, timeout=30)
    return over_udp.rcode(), over_tcp.rcode()


@pytest.mark.parametrize(
    ("bind", "address"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("", "127.0.0.1"), ("", "::1")],
)
async def test_both_transports_answer(listeners: Listeners, bind: str, address: str) -> None:
    port = free_port()
    await listeners.change([server(port, 3, address=bind)])

    assert await ask(port, address) == (3, 3)


@pytest.mark.parametrize(
    ("first", "second", "address"),
    [("", "127.0.0.1", "127.0.0.1"), ("::", "0.0.0.0", "127.0.0.1"), ("", "::1", "::1")],
)
async def test_one_address_and_all_addresses_may_have_the_same_port(
    listeners: Listeners, first: str, second: str, address: str
) -> None:
    """CoreDNS plugin/pkg/reuseport: `bind` in one block, none in another one on that port."""
    port = free_port()
    await listeners.change([server(port, 3, address=first), server(port, 5, address=second)])

    assert await ask(port, address) == (5, 5)
    assert await ask(port, "127.0.0.2" if second != "0.0.0.0" else "::1") == (3, 3)


async def test_a_reload_may_put_one_address_beside_all_addresses(listeners: Listeners) -> None:
    port = free_port()
    await listeners.change([server(port, 3, address="")])
    await listeners.change([server(port, 3, address=""), server(port, 5)])
    assert await ask(port) == (5, 5)
    await listeners.change([server(port, 3, address="")])

    assert await ask(port) == (3, 3)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("dns", ""), ("dns", "127.0.0.1")),
        (("dns", "127.0.0.1"), ("dns", "")),
        (("dns", "0.0.0.0"), ("dns", "::")),
        (("tls", "127.0.0.1"), ("dns", "127.0.0.1")),
    ],
)
async def test_a_reload_may_change_the_address_or_the_scheme_at_a_port(
    listeners: Listeners, before: tuple[str, str], after: tuple[str, str]
) -> None:
    """CoreDNS plugin/pkg/reuseport: `bind` is put into a block, and a reload takes it up."""
    port = free_port()
    old, new = (
        server(port, rcode, scheme=scheme, address=address)
        for rcode, (scheme, address) in ((3, before), (5, after))
    )
    await listeners.change([old])

    listeners.check([new])
    await listeners.change([new])

    assert await ask(port) == (5, 5)
    with (
        pytest.raises(OSError, match="Address already in use"),
        open_datagram("127.0.0.1", port, shared=True),
    ):
        pass  # who shares it with us while it moves is us


async def test_to_try_another_address_at_our_port_takes_no_query(
    listeners: Listeners, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, query = free_port(), dns.message.make_query("a.example.", "A")
    await listeners.change([server(port, 3, address="")])
    opened = open_datagram
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", port))
        client.setblocking(False)

        def asked_meanwhile(address: str, port: int, *, shared: bool = False) -> socket.socket:
            sock = opened(address, port, shared=shared)
            client.send(query.to_wire())
            return sock

        monkeypatch.setattr("svcdns.aio.listeners.open_datagram", asked_meanwhile)
        listeners.check([server(port, 5)])

        answer = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 512), 5)
        assert dns.message.from_wire(answer).rcode() == 3


async def test_a_port_that_nobody_shares_is_not_shared_with_other_processes() -> None:
    taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    taken.bind(("127.0.0.1", 0))
    other = Listeners(Upstreams().settle)
    with pytest.raises(ConfigError, match="another server has the port"):
        await other.change([server(taken.getsockname()[1])])
    taken.close()


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
    assert await asyncio.wait_for(reader.read(), 30) == b""
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


def test_timeouts_set_the_limits_of_connections() -> None:
    plugin = timeouts.setup(
        directives("timeouts {\nread 7s\nmaxtcpqueries 9\n}"), Outside().context()
    )

    assert limits_of(server(53, 0, plugin)) == Limits(read=7.0, queries=9)
    assert limits_of(server(53, 0, timeouts.Timeouts())) == Limits()


def secured(port: int, scheme: str, certificate: Certificate, rcode: int = 3) -> Server:
    (line,) = directives("tls CERT KEY")
    tls = Tls(line, certificate.certificate, certificate.key, "")
    return server(port, rcode, tls, scheme=scheme)


async def over_tls(port: int, certificate: Certificate) -> int:
    query = dns.message.make_query("a.example.", "A")
    answer = await dns.asyncquery.tls(
        query, "127.0.0.1", port=port, timeout=30, verify=certificate.authority
    )
    return answer.rcode()


def spoil(path: str) -> None:
    Path(path).write_text("garbage")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("scheme", ["tls", "https"])
async def test_a_renewed_certificate_is_shown_and_no_socket_is_left(
    listeners: Listeners, tmp_path: Path, scheme: str
) -> None:
    port = free_port()
    old = authority(tmp_path, "dns.example")
    before = ssl.create_default_context(cafile=old.authority)
    await listeners.change([secured(port, scheme, old)])
    _, connected = await asyncio.open_connection("127.0.0.1", port, ssl=before)
    count = descriptors()

    new = authority(tmp_path, "dns.example")  # in the same files
    await listeners.change([secured(port, scheme, new)])

    assert descriptors() == count
    after = ssl.create_default_context(cafile=new.authority)
    _, again = await asyncio.open_connection("127.0.0.1", port, ssl=after)
    assert not connected.transport.is_closing()
    for writer in (connected, again):
        writer.transport.abort()


async def test_tls_answers_and_says_how_it_was_asked(listeners: Listeners, tmp_path: Path) -> None:
    port, certificate = free_port(), authority(tmp_path, "dns.example")
    await listeners.change([secured(port, "tls", certificate)])

    assert await over_tls(port, certificate) == 3


async def test_a_bad_certificate_changes_nothing_and_binds_nothing(
    listeners: Listeners, tmp_path: Path
) -> None:
    plain, port, certificate = free_port(), free_port(), authority(tmp_path, "dns.example")
    await listeners.change([server(plain, 3), secured(port, "tls", certificate)])
    count = descriptors()
    spoil(certificate.key)

    for attempt in (secured(port, "tls", certificate), secured(free_port(), "https", certificate)):
        with pytest.raises(ConfigError, match=r"Corefile:2 - plugin/tls: certificate .*cert\.pem"):
            listeners.check([server(plain, 5), attempt])
        with pytest.raises(ConfigError, match=r"Corefile:2 - plugin/tls: certificate .*cert\.pem"):
            await listeners.change([server(plain, 5), server(free_port(), 5), attempt])

    assert descriptors() == count
    assert await ask(plain) == (3, 3)
    assert await over_tls(port, certificate) == 3


@pytest.mark.parametrize("scheme", ["tls", "https"])
async def test_encrypted_blocks_come_and_go_without_a_leak(
    listeners: Listeners, tmp_path: Path, scheme: str
) -> None:
    plain, port, certificate = free_port(), free_port(), authority(tmp_path, "dns.example")
    await listeners.change([server(plain, 3)])
    count = descriptors()

    for _ in range(3):
        await listeners.change([server(plain, 3), secured(port, scheme, certificate)])
        await listeners.change([server(plain, 3)])

    assert descriptors() == count
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_without_a_certificate_a_tls_block_is_served_in_the_clear(
    listeners: Listeners,
) -> None:
    """CoreDNS core/dnsserver/server_tls.go Serve."""
    port = free_port()
    await listeners.change([server(port, 3, scheme="tls")])

    query = dns.message.make_query("a.example.", "A")
    answer = await dns.asyncquery.tcp(query, "127.0.0.1", port=port, timeout=30)
    assert answer.rcode() == 3


@pytest.mark.parametrize(
    ("text", "expected"), [("https", 200), ("https {\nmax_connections 0\n}", 0)]
)
def test_https_limits_connections(text: str, expected: int) -> None:
    plugin = https.setup(directives(text), Outside().context())

    assert limits_of(server(443, 0, plugin, scheme="https")).connections == expected
    assert limits_of(server(443, scheme="https")).connections == 200


async def test_clients_have_to_show_a_certificate_when_the_corefile_says_so(
    listeners: Listeners, tmp_path: Path
) -> None:
    port, certificate = free_port(), authority(tmp_path, "dns.example")
    (line,) = directives("tls CERT KEY CA")
    tls = Tls(line, certificate.certificate, certificate.key, certificate.authority)
    tls.client_auth = ClientAuth.REQUIRE_AND_VERIFY
    await listeners.change([server(port, 3, tls, scheme="tls")])
    query = dns.message.make_query("a.example.", "A")
    stranger = ssl.create_default_context(cafile=certificate.authority)
    known = ssl.create_default_context(cafile=certificate.authority)
    known.load_cert_chain(certificate.certificate, certificate.key)

    with pytest.raises((ssl.SSLError, EOFError, ConnectionError)):
        await dns.asyncquery.tls(query, "127.0.0.1", port=port, timeout=30, ssl_context=stranger)
    answer = await dns.asyncquery.tls(query, "127.0.0.1", port=port, timeout=30, ssl_context=known)
    assert answer.rcode() == 3


async def test_old_versions_of_tls_are_refused(listeners: Listeners, tmp_path: Path) -> None:
    port, certificate = free_port(), authority(tmp_path, "dns.example")
    await listeners.change([secured(port, "tls", certificate)])
    words = ("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-cipher", "ALL:@SECLEVEL=0")
    connected = {}
    for version in ("-tls1_1", "-tls1_2", "-tls1_3"):
        process = await asyncio.create_subprocess_exec(
            *words, version, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        connected[version] = b"BEGIN CERTIFICATE" in out

    assert connected == {"-tls1_1": False, "-tls1_2": True, "-tls1_3": True}


def reuseport(listeners: Listeners) -> list[int]:
    """Tell of the datagram sockets of all workers whether they share their port."""
    return [
        datagram.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
        for place in range(1, listeners.places)
        for datagram, _ in listeners.sockets_at(place).values()
        if datagram is not None
    ]


async def test_multisocket_opens_as_many_sockets_and_another_one_none(
    listeners: Listeners,
) -> None:
    several, one = server(free_port(), 0, Multisocket(3)), server(free_port(), 0)

    await listeners.change([several, one])

    assert listeners.places == 3
    assert reuseport(listeners) == [1, 1]
    assert list(listeners.sockets_at(1)) == [several.listen]


@pytest.mark.parametrize(
    ("before", "after"), [(1, 3), (3, 1), (2, 4), (4, 2)], ids=lambda number: str(number)
)
async def test_a_reload_changes_the_number_of_sockets(
    listeners: Listeners, before: int, after: int
) -> None:
    port = free_port()
    await listeners.change([server(port, 0, Multisocket(before))])
    await listeners.change([server(port, 0, Multisocket(after))])

    assert listeners.places == after
    assert len(reuseport(listeners)) == after - 1


async def test_sockets_of_workers_are_read_by_who_adopts_them(listeners: Listeners) -> None:
    port = free_port()
    await listeners.change([server(port, 3, Multisocket(2))])
    upstreams = Upstreams()
    worker = Listeners(upstreams.settle)
    own = {
        listen: (datagram and datagram.dup(), stream.dup())
        for listen, (datagram, stream) in listeners.sockets_at(1).items()
    }

    await worker.adopt([server(port, 5, Multisocket(2)), server(free_port())], own)

    found = [await ask(port) for _ in range(40)]
    assert {rcode for pair in found for rcode in pair} == {3, 5}
    await worker.stop()
    await upstreams.close()


async def test_a_port_that_a_foreign_server_shares_is_taken_all_the_same(
    listeners: Listeners,
) -> None:
    """Who shares a port with a stranger gets half of the queries, and nobody knows why."""
    with open_datagram("127.0.0.1", 0, shared=True) as foreign:
        port = foreign.getsockname()[1]

        with pytest.raises(ConfigError, match="address already in use"):
            listeners.check([server(port, 0, Multisocket(2))])
