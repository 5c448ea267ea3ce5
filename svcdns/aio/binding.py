"""Binds the sockets that servers listen with: of streams, and of datagrams.

An address is an IP address, with the interface after ``%`` if it is link-local; ``""`` and ``"::"``
take IPv4 and IPv6 both, as Go's ``net.Listen`` does for CoreDNS.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from svcdns.aio.addresses import sockaddr

RECEIVE_BUFFER = 4 * 1024 * 1024
"""Octets of queries asked of the kernel: some 10,000, a tenth of a second at full load."""

_IPV6_RECVPKTINFO = 49
_IP_PKTINFO = 8
_BOTH = ("", "::")


def open_stream(address: str, port: int, *, shared: bool = False) -> socket.socket:
    """Bind a TCP socket; it takes connections when its owner listens.

    Args:
        address: What this module says.
        port: 0 chooses one.
        shared: Whether other processes may bind the same (SO_REUSEPORT).

    Raises:
        OSError: The address or the port cannot be had.
    """
    with _bound(socket.SOCK_STREAM, address, port, shared=shared) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return sock


def open_datagram(address: str, port: int, *, shared: bool = False) -> socket.socket:
    """Bind a UDP socket; of all addresses, it tells of each datagram which one was asked.

    Args:
        address: What this module says.
        port: 0 chooses one.
        shared: Whether other processes may bind the same (SO_REUSEPORT).

    Raises:
        OSError: The address or the port cannot be had.
    """
    with _bound(socket.SOCK_DGRAM, address, port, shared=shared) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        if address in _BOTH:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
        elif address == "0.0.0.0":
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    return sock


@contextmanager
def _bound(
    kind: socket.SocketKind, address: str, port: int, *, shared: bool
) -> Iterator[socket.socket]:
    """Give a socket for its options, then bind it; close it when either fails."""
    six = ":" in address or not address
    family = socket.AF_INET6 if six else socket.AF_INET
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    try:
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if six:
            both = address in _BOTH
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if both else 1)
        yield sock
        sock.bind(sockaddr(address or "::", port).value)
    except BaseException:
        sock.close()
        raise
