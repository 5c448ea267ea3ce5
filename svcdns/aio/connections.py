"""The connections of a listener, in the order of their last activity, and what each may do."""

import asyncio
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from msgspec import Struct


class Limits(Struct, frozen=True):
    """What a client gets (rule J12; the ``timeouts`` plugin changes it)."""

    read: float = 3.0
    "Seconds until the first query is there, and for the rest of one that has begun."
    write: float = 5.0
    "Seconds that answers may wait for a client to read them."
    idle: float = 10.0
    "Seconds between queries."
    queries: int = -1
    "Queries on one connection; -1: no limit."
    under_way: int = 128
    "Queries of one connection waiting for an answer; reading pauses beyond."
    connections: int = 4096
    "Connections of one listener, 0 for no limit; the one that was idle longest makes room."


class Connection(Protocol):
    """What a listener can ask of a connection."""

    @property
    def busy(self) -> bool:
        """Whether an answer is still owed."""
        ...

    def finish(self) -> None:
        """Take no more queries; close when the last answer is written."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...


C = TypeVar("C", bound=Connection)


class Connections(Generic[C]):
    """Connections that are open."""

    def __init__(self) -> None:
        self._open: dict[C, None] = {}
        self._empty = asyncio.Event()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[C]:
        return iter(list(self._open))

    def admit(self, connection: C, most: int) -> None:
        """Take a connection in; beyond *most* the one that was idle longest is closed for it.

        Args:
            connection: The new one; closed itself when an answer is owed on all others.
            most: 0 for no limit.
        """
        self._open[connection] = None
        if most and len(self._open) > most:
            idle = next((one for one in self._open if not one.busy), connection)
            idle.abort()

    def touch(self, connection: C) -> None:
        """Note that a connection is in use."""
        if connection in self._open:
            del self._open[connection]
            self._open[connection] = None

    def leave(self, connection: C) -> None:
        """Forget a connection that is closed."""
        self._open.pop(connection, None)
        if not self._open:
            self._empty.set()

    async def finish(self, grace: float) -> None:
        """Let each answer what it owes, and close.

        Args:
            grace: Seconds; who is not done by then loses the answers.
        """
        for connection in self:
            connection.finish()
        if self._open:
            self._empty.clear()
            try:
                await asyncio.wait_for(self._empty.wait(), grace)
            except TimeoutError:
                pass
        self.abort()

    def abort(self) -> None:
        """Close all of them at once."""
        for connection in self:
            connection.abort()
