"""Addresses as sockets want them, and socket errors as operators read them."""

import errno
import os
import socket
from functools import lru_cache
from ipaddress import ip_address

from msgspec import Struct

from svcdns.hostport import host_port
from svcdns.plugins.commands import Upstream

_GO_WORDS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset by peer",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network is unreachable",
    errno.EADDRINUSE: "address already in use",
    errno.EACCES: "permission denied",
    errno.EADDRNOTAVAIL: "cannot assign requested address",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files in system",
    errno.ETIMEDOUT: "i/o timeout",
}
"What Go prints for these, which is what people search for."


class SocketAddress(Struct, frozen=True):
    """An address family and what ``connect`` and ``bind`` take for it."""

    family: socket.AddressFamily
    value: tuple[str, int] | tuple[str, int, int, int]


@lru_cache(maxsize=1024)
def sockaddr(address: str, port: int) -> SocketAddress:
    """Turn a literal address into a socket address, without any name service.

    Args:
        address: IPv4 or IPv6, the latter with a scope where it needs one (``fe80::1%eth0``).
        port: Port number.

    Raises:
        ValueError: Not a literal address.
        OSError: The scope names no interface.
    """
    literal, _, scope = address.partition("%")
    if ip_address(literal).version == 4:
        return SocketAddress(socket.AF_INET, (literal, port))
    index = 0
    if scope:
        index = int(scope) if scope.isdigit() else socket.if_nametoindex(scope)
    return SocketAddress(socket.AF_INET6, (literal, port, 0, index))


def joined(upstream: Upstream) -> str:
    """Give an upstream's address and port as one word."""
    return host_port(upstream.address, upstream.port)


def reason(error: Exception) -> str:
    """Give the cause of a socket error in the words that Go programs use."""
    if isinstance(error, TimeoutError):
        return "i/o timeout"
    number = getattr(error, "errno", None)
    if isinstance(number, int):
        return _GO_WORDS.get(number) or os.strerror(number).lower()
    return str(error) or type(error).__name__


def call_reason(call: str, error: Exception) -> str:
    """Give the cause of a failed system call as Go does, with the call's name in front.

    Time-outs are no failed calls in Go, and have none.

    Args:
        call: ``connect``, ``read``.
        error: What it raised.
    """
    text = reason(error)
    if isinstance(error, TimeoutError) or getattr(error, "errno", None) is None:
        return text
    return f"{call}: {text}"
