"""Pipes for splicing: a bounded number, lent for as long as octets are in them."""

import fcntl
import os
from typing import NamedTuple

PIPES_LIMIT = 32
"""Pipes kept or lent at most; who gets none copies through memory instead.

With the size below this stays under what one user may have in pipes (``pipe-user-pages-soft``, 64
MiB), beyond which the kernel would make every further pipe of the user 8 KiB short.
"""

PIPE_OCTETS = 1 << 20
"""Size asked for: ``pipe-max-size`` as Linux ships it."""


class Pipe(NamedTuple):
    """An anonymous pipe by its descriptors."""

    read: int
    write: int


class PipePool:
    """Lends pipes; empty ones come back."""

    def __init__(self, limit: int = PIPES_LIMIT) -> None:
        self._limit = limit
        self._idle: list[Pipe] = []
        self._made = 0

    def take(self) -> Pipe | None:
        """Lend a pipe, or None when all are out or no descriptors are left."""
        if self._idle:
            return self._idle.pop()
        if self._made >= self._limit:
            return None
        try:
            pipe = Pipe(*os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError:
            return None
        try:
            fcntl.fcntl(pipe.write, fcntl.F_SETPIPE_SZ, PIPE_OCTETS)
        except OSError:
            pass  # smaller is slower, not wrong
        self._made += 1
        return pipe

    def give(self, pipe: Pipe) -> None:
        """Take back a pipe that is empty."""
        self._idle.append(pipe)

    def discard(self, pipe: Pipe) -> None:
        """Take back a pipe that still has octets in it: nobody else may read them."""
        os.close(pipe.read)
        os.close(pipe.write)
        self._made -= 1

    def close(self) -> None:
        """Close the pipes that are not lent."""
        while self._idle:
            self.discard(self._idle.pop())
