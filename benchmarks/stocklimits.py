"""Does the DNS server fit what kubeadm's Deployment gives CoreDNS: 170Mi of memory, 100m of CPU?

1,000 Services and 10,000 endpoints through the API, limits by cgroups (so it needs root): memory
under as many queries as it can take, known ones and ever new ones, while everything is listed
again; and how long a start takes on a tenth of a core.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks import questions
from benchmarks.api import ApiProcess
from benchmarks.cluster import Cluster
from benchmarks.live import serving, until_answered
from benchmarks.load import press, rss
from benchmarks.servers import program
from benchmarks.table import QUICK

SERVICES = 1_000
MEMORY = 170 << 20
CPU = 0.1
NEW_QUESTIONS = 100_000 if QUICK else 400_000
SECONDS = 3 if QUICK else 12
"""Of load before everything is listed again, and after."""

_PERIOD = 100_000
_ROOT = Path("/sys/fs/cgroup")


@contextmanager
def group(memory: int = 0, cpu: float = 0.0) -> Iterator[list[Path]]:
    """Make a cgroup with these limits (octets; cores); give the files that take its processes."""
    name = f"svcdns-bench-{os.getpid()}-{time.monotonic_ns()}"
    unified = (_ROOT / "cgroup.controllers").exists()
    quota = int(cpu * _PERIOD)
    limits = {
        "memory": ("memory.max", str(memory))
        if unified
        else ("memory.limit_in_bytes", str(memory)),
        "cpu": ("cpu.max", f"{quota} {_PERIOD}") if unified else ("cpu.cfs_quota_us", str(quota)),
    }
    places = []
    for controller, wanted in (("memory", memory), ("cpu", quota)):
        if wanted:
            place = _ROOT / name if unified else _ROOT / controller / name
            place.mkdir(exist_ok=True)
            places.append(place)
            limit, value = limits[controller]
            (place / limit).write_text(value)
    try:
        yield [place / "cgroup.procs" for place in places]
    finally:
        for place in dict.fromkeys(places):
            place.rmdir()


def inside(procs: list[Path], command: list[str]) -> list[str]:
    """Have a command run in a cgroup."""
    enter = "".join(f"echo $$ > {path}; " for path in procs)
    return ["sh", "-c", enter + 'exec "$@"', "sh", *command]


def measure() -> None:
    """Print the table."""
    print(f"\nkubeadm's limits: {SERVICES:,} services, {SERVICES * 10:,} endpoints")
    programs = {"svcdns": [sys.executable, "-m", "svcdns", "dns"]}
    if coredns := program("coredns"):
        programs = {"coredns": [coredns], **programs}
    columns = ("start s", "at 100m s", "ready MiB", "peak MiB", "queries/s", "lost")
    print(" " * 9 + "".join(f"{one:>12}" for one in columns))
    for name, command in programs.items():
        try:
            print(f"{name:9}" + _row(command), flush=True)
        except OSError as error:
            print(f"{name:9} left out, no cgroup can be made: {error}", flush=True)


def _row(command: list[str]) -> str:
    with ExitStack() as stack:
        api = ApiProcess(SERVICES)
        stack.callback(api.close)
        free, slow = _start(command, api, 0.0), _start(command, api, CPU)
        procs = stack.enter_context(group(memory=MEMORY))
        server = stack.enter_context(serving(inside(procs, command), api.url))
        pid, port = server.pid, server.port
        until_answered(port, _first())
        ready = rss(pid)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cluster = Cluster(SERVICES)
        asked = questions.mix(cluster) + questions.cold(cluster, NEW_QUESTIONS)
        path = questions.save(folder / "all", asked)
        before = press(pid, port, path, seconds=SECONDS)
        api.order("relist 0")
        after = press(pid, port, path, seconds=SECONDS)
        return (
            f"{free:12.2f}{slow:12.2f}{ready:12.1f}{rss(pid, 'VmHWM'):12.1f}"
            f"{(before.rate + after.rate) / 2:12,.0f}{before.lost + after.lost:12d}"
        )


def _start(command: list[str], api: ApiProcess, cpu: float) -> float:
    """Give the seconds from the start to the first answer."""
    with group(cpu=cpu) as procs:
        started = time.monotonic()
        with serving(inside(procs, command), api.url) as server:
            until_answered(server.port, _first())
            return time.monotonic() - started


def _first() -> bytes:
    return questions.message(Cluster().name(0), questions.A)


if __name__ == "__main__":
    measure()
