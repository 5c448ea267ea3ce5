"""``svcdns top``: scrapes a proxy's metrics again and again, and draws what changed.

There is no loop here: one thing happens after another, and the terminal is the only one waiting.
"""

import http.client
import json
import os
import select
import shutil
import signal
import sys
import termios
import time
import tty
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from msgspec import Struct

from svcdns.aio.addresses import reason
from svcdns.errors import ConfigError
from svcdns.proxy.top import PREFIX, Row, Scrape, Sort, document, ordered, read, rows
from svcdns.proxy.topscreen import Size, screen

SECONDS = 5.0
"""How long a scrape may take; a large proxy's takes one."""

MAX_OCTETS = 256 << 20
"""Of a scrape; 10,000 services with 100,000 endpoints give 100 MiB at most."""

ENTER = "\x1b[?1049h\x1b[?25l"
"""To the alternate screen, without a cursor."""

LEAVE = "\x1b[?25h\x1b[?1049l"

QUIT = b"qQ\x03\x04"
"""Keys that end it."""

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
    sort: Sort = Sort.CONNECTIONS
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
        raise Unreachable(url, f"has no {PREFIX}* metrics: is this a service proxy of svcdns?")
    return found


class Top:
    """One run of the command."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = ""
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
                elif sys.stdout.isatty() and not self._settings.as_json:
                    self._watch()
                else:
                    self._stream()
            except KeyboardInterrupt:
                pass  # the way to end it
            except BrokenPipeError:
                # whoever read has read enough; what is buffered must not fail at exit
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
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
        raise ConfigError(
            f"{'; '.join(map(str, failed))}: 'svcdns up' has its metrics at --metrics-address,"
            " 'svcdns proxy' at --metrics-bind-address; name the address: svcdns top ADDRESS:PORT"
        ) from failed[0]

    def _take(self, found: Scrape) -> None:
        self._before, self._after = self._after, found
        some = rows(self._before, found, self._settings.namespace)
        self._rows = ordered(some, self._settings.sort)

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
            what = document(self._rows, self._url, seconds)
            print(json.dumps(what, indent=2 if settings.once else None), flush=True)
        else:
            print("\n".join(screen(self._rows, found, self._head(""), None)), flush=True)

    def _head(self, fault: str) -> str:
        note = f"{fault}; trying again" if fault else f"every {self._settings.interval:g} s"
        return f"svcdns top  {self._url}  {time.strftime('%H:%M:%S')}  {note}"

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
        with _screen() as pressed:
            while True:
                size = shutil.get_terminal_size()
                self._draw(fault, Size(size.columns, size.lines))
                if pressed(self._settings.interval):
                    return
                fault = self._step()

    def _draw(self, fault: str, size: Size) -> None:
        assert self._after is not None
        lines = screen(self._rows, self._after, self._head(fault), size)
        sys.stdout.write("\x1b[H" + "\n".join(f"{line}\x1b[K" for line in lines) + "\x1b[J")
        sys.stdout.flush()


@contextmanager
def _screen() -> Iterator[Callable[[float], bool]]:
    """Take the terminal over; gives what waits so many seconds for a key that ends it."""
    keys = sys.stdin.isatty()
    before = termios.tcgetattr(sys.stdin) if keys else None

    def pressed(seconds: float) -> bool:
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            if not keys:
                time.sleep(left)
            elif select.select([sys.stdin], [], [], left)[0]:
                typed = os.read(sys.stdin.fileno(), 64)
                if not typed or any(key in QUIT for key in typed):
                    return True
        return False

    sys.stdout.write(ENTER)
    try:
        if keys:
            tty.setcbreak(sys.stdin, termios.TCSANOW)
        yield pressed
    finally:
        if before:
            termios.tcsetattr(sys.stdin, termios.TCSANOW, before)
        sys.stdout.write(LEAVE)
        sys.stdout.flush()


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
