"""Which block a query goes to, and how a chain ends."""

from collections.abc import Sequence

import pytest

from svcdns.dns.query import Query
from svcdns.plugins.base import Failed, Request
from svcdns.plugins.chain import Block, Router, link
from tests.support.records import wire_name
from tests.support.serving import CLIENT, Scripted, always


def request(name: str, qtype: int = 1) -> Request:
    qname = wire_name(name)
    query = Query(1, 0, qname, qtype, name=qname.lower())
    return Request(query, CLIENT, 0.0, lambda request: Failed(2))


def router(zones: Sequence[str]) -> Router:
    return Router([Block((wire_name(zone),), [always(Failed(2))]) for zone in zones])


ROUTES = [
    ("J6", ["."], "a.b", 1, "."),
    ("J6", [".", "b", "a.b"], "x.A.B", 1, "a.b"),
    ("J6", ["a.b", "b"], "b", 1, "b"),
    ("J6", ["a.b"], "xa.b", 1, None),
    ("J6", [], "a", 1, None),
    ("J6 DS", [".", "b", "a.b"], "a.b", 43, "b"),
    ("J6 DS", [".", "a.b"], "a.b", 43, "a.b"),
    ("J6 DS", ["."], "a.b", 43, "."),
]


@pytest.mark.parametrize(("rule", "zones", "name", "qtype", "zone"), ROUTES)
def test_the_longest_zone_gets_the_query(
    rule: str, zones: list[str], name: str, qtype: int, zone: str | None
) -> None:
    found = router(zones).route(request(name, qtype))

    assert (found[1] if found else None) == (wire_name(zone) if zone else None), rule


def test_the_first_view_that_admits_the_query_wins_and_then_shorter_zones() -> None:
    """J6."""
    closed = Block((wire_name("a"),), [always(Failed(1))], filters=[lambda request: False])
    opened = Block((wire_name("a"),), [always(Failed(2))], filters=[lambda request: True])
    root = Block((wire_name("."),), [always(Failed(3))])

    assert Router([closed, opened, root]).route(request("a")) == (opened, wire_name("a"))
    assert Router([closed, root]).route(request("a")) == (root, wire_name("."))
    assert Router([closed]).route(request("a")) is None


def test_plugins_run_in_order_and_the_end_of_a_chain_is_a_failure_with_a_reason() -> None:
    """G5."""
    first = Scripted(lambda request, proceed: proceed(request), "first")
    last = Scripted(lambda request, proceed: proceed(request), "last")

    outcome = link([first, last])(request("a"))

    assert outcome == Failed(2, "plugin/last: no next plugin found", "last")
    assert (len(first.asked), len(last.asked)) == (1, 1)


def test_a_block_without_plugins_refuses() -> None:
    """J6."""
    assert link([])(request("a")) == Failed(5)
