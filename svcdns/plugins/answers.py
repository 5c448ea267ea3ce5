"""Whole answers by whole queries: the path most queries take.

The key is the query packet without its ID, so flags, 0x20 case, EDNS size and DO are right by
construction; the value is the answer without its ID.  An entry dies when one of its owners
changes, when its time is over, or when newer entries push it out (first in, first out; removal
is O(1)).  What is counted for a query is found beside the entry, as plain integers.

Design: answers are stored until their owner changes, never for a guess of time.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import cycle

from svcdns.metrics import Cell
from svcdns.plugins.base import FOREVER, Owner

DEFAULT_LIMIT = 65536
"""Entries of one table: some 30 MB when full of ordinary answers."""

LARGEST = 4096
"""Octets of an answer that is worth storing; larger ones are rare and would crowd out others."""


class Tally:
    """Queries alike in everything that metrics tell apart, sizes included."""

    __slots__ = ("cells", "hits", "made")

    def __init__(self, cells: tuple[Cell, ...] = ()) -> None:
        self.cells = cells
        "Counters of plugins that get one more for every answer from a table."
        self.hits = 0
        "Answers from a table."
        self.made = 0
        "Answers from a chain; each was timed on its own."


class Entry:
    """A stored answer; the drain loop reads these attributes itself."""

    __slots__ = ("owners", "rotation", "tail", "tally", "until")

    def __init__(
        self,
        tails: tuple[bytes, ...],
        tally: Tally,
        owners: tuple[Owner, ...],
        until: float = FOREVER,
    ) -> None:
        self.tail = tails[0]
        "The answer from its third octet on."
        self.rotation: Iterator[bytes] | None = cycle(tails) if len(tails) > 1 else None
        "Further orders of the same answer (``loadbalance``), endless."
        self.tally = tally
        self.until = until
        "Monotonic seconds."
        self.owners = owners


class AnswerTable:
    """Entries by query, with an index by owner.

    One table serves one socket kind (UDP or TCP, IPv4 or IPv6), because the size limit and the
    labels of metrics follow from it.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self.entries: OrderedDict[bytes, Entry] = OrderedDict()
        "The drain loop calls ``entries.get`` itself; only this class writes."
        self._limit = limit
        self._keys: dict[Owner, set[bytes]] = {}

    def put(self, key: bytes, entry: Entry) -> None:
        """Store an entry, pushing out the oldest when the table is full."""
        self.discard(key)
        if len(self.entries) >= self._limit:
            self.discard(next(iter(self.entries)))
        self.entries[key] = entry
        for owner in entry.owners:
            keys = self._keys.get(owner)
            if keys is None:
                self._keys[owner] = {key}
            else:
                keys.add(key)

    def discard(self, key: bytes) -> None:
        """Remove one entry, if it is there."""
        entry = self.entries.pop(key, None)
        if entry is None:
            return
        for owner in entry.owners:
            keys = self._keys[owner]
            keys.discard(key)
            if not keys:
                del self._keys[owner]

    def drop(self, owners: Iterable[Owner]) -> None:
        """Remove every entry that depends on one of *owners*."""
        for owner in owners:
            keys = self._keys.get(owner)
            if keys:
                for key in tuple(keys):
                    self.discard(key)

    def clear(self) -> None:
        """Remove everything."""
        self.entries.clear()
        self._keys.clear()
