"""Log lines in CoreDNS's form, on standard output: ``[INFO] plugin/reload: …``, no timestamps.

Lines are gathered and written together, because a ``log`` directive makes one for every query: the
order is kept, and a line waits :data:`FLUSH_SECONDS` at most.

Parity: CoreDNS ``plugin/pkg/log`` (corefile-features f).
"""

import asyncio
import logging
import select
import sys
from collections.abc import Iterable, Iterator
from typing import TextIO

FLUSH_SECONDS = 0.05
"""Longest time that a line waits; errors do not wait."""

FLUSH_CHARACTERS = 65536
"""Characters that are gathered at most."""


PLUGIN = "plugin/"
"""Loggers of this name have it in front of their lines: ``plugin/kubernetes: …``."""


class LineWriter:
    """Gathers lines for a stream."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self.whole = False
        "Whether to write so that lines of several processes stay whole."
        self._lines: list[str] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._broken = False

    def write(self, line: str) -> None:
        """Add one line; without a running loop it is written at once."""
        self._lines.append(line)
        self._size += len(line)
        if self._size > FLUSH_CHARACTERS:
            self.flush()
        elif self._timer is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                self.flush()
            else:
                self._timer = loop.call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what is gathered."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if not self._lines:
            return
        lines = self._lines
        self._lines = []
        self._size = 0
        stream = self._stream or sys.stdout
        try:
            for text in pieces(lines) if self.whole else ("\n".join(lines) + "\n",):
                stream.write(text)
                stream.flush()
        except (OSError, ValueError):
            # Nobody reads us any more; serving matters more than telling.
            self._broken = True

    def restart(self) -> None:
        """Begin anew in a forked process: without the parent's lines and timer."""
        self._lines = []
        self._size = 0
        self._timer = None
        self.whole = True


def pieces(lines: Iterable[str]) -> Iterator[str]:
    """Join lines to pieces that a pipe takes whole (POSIX PIPE_BUF); a longer line is one piece."""
    held: list[str] = []
    size = 0
    for line in lines:
        octets = len(line.encode(errors="replace")) + 1
        if held and size + octets > select.PIPE_BUF:
            yield "\n".join(held) + "\n"
            held, size = [], 0
        held.append(line)
        size += octets
    if held:
        yield "\n".join(held) + "\n"


class CoreDnsHandler(logging.Handler):
    """Writes log records as CoreDNS does."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self.writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; errors are written at once."""
        try:
            level = "FATAL" if record.levelno >= logging.CRITICAL else record.levelname
            text = record.getMessage()
            if record.name.startswith(PLUGIN):
                text = f"{record.name}: {text}"
            if record.exc_info:
                text += "\n" + logging.Formatter().formatException(record.exc_info)
            self.writer.write(f"[{level}] {text}")
            if record.levelno >= logging.ERROR:
                self.writer.flush()
        except Exception:  # noqa: BLE001 - logging's own rule: a bad record harms nobody
            self.handleError(record)


def set_up(*, debug: bool = False, stream: TextIO | None = None) -> LineWriter:
    """Send all log records of this process to standard output.

    Args:
        debug: Whether ``[DEBUG]`` lines are wanted (``debug`` in the Corefile).
        stream: Instead of standard output.

    Returns:
        The writer, for lines that are no log records (``log``) and for the last flush.
    """
    writer = LineWriter(stream)
    root = logging.getLogger()
    for old in [one for one in root.handlers if isinstance(one, CoreDnsHandler)]:
        root.removeHandler(old)
    root.addHandler(CoreDnsHandler(writer))
    set_level(debug=debug)
    # Libraries speak up when something is wrong, not about their day.
    for name in ("asyncio", "aiohttp", "kubernetes", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return writer


def set_level(*, debug: bool) -> None:
    """Switch ``[DEBUG]`` lines on or off."""
    logging.getLogger().setLevel(logging.DEBUG if debug else logging.INFO)
