"""Stored answers: the path most queries take.

A query finds a whole answer by the whole packet without its ID, so flags, EDNS size and DO are
right by construction.  Queries that are never twice the same, because they carry a cookie or random
case, find the answer to what they have in common (:mod:`svcdns.dns.alike`) and get their own name
and cookie put into it.  An entry dies when one of its owners changes, when its time is over, or
when newer ones push it out (first in, first out).  What has a new TTL each second (``cache``) is
given that where it is.  Names that nobody asks for a second time push
nothing out: in a full table an answer gets its place when it is wanted again and again.
What is counted for a query is found beside the entry, as plain integers.

Design: answers are stored until their owner changes, never for a guess of time.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

from msgspec import Struct

from svcdns.dns.alike import BEHIND_NAME, NAME_AT, Shared, adapt, capitals, common, respell
from svcdns.dns.ttls import with_ttl
from svcdns.metrics import Cell
from svcdns.plugins.base import FOREVER, Owner, Renew
from svcdns.plugins.dependents import Dependents
from svcdns.plugins.rotation import turning

DEFAULT_LIMIT = 65536
"""Entries of one table: 45 MB when full of ordinary answers."""

SHED = 512
"""The part of a full table that makes room at once: 128 answers of 65,536."""

TURNED_AWAY = 2
"""Answers that are wanted again, for each one that gets a place in a crowded table.

With 1, a load half as large again as the table is answered from it not at all when it comes in
turns; with 2 more than half of it is, with 4 hardly more, but a load that changes altogether would
get in half as fast."""

TRACES = 8
"""Traces of answers that were turned away, for each entry; with few they cover each other, and a
load that changes altogether takes many rounds to get in."""

LARGEST = 4096
"""Octets of an answer that is worth storing; larger ones are rare and would crowd out others."""

_COUNT = slice(4, 6)
"""Where an answer says how many records its ANSWER section has."""


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
    repeats: int = 0
    """Not 0: it is for questions in this very case, because names in it repeat that (A7).  Under a
    key in capitals: what :func:`~svcdns.dns.alike.respell` is to know for all other spellings."""
    renew: Renew | None = None
    """Whom to ask at *until*.  The orders of such an answer, if there are any, are made by
    :func:`~svcdns.plugins.rotation.turning`."""

    def lasts(self, now: float) -> bool:
        """Whether it is right, with another TTL perhaps, which it has from now on."""
        if self.until > now:
            return True
        renewed = self.renew(now) if self.renew is not None else None
        if renewed is None:
            self.renew = None
            return False
        ttl, self.until = renewed
        # Who asks once a second is to get the orders in turn as well.
        self.tail = with_ttl(self.tail if self.rotation is None else next(self.rotation), ttl)
        if self.rotation is not None:
            count = int.from_bytes(self.tail[_COUNT], "big")
            at = self.tail.index(b"\0", NAME_AT) + BEHIND_NAME
            self.rotation = turning(self.tail, at, count)
        return True


class AnswerTable:
    """Stored answers, with an index by owner.

    One table serves one socket kind (UDP or TCP, IPv4 or IPv6), because the size limit and the
    labels of metrics follow from it.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self.entries: dict[bytes, Entry] = {}
        "The drain loop calls ``entries.get`` itself; only this class writes."
        self.limit = limit
        "Entries."
        self._dependents = Dependents()
        self._asked = bytearray(TRACES * limit)
        "Traces of keys that were turned away, by their hash; takes memory once it is used."
        self._wanted = 0
        "Answers that were wanted again when there was no room."

    def admits(self, key: bytes, *, crowded: bool = False) -> bool:
        """Whether an answer is worth storing; asked before the work for that is done.

        While there is plenty of room everything is; then only what is asked for again, because
        names that are asked for once (search paths, scanners) come in any number.

        Args:
            key: Of the answer.
            crowded: Whether another one has to go for it.  Then most are turned away even so: when
                more is asked for in turns than there are places, taking in all of it would push out
                each answer just before it is wanted again.
        """
        if (not crowded and len(self.entries) < self.limit // 2) or key in self.entries:
            return True
        trace, place = divmod(hash(key), len(self._asked))
        trace = trace & 0xFF or 1  # 0: nobody has asked
        if self._asked[place] != trace:
            self._asked[place] = trace
            return False
        if not crowded:
            return True
        self._wanted += 1
        return self._wanted % TURNED_AWAY == 0

    def find(self, query: bytes, now: float) -> bytes | None:
        """Answer a query, both without ID, and count that."""
        entry = self.entries.get(query)
        if entry is None or entry.until <= now:
            return self.vary(query, common(query), now)
        entry.tally.hits += 1
        rotation = entry.rotation
        return entry.tail if rotation is None else next(rotation)

    def vary(self, query: bytes, shared: Shared, now: float) -> bytes | None:
        """Answer a query that is not here itself, but in another spelling or with another cookie.

        Or that is here, with an answer whose time is over but that may be renewed.

        Args:
            query: Without its ID.
            shared: What :func:`~svcdns.dns.alike.common` gives for it.
            now: Monotonic seconds.

        Returns:
            The answer without its ID, counted; ``None`` when there is none.
        """
        key, end, cookie = shared
        entry = self.entries.get(key)
        if entry is None and not end:
            return None
        respelt: bytes | None = None
        if end and (entry is None or entry.repeats):
            entry = self.entries.get(capitals(key, end))
            if entry is not None:
                respelt = respell(entry.tail, query, end, entry.repeats)
            if respelt is None:
                return None
        if entry is None or not entry.lasts(now):
            return None
        entry.tally.hits += 1
        if respelt is not None:
            return adapt(respelt, query, end, cookie)
        rotation = entry.rotation
        tail = entry.tail if rotation is None else next(rotation)
        return adapt(tail, query, end, cookie) if end or cookie else tail

    def put(self, key: bytes, entry: Entry) -> None:
        """Store an answer, pushing out the oldest one when there are too many.

        Args:
            key: From :func:`~svcdns.dns.alike.common`, perhaps in capitals.
            entry: Its answers fit the key, name and cookie included.
        """
        self.discard(key)
        if len(self.entries) >= self.limit:
            self.shed()
        self.entries[key] = entry
        entry.owners = self._dependents.add(key, entry.owners)

    def discard(self, key: bytes) -> None:
        """Remove what is stored under a key, if anything is."""
        entry = self.entries.pop(key, None)
        if entry is not None:
            self._dependents.remove(key, entry.owners)

    def shed(self) -> None:
        """Remove the oldest answers, a few at a time.

        A dictionary finds its oldest keys by walking over the gaps that older ones have left; for
        128 of them that takes 0.2 ms in all.  One that remembers the order by links would find each
        at once, and takes 75 octets more for each answer.
        """
        for key in tuple(islice(self.entries, max(1, self.limit // SHED))):
            self.discard(key)

    def drop(self, owners: Iterable[Owner]) -> None:
        """Remove everything that depends on one of *owners*."""
        for owner in owners:
            for key in self._dependents.of(owner):
                self.discard(key)

    def clear(self) -> None:
        """Remove everything."""
        self.entries.clear()
        self._dependents.clear()
