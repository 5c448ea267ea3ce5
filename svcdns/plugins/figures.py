"""The metrics of several processes as those of one.

Counters and histograms add up.  A gauge adds up where each process has a share of what it measures;
where all processes see the same thing, the first one's value stands for all.

Parity: a scrape of CoreDNS shows one process with many threads; so does a scrape of this one.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from svcdns.metrics import Family

ADDED_GAUGES = frozenset({"coredns_cache_entries"})
"""Each process has a cache of its own, and keeps its own answers in it."""

FIRST_ONLY = frozenset(
    {
        "coredns_build_info",
        "coredns_plugin_enabled",
        "coredns_reload_version_info",
        # All processes read the same hosts file; the others are at most one look behind.
        "coredns_hosts_entries",
        "coredns_hosts_reload_timestamp_seconds",
        # Only the first process talks to the API, and to its workers.
        "svcdns_kubernetes_watch_age_seconds",
        "svcdns_workers",
        # Each process takes every change in; the change is one.
        "coredns_kubernetes_dns_programming_duration_seconds",
    }
)
"""What the first process alone speaks of, whatever the others counted."""

REQUESTS = "coredns_dns_requests_total"


class Figure(Struct, frozen=True, array_like=True):
    """One metric of one process."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...]
    cells: tuple[tuple[tuple[str, ...], float], ...]
    histograms: tuple[tuple[tuple[str, ...], tuple[int, ...], float], ...]
    "Label values, counts by bucket, sum."


class Usage(Struct, frozen=True, array_like=True):
    """What a process uses of the machine."""

    cpu: float = 0.0
    "Seconds."
    memory: int = 0
    "Octets that no other process has."
    descriptors: int = 0


def figures(families: Iterable[Family]) -> tuple[Figure, ...]:
    """Write down what a process has to tell of itself, as it is now."""
    return tuple(
        Figure(
            one.name,
            one.kind,
            one.help,
            one.labels,
            one.bounds,
            tuple((values, cell.value) for values, cell in one.cells.items()),
            tuple(
                (values, tuple(found.counts), found.sum) for values, found in one.histograms.items()
            ),
        )
        for one in families
        if one.name not in FIRST_ONLY and (one.cells or one.histograms)
    )


def added(first: Iterable[Family], others: Iterable[Sequence[Figure]]) -> list[Family]:
    """Add what other processes told to the first one's families, which stay as they are."""
    families = {one.name: _copy(one) for one in first}
    for told in others:
        for figure in told:
            _add(families, figure)
    return [families[name] for name in sorted(families)]


def inherited(before: Sequence[Figure], told: Sequence[Figure]) -> tuple[Figure, ...]:
    """Add what a process that has ended leaves behind: counters and histograms never go down."""
    lasting = [one for one in told if one.kind != "gauge"]
    return figures(added((), (before, lasting)))


def requests(told: Iterable[Figure]) -> float:
    """Give the queries that a process has taken."""
    return sum(value for one in told if one.name == REQUESTS for _, value in one.cells)


def _copy(family: Family) -> Family:
    made = Family(family.name, family.kind, family.help, family.labels, family.bounds)
    for values, cell in family.cells.items():
        made.cell(*values).value = cell.value
    for values, found in family.histograms.items():
        histogram = made.histogram(*values)
        histogram.counts = list(found.counts)
        histogram.sum = found.sum
    return made


def _add(families: dict[str, Family], figure: Figure) -> None:
    if figure.name in FIRST_ONLY or (figure.kind == "gauge" and figure.name not in ADDED_GAUGES):
        return
    family = families.get(figure.name)
    if family is None:
        family = Family(figure.name, figure.kind, figure.help, figure.labels, figure.bounds)
        families[figure.name] = family
    for values, value in figure.cells:
        family.cell(*values).value += value
    for values, counts, total in figure.histograms:
        histogram = family.histogram(*values)
        histogram.counts = [a + b for a, b in zip(histogram.counts, counts, strict=True)]
        histogram.sum += total
