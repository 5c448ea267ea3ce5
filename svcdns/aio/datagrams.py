"""Datagrams of a relay, many with one system call: what came in, and what goes out.

An :class:`Inbox` takes what waits at a socket with one ``recvmmsg``; an :class:`Outbox` gathers
answers, each received straight into its place, and sends them with one ``sendmmsg``.  One of each
serves all sockets of a relay, so thousands of frontends cost no buffers.

Where the C library has no such calls, :class:`PlainInbox` and :class:`PlainOutbox` do the same one
datagram at a time.

Spec: ``recvmmsg(2)``, ``sendmmsg(2)``.
"""

import ctypes
import errno
import mmap
import os
import socket
from ctypes import addressof, c_uint, sizeof
from typing import Any, Protocol, TypeAlias

from svcdns.aio.mmsg import (
    LARGEST_DATAGRAM,
    NAME_OCTETS,
    PLACES,
    STRIDE,
    Iovec,
    Message,
    available,
    libc,
)

Name: TypeAlias = Any
"""A client's address and port, hashable; what stands in it is the affair of inbox and outbox."""

_UNSPECIFIED = bytes(16)
"""``AF_UNSPEC``: connecting to it undoes a connect, port and all (``connect(2)``, ``udp(7)``)."""

_V4_OCTETS, _V6_OCTETS = 16, 28
"""Octets of ``sockaddr_in`` and ``sockaddr_in6``."""


class Receiving(Protocol):
    """Takes datagrams from sockets."""

    def receive(self, sock: socket.socket) -> list[tuple[Name, memoryview]]:
        """Take up to :data:`PLACES` datagrams, each with its sender; empty when none waits.

        The views hold until the next call.

        Raises:
            OSError: The socket reports something else.
        """

    def host(self, name: Name) -> str:
        """Give the address of a sender as text."""

    def client(self, name: Name) -> tuple[str, int]:
        """Give address and port of a sender as text and number."""


class Sending(Protocol):
    """Gathers answers and sends them."""

    refused: int
    "Answers that the kernel did not take."

    def take(self, source: socket.socket, target: socket.socket, name: Name) -> int:
        """Receive a datagram from *source*, to be sent to *name* from *target*; its octets.

        Raises:
            OSError: Of *source*: nothing waits, or the peer is not there.
        """

    def flush(self) -> None:
        """Send what has been gathered."""


class _Row:
    """Places for datagrams with a sender or receiver each; all pointers are set once."""

    def __init__(self) -> None:
        self._octets = mmap.mmap(-1, STRIDE * PLACES)
        self._names = bytearray(NAME_OCTETS * PLACES)
        self.data = memoryview(self._octets)
        self.names = memoryview(self._names)
        self.messages = (Message * PLACES)()
        self._parts = (Iovec * PLACES)()
        octets = addressof(ctypes.c_char.from_buffer(self._octets))
        names = addressof(ctypes.c_char.from_buffer(self._names))
        for at, message in enumerate(self.messages):
            self._parts[at] = Iovec(octets + at * STRIDE, LARGEST_DATAGRAM)
            message.parts = ctypes.pointer(self._parts[at])
            message.part_count = 1
            message.name = names + at * NAME_OCTETS
            message.name_octets = _V6_OCTETS
        self.part_lengths = memoryview(self._parts).cast("B").cast("L")[1::2]
        self.headers = memoryview(self.messages).cast("B")


class Inbox:
    """Takes datagrams from any socket."""

    def __init__(self) -> None:
        row = self._row = _Row()
        words = sizeof(Message) // sizeof(c_uint)
        self._lengths = row.headers.cast("I")[Message.octets.offset // sizeof(c_uint) :: words]
        self._fresh = bytes(row.headers)
        self._receive = libc.recvmmsg
        self._starts = tuple(
            (at * STRIDE, at * NAME_OCTETS, at * NAME_OCTETS + _V4_OCTETS,
             at * NAME_OCTETS + _V6_OCTETS)
            for at in range(PLACES)
        )  # fmt: skip

    def receive(self, sock: socket.socket) -> list[tuple[Name, memoryview]]:
        """Take what waits; see :class:`Receiving`."""
        row = self._row
        # The kernel has written over lengths that it is to find as they were.
        row.headers[:] = self._fresh
        count: int = self._receive(sock.fileno(), row.messages, PLACES, socket.MSG_DONTWAIT, None)
        if count < 0:
            code = ctypes.get_errno()
            if code == errno.EAGAIN:
                return []
            raise OSError(code, os.strerror(code))
        data, names = row.data, row.names
        lengths = self._lengths[:count].tolist()
        if sock.family == socket.AF_INET:
            return [
                (bytes(names[name:four]), data[start : start + size])
                for (start, name, four, _), size in zip(self._starts, lengths, strict=False)
            ]
        return [
            (bytes(names[name:six]), data[start : start + size])
            for (start, name, _, six), size in zip(self._starts, lengths, strict=False)
        ]

    def host(self, name: Name) -> str:
        """Read the address in a socket address; see :class:`Receiving`."""
        if len(name) == _V4_OCTETS:
            return socket.inet_ntoa(name[4:8])
        return socket.inet_ntop(socket.AF_INET6, name[8:24])

    def client(self, name: Name) -> tuple[str, int]:
        """Read a socket address; see :class:`Receiving`."""
        return self.host(name), int.from_bytes(name[2:4], "big")


class Outbox:
    """Gathers answers of one frontend after the other."""

    def __init__(self) -> None:
        self.refused = 0
        row = self._row = _Row()
        self._slots = [
            row.data[at : at + LARGEST_DATAGRAM] for at in range(0, len(row.data), STRIDE)
        ]
        self._send = libc.sendmmsg
        self._target: socket.socket | None = None
        self._count = 0

    def take(self, source: socket.socket, target: socket.socket, name: Name) -> int:
        """Receive into the next place; see :class:`Sending`."""
        at = self._count
        if at and (at == PLACES or target is not self._target):
            self.flush()
            at = 0
        size = source.recv_into(self._slots[at])
        row = self._row
        start = at * NAME_OCTETS
        row.names[start : start + len(name)] = name
        row.part_lengths[at] = size
        self._target = target
        self._count = at + 1
        return size

    def flush(self) -> None:
        """Send; an answer that the kernel refuses is dropped, those behind it are not."""
        count, self._count = self._count, 0
        target, self._target = self._target, None
        if target is None:
            return
        first, descriptor, messages = 0, target.fileno(), self._row.messages
        while first < count:
            start = ctypes.byref(messages, first * sizeof(Message))
            sent: int = self._send(descriptor, start, count - first, socket.MSG_DONTWAIT)
            if sent < 0:
                self.refused += 1
                sent = 1
            first += sent


class PlainInbox:
    """Takes datagrams one by one."""

    def receive(self, sock: socket.socket) -> list[tuple[Name, memoryview]]:
        """Take one; see :class:`Receiving`."""
        try:
            data, name = sock.recvfrom(LARGEST_DATAGRAM)
        except BlockingIOError:
            return []
        return [(name, memoryview(data))]

    def host(self, name: Name) -> str:
        """See :class:`Receiving`."""
        return str(name[0])

    def client(self, name: Name) -> tuple[str, int]:
        """See :class:`Receiving`."""
        return name[0], name[1]


class PlainOutbox:
    """Sends answers at once."""

    def __init__(self) -> None:
        self.refused = 0

    def take(self, source: socket.socket, target: socket.socket, name: Name) -> int:
        """Receive and send; see :class:`Sending`."""
        data = source.recv(LARGEST_DATAGRAM)
        try:
            target.sendto(data, name)
        except OSError:
            self.refused += 1
        return len(data)

    def flush(self) -> None:
        """Nothing waits here."""


def renew(sock: socket.socket) -> bool:
    """Make a connected UDP socket as good as a new one, at half the price; False: it is not.

    It has no peer and no port afterwards, so nothing that was meant for its old life arrives any
    more, and what had arrived is thrown away.
    """
    descriptor = sock.fileno()
    if libc.connect(descriptor, _UNSPECIFIED, len(_UNSPECIFIED)):
        return False
    for _ in range(PLACES):
        got = libc.recv(descriptor, None, 0, socket.MSG_DONTWAIT)
        # Anything else is an error that came in for the old peer, and reading clears it.
        if got < 0 and ctypes.get_errno() == errno.EAGAIN:
            return True
    return False


def boxes(*, batches: bool | None = None) -> tuple[Receiving, Sending]:
    """Give what this machine allows, or, with *batches*, what is asked for."""
    if available() if batches is None else batches:
        return Inbox(), Outbox()
    return PlainInbox(), PlainOutbox()
