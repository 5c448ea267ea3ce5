"""What is counted about queries."""

from svcdns.dns.query import Edns, Query
from svcdns.metrics import Registry
from svcdns.plugins.accounts import EXACT_LIMIT, Accounts
from tests.support.records import wire_name
from tests.support.serving import CLIENT

ZONE = wire_name("cluster.local")


def query(qtype: int = 1, size: int = 40, do: bool = False) -> Query:
    return Query(1, 0, ZONE, qtype, edns=Edns(1232, do=do), name=ZONE, size=size)


def values(registry: Registry, name: str) -> dict[tuple[str, ...], float]:
    (family,) = [family for family in registry.collect() if family.name == name]
    return {labels: cell.value for labels, cell in family.cells.items()}


def test_table_hits_and_chain_answers_are_both_requests() -> None:
    registry = Registry()
    accounts = Accounts("dns://:53", registry)
    tally = accounts.tally(CLIENT, query(do=True), ZONE, "", "kubernetes", 0, 100)
    tally.hits += 3
    tally.made += 1
    labels = ("dns://:53", "cluster.local.", "")

    assert values(registry, "coredns_dns_requests_total") == {(*labels, "udp", "1", "A"): 4}
    assert values(registry, "coredns_dns_responses_total") == {
        (*labels, "NOERROR", "kubernetes"): 4
    }
    assert values(registry, "coredns_dns_do_requests_total") == {labels: 4}
    tally.hits += 1
    assert values(registry, "coredns_dns_requests_total") == {(*labels, "udp", "1", "A"): 5}


def test_queries_nobody_took_and_rare_types_have_their_labels() -> None:
    registry = Registry()
    accounts = Accounts.of("dns://:53", registry)
    accounts.tally(CLIENT, query(65280), b"", "", "", 5, 40).made += 1

    assert values(registry, "coredns_dns_requests_total") == {
        ("dns://:53", "dropped", "", "udp", "1", "other"): 1
    }


def test_stored_answers_share_the_time_of_their_batch() -> None:
    registry = Registry()
    accounts = Accounts("dns://:53", registry)
    tally = accounts.tally(CLIENT, query(), ZONE, "", "kubernetes", 0, 100)
    tally.hits += 4
    accounts.time_stored(0.002, 4)
    accounts.observe(ZONE, "", 0.5)

    (family,) = [
        family
        for family in registry.collect()
        if family.name == "coredns_dns_request_duration_seconds"
    ]
    cell = family.histograms[("dns://:53", "cluster.local.", "")]
    assert sum(cell.counts) == 5
    assert abs(cell.sum - 0.502) < 1e-9


def test_strangers_cannot_make_tallies_without_end() -> None:
    accounts = Accounts("dns://:53", Registry())
    found = {
        id(accounts.tally(CLIENT, query(size=size), ZONE, "", "x", 0, 100))
        for size in range(2 * EXACT_LIMIT)
    }

    assert len(found) <= EXACT_LIMIT + 20
