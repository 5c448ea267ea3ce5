"""Lines that all processes of a server have to say, each for itself: written once.

With ``multisocket`` every process reads the same zone files and asks the same primaries, so all of
them notice the same at about the same time.  Who speaks first is heard; what others say of the same
shortly afterwards is not, and what that one says again is.  A line that only one of them has to say
is never lost.
"""

from collections.abc import Callable

SECONDS = 60.0
"""How long a line stands for those of the others: they look at the same thing at their own time."""

FIRST = 0
"""The voice of the first process; workers have their places."""

MAX_LINES = 1000
"""Lines that are remembered; a server with more different ones a minute repeats some."""


class Chorus:
    """What has been said, and by whom."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float]) -> None:
        """Begin in silence.

        Args:
            write: Puts one line into the log.
            clock: Monotonic seconds.
        """
        self._write = write
        self._clock = clock
        self._said: dict[str, tuple[int, float]] = {}

    def say(self, voice: int, line: str) -> None:
        """Write *line*, unless it stands there already from another voice."""
        now = self._clock()
        other, at = self._said.get(line, (voice, now))
        if other != voice and now - at < SECONDS:
            return
        self._said.pop(line, None)  # to the end, where the latest are
        self._said[line] = (voice, now)
        if len(self._said) > MAX_LINES:
            del self._said[next(iter(self._said))]
        self._write(line)
