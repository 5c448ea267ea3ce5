"""How long do queries wait while the server lists everything again, is scraped, is reloaded?

The server is the real program and follows a cluster through its API; dnsperf asks it half of what
it can answer, and beside that one client asks the same question again and again and notes how long
each answer took.
"""

import os
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks import questions
from benchmarks.api import ApiProcess
from benchmarks.cluster import Cluster
from benchmarks.live import Served, p99, serving, until_answered
from benchmarks.load import ahead, press, pressing
from benchmarks.servers import program
from benchmarks.table import QUICK

SERVICES = 1_000 if QUICK else 10_000
SECONDS = 4.0
"""Of each disturbance."""

EVERY = 1.0
"""Seconds from one relist, scrape or reload to the next."""

PAUSE = 0.0005
"""Seconds between two questions of the client that measures."""

WARM_UP = 2.0
"""Seconds of full load, from which half of it is known."""


def _waits(port: int, message: bytes, disturb: Callable[[], object]) -> list[float]:
    """Ask for some seconds; give the milliseconds that each answer took.

    Who gets no answer within a second has waited a second.
    """
    found = []
    end = time.monotonic() + SECONDS
    due = time.monotonic() + EVERY / 4
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        sock.settimeout(1.0)
        number = 0
        while (started := time.monotonic()) < end:
            if started >= due:
                due += EVERY
                disturb()
                started = time.monotonic()
            number = number + 1 & 0xFFFF
            ident = number.to_bytes(2, "big")
            sock.send(ident + message[2:])
            try:
                while sock.recv(4096)[:2] != ident:
                    pass
            except TimeoutError:
                pass
            found.append((time.monotonic() - started) * 1e3)
            time.sleep(PAUSE)
    return found


def _beside(server: Served, api: ApiProcess) -> dict[str, Callable[[], object]]:
    """Give the disturbances; each only sets something off."""

    def scrape() -> None:
        if scrapes and not scrapes.pop().recv(12).endswith(b" 200"):
            raise RuntimeError(f"no metrics from port {server.metrics}")
        sock = socket.create_connection(("127.0.0.1", server.metrics))
        scrapes.append(sock)
        sock.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

    scrapes: list[socket.socket] = []
    return {
        "quiet": lambda: None,
        "scrape": scrape,
        "reload": lambda: os.kill(server.pid, signal.SIGUSR1),
        # Last: the last list is still being read when the time is over.
        "relist": lambda: api.order("relist 0"),
    }


def measure() -> None:
    print(
        f"\nHalf load, {SERVICES:,} services: milliseconds to an answer while others keep us busy"
    )
    print(" " * 16 + "".join(f"{one:>10}" for one in ("p50", "p99", "longest", "to quiet")))
    programs = {"svcdns": [sys.executable, "-m", "svcdns", "dns"]}
    if coredns := program("coredns"):
        programs = {"coredns": [coredns], **programs}
    for name, command in programs.items():
        with ExitStack() as stack:
            _rows(name, command, stack)


def _rows(name: str, command: list[str], stack: ExitStack) -> None:
    cluster = Cluster(SERVICES)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    api = ApiProcess(SERVICES)
    stack.callback(api.close)
    server = stack.enter_context(serving(command, api.url))
    message = questions.message(cluster.name(0), questions.A)
    until_answered(server.port, message)
    path = questions.save(folder / "hot", questions.hot(cluster))
    press(server.pid, server.port, path, passes=2)
    rate = int(press(server.pid, server.port, path, seconds=WARM_UP).rate / 2)
    stack.enter_context(ahead(0, server.pid))
    quiet = 0.0
    for what, disturb in _beside(server, api).items():
        with pressing(server.port, path, rate, steady=True):
            waits = _waits(server.port, message, disturb)
        quiet = quiet or p99(waits)
        print(
            f"{name:8}{what:8}{statistics.median(waits):10.2f}{p99(waits):10.2f}"
            f"{max(waits):10.2f}{p99(waits) / quiet:10.2f}",
            flush=True,
        )


if __name__ == "__main__":
    measure()
