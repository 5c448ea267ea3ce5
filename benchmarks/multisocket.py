"""What does a second process bring, and what does it cost?

Both servers run on all cores and share them with the load generator, so on a machine with two cores
the second process gets what dnsperf leaves.  The memory of a worker is what no other process has
(USS): what it shares with the first one is there anyway.
"""

import re
import time
from pathlib import Path

from benchmarks import questions
from benchmarks.load import Sample, children, press
from benchmarks.servers import SPREAD, Running, Servers
from benchmarks.table import SECONDS, cluster, in_turn

COLD, COLD_ROUNDS = 240_000, 4
"""Questions that nobody has asked before: what they cost is far above what asking costs."""

SETTLE_SECONDS = 1.0
"""Until what was read at the start is given back."""


def proportional(pid: int) -> float:
    """MiB of a process, shared pages divided among those who share them (PSS)."""
    return _rollup(pid, "Pss")


def own(pid: int) -> float:
    """MiB that no other process has (USS)."""
    return _rollup(pid, "Private_Clean") + _rollup(pid, "Private_Dirty")


def _rollup(pid: int, field: str) -> float:
    found = re.search(rf"^{field}:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    return int(found[1]) / 1024 if found else 0.0


def _memory(when: str, servers: list[Running]) -> None:
    one, two = servers
    alone = proportional(one.pid)
    (worker,) = children(two.pid)
    together = proportional(two.pid) + proportional(worker)
    print(
        f"{when:34}{alone:10.1f}{together:10.1f}{own(worker):12.1f}"
        f"{(together - alone) / alone:12.2f}",
        flush=True,
    )


def measure() -> None:
    with Servers(cluster()) as servers:
        hot = questions.save(servers.folder / "hot", questions.hot(servers.cluster))
        mix = questions.save(servers.folder / "mix", questions.mix(servers.cluster))
        running = servers.all(*SPREAD)
        time.sleep(SETTLE_SECONDS)
        print(
            "\nmultisocket 2: memory in MiB (PSS; of the worker USS), and its share of one process"
        )
        print(f"{'':34}{'one':>10}{'two':>10}{'worker':>12}{'share':>12}")
        _memory("after the start", running)
        for server in running:
            _ask_all(server, hot)
        _memory("1,000 names asked of everybody", running)
        for server in running:
            _ask_all(server, mix)
        _memory("50,000 questions asked of everybody", running)

        def run(server: Running) -> Sample:
            return press(server.pid, server.port, mix, seconds=SECONDS, clients=32, outstanding=400)

        _show("the mix", in_turn(running, run))
        new = questions.cold(servers.cluster, COLD)
        parts = [
            questions.save(servers.folder / f"cold-{at}", new[at::COLD_ROUNDS])
            for at in range(COLD_ROUNDS)
        ]

        def run_cold(server: Running) -> Sample:
            part = parts[asked[server.name]]
            asked[server.name] += 1
            return press(server.pid, server.port, part, passes=1, clients=32, outstanding=400)

        asked = dict.fromkeys(SPREAD, 0)
        _show("ever new questions", in_turn(running, run_cold, COLD_ROUNDS))


def _show(what: str, found: dict[str, Sample]) -> None:
    print(f"\nmultisocket 2: {what}, cores shared with dnsperf")
    print(f"{'processes':12}{'queries/s':>12}{'us a query':>12}{'latency ms':>12}{'lost':>8}")
    for name, one in found.items():
        print(
            f"{name:12}{one.rate:12,.0f}{one.cpu:12.2f}{one.latency:12.2f}{one.lost:8d}", flush=True
        )


def _ask_all(server: Running, path: Path) -> None:
    """Ask until each process has met nearly every question: five times leave one in 32."""
    for _ in range(5):
        press(server.pid, server.port, path, passes=1, clients=32)


if __name__ == "__main__":
    measure()
