"""What is said about a shortage: when it begins, when it ends, and rarely in between.

A shortage comes in pieces: accepting pauses, goes on after a moment and meets the next lack.  The
pieces are one shortage until there has been none for a while.
"""

from typing import NamedTuple

CALM_SECONDS = 5.0
"""A shortage is over when it has not recurred for so long."""

REMINDER_SECONDS = 60.0
"""While it lasts, it is pointed out again at most this often."""


class Words(NamedTuple):
    """What a shortage does to whom."""

    begins: str
    lasts: str
    ended: str


CONNECTIONS = Words(
    "new connections wait",
    "new connections still wait",
    "new connections are taken at once again; some waited",
)

SESSIONS = Words(
    "UDP sessions run short",
    "UDP sessions still run short",
    "UDP sessions are enough again; they ran short",
)


class Shortage:
    """Descriptors, memory, source ports or what a limit counts, whichever lack."""

    def __init__(self, words: Words = CONNECTIONS) -> None:
        self._words = words
        self._began: float | None = None
        self._last = 0.0
        self._said = 0.0

    def recurs(self, what: str, now: float) -> str:
        """Note that something lacks at *now* (seconds); what is to be said, mostly nothing.

        Args:
            what: What lacks, for people.
            now: A monotonic time.
        """
        self._last = now
        if self._began is None:
            self._began = self._said = now
            return f"{self._words.begins}: {what}"
        if now - self._said >= REMINDER_SECONDS:
            self._said = now
            return f"{self._words.lasts}, for {now - self._began:.0f} s now: {what}"
        return ""

    def look(self, now: float) -> tuple[str, float]:
        """Find out whether it is over.

        Returns:
            What is to be said, and seconds until the next look (0: none is needed).
        """
        if self._began is None:
            return "", 0.0
        rest = self._last + CALM_SECONDS - now
        if rest > 0:
            return "", rest
        lasted, self._began = self._last - self._began, None
        return f"{self._words.ended} during {lasted:.1f} s", 0.0
