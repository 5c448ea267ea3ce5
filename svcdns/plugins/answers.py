"""Stored answers: the path most queries take.

Plain queries find a whole answer by the whole packet without its ID, so flags, EDNS size and DO
are right by construction (:class:`Entry`).  Queries that are never twice the same, because they
carry a cookie or random case, find the records by their question, and get a question and an OPT of
their own around them (:class:`Prepared`).  Either dies when one of its owners changes, when its
time is over, or when newer ones push it out (first in, first out; removal is O(1)).  What is
counted for a query is found beside the entry, as plain integers.

Design: answers are stored until their owner changes, never for a guess of time.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import cycle
from typing import TypeAlias

from svcdns.dns.render import Body
from svcdns.metrics import Cell
from svcdns.plugins.base import FOREVER, Owner

DEFAULT_LIMIT = 65536
"""Entries of one table: some 30 MB when full of ordinary answers."""

PREPARED_SHARE = 2
"""One prepared answer serves every spelling and cookie of a question: half as many will do."""

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


class Prepared:
    """The records of an answer, to be put behind any client's question."""

    __slots__ = ("answer", "labels", "lower", "owners", "rotation", "until")

    def __init__(
        self,
        answers: tuple[Body, ...],
        labels: tuple[bytes, str, str, tuple[Cell, ...]],
        owners: tuple[Owner, ...],
        until: float,
        *,
        lower: bool,
    ) -> None:
        self.answer = answers[0]
        self.rotation: Iterator[Body] | None = cycle(answers) if len(answers) > 1 else None
        self.labels = labels
        "Zone, view, plugin and counters, for the accounts."
        self.owners = owners
        self.until = until
        "Monotonic seconds."
        self.lower = lower
        "Whether it is for lower-case questions only, because names in it repeat their case."


_Key: TypeAlias = "bytes | QuestionKey"

QuestionKey = tuple[bytes, int, int, int, bool]
"""Lower-case name, type, class, the flags that matter, DO."""


class AnswerTable:
    """Stored answers, with an index by owner.

    One table serves one socket kind (UDP or TCP, IPv4 or IPv6), because the size limit and the
    labels of metrics follow from it.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self.entries: OrderedDict[bytes, Entry] = OrderedDict()
        "The drain loop calls ``entries.get`` itself; only this class writes."
        self.prepared: OrderedDict[QuestionKey, Prepared] = OrderedDict()
        self.limit = limit
        "Entries of each sort."
        self._keys: dict[Owner, _Key | set[_Key]] = {}
        "A single key, the usual case of a Service, is held without a container of its own."

    def put(self, key: bytes, entry: Entry) -> None:
        """Store an entry, pushing out the oldest when there are too many."""
        self.discard(key)
        if len(self.entries) >= self.limit:
            self.discard(next(iter(self.entries)))
        self.entries[key] = entry
        self._own(key, entry.owners)

    def prepare(self, key: QuestionKey, prepared: Prepared) -> None:
        """Store records by question, pushing out the oldest when there are too many."""
        self.discard(key)
        if len(self.prepared) * PREPARED_SHARE >= self.limit:
            self.discard(next(iter(self.prepared)))
        self.prepared[key] = prepared
        self._own(key, prepared.owners)

    def _own(self, key: bytes | QuestionKey, owners: tuple[Owner, ...]) -> None:
        for owner in owners:
            held = self._keys.setdefault(owner, key)
            if isinstance(held, set):
                held.add(key)
            elif held is not key:
                self._keys[owner] = {held, key}

    def discard(self, key: bytes | QuestionKey) -> None:
        """Remove what is stored under a key, if anything is."""
        stored: Entry | Prepared | None
        if isinstance(key, bytes):
            stored = self.entries.pop(key, None)
        else:
            stored = self.prepared.pop(key, None)
        if stored is None:
            return
        for owner in stored.owners:
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
        self.prepared.clear()
        self._keys.clear()
