"""Boxes of datagrams on real sockets, both kinds held to the same."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from svcdns.aio.datagrams import Receiving, Sending, boxes, renew
from svcdns.aio.mmsg import PLACES, available

HOSTS = ["127.0.0.1", "::1"]


@pytest.fixture(params=[True, False], ids=["batches", "plain"])
def kinds(request: pytest.FixtureRequest) -> tuple[Receiving, Sending]:
    if request.param and not available():
        pytest.skip("no recvmmsg on this machine")
    return boxes(batches=request.param)


@contextmanager
def bound(host: str) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.bind((host, 0))
        yield sock


def take_all(inbox: Receiving, sock: socket.socket) -> list[tuple[object, bytes]]:
    found: list[tuple[object, bytes]] = []
    while arrived := inbox.receive(sock):
        found += [(name, bytes(data)) for name, data in arrived]
    return found


@pytest.mark.parametrize("host", HOSTS)
def test_datagrams_come_in_order_with_their_senders(
    kinds: tuple[Receiving, Sending], host: str
) -> None:
    inbox, _ = kinds
    with bound(host) as server, bound(host) as a, bound(host) as b:
        for number in range(PLACES):
            (a, b)[number % 2].sendto(b"%d" % number, server.getsockname())
        found = take_all(inbox, server)
        assert [data for _, data in found] == [b"%d" % number for number in range(PLACES)]
        clients = [inbox.client(name) for name, _ in found]
        assert clients == [(a, b)[n % 2].getsockname()[:2] for n in range(PLACES)]
        assert {inbox.host(name) for name, _ in found} == {host}
        assert len({name for name, _ in found}) == 2


@pytest.mark.parametrize("size", [0, 1, 65_507])
def test_sizes_are_whole(kinds: tuple[Receiving, Sending], size: int) -> None:
    inbox, _ = kinds
    with bound("127.0.0.1") as server, bound("127.0.0.1") as client:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        data = bytes(n & 255 for n in range(size))
        client.sendto(data, server.getsockname())
        client.sendto(b"behind", server.getsockname())
        assert [got for _, got in take_all(inbox, server)] == [data, b"behind"]


@pytest.mark.parametrize("host", HOSTS)
def test_answers_go_from_the_frontend_to_who_asked(
    kinds: tuple[Receiving, Sending], host: str
) -> None:
    """Two frontends and more answers than places: each box is emptied when it must be."""
    inbox, outbox = kinds
    with (
        bound(host) as one, bound(host) as two, bound(host) as endpoint, bound(host) as upstream,
        bound(host) as client,
    ):  # fmt: skip
        for front in (one, two):
            client.sendto(b"question", front.getsockname())
        names = [inbox.receive(front)[0][0] for front in (one, two)]
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        count = PLACES + 6
        for number in range(count):
            endpoint.sendto(b"%d" % number, upstream.getsockname())
        for number in range(count):
            front, name = ((one, names[0]), (two, names[1]))[number % 3 == 0]
            assert outbox.take(upstream, front, name) == len(b"%d" % number)
        outbox.flush()
        outbox.flush()
        got = [client.recvfrom(100) for _ in range(count)]
        assert [data for data, _ in got] == [b"%d" % number for number in range(count)]
        senders = [sender for _, sender in got]
        assert senders == [(one, two)[n % 3 == 0].getsockname() for n in range(count)]
        assert outbox.refused == 0


def test_taking_from_an_empty_socket_or_a_dead_peer_is_said(
    kinds: tuple[Receiving, Sending],
) -> None:
    _, outbox = kinds
    with bound("127.0.0.1") as server, bound("127.0.0.1") as gone, bound("127.0.0.1") as sock:
        with pytest.raises(BlockingIOError):
            outbox.take(sock, server, None)
        sock.connect(gone.getsockname())
        gone.close()
        sock.send(b"anybody?")
        with pytest.raises(ConnectionRefusedError):
            outbox.take(sock, server, None)
        outbox.flush()


def test_an_answer_that_cannot_be_sent_costs_itself_only(
    kinds: tuple[Receiving, Sending],
) -> None:
    inbox, outbox = kinds
    with (
        bound("127.0.0.1") as front, bound("127.0.0.1") as endpoint,
        bound("127.0.0.1") as upstream, bound("127.0.0.1") as client,
    ):  # fmt: skip
        client.sendto(b"question", front.getsockname())
        ((name, _),) = inbox.receive(front)
        nowhere = (b"\xff" * len(name)) if isinstance(name, bytes) else ("255.255.255.255", 9)
        for data in (b"1", b"lost", b"3"):
            endpoint.sendto(data, upstream.getsockname())
            outbox.take(upstream, front, nowhere if data == b"lost" else name)
        outbox.flush()
        assert [client.recv(10) for _ in range(2)] == [b"1", b"3"]
        assert outbox.refused == 1


def test_a_renewed_socket_hears_nothing_of_its_old_life() -> None:
    with (
        bound("127.0.0.1") as old, bound("127.0.0.1") as new,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock,
    ):  # fmt: skip
        sock.connect(old.getsockname())
        before = sock.getsockname()
        old.sendto(b"late", before)
        assert renew(sock)
        old.sendto(b"later", before)
        sock.connect(new.getsockname())
        assert sock.getsockname() != before
        old.sendto(b"not from the peer", sock.getsockname())
        new.sendto(b"answer", sock.getsockname())
        assert sock.recv(100) == b"answer"
        with pytest.raises(BlockingIOError):
            sock.recv(100)


def test_a_renewed_socket_does_not_report_what_its_old_peer_did() -> None:
    with (
        bound("127.0.0.1") as old, bound("127.0.0.1") as new,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock,
    ):  # fmt: skip
        sock.connect(old.getsockname())
        old.close()
        sock.send(b"port unreachable comes back")
        assert renew(sock)
        sock.connect(new.getsockname())
        new.sendto(b"answer", sock.getsockname())
        assert sock.recv(100) == b"answer"


def test_a_closed_socket_is_no_new_one() -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.close()
    assert not renew(sock)
