"""Batches of datagrams on real sockets, held against what the socket module makes of the same."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from svcdns.aio.binding import open_datagram
from svcdns.aio.mmsg import NAME_OCTETS, PLACES, Batch, available

pytestmark = pytest.mark.skipif(not available(), reason="no recvmmsg on this machine")

BOUND = [("127.0.0.1", "127.0.0.1"), ("::1", "::1")]
WILDCARD = [("0.0.0.0", "127.0.0.9"), ("", "127.0.0.9"), ("", "::1")]


@contextmanager
def pair(bound: str, asked: str) -> Iterator[tuple[Batch, socket.socket]]:
    """Give a batch and a client that is connected to its socket."""
    family = socket.AF_INET6 if ":" in asked else socket.AF_INET
    with open_datagram(bound, 0) as sock, socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(30)
        client.connect((asked, sock.getsockname()[1]))
        yield Batch(sock, wildcard=bound in ("", "0.0.0.0")), client


@pytest.mark.parametrize(("bound", "asked"), [*BOUND, *WILDCARD])
def test_datagrams_come_with_their_senders_and_answers_go_back_to_them(
    bound: str, asked: str
) -> None:
    with pair(bound, asked) as (batch, client):
        for number in range(3):
            client.send(b"%02d query" % number)
        assert batch.receive() == 3
        for place in range(3):
            assert batch.packet(place) == b"%02d query" % place
            host, port, *_ = batch.peer(place)
            assert (host.removeprefix("::ffff:"), port) == client.getsockname()[:2]
            batch.put(place, b"xx answer %d" % place)
        assert batch.send(0, 3) == 0
        # A connected client hears from the address that it asked alone.
        assert [client.recv(100) for _ in range(3)] == [
            b"%02d answer %d" % (n, n) for n in range(3)
        ]


@pytest.mark.parametrize(("bound", "asked"), WILDCARD)
def test_a_wildcard_socket_says_which_address_was_asked(bound: str, asked: str) -> None:
    with pair(bound, asked) as (batch, client):
        client.send(b"query")
        assert batch.receive() == 1
        ((level, _kind, data),) = batch.control(0)
        if level == socket.IPPROTO_IPV6:
            address = socket.inet_ntop(socket.AF_INET6, data[:16]).removeprefix("::ffff:")
        else:
            address = socket.inet_ntoa(data[8:12])
        assert address == asked
        assert batch.mapped(1) == [bound == "" and "." in asked]


@pytest.mark.parametrize(("bound", "asked"), BOUND)
def test_a_bound_socket_says_nothing_about_it(bound: str, asked: str) -> None:
    with pair(bound, asked) as (batch, client):
        client.send(b"query")
        batch.receive()
        assert batch.control(0) == []
        assert batch.mapped(1) == [False]


def test_ipv4_and_ipv6_are_told_apart_in_one_batch() -> None:
    with pair("", "::1") as (batch, six), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as four:
        four.connect(("127.0.0.1", six.getpeername()[1]))
        for client in (six, four, four, six, four):
            client.send(b"query")
        assert batch.receive() == 5
        assert batch.mapped(5) == [False, True, True, False, True]
        assert batch.mapped(0) == []
        # No IPv4 behind other octets than zeros.
        at = 1 * NAME_OCTETS + 8
        for octet in range(12):
            batch._names[at + octet] ^= 1
            assert batch.mapped(2) == [False, False]
            batch._names[at + octet] ^= 1
        assert batch.mapped(2) == [False, True]


@pytest.mark.parametrize(("bound", "asked"), WILDCARD)
def test_routes_choose_the_interface_except_for_link_local_addresses(
    bound: str, asked: str
) -> None:
    with pair(bound, asked) as (batch, client):
        for _ in range(4):
            client.send(b"query")
        assert batch.receive() == 4
        at = 16 if ":" in batch.peer(0)[0] else 0
        came_by = [batch.control(place)[0][2][at : at + 4] for place in range(4)]
        assert all(map(any, came_by))
        answers = 4
        for place in (0, 2) if at else ():
            data = place * batch._control_octets + socket.CMSG_LEN(0)
            batch._controls[data : data + 16] = socket.inet_pton(socket.AF_INET6, "fe80::1")
            answers = 2  # nobody here has that address
        for place in range(4):
            batch.put(place, b"??ok")
        assert batch.send(0, 2) == (1 if at else 0)
        assert batch.control(3)[0][2][at : at + 4] == came_by[3], "not in the range"
        assert batch.send(2, 4) == (1 if at else 0)
        goes_by = [batch.control(place)[0][2][at : at + 4] for place in range(4)]
        wanted = [came_by[0], bytes(4), came_by[2], bytes(4)] if at else [bytes(4)] * 4
        assert goes_by == wanted
        assert [client.recv(100)[2:] for _ in range(answers)] == [b"ok"] * answers


def test_an_empty_socket_gives_nothing() -> None:
    with pair("127.0.0.1", "127.0.0.1") as (batch, _):
        assert batch.receive() == 0


def test_more_than_a_batch_comes_in_several() -> None:
    with pair("127.0.0.1", "127.0.0.1") as (batch, client):
        for number in range(PLACES + 5):
            client.send(b"%d" % number)
        assert batch.receive() == PLACES
        assert batch.receive() == 5
        assert batch.packet(4) == b"%d" % (PLACES + 4)


@pytest.mark.parametrize(("bound", "asked"), WILDCARD)
def test_places_can_be_used_again_and_again(bound: str, asked: str) -> None:
    """The kernel writes over lengths; what it leaves must not be in the next one's way."""
    with pair(bound, asked) as (batch, client):
        for number in range(300):
            client.send(b"%03d" % number * (1 + number % 7))
            assert batch.receive() == 1
            assert batch.packet(0) == b"%03d" % number * (1 + number % 7)
            batch.put(0, b"??ok")
            assert batch.send(0, 1) == 0
            assert client.recv(100)[2:] == b"ok"


@pytest.mark.parametrize("octets", [0, 1, 2, 65507])
def test_datagrams_of_any_size_arrive_whole(octets: int) -> None:
    with pair("127.0.0.1", "127.0.0.1") as (batch, client):
        client.send(b"x" * octets)
        client.send(b"after")
        assert batch.receive() == 2
        assert batch.packet(0) == b"x" * octets
        assert batch.packet(1) == b"after"


def test_what_cannot_be_sent_is_counted_and_the_rest_is_sent() -> None:
    with pair("127.0.0.1", "127.0.0.1") as (batch, client):
        for number in range(3):
            client.send(b"%d?" % number)
        assert batch.receive() == 3
        batch.put(0, b"??first")
        batch.put(1, bytes(65530))  # no datagram of IPv4 is as large
        batch.put(2, b"??third")
        assert batch.send(0, 3) == 1
        assert [client.recv(100) for _ in range(2)] == [b"0?first", b"2?third"]


def test_only_the_places_of_the_range_are_sent() -> None:
    with pair("127.0.0.1", "127.0.0.1") as (batch, client):
        for number in range(4):
            client.send(b"%d?" % number)
        batch.receive()
        for place in range(4):
            batch.put(place, b"??ok")
        assert batch.send(1, 3) == 0
        assert [client.recv(100) for _ in range(2)] == [b"1?ok", b"2?ok"]
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(100)


def test_a_closed_socket_is_an_error() -> None:
    with pair("127.0.0.1", "127.0.0.1") as (batch, _):
        taken = os.dup(0)
        os.close(taken)
        batch._fd = taken
        with pytest.raises(OSError, match="Bad file descriptor"):
            batch.receive()
