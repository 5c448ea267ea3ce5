"""Many datagrams with one system call: Linux's ``recvmmsg`` and ``sendmmsg`` by way of ctypes.

A :class:`Batch` is a row of places.  A datagram is received into a place with its sender's address
and, on a wildcard socket, the address it was sent to; the answer is written over it, behind its
first two octets, the ID, and goes back from there.  All pointers between these parts are set once,
so that a datagram costs the copying of its octets and no more.

The loops that use a batch read its views themselves, because a call for each datagram would cost
more than all the rest.

Spec: ``recvmmsg(2)``, ``sendmmsg(2)``, ``ip(7)`` and ``ipv6(7)`` (PKTINFO).
"""

import ctypes
import errno
import mmap
import os
import socket
import struct
import sys
from ctypes import POINTER, Structure, addressof, c_int, c_size_t, c_uint, c_void_p, sizeof
from functools import lru_cache
from typing import Final

PLACES: Final = 64
"""Datagrams of a batch; beyond, a system call is no dear part any more."""

LARGEST_DATAGRAM: Final = 65535
"""Octets."""

STRIDE: Final = 65536 + 192
"""Octets from one place's buffer to the next; only pages that are used take memory, and the odd
number keeps the beginnings from sharing one line of the processor's cache."""

ID_OCTETS: Final = 2

NAME_OCTETS: Final = 32
"""A place for ``sockaddr_in6``, which has 28."""

_sockaddr_in = struct.Struct("!2xH4s").unpack_from
_sockaddr_in6 = struct.Struct("!2xHI16s4s").unpack_from
_IPV6_PKTINFO = 50
_IP_PKTINFO = 8
_CMSG_HEADER = socket.CMSG_LEN(0)
_MAPPED: Final = int.from_bytes(b"\0\0\xff\xff", "little")
"""Octets 8 to 11 of an IPv4-mapped address as this machine reads them; zeros are before them."""
_LINK_LOCAL: Final = int.from_bytes(b"\xfe\x80", "little")
_SIN6_ADDR = 8
"""Where the address is in ``sockaddr_in6``."""
_INDEX_BEHIND = 16
"""Octets of the address in front of the interface's number in ``in6_pktinfo``; in ``in_pktinfo``
there is none."""


class Iovec(Structure):
    """``struct iovec``: one part of a message."""

    _fields_ = (("base", c_void_p), ("octets", c_size_t))  # type: ignore[mutable-override]  # as below


class Message(Structure):
    """``struct mmsghdr``: a ``msghdr``, and the octets received or sent."""

    _fields_ = (  # type: ignore[mutable-override]  # read once, by the class's making
        ("name", c_void_p),
        ("name_octets", c_uint),
        ("parts", POINTER(Iovec)),
        ("part_count", c_size_t),
        ("control", c_void_p),
        ("control_octets", c_size_t),
        ("flags", c_int),
        ("padding", c_int),  # msghdr ends here, aligned
        ("octets", c_uint),
    )


@lru_cache(maxsize=4096)
def host(family: int, packed: bytes) -> str:
    """Write an address; a cluster has few, and each of them asks often."""
    return socket.inet_ntop(family, packed)


libc = ctypes.CDLL(None, use_errno=True)
"""With ``recvmmsg`` and ``sendmmsg`` where :func:`available`."""


def available() -> bool:
    """Whether this machine's C library has the calls, with structures as they are laid out here."""
    # musl has narrower fields with padding behind them: the same on little-endian machines only.
    return (
        sys.platform == "linux"
        and sys.byteorder == "little"
        and sizeof(c_void_p) == 8
        and hasattr(libc, "recvmmsg")
        and hasattr(libc, "sendmmsg")
    )


class Batch:
    """Places for datagrams of one UDP socket and for their answers."""

    def __init__(self, sock: socket.socket, *, wildcard: bool) -> None:
        """Lay everything out.

        Args:
            sock: Bound, non-blocking.
            wildcard: Whether it reports the address that a datagram was sent to (PKTINFO), and
                answers are to come from there.
        """
        self._fd = sock.fileno()
        self._six = sock.family == socket.AF_INET6
        self._wildcard = wildcard
        self._control_octets = socket.CMSG_SPACE(20 if self._six else 12) if wildcard else 0
        self._received = mmap.mmap(-1, STRIDE * PLACES)
        self._names = bytearray(NAME_OCTETS * PLACES)
        self._controls = bytearray(max(1, self._control_octets) * PLACES)
        self.box = memoryview(self._received)
        "Datagrams, then their answers, each from its place's start."
        self.starts = tuple(at * STRIDE for at in range(PLACES))
        self._incoming = (Message * PLACES)()
        self._outgoing = (Message * PLACES)()
        self._in_parts = (Iovec * PLACES)()
        self._out_parts = (Iovec * PLACES)()
        self._connect()
        words = sizeof(Message) // sizeof(c_uint)
        self.lengths = (
            memoryview(self._incoming)
            .cast("B")
            .cast("I")[Message.octets.offset // sizeof(c_uint) :: words]
        )
        "Octets of each datagram received."
        self.answer_lengths = memoryview(self._out_parts).cast("B").cast("L")[1::2]
        "Octets of each answer with its ID; to be set."
        self._look_at_all()
        self._headers = memoryview(self._incoming).cast("B")
        self._fresh = bytes(self._headers)
        self._receive = libc.recvmmsg
        self._send = libc.sendmmsg

    def _connect(self) -> None:
        """Set every pointer, once."""
        received, names, controls = (
            addressof(ctypes.c_char.from_buffer(one))
            for one in (self._received, self._names, self._controls)
        )
        for at, start in enumerate(self.starts):
            incoming, outgoing = self._incoming[at], self._outgoing[at]
            self._in_parts[at] = Iovec(received + start, LARGEST_DATAGRAM)
            self._out_parts[at] = Iovec(received + start, 0)
            incoming.parts = ctypes.pointer(self._in_parts[at])
            incoming.part_count = 1
            outgoing.parts = ctypes.pointer(self._out_parts[at])
            outgoing.part_count = 1
            for message in (incoming, outgoing):
                message.name = names + at * NAME_OCTETS
                message.name_octets = 28 if self._six else 16
                if self._wildcard:
                    message.control = controls + at * self._control_octets
                    message.control_octets = self._control_octets

    def _look_at_all(self) -> None:
        """Make views of one field of all places, because a step for each of them costs more."""
        names = memoryview(self._names)
        self._address_starts = names.cast("Q")[_SIN6_ADDR // 8 :: NAME_OCTETS // 8]
        self._address_middles = names.cast("I")[_SIN6_ADDR // 4 + 2 :: NAME_OCTETS // 4]
        if not self._wildcard:
            return
        controls, octets = memoryview(self._controls), self._control_octets
        index_at = _CMSG_HEADER + (_INDEX_BEHIND if self._six else 0)
        self._asked_starts = controls.cast("H")[_CMSG_HEADER // 2 :: octets // 2]
        self._interfaces = controls.cast("I")[index_at // 4 :: octets // 4]
        self._no_interfaces = memoryview(bytes(4 * PLACES)).cast("I")

    def receive(self) -> int:
        """Fill places from the first one on.

        Returns:
            How many; 0 when nothing has arrived.

        Raises:
            OSError: The socket reports something else.
        """
        # The kernel has written over lengths that it is to find as they were.
        self._headers[:] = self._fresh
        count: int = self._receive(self._fd, self._incoming, PLACES, socket.MSG_DONTWAIT, None)
        if count < 0:
            code = ctypes.get_errno()
            if code == errno.EAGAIN:
                return 0
            raise OSError(code, os.strerror(code))
        return count

    def put(self, place: int, wire: bytes) -> None:
        """Put a whole answer into a place; its ID is the datagram's."""
        start, size = self.starts[place], len(wire)
        self.box[start + ID_OCTETS : start + size] = memoryview(wire)[ID_OCTETS:]
        self.answer_lengths[place] = size

    def send(self, first: int, end: int) -> int:
        """Send the answers of a range of places; give the number that the kernel refused."""
        if self._wildcard:
            self._forget_interfaces(first, end)
        refused = 0
        messages = self._outgoing
        while first < end:
            start = ctypes.byref(messages, first * sizeof(Message))
            sent: int = self._send(self._fd, start, end - first, 0)
            if sent < 0:
                refused += 1
                sent = 1
            first += sent
        return refused

    def _forget_interfaces(self, first: int, end: int) -> None:
        """Answer by whatever interface routes say; link-local addresses mean one, though."""
        kept = {}
        if self._six and _LINK_LOCAL in (starts := self._asked_starts[first:end].tolist()):
            kept = {
                place: self._interfaces[place]
                for place, start in enumerate(starts, first)
                if start == _LINK_LOCAL
            }
        self._interfaces[first:end] = self._no_interfaces[first:end]
        for place, interface in kept.items():
            self._interfaces[place] = interface

    def packet(self, place: int) -> bytes:
        """Give a datagram."""
        start = self.starts[place]
        return bytes(self.box[start : start + self.lengths[place]])

    def mapped(self, count: int) -> list[bool]:
        """Tell which of the first *count* datagrams came over IPv4 to an IPv6 socket."""
        if not self._six:
            return [False] * count
        middles = self._address_middles[:count].tolist()
        starts = self._address_starts[:count].tolist()
        if middles.count(_MAPPED) == starts.count(0) == count:
            return [True] * count
        return [
            middle == _MAPPED and start == 0 for start, middle in zip(starts, middles, strict=True)
        ]

    def peer(self, place: int) -> tuple[str, int] | tuple[str, int, int, int]:
        """Give a datagram's sender as :mod:`socket` writes it."""
        if not self._six:
            port, packed = _sockaddr_in(self._names, place * NAME_OCTETS)
            return host(socket.AF_INET, packed), port
        port, flow, packed, scope = _sockaddr_in6(self._names, place * NAME_OCTETS)
        return host(socket.AF_INET6, packed), port, flow, int.from_bytes(scope, sys.byteorder)

    def control(self, place: int) -> list[tuple[int, int, bytes]]:
        """Give a datagram's ancillary data as :mod:`socket` does; empty on a bound socket."""
        if not self._wildcard:
            return []
        start = place * self._control_octets
        data = start + _CMSG_HEADER
        if self._six:
            found = bytes(self._controls[data : data + 20])
            return [(socket.IPPROTO_IPV6, _IPV6_PKTINFO, found)]
        return [(socket.IPPROTO_IP, _IP_PKTINFO, bytes(self._controls[data : data + 12]))]
