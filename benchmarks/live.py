"""What does it take to follow a cluster through its API: start, memory, and how soon it shows?

The server is the real program with the real Corefile; the API server is the tests' one, in a
process of its own.  CoreDNS is measured beside it when ``COREDNS`` names a binary.
"""

import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import questions
from benchmarks.api import ApiProcess
from benchmarks.cluster import Cluster
from benchmarks.load import SERVER_CORE, ahead, pinned, press, pressing, rss
from benchmarks.servers import COREFILE, program
from benchmarks.table import QUICK, SECONDS
from tests.support.ports import free_port

SIZES = (100, 1_000) if QUICK else (100, 10_000)
EVENTS = 50 if QUICK else 200
CHURN = 1_000
"""EndpointSlice updates a second."""

LIMIT = 60.0
"""Seconds after which something is not going to happen."""

_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Served:
    """A DNS server that follows a cluster."""

    pid: int
    port: int
    metrics: int
    "Port of ``/metrics``."


@contextmanager
def serving(command: list[str], url: str) -> Iterator[Served]:
    """Run a DNS server for a cluster."""
    port, metrics = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        corefile = Path(folder, "Corefile")
        text = COREFILE.format(port=port, ready=free_port(), metrics=metrics, upstream=9, api=url)
        corefile.write_text(text)
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen(
                pinned(SERVER_CORE, [*command, "-conf", str(corefile)]),
                stdout=log,
                stderr=log,
                cwd=_ROOT,
            )
            try:
                yield Served(process.pid, port, metrics)
            finally:
                process.kill()
                process.wait()


def until_answered(port: int, message: bytes) -> None:
    """Ask until the name is there."""
    end = time.monotonic() + LIMIT
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        sock.settimeout(0.2)
        while time.monotonic() < end:
            try:
                sock.send(message)
                if sock.recv(4096)[3] & 0xF == 0:
                    return
            except OSError:
                time.sleep(0.005)
    raise RuntimeError(f"port {port} has no such name after {LIMIT:.0f} s")


def _visible(api: ApiProcess, port: int, first: int) -> list[float]:
    """Create Services; give the milliseconds until each is answered, one after another."""
    found = []
    for number in range(first, first + EVENTS):
        number = number * 10  # none of them headless
        message = questions.message(Cluster().name(number), questions.A)
        started = time.monotonic()
        api.order(f"add {number}")
        until_answered(port, message)
        found.append((time.monotonic() - started) * 1e3)
    return found


def measure() -> None:
    columns = (
        "services",
        "start s",
        "RSS MiB",
        "peak MiB",
        "p50 ms",
        "p99 ms",
        "p99 churn",
        "and load",
    )
    print("\nThrough the API: start to first answer, memory, event to answer")
    print(" " * 9 + "".join(f"{one:>10}" for one in columns))
    programs = {"svcdns": [sys.executable, "-m", "svcdns", "dns"]}
    if coredns := program("coredns"):
        programs = {"coredns": [coredns], **programs}
    for size in SIZES:
        for name, command in programs.items():
            print(f"{name:9}" + _row(command, size), flush=True)


def _row(command: list[str], size: int) -> str:
    with ExitStack() as stack:
        api = ApiProcess(size)
        stack.callback(api.close)
        started = time.monotonic()
        server = stack.enter_context(serving(command, api.url))
        pid, port = server.pid, server.port
        until_answered(port, questions.message(Cluster().name(0), questions.A))
        ready = time.monotonic() - started
        resident, peak = rss(pid), rss(pid, "VmHWM")
        stack.enter_context(ahead(0, pid, api.pid))
        quiet = _visible(api, port, 10_000)
        api.order(f"churn {CHURN}")
        busy = _visible(api, port, 20_000)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        path = questions.save(folder / "hot", questions.hot(Cluster(size)))
        rate = int(press(pid, port, path, seconds=SECONDS).rate / 2)
        with pressing(port, path, rate):
            loaded = _visible(api, port, 30_000)
    return (
        f"{size:10,}{ready:10.2f}{resident:10.1f}{peak:10.1f}{statistics.median(quiet):10.2f}"
        f"{p99(quiet):10.2f}{p99(busy):10.2f}{p99(loaded):10.2f}"
    )


def p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99) - 1]


if __name__ == "__main__":
    measure()
