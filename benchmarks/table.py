"""Comparisons: servers in turn, round after round, and a table with ratios in front."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.cluster import Cluster
from benchmarks.load import Sample, median, press, rss
from benchmarks.servers import Running, Servers

QUICK = bool(os.environ.get("QUICK"))
ROUNDS = 3 if QUICK else 5
SECONDS = 0.7 if QUICK else 1.5
"""Of one round of one server."""

Run = Callable[[Running], Sample]


def cluster() -> Cluster:
    """Give the cluster to measure with."""
    return Cluster(1_000 if QUICK else 10_000)


def warm(server: Running, questions: Path, *, tcp: bool = False) -> None:
    """Ask everything once, so that what can be kept is kept."""
    press(server.pid, server.port, questions, passes=1, tcp=tcp)


def in_turn(servers: Sequence[Running], run: Run, rounds: int = ROUNDS) -> dict[str, Sample]:
    """Measure each server in each round, and give the medians."""
    samples: dict[str, list[Sample]] = {server.name: [] for server in servers}
    for _ in range(rounds):
        for server in servers:
            samples[server.name].append(run(server))
    return {name: median(found) for name, found in samples.items()}


def show(title: str, servers: Sequence[Running], found: dict[str, Sample]) -> None:
    """Print a comparison; the ratio is CPU a query, ours over theirs, so below 1 is better."""
    ours = found["svcdns"]
    print(f"\n{title}")
    columns = ("svcdns/peer", "us a query", "queries/s", "latency ms", "RSS MiB", "lost")
    print(" " * 10 + "".join(f"{one:>12}" for one in columns))
    for server in servers:
        one = found[server.name]
        ratio = ours.cpu / one.cpu if one.cpu else float("nan")
        print(
            f"{server.name:10}{ratio:12.2f}{one.cpu:12.2f}{one.rate:12,.0f}{one.latency:12.2f}"
            f"{rss(server.pid):12.1f}{one.lost:12d}",
            flush=True,
        )


def compare(
    title: str, servers: Servers, names: Sequence[str], questions: Path, *, tcp: bool = False
) -> dict[str, Sample]:
    """Ask everybody the same for the usual time, warmed up, and print what came of it."""
    running = servers.all(*names)
    for server in running:
        warm(server, questions, tcp=tcp)

    def run(server: Running) -> Sample:
        clients, outstanding = (100, 400) if tcp else (8, 100)
        return press(
            server.pid,
            server.port,
            questions,
            seconds=SECONDS,
            clients=clients,
            outstanding=outstanding,
            tcp=tcp,
        )

    found = in_turn(running, run)
    show(title, running, found)
    return found
