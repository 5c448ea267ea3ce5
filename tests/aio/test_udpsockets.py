import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from svcdns.aio.poller import Poller
from svcdns.aio.udpsockets import SPARES, UdpSockets
from tests.support.endpoints import until


@pytest.fixture
async def poller() -> AsyncIterator[Poller]:
    found = Poller(asyncio.get_running_loop())
    found.start()
    yield found
    found.stop()


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10)
        yield sock


async def test_a_socket_comes_back_without_port_peer_and_past(
    poller: Poller, peer: socket.socket
) -> None:
    sockets = UdpSockets(poller)
    first = sockets.take(4)
    first.connect(peer.getsockname())
    first.send(b"x")
    _, name = peer.recvfrom(10)
    peer.sendto(b"an answer that nobody has read", name)

    sockets.put_back(first, 4)

    assert sockets.take(4) is first
    assert first.getsockname() == ("0.0.0.0", 0)
    with pytest.raises(BlockingIOError):
        first.recv(100)
    with pytest.raises(OSError, match="not connected"):
        first.getpeername()
    first.close()


async def test_families_do_not_mix(poller: Poller) -> None:
    sockets = UdpSockets(poller)
    sockets.put_back(sockets.take(4), 4)

    with sockets.take(6) as six, sockets.take(4) as four:
        assert six.family == socket.AF_INET6
        assert four.family == socket.AF_INET


async def test_without_descriptors_spares_of_the_other_family_are_given_up(
    poller: Poller, monkeypatch: pytest.MonkeyPatch
) -> None:
    sockets = UdpSockets(poller)
    sockets.put_back(sockets.take(4), 4)
    (spare,) = sockets._spares[4]
    original = socket.socket

    def short(*arguments: int) -> socket.socket:
        if spare.sock.fileno() >= 0:
            raise OSError(errno.EMFILE, "Too many open files")
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("svcdns.aio.udpsockets.socket.socket", short)
        with sockets.take(6) as six:
            assert six.family == socket.AF_INET6


async def test_spares_are_bounded(poller: Poller) -> None:
    sockets = UdpSockets(poller)
    taken = [sockets.take(4) for _ in range(SPARES + 10)]
    for sock in taken:
        sockets.put_back(sock, 4)
    assert len(poller) == SPARES

    sockets.close_spares()

    assert len(poller) == 0
    assert all(sock.fileno() == -1 for sock in taken)


async def test_what_reaches_a_spare_socket_is_not_the_next_ones(
    poller: Poller, peer: socket.socket
) -> None:
    """A datagram may be on its way in while the socket loses its port."""
    sockets = UdpSockets(poller)
    spare = sockets.take(4)
    sockets.put_back(spare, 4)
    spare.bind(("127.0.0.1", 0))  # stands for that moment

    peer.sendto(b"late", spare.getsockname())

    await until(lambda: spare.fileno() == -1)
    assert len(poller) == 0


async def test_without_watches_there_is_no_socket(
    poller: Poller, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []

    def full(descriptor: int, *_: object) -> None:
        opened.append(descriptor)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(poller, "add", full)
    with pytest.raises(OSError, match="space"):
        UdpSockets(poller).take(4)
    with pytest.raises(OSError, match="descriptor"):
        socket.socket(fileno=opened[0])
