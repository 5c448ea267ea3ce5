"""Binding what servers listen with; the kernel is asked what came of it."""

import errno
import socket
from collections.abc import Callable

import pytest

from svcdns.aio.binding import open_datagram, open_stream
from tests.support import inside

Opener = Callable[[str, int], socket.socket]
BOTH = pytest.mark.parametrize("opener", [open_stream, open_datagram])


@BOTH
def test_a_taken_port_is_an_error_and_leaves_no_socket_behind(opener: Opener) -> None:
    with opener("127.0.0.1", 0) as first:
        if first.type == socket.SOCK_STREAM:
            first.listen()
        # A socket that was left behind ends the test with a ResourceWarning.
        with pytest.raises(OSError, match="in use") as caught:
            opener("127.0.0.1", first.getsockname()[1])

    assert caught.value.errno == errno.EADDRINUSE


@BOTH
@pytest.mark.parametrize(
    ("address", "family", "only"),
    [
        ("", socket.AF_INET6, 0),
        ("::", socket.AF_INET6, 0),
        ("::1", socket.AF_INET6, 1),
        ("127.0.0.1", socket.AF_INET, None),
        ("0.0.0.0", socket.AF_INET, None),
    ],
)
def test_only_a_wildcard_of_ipv6_takes_ipv4_as_well(
    opener: Opener, address: str, family: int, only: int | None
) -> None:
    with opener(address, 0) as sock:
        assert sock.family == family
        assert not sock.getblocking()
        if only is not None:
            assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == only


@pytest.mark.parametrize(
    ("address", "level", "option", "told"),
    [
        ("::", socket.IPPROTO_IPV6, 49, 1),
        ("::1", socket.IPPROTO_IPV6, 49, 0),
        ("0.0.0.0", socket.IPPROTO_IP, 8, 1),
        ("127.0.0.1", socket.IPPROTO_IP, 8, 0),
    ],
)
def test_a_datagram_socket_of_all_addresses_tells_which_one_was_asked(
    address: str, level: int, option: int, told: int
) -> None:
    """RFC 1122 §4.1.3.5: the answer leaves from there."""
    with open_datagram(address, 0) as sock:
        assert sock.getsockopt(level, option) == told


@pytest.mark.parametrize("opener", [open_stream, open_datagram])
def test_a_shared_port_can_be_bound_twice(opener: Callable[..., socket.socket]) -> None:
    with opener("127.0.0.1", 0, shared=True) as first:
        port = first.getsockname()[1]
        with opener("127.0.0.1", port, shared=True) as second:
            assert second.getsockname()[1] == port


def test_a_link_local_address_is_bound_on_its_interface() -> None:
    """Python ignores the scope in a pair of address and port: ``bind`` then says EINVAL."""
    printed = inside.run(
        """
import socket
commands = ("link add eth0 type veth peer name eth1", "link set eth0 up", "link set eth1 up",
            "address add fe80::5/64 dev eth0 nodad")
for command in commands:
    subprocess.run(["ip", *command.split()], check=True)
from svcdns.aio.binding import open_datagram, open_stream
for opener in (open_datagram, open_stream):
    with opener("fe80::5%eth0", 5353) as sock:
        print(sock.getsockname()[3] == socket.if_nametoindex("eth0"))
"""
    )

    assert printed == "True\nTrue\n"
