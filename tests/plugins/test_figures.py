import re
from pathlib import Path

from svcdns.metrics import Family, Registry
from svcdns.plugins.figures import (
    ADDED_GAUGES,
    FIRST_ONLY,
    added,
    figures,
    inherited,
    requests,
)

SOURCES = Path(__file__).parents[2] / "svcdns"


def registry(requests: int, entries: int, seconds: float) -> Registry:
    made = Registry()
    made.counter("coredns_dns_requests_total", "Requests.", ("zone",)).cell(".").value = requests
    made.gauge("coredns_cache_entries", "Entries.").cell().value = entries
    made.gauge("coredns_hosts_entries", "Entries.").cell().value = entries
    made.histogram("seconds", "Seconds.", (1.0, 2.0)).histogram().observe(seconds)
    return made


def value(families: list[Family], name: str, *labels: str) -> float:
    return next(one for one in families if one.name == name).cells[labels].value


def test_counters_histograms_and_shares_add_up() -> None:
    first, other = registry(3, 10, 0.5), registry(4, 20, 1.5)

    total = added(first.collect(), [figures(other.collect())])

    assert value(total, "coredns_dns_requests_total", ".") == 7
    assert value(total, "coredns_cache_entries") == 30
    seconds = next(one for one in total if one.name == "seconds").histograms[()]
    assert (seconds.counts, seconds.sum) == ([1, 1, 0], 2.0)


def test_what_all_processes_see_is_counted_once() -> None:
    first, other = registry(3, 10, 0.5), registry(4, 20, 1.5)

    total = added(first.collect(), [figures(other.collect())])

    assert value(total, "coredns_hosts_entries") == 10


def test_adding_up_leaves_the_first_process_as_it_was() -> None:
    first = registry(3, 10, 0.5)

    added(first.collect(), [figures(registry(4, 20, 1.5).collect())])

    assert value(first.collect(), "coredns_dns_requests_total", ".") == 3
    assert first.families["seconds"].histograms[()].counts == [1, 0, 0]


def test_label_values_that_only_a_worker_has_seen_appear() -> None:
    other = Registry()
    other.counter("new_total", "New.", ("zone",)).cell("a.").value = 2

    total = added(registry(1, 1, 1).collect(), [figures(other.collect())])

    assert value(total, "new_total", "a.") == 2


def test_the_counters_of_ended_workers_stay_and_their_gauges_go() -> None:
    left = inherited((), figures(registry(4, 20, 1.5).collect()))
    left = inherited(left, figures(registry(5, 20, 1.5).collect()))

    total = added(registry(1, 10, 0.5).collect(), [left])

    assert value(total, "coredns_dns_requests_total", ".") == 10
    assert value(total, "coredns_cache_entries") == 10
    assert next(one for one in total if one.name == "seconds").histograms[()].counts == [1, 2, 0]


def test_requests_are_those_of_all_zones() -> None:
    one = Registry()
    family = one.counter("coredns_dns_requests_total", "Requests.", ("zone",))
    family.cell(".").value = 2
    family.cell("a.").value = 3

    assert requests(figures(one.collect())) == 5


def test_every_gauge_of_the_dns_server_is_either_added_or_the_first_one_s() -> None:
    """A gauge that nobody has thought about is a gauge that is wrong with several processes."""
    dns = [*(SOURCES / "plugins").glob("*.py")]
    dns += [SOURCES / "aio" / f"{name}.py" for name in ("app", "narrator", "workers")]
    found = {
        name
        for path in dns
        for name in re.findall(r"\.gauge\(\s*\"([a-z0-9_]+)\"", path.read_text())
    }

    assert "coredns_cache_entries" in found
    assert found <= ADDED_GAUGES | FIRST_ONLY
