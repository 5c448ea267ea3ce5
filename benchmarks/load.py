"""dnsperf, and what a load costs the server's process."""

import os
import re
import shutil
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
SERVER_CORE, CLIENT_CORE = 0, max(0, (os.cpu_count() or 1) - 1)


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of the load generator."""

    rate: float
    "Answers a second."
    cpu: float
    "Microseconds of the server's process a query, kernel included."
    latency: float
    "Mean milliseconds."
    lost: int


def pinned(core: int, command: Sequence[str]) -> list[str]:
    """Have a command run on one core."""
    if (os.cpu_count() or 1) < 2 or not shutil.which("taskset"):
        return list(command)
    return ["taskset", "-c", str(core), *command]


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its children, all threads, so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS + sum(map(cpu_seconds, children(pid)))


def rss(pid: int, field: str = "VmRSS") -> float:
    """MiB that a process and its children have resident (``VmHWM``: at most, so far)."""
    found = re.search(rf"^{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    here = int(found[1]) / 1024 if found else 0.0
    return here + sum(rss(child, field) for child in children(pid))


def children(pid: int) -> list[int]:
    """Give the children of a process's first thread that are alive."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def press(
    pid: int,
    port: int,
    questions: Path,
    *,
    seconds: float = 0,
    passes: int = 0,
    clients: int = 8,
    outstanding: int = 100,
    tcp: bool = False,
    mode: str = "",
    rate: int = 0,
) -> Sample:
    """Ask a server for some seconds, or each question as often as *passes* says.

    *mode* is dnsperf's: ``dot`` or ``doh``.
    """
    command = ["dnsperf", "-B", "-s", "127.0.0.1", "-p", str(port), "-d", str(questions)]
    command += ["-c", str(clients), "-q", str(outstanding), "-t", "2"]
    command += ["-n", str(passes)] if passes else ["-l", str(seconds)]
    command += ["-m", mode or "tcp"] if mode or tcp else []
    command += ["-Q", str(rate)] if rate else []
    before = cpu_seconds(pid)
    done = subprocess.run(
        pinned(CLIENT_CORE, command), capture_output=True, text=True, timeout=60, check=False
    )
    spent = cpu_seconds(pid) - before
    completed = _number(r"Queries completed:\s+(\d+)", done.stdout)
    if not completed:
        raise RuntimeError(f"dnsperf has no answer from port {port}: {done.stdout}{done.stderr}")
    return Sample(
        _number(r"Queries per second:\s+([\d.]+)", done.stdout),
        spent / completed * 1e6,
        _number(r"Average Latency \(s\):\s+([\d.]+)", done.stdout) * 1e3,
        int(_number(r"Queries lost:\s+(\d+)", done.stdout)),
    )


@contextmanager
def pressing(port: int, questions: Path, rate: int, *, steady: bool = False) -> Iterator[None]:
    """Have a server asked *rate* questions a second as long as the context lasts, or 60 s.

    If it is to be *steady* it goes before others: who has to wait for a processor sends what he
    owes in one burst, and the server's other clients wait for that.
    """
    first = ["nice", "-n", "-20"] if steady and os.geteuid() == 0 else []
    command = ["dnsperf", "-B", "-s", "127.0.0.1", "-p", str(port), "-d", str(questions)]
    load = subprocess.Popen(
        [*first, *pinned(CLIENT_CORE, [*command, "-c", "8", "-Q", str(rate), "-l", "60"])],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        load.terminate()
        load.wait()


@contextmanager
def ahead(*pids: int) -> Iterator[None]:
    """Have processes (0: this one) come before all others, if the kernel lets us.

    What else the machine does is not what is asked.  This process stays off the server's core.
    """
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {CLIENT_CORE})
    policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
    with suppress(PermissionError):
        for pid in pids:
            os.sched_setscheduler(pid, policy, os.sched_param(1))
    try:
        yield
    finally:
        for pid in pids:
            os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))
        os.sched_setaffinity(0, cores)


def median(samples: Sequence[Sample]) -> Sample:
    """Give the median of each figure on its own."""
    return Sample(
        statistics.median(one.rate for one in samples),
        statistics.median(one.cpu for one in samples),
        statistics.median(one.latency for one in samples),
        sum(one.lost for one in samples),
    )


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    return float(found[1]) if found else 0.0
