"""Cuts a watch stream into lines, however its chunks were cut.

A line is one event; an EndpointSlice of 1,000 endpoints with its managed fields makes lines of
megabytes, so no reader's line limit may apply (dependency notes 1.2).
"""

MAX_LINE_OCTETS = 64 << 20
"""etcd refuses requests above 1.5 MiB by default; a peer that sends this much is no API server."""


class LineTooLong(ValueError):
    """A line exceeds the limit; nothing after it can be trusted."""


class LineSplitter:
    """Gathers chunks and gives complete lines; what is incomplete at the end is lost on purpose."""

    def __init__(self, limit: int = MAX_LINE_OCTETS) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Add a chunk and return the lines that it completes, without empty ones.

        Raises:
            LineTooLong: A line has more than the limit's octets.
        """
        first, newline, rest = chunk.partition(b"\n")
        self._size += len(first)
        if self._size > self._limit:
            raise LineTooLong(f"a line of more than {self._limit} octets")
        self._pieces.append(first)
        if not newline:
            return []
        lines = [b"".join(self._pieces), *rest.split(b"\n")]
        tail = lines.pop()
        self._pieces = [tail]
        self._size = len(tail)
        return [line for line in lines if line and not line.isspace()]
