import asyncio
import resource
import socket

import pytest

from svcdns.aio import sockets
from svcdns.aio.sockets import admit, listen, raise_descriptor_limit
from svcdns.proxy.listeners import Listener, Need
from svcdns.proxy.model import Exposure, Policy, PortId
from tests.support.endpoints import address, dial


def need(protocol: str = "TCP", sources: tuple[str, ...] | None = None, family: int = 4) -> Need:
    host = address(7) if family == 4 else "::1"
    return Need(
        Listener(host, 8080, protocol, family),
        (PortId("ns-1", "web", "", protocol), family),
        Exposure.CLUSTER_IP,
        Policy.CLUSTER,
        Policy.CLUSTER,
        sources,
    )


def filtering(wanted: Need) -> socket.socket:
    """Open a socket whose filter the kernel takes, or skip."""
    opened = listen(wanted, address(7), 8080)
    if not opened.filtered:
        opened.sock.close()
        pytest.skip("this kernel takes filters on TCP sockets from the privileged only")
    return opened.sock


async def reaches(host: str, port: int, source: str, seconds: float = 30.0) -> bool:
    """Whether a SYN from *source* is answered within some time."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.bind((source, 0))
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
    except TimeoutError:
        return False
    finally:
        sock.close()
    return True


async def dropped(host: str, port: int, source: str) -> bool:
    """Whether a SYN from *source* is met with silence, which 200 ms tell."""
    return not await reaches(host, port, source, 0.2)


async def test_a_drop_is_silence_not_a_refusal_r50() -> None:
    with listen(need(sources=()), address(7), 8080).sock:
        assert await dropped(address(7), 8080, "127.0.0.1")


def forbid(sock: socket.socket, wanted: Need) -> None:
    raise PermissionError(1, "Operation not permitted")


async def test_without_filters_a_drop_is_silence_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "admit", forbid)
    opened = listen(need(sources=()), address(7), 8080)
    with opened.sock:
        assert (opened.filtered, opened.plugged) == (False, True)
        for _ in range(3):
            assert await dropped(address(7), 8080, "127.0.0.1")


async def test_sources_outside_the_ranges_meet_silence_r44() -> None:
    with filtering(need(sources=("127.9.0.0/16",))):
        assert await reaches(address(7), 8080, "127.9.1.1")
        assert await dropped(address(7), 8080, "127.8.1.1")


async def test_who_is_let_in_can_be_changed_while_the_socket_is_open() -> None:
    with filtering(need(sources=("127.0.0.0/8",))) as sock:
        assert await reaches(address(7), 8080, "127.0.0.1")
        admit(sock, need(sources=()))
        assert await dropped(address(7), 8080, "127.0.0.1")
        admit(sock, need())
        assert await reaches(address(7), 8080, "127.0.0.1")


def test_datagrams_from_outside_the_ranges_are_not_seen() -> None:
    with (
        listen(need("UDP", ("127.9.0.0/16",)), address(7), 8080).sock as sock,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inside,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside,
    ):
        inside.bind(("127.9.0.1", 0))
        outside.bind(("127.8.0.1", 0))
        outside.sendto(b"out", (address(7), 8080))
        inside.sendto(b"in", (address(7), 8080))
        assert sock.recv(100) == b"in"
        with pytest.raises(BlockingIOError):
            sock.recv(100)


async def test_accepted_connections_inherit_what_both_sides_want() -> None:
    with listen(need(), address(7), 8080).sock as sock:
        client = await dial(address(7), 8080)
        accepted, _ = sock.accept()
        with client, accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE)
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 120


def test_a_v6_socket_does_not_take_v4() -> None:
    with listen(need(family=6), "::1", 0).sock as sock:
        assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def test_an_address_in_use_is_an_error_and_leaks_nothing() -> None:
    with listen(need(), address(7), 8080).sock, pytest.raises(OSError, match="in use"):
        listen(need(), address(7), 8080)


def test_the_soft_limit_of_descriptors_becomes_the_hard_one() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
        assert raise_descriptor_limit() == before[1]
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == before[1]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
