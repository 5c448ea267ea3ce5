"""``svcdns top``: scrapes a proxy's metrics again and again, and draws what changed.

There is no loop here: one thing happens after another, and the terminal is the only one waiting.
"""

import http.client
import json
import os
import select
import signal
import sys
import termios
import time
import tty
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from msgspec import Struct

from svcdns.aio.addresses import reason
from svcdns.errors import ConfigError
from svcdns.proxy.top import PREFIX, Row, Scrape, document, ordered, read, rows
from svcdns.proxy.topscreen import Size, length, room, screen
from svcdns.proxy.topview import HINT, Key, View, keys

SECONDS = 5.0
"""How long a scrape may take; a large proxy's takes one."""

MAX_OCTETS = 256 << 20
"""Of a scrape; 10,000 services with 100,000 endpoints give 100 MiB at most."""

ENTER = b"\x1b[?1049h\x1b[?25l"
"""To the alternate screen, without a cursor."""

LEAVE = b"\x1b[?25h\x1b[?1049l"
"""Both written past the buffers, which a signal may have met half full."""

LOOK = 0.25
"""Seconds between looks at the size of the terminal."""

_CLOSED = "the connection was closed in the middle"


class Unreachable(Exception):
    """A scrape failed; the text says where and why."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"{url}: {why}")
        self.url = url
        self.why = why


class Settings(Struct, frozen=True):
    """What the command line says."""

    urls: tuple[str, ...]
    "Addresses to try at first; the one that answers is it from then on."
    interval: float = 2.0
    once: bool = False
    as_json: bool = False
    view: View = View()
    "What is shown at first; keys change it."
    namespace: str = ""


# nobody's proxy is asked for the way to a page on this machine
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def scrape(url: str) -> Scrape:
    """Ask for the metrics once.

    Raises:
        Unreachable: There is no answer, or it has no metrics of a service proxy.
    """
    try:
        with _opener.open(url, timeout=SECONDS) as answer:
            body = answer.read(MAX_OCTETS)
    except urllib.error.HTTPError as error:
        with error:
            raise Unreachable(url, f"HTTP status {error.code}") from error
    except urllib.error.URLError as error:
        cause = error.reason
        why = reason(cause) if isinstance(cause, Exception) else str(cause)
        raise Unreachable(url, why) from error
    except http.client.IncompleteRead as error:
        raise Unreachable(url, _CLOSED) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(url, f"no HTTP: {reason(error)!r}") from error
    found = read(body.decode("utf-8", "replace"), time.monotonic())
    if found is None:
        raise Unreachable(url, f"has no {PREFIX}* metrics: it is no service proxy of svcdns")
    return found


class Top:
    """One run of the command."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = ""
        self._view = settings.view
        self._before: Scrape | None = None
        self._after: Scrape | None = None
        self._rows: list[Row] = []

    def run(self) -> int:
        """Show what there is until told to stop, or once; the exit status.

        Raises:
            ConfigError: Nothing answers at the start.
        """
        with _ended_by_signals():
            try:
                self._begin()
                if self._settings.once:
                    time.sleep(self._settings.interval)
                    self._step(first=True)
                    self._print(self._after)
                elif _draws() and not self._settings.as_json:
                    self._watch()
                else:
                    self._stream()
            except KeyboardInterrupt:
                pass  # the way to end it
        return 0

    def _begin(self) -> None:
        """Find out who answers."""
        failed: list[Unreachable] = []
        for url in self._settings.urls:
            try:
                self._take(scrape(url))
            except Unreachable as error:
                failed.append(error)
            else:
                self._url = url
                return
        what = "; ".join(map(str, failed))
        hint = "'svcdns up' has its metrics at --metrics-address,"
        hint += " 'svcdns proxy' at --metrics-bind-address"
        if len(failed) > 1:
            hint += "; name the address: svcdns top ADDRESS:PORT"
        raise ConfigError(f"{what} ({hint})") from failed[0]

    def _take(self, found: Scrape) -> None:
        self._before, self._after = self._after, found
        self._sort()

    def _sort(self) -> None:
        assert self._after is not None
        some = rows(self._before, self._after, self._settings.namespace)
        self._rows = ordered(some, self._view.sort)

    def _step(self, *, first: bool = False) -> str:
        """Scrape again; say what went wrong.

        Raises:
            ConfigError: It went wrong, and there is no next time.
        """
        try:
            self._take(scrape(self._url))
        except Unreachable as error:
            if first:
                raise ConfigError(str(error)) from error
            return error.why
        return ""

    def _print(self, found: Scrape | None) -> None:
        assert found is not None
        settings = self._settings
        if settings.as_json:
            rated = self._before is not None and self._before.started == found.started
            seconds = round(found.at - self._before.at, 3) if rated and self._before else None
            shown = self._view.endpoints
            what = document(self._rows, self._url, seconds, endpoints=shown)
            print(json.dumps(what, indent=2 if settings.once else None), flush=True)
        else:
            lines = screen(self._rows, found, self._head(""), None, endpoints=self._view.endpoints)
            print("\n".join(lines), flush=True)

    def _head(self, fault: str) -> str:
        note = f"{fault}; trying again" if fault else f"every {self._settings.interval:g} s"
        order = f"by {self._view.sort}"
        if self._settings.namespace:
            order += f"  Namespace {self._settings.namespace}"
        return f"svcdns top  {self._url}  {time.strftime('%H:%M:%S')}  {note}  {order}"

    def _stream(self) -> None:
        """Print one table, or one document in a line, after the other."""
        self._print(self._after)
        while True:
            time.sleep(self._settings.interval)
            fault = self._step()
            if fault:
                print(f"{self._url}: {fault}; trying again", file=sys.stderr, flush=True)
                continue
            if not self._settings.as_json:
                print()
            self._print(self._after)

    def _watch(self) -> None:
        """Draw on the terminal until somebody presses q or Ctrl-C."""
        fault = ""
        with _Terminal() as terminal:
            while True:
                ends = time.monotonic() + self._settings.interval
                self._draw(fault, terminal.size())
                while (left := ends - time.monotonic()) > 0:
                    for key in terminal.keys(left):
                        if key is Key.QUIT:
                            return
                        self._turn_to(key, terminal.size())
                    self._draw(fault, terminal.size())
                fault = self._step()

    def _turn_to(self, key: Key, size: Size) -> None:
        before = self._view
        self._view = before.after(key, room(size))
        if self._view.sort is not before.sort:
            self._sort()

    def _draw(self, fault: str, size: Size) -> None:
        assert self._after is not None
        lines = length(self._rows, endpoints=self._view.endpoints)
        self._view = view = self._view.within(lines, room(size))
        drawn = screen(
            self._rows, self._after, self._head(fault), size,
            endpoints=view.endpoints, skip=view.skip, hint=HINT,
        )  # fmt: skip
        sys.stdout.write("\x1b[H" + "\n".join(f"{line}\x1b[K" for line in drawn) + "\x1b[J")
        sys.stdout.flush()


def _draws() -> bool:
    """Tell whether standard output is a terminal that can be drawn on."""
    return sys.stdout.isatty() and os.environ.get("TERM") not in (None, "", "dumb")


class _Terminal:
    """The terminal, taken over; put back at the end, and while the program is stopped (Ctrl-Z)."""

    def __init__(self) -> None:
        self._has_keys = sys.stdin.isatty()
        self._before: list[Any] = []
        self._stop: Any = None
        self._size = self.size()

    def __enter__(self) -> "_Terminal":
        self._take()
        self._stop = signal.signal(signal.SIGTSTP, self._pause)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTSTP, self._stop)
        self._give_back()

    def size(self) -> Size:
        """Ask how large it is; some say 0, or nothing."""
        try:
            columns, lines = os.get_terminal_size(sys.stdout.fileno())
        except OSError:
            columns, lines = 0, 0
        return Size(columns or 80, lines or 24)

    def keys(self, seconds: float) -> list[Key]:
        """Wait so long for a key, or for another size."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            if self._size != (now := self.size()):
                self._size = now
                return []
            if not self._has_keys:
                time.sleep(min(left, LOOK))
            elif select.select([sys.stdin], [], [], min(left, LOOK))[0]:
                typed = os.read(sys.stdin.fileno(), 64)
                return keys(typed) if typed else [Key.QUIT]
        return []

    def _take(self) -> None:
        if self._has_keys:
            self._before = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin, termios.TCSANOW)
        os.write(sys.stdout.fileno(), ENTER)

    def _give_back(self) -> None:
        if self._before:
            termios.tcsetattr(sys.stdin, termios.TCSANOW, self._before)
        os.write(sys.stdout.fileno(), LEAVE)

    def _pause(self, _number: int, _frame: FrameType | None) -> None:
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        # goes on here after SIGCONT
        self._take()
        self._size = Size(0, 0)  # whatever it is, the screen is empty now


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Have SIGTERM and SIGHUP end it as Ctrl-C does, so that the terminal is put back."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
