"""The bounded table of UDP sessions, and which of them makes room when it is full.

Whoever can send datagrams can make up as many clients as he likes, and each of them is a session.
So sessions have a standing: one that was never answered, one that was, and one whose client has
gone on after that or that was answered more than once, which no forged sender brings about alone.
Room is made by the lowest standing first, the one longest idle of it, as long as that standing has
more than its share: a flood costs the flood its sessions, and clients that wait for their first
answer, who cannot be told from it, keep a part of the table.

Parity: the kernel's conntrack, which drops entries early unless they are ``ASSURED``.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from enum import IntEnum
from itertools import takewhile
from typing import Generic, Protocol, TypeAlias, TypeVar

from svcdns.proxy.udplife import EXCHANGE_SECONDS


class Standing(IntEnum):
    """What is known of a session, in the order in which they make room."""

    UNANSWERED = 0
    ANSWERED = 1
    FLOW = 2
    "Answered, and its client has said more since; or answered twice."


KEPT_SHARE = 8
"""One part in so many of the table is left to each standing, whatever the others have."""


class Idling(Hashable, Protocol):
    """What the table has to know of a session."""

    last: float
    "Time of the last datagram, in seconds."

    def expires(self) -> float:
        """Tell when it has idled for long enough."""


Session = TypeVar("Session", bound=Idling)

Row: TypeAlias = OrderedDict[Session, None]
"""Sessions of one standing, the one longest idle first.  A session that has had a datagram moves
itself to the end, which must not cost more than that."""


class SessionTable(Generic[Session]):
    """All sessions of a relay."""

    def __init__(self) -> None:
        self._rows: tuple[Row[Session], ...] = tuple(OrderedDict() for _ in Standing)

    def __len__(self) -> int:
        unanswered, answered, flows = self._rows  # asked for every new session
        return len(unanswered) + len(answered) + len(flows)

    def __iter__(self) -> Iterator[Session]:
        for row in self._rows:
            yield from row

    def add(self, session: Session) -> Row[Session]:
        """Take in a session that has no answer yet; the row that it stands in."""
        row = self._rows[Standing.UNANSWERED]
        row[session] = None
        return row

    def rise(self, session: Session, row: Row[Session], standing: Standing) -> Row[Session]:
        """Give *session*, which is in *row*, a higher standing; the row that it stands in now."""
        del row[session]
        row = self._rows[standing]
        row[session] = None
        return row

    def victim(self, limit: int) -> Session:
        """Tell which session makes room in a table of *limit* sessions.

        Raises:
            LookupError: There is none.
        """
        share = limit // KEPT_SHARE
        for row in self._rows:
            if len(row) > share:
                return next(iter(row))
        for session in self:
            return session
        raise LookupError("no sessions")

    def idle(self, now: float) -> list[Session]:
        """Give those that have idled for long enough."""
        return [
            session
            for row in self._rows
            for session in takewhile(lambda one: one.last <= now - EXCHANGE_SECONDS, row)
            if session.expires() <= now
        ]
