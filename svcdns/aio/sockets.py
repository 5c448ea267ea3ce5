"""Opening the sockets that clients reach, and keeping some clients out in the kernel."""

import ctypes
import resource
import socket
from dataclasses import dataclass
from struct import Struct, error, pack
from typing import Protocol, cast

from svcdns.aio.tcpoptions import tune
from svcdns.proxy.listeners import Need
from svcdns.proxy.sourcefilter import INSTRUCTION_OCTETS, program

BACKLOG = 4096
"""Length of the accept queue (``net.core.somaxconn`` as Linux ships it)."""

UDP_BUFFER_OCTETS = 4 << 20
"""Receive buffer asked for; the kernel gives at most ``net.core.rmem_max``."""

_SO_ATTACH_FILTER = 26
_SO_DETACH_FILTER = 27
_SO_MEMINFO = 55
_MEMINFO = Struct("@9I")
"""``SK_MEMINFO_*`` of linux/sock_diag.h; the last of them is how many datagrams were dropped."""

_IPV6_FREEBIND = 78


class _Accepting(Protocol):
    """The part of a socket that its ``accept`` is made of, since Python 3.2."""

    def _accept(self) -> tuple[int, tuple[str, int]]: ...


@dataclass(frozen=True, slots=True)
class Opened:
    """A socket that clients reach."""

    sock: socket.socket
    filtered: bool = True
    "Whether the kernel keeps out whom the need does not let in; if not, the owner has to."
    plugged: bool = False
    "Whether nobody can get in at all: nothing must be accepted from it."


def listen(need: Need, address: str, port: int, *, captured: bool = False) -> Opened:
    """Open the socket of *need* at *address* and *port*.

    Linux 6.18 takes filters on TCP sockets only from the privileged.  Without one, a socket that
    lets nobody in has an accept queue of one place, taken by ourselves: the kernel drops every SYN
    that finds the queue full.

    Args:
        need: What the socket is for.
        address: Where it is bound, which may be elsewhere than *need* says.
        port: The same.
        captured: Whether the address is local by a route only.

    Raises:
        OSError: The address or port cannot be had.
        ValueError: The need has more source ranges than a filter holds.
    """
    family = socket.AF_INET if need.listener.family == 4 else socket.AF_INET6
    stream = need.listener.protocol == "TCP"
    kind = socket.SOCK_STREAM if stream else socket.SOCK_DGRAM
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if captured and family == socket.AF_INET6:
            # bind(2) of IPv4 asks the routes whether an address is local, that of IPv6 does not.
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        if stream:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tune(sock)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER_OCTETS)
        filtered = need.sources is None or _filtered(sock, need)
        plugged = stream and not filtered and not need.sources
        sock.bind((address, port))
        if stream:
            sock.listen(0 if plugged else BACKLOG)
        if plugged:
            with socket.socket(family, kind) as plug:
                plug.settimeout(1)
                plug.connect(sock.getsockname())
    except BaseException:
        sock.close()
        raise
    return Opened(sock, filtered, plugged)


def _filtered(sock: socket.socket, need: Need) -> bool:
    try:
        admit(sock, need)
    except PermissionError:
        return False
    return True


def admit(sock: socket.socket, need: Need) -> None:
    """Let only the sources of *need* reach *sock*; others meet silence (rules R44 and R50).

    Raises:
        OSError: The kernel takes no filter.
        ValueError: There are too many sources for one.
    """
    if need.sources is None:
        sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
        return
    code = program(need.sources, need.listener.family)
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: the number of instructions, and where they are
    argument = pack("@HP", len(code) // INSTRUCTION_OCTETS, ctypes.addressof(buffer))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, argument)


def overflowed(sock: socket.socket) -> int:
    """Count the datagrams that found the receive buffer full; filters drop into the same count."""
    try:
        found: int = _MEMINFO.unpack(
            sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        )[-1]
    except (OSError, error):
        return 0  # kernels before 4.12, and gVisor, do not count
    return found


def accept(listener: socket.socket, family: int) -> tuple[socket.SocketType, tuple[str, int]]:
    """Take a connection from *listener*, of *family*: it, and the client's address and port.

    What :meth:`socket.socket.accept` adds to the call below are enumerations of the family and the
    type and an object that can make files: together a third of its time.

    Raises:
        OSError: There is none (:class:`BlockingIOError`), or it cannot be had.
    """
    descriptor, address = cast("_Accepting", listener)._accept()
    return socket.SocketType(family, socket.SOCK_STREAM, 0, descriptor), address


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open descriptors to the hard one, as Go programs do; give it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            return hard
        except (OSError, ValueError):
            return soft  # a container may forbid it: fewer connections, not fewer features
    return soft
