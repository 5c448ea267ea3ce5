"""The cache over time: what is kept, how it ages, when it is renewed."""

from collections.abc import Callable
from typing import Any

import dns.message
import pytest
from msgspec.structs import replace

from svcdns.corefile.parser import parse
from svcdns.dns.constants import Rcode
from svcdns.dns.query import parse as parse_query
from svcdns.dns.response import Record, Response
from svcdns.metrics import Registry
from svcdns.plugins import cache as cache_plugin
from svcdns.plugins.base import Ask, Context, Failed, Outcome, Renew, Reply, Request, Storable
from svcdns.plugins.cache import Cache
from svcdns.plugins.commands import Delay
from svcdns.zones.records import soa
from tests.support import setups
from tests.support.records import wire_name
from tests.support.serving import CLIENT, Scripted, question

ZONE = wire_name("example.net")


def record(ttl: int = 300, number: int = 1, rrtype: int = 1) -> Record:
    rdata = bytes((10, 0, 0, number)) if rrtype == 1 else wire_name("b.example.net")
    return Record(wire_name("a.example.net"), rrtype, ttl, rdata)


def positive(ttl: int = 300, **fields: Any) -> Reply:
    return Reply(Response(answer=(record(ttl),), ra=True, **fields), "forward")


def denial(rcode: int = Rcode.NXDOMAIN, minimum: int = 60) -> Reply:
    record = replace(soa(ZONE, ttl=minimum, serial=1), ttl=minimum)
    return Reply(Response(rcode, authority=(record,)), "forward")


class Bench:
    """A cache in front of a scripted plugin, with a clock in hand."""

    def __init__(
        self, options: str = "", arguments: str = "", outcome: Outcome | None = None
    ) -> None:
        self.now = 1000.0
        self.registry = Registry()
        self.outcome: Outcome = outcome or positive()
        self.next = Scripted(lambda request, proceed: self.outcome, "forward")
        self.cache = self._cache(options, arguments)
        self.background: list[Ask] = []

    def _cache(self, options: str, arguments: str) -> Cache:
        text = f". {{\n cache {arguments} {{\n{options}\n}}\n}}"
        (block,) = parse(text, "Corefile", {}, lambda pattern, base: None, lambda line: None)
        context = Context(
            zones=(wire_name("."),),
            server="dns://:53",
            registry=self.registry,
            read=lambda path: b"",
            random=lambda: 0.0,
            warn=lambda line: None,
            wall=lambda: 0.0,
        )
        return cache_plugin.setup(block.directives, context)

    def ask(self, text: str = "a.example.net A", **settings: Any) -> Outcome:
        query = parse_query(question(text, **settings))
        assert query is not None
        request = Request(query, CLIENT, self.now, lambda request: Failed(2))  # type: ignore[arg-type]
        outcome = self.cache.serve(request, lambda request: self.next.serve(request, _end))
        if isinstance(outcome, Reply):
            self.background += outcome.background
        return outcome

    def ttl(self, **settings: Any) -> int:
        outcome = self.ask(**settings)
        assert isinstance(outcome, Reply)
        response = outcome.response
        (found,) = {found.ttl for found in (*response.answer, *response.authority)}
        return found

    @property
    def asked(self) -> int:
        return len(self.next.asked)

    def value(self, name: str) -> float:
        (family,) = [f for f in self.registry.collect() if f.name == f"coredns_cache_{name}"]
        return sum(cell.value for cell in family.cells.values())


def _end(request: Request) -> Outcome:
    return Failed(2)


def test_a_kept_answer_counts_down_and_expires() -> None:
    """J13."""
    bench = Bench(outcome=positive(60))
    seen = []
    for after in (0, 0, 30, 29.5, 1):
        bench.now += after
        seen.append(bench.ttl())

    assert seen == [60, 60, 30, 1, 60]
    assert bench.asked == 2


CAPS = [
    ("J13 cap of positives", "", "", positive(7200), 3600),
    ("J13 cap by argument", "", "30", positive(300), 30),
    ("J13 K15 floor", "", "", positive(0), 5),
    ("J13 cap of denials", "", "", denial(minimum=86400), 1800),
    ("J13 soa minimum", "", "", denial(minimum=7), 7),
    ("J13 nodata", "", "30", denial(Rcode.NOERROR, 60), 30),
    ("success", "success 100 20", "", positive(300), 20),
    ("success with floor", "success 100 200 100", "", positive(50), 100),
    ("denial", "denial 100 9", "", denial(minimum=60), 9),
]


@pytest.mark.parametrize(("rule", "options", "arguments", "outcome", "ttl"), CAPS)
def test_ttls_are_capped_from_both_sides(
    rule: str, options: str, arguments: str, outcome: Reply, ttl: int
) -> None:
    bench = Bench(options, arguments, outcome)

    assert bench.ttl() == ttl, rule
    assert bench.ttl() == ttl, rule
    assert bench.asked == 1, rule


NOT_KEPT: list[tuple[str, Outcome]] = [
    ("J14 NXDOMAIN without SOA", Reply(Response(Rcode.NXDOMAIN), "forward")),
    ("J14 CNAME only", Reply(Response(answer=(record(rrtype=5),)), "forward")),
    ("J14 truncated", positive(tc=True)),
    ("J14 refused", Reply(Response(Rcode.REFUSED), "forward")),
    ("nobody wrote it", Failed(Rcode.SERVFAIL)),
    ("lives in the answer table", replace(positive(), store=Storable(("web",)))),
]


@pytest.mark.parametrize(("rule", "outcome"), NOT_KEPT)
def test_some_answers_are_never_kept(rule: str, outcome: Outcome) -> None:
    bench = Bench(outcome=outcome)
    bench.ask()
    bench.ask()

    assert bench.asked == 2, rule


def test_cluster_answers_keep_their_leave_to_be_stored_and_get_the_cap() -> None:
    """J17."""
    bench = Bench(arguments="30", outcome=replace(positive(300), store=Storable(("web",))))
    outcome = bench.ask()

    assert isinstance(outcome, Reply)
    assert outcome.store == Storable(("web",))
    assert outcome.response.answer[0].ttl == 30


def test_failures_are_kept_for_five_seconds_or_as_told() -> None:
    """J14."""
    failed = Reply(Response(Rcode.SERVFAIL), "forward")
    default, none, longer = (
        Bench(options, outcome=failed) for options in ("", "servfail 0s", "servfail 20s")
    )
    for bench in (default, none, longer):
        bench.ask()
        bench.now += 4
        bench.ask()
        bench.now += 2
        bench.ask()

    assert (default.asked, none.asked, longer.asked) == (2, 3, 1)


def test_cached_answers_are_authoritative_and_authenticated_only_on_demand() -> None:
    """J15, J16, register K21."""
    bench = Bench(outcome=positive(ad=True))
    first, second = bench.ask(), bench.ask()
    with_do = bench.ask(use_edns=0, want_dnssec=True)

    assert isinstance(first, Reply)
    assert isinstance(second, Reply)
    assert isinstance(with_do, Reply)
    assert (first.response.aa, first.response.ad) == (False, False)
    assert (second.response.aa, second.response.ra, second.response.ad) == (True, True, False)
    assert with_do.response.ad
    assert all(request.query.flags & 0x20 for request in bench.next.asked)


def test_case_of_the_question_does_not_matter_but_do_and_cd_do() -> None:
    """J13."""
    bench = Bench()
    for settings in ({}, {"cd": True}, {"use_edns": 0, "want_dnssec": True}):
        bench.ask(**settings)
        bench.ask("A.Example.NET A", **settings)

    assert bench.asked == 3


def test_other_zones_pass_by() -> None:
    bench = Bench(arguments="30 example.org")
    bench.ask()
    bench.ask()

    assert bench.asked == 2
    assert bench.value("requests_total") == 0


@pytest.mark.parametrize(
    ("options", "outcome", "asked"),
    [
        ("disable success example.net", positive(), 2),
        ("disable success example.org", positive(), 1),
        ("disable denial", denial(), 2),
        ("disable denial", positive(), 1),
    ],
)
def test_kinds_can_be_disabled_by_zone(options: str, outcome: Reply, asked: int) -> None:
    """J17."""
    bench = Bench(options, outcome=outcome)
    bench.ask()
    bench.ask()

    assert bench.asked == asked


def test_an_answer_may_stay_in_the_table_until_its_ttl_ticks() -> None:
    bench = Bench()
    bench.ask()
    bench.now += 2.25
    outcome = bench.ask()

    assert isinstance(outcome, Reply)
    assert outcome.store is not None
    assert outcome.store.until == 1003.0
    assert outcome.store.owners == ()
    counter, requests = outcome.store.cells
    counter.value += 5
    requests.value += 5
    assert bench.value("hits_total") == 6
    assert bench.value("requests_total") == 7


def renewal(bench: Bench, text: str = "a.example.net A") -> Renew:
    """Have an answer kept, and ask for the way to renew it in the table."""
    bench.ask(text)
    outcome = bench.ask(text)
    assert isinstance(outcome, Reply)
    assert outcome.store is not None
    assert outcome.store.renew is not None
    return outcome.store.renew


@pytest.mark.parametrize(
    ("options", "expected"),
    [("", [(298, 1003.0), (297, 1004.0), (1, 1300.0)]), ("keepttl", [(300, 1003.0)])],
)
def test_a_stored_answer_is_renewed_at_each_tick_until_its_ttl_is_over(
    options: str, expected: list[tuple[int, float]]
) -> None:
    """J13."""
    renew = renewal(Bench(options))

    found = [renew(until - 0.75) for _, until in expected]

    assert found == expected
    assert renew(1300.0) is None


def test_a_stored_answer_is_not_renewed_when_the_cache_has_another_one() -> None:
    bench = Bench()
    renew = renewal(bench)
    bench.now += 400
    bench.ask()

    assert renew(bench.now) is None
    assert renewal(bench)(bench.now + 1) == (299, bench.now + 2)
    bench.now += 400
    bench.outcome = denial()
    bench.ask()
    assert renewal(bench)(bench.now) == (60, bench.now + 1)


def test_a_renewed_answer_is_in_use_and_one_that_made_room_is_not_renewed() -> None:
    bench = Bench("success 2")
    first, second = renewal(bench, "a.example.net A"), renewal(bench, "b.example.net A")
    first(1001.0)
    renewal(bench, "c.example.net A")

    assert first(1002.0) == (298, 1003.0)
    assert second(1002.0) is None


def test_what_is_to_be_fetched_early_is_not_stored() -> None:
    """J18: each query for it counts, and one of them has it fetched."""
    bench = Bench("prefetch 2")
    for _ in range(3):
        outcome = bench.ask()
        assert isinstance(outcome, Reply)
        assert outcome.store is None


def test_the_least_recently_used_answer_makes_room() -> None:
    bench = Bench("success 2")
    for name in ("a", "b", "a", "c", "a", "b"):
        bench.ask(f"{name}.example.net A")

    assert bench.asked == 4
    assert bench.value("evictions_total") == 2
    assert bench.value("entries") == 2


def _late(outcome: Callable[[], Outcome]) -> Ask:
    return Ask(Delay(0.0), lambda result, now: outcome())


def test_an_expired_answer_is_served_while_a_new_one_is_fetched() -> None:
    """J18."""
    bench = Bench("serve_stale 1h", outcome=positive(60))
    bench.ask()
    bench.now += 100
    bench.outcome = _late(lambda: positive(60))

    assert bench.ttl() == 0
    assert bench.ttl() == 0
    assert len(bench.background) == 1, "one renewal at a time"
    bench.background[0].resume(None, bench.now)
    assert bench.ttl() == 60
    bench.now += 60 + 3601
    assert isinstance(bench.ask(), Ask), "too old to be served"


def test_a_verified_stale_answer_is_served_only_when_there_is_no_new_one() -> None:
    """J18."""
    bench = Bench("serve_stale 1h verify", outcome=positive(60))
    bench.ask()
    bench.now += 100
    bench.outcome = Failed(Rcode.SERVFAIL)
    assert bench.ttl() == 0
    bench.outcome = positive(50)
    assert bench.ttl() == 50
    assert bench.value("served_stale_total") == 1


def test_popular_answers_are_renewed_before_they_expire() -> None:
    """J18."""
    bench = Bench("prefetch 3 1m 20%", outcome=positive(100))
    bench.ask()
    for _ in range(3):
        bench.now += 20
        bench.ask()
    assert not bench.background
    bench.now += 25
    bench.outcome = _late(lambda: positive(100))
    assert bench.ttl() == 15
    (renewal,) = bench.background
    renewal.resume(None, bench.now)
    assert bench.ttl() == 100
    assert bench.value("prefetch_total") == 1


def test_a_denial_takes_the_place_of_an_older_answer_unless_told_otherwise() -> None:
    for options, rcode in (
        ("", Rcode.NXDOMAIN),
        ("serve_stale_policy prefer_positive", Rcode.NOERROR),
    ):
        bench = Bench(f"serve_stale 1h\n{options}", outcome=positive(10))
        bench.ask()
        bench.now += 20
        bench.outcome = _late(denial)
        bench.ask()
        bench.background[0].resume(None, bench.now)
        outcome = bench.ask()
        assert isinstance(outcome, Reply)
        assert outcome.response.rcode == rcode


def test_ttls_can_be_left_alone() -> None:
    bench = Bench("keepttl", outcome=positive(60))
    bench.ask()
    bench.now += 30

    assert bench.ttl() == 60


def test_dnssec_records_are_for_those_who_ask_for_them() -> None:
    signature = Record(wire_name("a.example.net"), 46, 300, b"\0" * 30)
    bench = Bench(outcome=Reply(Response(answer=(record(), signature)), "forward"))
    plain, signed = bench.ask(), bench.ask(use_edns=0, want_dnssec=True)

    assert isinstance(plain, Reply)
    assert isinstance(signed, Reply)
    assert len(plain.response.answer) == 1
    assert len(signed.response.answer) == 2


def test_the_message_library_agrees_about_the_question_used_here() -> None:
    assert (
        dns.message.from_wire(question("a.example.net A")).question[0].to_text()
        == "a.example.net. IN A"
    )


def test_metrics_name_the_view_of_the_block() -> None:
    registry = Registry()
    text = ". {\n cache 30 example.org\n}"
    (block,) = parse(text, "Corefile", {}, lambda pattern, base: None, lambda line: None)
    around = replace(setups.context(registry=registry), view="lan")
    cache_plugin.setup(block.directives, around)

    labels = {
        family.name: set(family.cells)
        for family in registry.collect()
        if family.name.startswith("coredns_cache")
    }
    assert labels["coredns_cache_misses_total"] == {("dns://:53", "example.org.", "lan")}
    assert {cells[-1] for family in labels.values() for cells in family} == {"lan"}
