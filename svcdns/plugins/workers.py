"""What the first process and its workers say to each other, and when a worker is given up.

A message is a length and msgpack.  Both ends are the same program at the same moment (the worker is
a fork), so there are no versions; what cannot be read means that the stream is broken.
"""

import struct
from collections.abc import Iterator
from typing import Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from svcdns.errors import SvcdnsError
from svcdns.kube.replication import Changed, Marked
from svcdns.plugins.figures import Figure, Usage

MAX_FRAME = 64 << 20
"""Octets of one message; etcd takes no object beyond 1.5 MiB."""

MAX_BEHIND = 32 << 20
"""Octets that may wait for a worker before it is replaced: some 2,000 slices of 100 endpoints."""

BEAT_SECONDS = 1.0
MAX_MISSED = 15
"""Beats without an answer before a worker counts as stuck; a loaded machine may stall for some."""

FIRST_DELAY = 0.1
LAST_DELAY = 30.0
"""Seconds before a worker that died is replaced, at first and at most."""

STEADY_SECONDS = 60.0
"""A worker that lived as long is no sign of a lasting trouble."""

_LENGTH = struct.Struct("!I")


class Beat(Struct, frozen=True, array_like=True, tag="beat"):
    """Asks for the same in return."""

    number: int


class Report(Struct, frozen=True, array_like=True, tag="report"):
    """Asks for :class:`Told`."""

    number: int


class Drain(Struct, frozen=True, array_like=True, tag="drain"):
    """Take no more queries, answer what is under way, tell a last time, and end."""


class Serving(Struct, frozen=True, array_like=True, tag="serving"):
    """Queries are taken."""


class Told(Struct, frozen=True, array_like=True, tag="told"):
    """The metrics of a worker."""

    number: int
    figures: tuple[Figure, ...]
    usage: Usage


class Notified(Struct, frozen=True, array_like=True, tag="notified"):
    """A primary has said to one process that a zone of ``secondary`` has changed (RFC 1996)."""

    zone: bytes
    "Lower-case wire name."


class Said(Struct, frozen=True, array_like=True, tag="said"):
    """A line for the log that other processes may have to say as well."""

    line: str


ToWorker: TypeAlias = Changed | Marked | Beat | Report | Drain | Notified
ToFirst: TypeAlias = Serving | Beat | Told | Notified | Said

Message = TypeVar("Message")

_encoder = msgspec.msgpack.Encoder()


class BrokenStreamError(SvcdnsError):
    """What came is no message."""


def frame(message: ToWorker | ToFirst) -> bytes:
    """Write a message for the stream."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


class Frames(Generic[Message]):
    """Takes octets as they come, gives messages."""

    def __init__(self, decoder: "msgspec.msgpack.Decoder[Message]") -> None:
        self._decoder = decoder
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Give the messages that *data* completes.

        Raises:
            BrokenStreamError: It is none; nothing that follows can be trusted.
        """
        buffer = self._buffer
        buffer += data
        start = 0
        try:
            while len(buffer) - start >= _LENGTH.size:
                (size,) = _LENGTH.unpack_from(buffer, start)
                if size > MAX_FRAME:
                    raise BrokenStreamError(f"a message of {size} octets")
                end = start + _LENGTH.size + size
                if len(buffer) < end:
                    return
                body = bytes(buffer[start + _LENGTH.size : end])
                start = end
                try:
                    message = self._decoder.decode(body)
                except msgspec.DecodeError as error:
                    raise BrokenStreamError(str(error)) from error
                yield message
        finally:
            del buffer[:start]


def to_worker() -> "Frames[ToWorker]":
    """Make the reader of a worker."""
    return Frames(msgspec.msgpack.Decoder(ToWorker))


def to_first() -> "Frames[ToFirst]":
    """Make the reader of the first process, for one worker."""
    return Frames(msgspec.msgpack.Decoder(ToFirst))


class Restarts:
    """How long the next worker of one place has to wait."""

    def __init__(self) -> None:
        self._failures = 0

    def died(self, lived: float) -> float:
        """Give the seconds until another one is to start; *lived* are those of the dead one."""
        if lived >= STEADY_SECONDS:
            self._failures = 0
        delay = min(LAST_DELAY, FIRST_DELAY * 2.0**self._failures)
        self._failures = min(self._failures + 1, 16)
        return delay
