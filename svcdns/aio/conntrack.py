"""Makes the kernel forget stale UDP flows, by ctnetlink.

In a thread of its own: a busy node remembers hundreds of thousands of flows, and all of them are
read to find the few.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Iterator

from svcdns.proxy import ctnetlink
from svcdns.proxy.conntrack import Flow, Sweep
from svcdns.proxy.ctnetlink import Kind

RECEIVE_OCTETS = 1 << 18
"""The kernel puts up to 32 KiB of a dump into a message."""

TIMEOUT = 10.0
"""Seconds to wait for the kernel's next word."""


async def forget(sweep: Sweep) -> int:
    """Delete the flows that *sweep* picks; how many there were.

    Raises:
        OSError: The kernel has no connection tracking, or does not let us.
    """
    return await asyncio.to_thread(_forget, sweep)


def _forget(sweep: Sweep) -> int:
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, ctnetlink.NETFILTER
    ) as sock:
        sock.settimeout(TIMEOUT)
        sock.bind((0, 0))
        stale = list(sweep.stale(_dump(sock, sweep.family)))
        return sum(_delete(sock, sweep.family, number, one) for number, one in enumerate(stale))


def _dump(sock: socket.socket, family: int) -> Iterator[Flow]:
    sock.send(ctnetlink.dump_request(family, 1))
    while True:
        for kind, content in ctnetlink.messages(sock.recv(RECEIVE_OCTETS)):
            match kind:
                case Kind.DONE:
                    if code := ctnetlink.error_code(content):
                        _raise(code)  # the kernel gave up in the middle of its list
                    return
                case Kind.ERROR:
                    _raise(ctnetlink.error_code(content))
                case Kind.NEW:
                    found = ctnetlink.flow(content)
                    if found:
                        yield found


def _delete(sock: socket.socket, family: int, number: int, flow: Flow) -> bool:
    """Delete one flow; False when it is gone already."""
    sock.send(ctnetlink.delete_request(family, number, flow))
    for kind, content in ctnetlink.messages(sock.recv(RECEIVE_OCTETS)):
        if kind == Kind.ERROR:
            code = ctnetlink.error_code(content)
            if code not in (0, errno.ENOENT):
                _raise(code)
            return not code
    return False


def _raise(code: int) -> None:
    raise OSError(code, os.strerror(code))
