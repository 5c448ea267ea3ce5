"""Stored answers: the path most queries take.

A query finds a whole answer by the whole packet without its ID, so flags, EDNS size and DO are
right by construction.  Queries that are never twice the same, because they carry a cookie or random
case, find the answer to what they have in common (:mod:`svcdns.dns.alike`) and get their own name
and cookie put into it.  An entry dies when one of its owners changes, when its time is over, or
when newer ones push it out (first in, first out; removal is O(1)).  Names that nobody asks for a
second time push nothing out: in a full table an answer gets its place when it is wanted again.
What is counted for a query is found beside the entry, as plain integers.

Design: answers are stored until their owner changes, never for a guess of time.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import chain, cycle

from msgspec import Struct

from svcdns.dns.alike import adapt, common
from svcdns.metrics import Cell
from svcdns.plugins.base import FOREVER, Owner

DEFAULT_LIMIT = 65536
"""Entries of one table: some 30 MB when full of ordinary answers."""

TRACES = 8
"""Traces of answers that were turned away, for each entry; with few they cover each other, and a
load that changes altogether takes many rounds to get in."""

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


class Entry(Struct, gc=False):
    """A stored answer; the drain loop reads these attributes itself.

    No part of a cycle and unknown to the garbage collector, which would stop everything for 70 ms
    to look through 50,000 of them.
    """

    tail: bytes
    "The answer from its third octet on."
    tally: Tally
    owners: tuple[Owner, ...]
    "It dies with them."
    until: float = FOREVER
    "Monotonic seconds."
    rotation: Iterator[bytes] | None = None
    "Orders of the same answer (``loadbalance``), endless."
    lower: bool = False
    "Whether it is for lower-case questions only, because names in it repeat their case (A7)."

    @classmethod
    def of(
        cls,
        tails: Iterable[bytes],
        tally: Tally,
        owners: tuple[Owner, ...],
        until: float = FOREVER,
        *,
        lower: bool = False,
    ) -> "Entry":
        """Make one of an answer in one order or several; only two of them are made right away."""
        orders = iter(tails)
        first, second = next(orders), next(orders, None)
        rotation = None if second is None else cycle(chain((first, second), orders))
        return cls(first, tally, owners, until, rotation, lower)


class AnswerTable:
    """Stored answers, with an index by owner.

    One table serves one socket kind (UDP or TCP, IPv4 or IPv6), because the size limit and the
    labels of metrics follow from it.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self.entries: OrderedDict[bytes, Entry] = OrderedDict()
        "The drain loop calls ``entries.get`` itself; only this class writes."
        self.limit = limit
        "Entries."
        self._keys: dict[Owner, bytes | set[bytes]] = {}
        "A single key, the usual case of a Service, is held without a container of its own."
        self._asked = bytearray(TRACES * limit)
        "Traces of keys that were turned away, by their hash; takes memory once it is used."

    def admits(self, key: bytes) -> bool:
        """Whether an answer is worth storing; asked before the work for that is done.

        While there is plenty of room everything is; then only what is asked for again, because
        names that are asked for once (search paths, scanners) come in any number.
        """
        if len(self.entries) < self.limit // 2 or key in self.entries:
            return True
        trace, place = divmod(hash(key), len(self._asked))
        trace &= 0xFF
        if self._asked[place] == trace:
            return True
        self._asked[place] = trace
        return False

    def find(self, query: bytes, now: float) -> bytes | None:
        """Answer a query, both without ID, and count that."""
        entry = self.entries.get(query)
        if entry is None or entry.until <= now:
            return self.vary(query, now)
        entry.tally.hits += 1
        rotation = entry.rotation
        return entry.tail if rotation is None else next(rotation)

    def vary(self, query: bytes, now: float) -> bytes | None:
        """Answer a query that is not here itself, but in another spelling or with another cookie.

        Args:
            query: Without its ID.
            now: Monotonic seconds.

        Returns:
            The answer without its ID, counted; ``None`` when there is none.
        """
        key, end, cookie = common(query)
        if not end and not cookie:
            return None
        entry = self.entries.get(key)
        if entry is None or entry.until <= now or (end and entry.lower):
            return None
        entry.tally.hits += 1
        rotation = entry.rotation
        tail = entry.tail if rotation is None else next(rotation)
        return adapt(tail, query, end, cookie)

    def put(self, key: bytes, entry: Entry) -> None:
        """Store an answer, pushing out the oldest one when there are too many.

        Args:
            key: From :func:`~svcdns.dns.alike.common`.
            entry: Its answers fit the key, name and cookie included.
        """
        self.discard(key)
        if len(self.entries) >= self.limit:
            self.discard(next(iter(self.entries)))
        self.entries[key] = entry
        for owner in entry.owners:
            held = self._keys.setdefault(owner, key)
            if isinstance(held, set):
                held.add(key)
            elif held is not key:
                self._keys[owner] = {held, key}

    def discard(self, key: bytes) -> None:
        """Remove what is stored under a key, if anything is."""
        entry = self.entries.pop(key, None)
        if entry is None:
            return
        for owner in entry.owners:
            held = self._keys.get(owner)
            if isinstance(held, set):
                held.discard(key)
                if not held:
                    del self._keys[owner]
            elif held == key:
                del self._keys[owner]

    def drop(self, owners: Iterable[Owner]) -> None:
        """Remove everything that depends on one of *owners*."""
        for owner in owners:
            held = self._keys.get(owner)
            if held is not None:
                for key in tuple(held) if isinstance(held, set) else (held,):
                    self.discard(key)

    def clear(self) -> None:
        """Remove everything."""
        self.entries.clear()
        self._keys.clear()
