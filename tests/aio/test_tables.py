"""Tables that follow a plan through refusals and meddling."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from svcdns.aio.tables import COLLECT_AFTER, Synced, Tables, clean_up
from svcdns.metrics import Registry
from svcdns.proxy.metrics import ProxyMetrics
from svcdns.proxy.model import (
    Backend,
    Exposure,
    ForwardingPlan,
    Frontend,
    PlanChange,
    PortId,
    ServicePlan,
)
from svcdns.proxy.ruleset import Ruleset
from svcdns.proxy.schema import RulesetOptions
from tests.support.nft import Packet, Result
from tests.support.nftfake import FakeNft

BACKENDS = tuple(Backend(f"10.244.0.{n}", 8080) for n in range(1, 9))
BAD = "10.96.0.99"


def service(number: int, count: int = 2, address: str = "", **more: object) -> ServicePlan:
    frontends = (Frontend(Exposure.CLUSTER_IP, address or f"10.96.0.{number}", 80),)
    fields = {"cluster": BACKENDS[:count], "any_usable": count > 0, **more}
    identity = PortId("shop", f"s{number}", "", "TCP")
    return ServicePlan(identity, 4, frontends, **fields)  # type: ignore[arg-type]  # by name


def plan_of(*services: ServicePlan) -> ForwardingPlan:
    return ForwardingPlan({one.key: one for one in services}, {})


@dataclass
class Setup:
    """Tables on a fake nft, with a clock to turn."""

    nft: FakeNft = field(default_factory=FakeNft)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.registry = Registry()
        self.tables = Tables(
            self.nft,  # type: ignore[arg-type]  # has what is asked of nft
            (4, 6),
            RulesetOptions(),
            ProxyMetrics(self.registry, 0.0),
            self.registry,
            generation=self.nft.generation,
            clock=lambda: self.now,
        )
        self.plan = plan_of()

    async def start(self, plan: ForwardingPlan) -> list[Synced]:
        self.plan = plan
        return await self.tables.start(plan)

    async def follow(self, plan: ForwardingPlan) -> list[bool]:
        keys = {*self.plan.services, *plan.services}
        changes = {key: (self.plan.services.get(key), plan.services.get(key)) for key in keys}
        self.plan = plan
        return [one.ok for one in await self.tables.follow(plan, PlanChange(changes))]

    def value(self, name: str, *labels: str) -> float:
        return self.registry.families[name].cell(*labels).value

    def verdict(self, address: str) -> set[str]:
        packet = Packet("192.0.2.1", "tcp", address, 80)
        return {one.verdict for one in self.nft.tables["ip"].send(packet)}


@pytest.fixture
def setup() -> Setup:
    return Setup()


FAILURES = "kubeproxy_sync_proxy_rules_nftables_sync_failures_total"


async def test_a_first_start_makes_the_tables(setup: Setup) -> None:
    done = await setup.start(plan_of(service(1)))
    assert [(one.family, one.ok, one.full) for one in done] == [(4, True, True), (6, True, True)]
    assert setup.verdict("10.96.0.1") == {"dnat"}


async def test_a_later_process_takes_over_without_an_operation_r105(setup: Setup) -> None:
    await setup.start(plan_of(service(1), service(2, 5)))
    ran = len(setup.nft.ran)
    later = Setup(setup.nft)
    done = await later.tables.start(plan_of(service(1), service(2, 5)))
    assert [one.operations for one in done] == [0, 0]
    assert len(setup.nft.ran) == ran


async def test_a_start_leaves_the_loop_to_probes(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes long with 100,000 endpoints is done by another thread."""
    await setup.start(plan_of(service(1)))
    threads: list[int] = []
    for name in ("take", "adopt"):
        original = getattr(Ruleset, name)

        def noted(self: Ruleset, given: Any, original: Callable[..., Any] = original) -> Any:
            threads.append(threading.get_ident())
            return original(self, given)

        monkeypatch.setattr(Ruleset, name, noted)
    later = Setup(setup.nft)

    await later.start(plan_of(service(1)))
    assert len(threads) == 4
    assert threading.get_ident() not in threads


async def test_a_change_is_one_transaction_for_each_family_r103(setup: Setup) -> None:
    await setup.start(plan_of())
    ran = len(setup.nft.ran)
    assert await setup.follow(plan_of(service(1), service(2), service(3))) == [True, True]
    assert len(setup.nft.ran) == ran + 1  # nothing changed for IPv6


async def test_a_refused_change_puts_the_table_right_and_keeps_pins(setup: Setup) -> None:
    sticky = service(1, 8, affinity=60)
    await setup.start(plan_of(sticky))
    client = Packet("192.0.2.1", "tcp", "10.96.0.1", 80)
    pinned = setup.nft.tables["ip"].connect(client, (5,))
    setup.nft.meddle("delete element ip svcdns-proxy cluster-ips { 10.96.0.1 }")
    # Deleting the service deletes an element that is not there any more.
    assert await setup.follow(plan_of(service(2))) == [True, True]
    assert setup.verdict("10.96.0.2") == {"dnat"}
    assert setup.value(FAILURES, "IPv4") == 1
    setup.nft.meddle("delete element ip svcdns-proxy cluster-ips { 10.96.0.2 }")
    assert await setup.follow(plan_of(sticky)) == [True, True]
    assert setup.nft.tables["ip"].send(client) == {pinned}


async def test_a_table_that_vanished_is_made_anew(setup: Setup) -> None:
    await setup.start(plan_of(service(1)))
    setup.nft.meddle("delete table ip svcdns-proxy")
    assert await setup.follow(plan_of(service(1), service(2))) == [True, True]
    assert setup.verdict("10.96.0.1") == setup.verdict("10.96.0.2") == {"dnat"}


async def test_a_table_that_cannot_be_listed_is_made_anew(setup: Setup) -> None:
    await setup.start(plan_of(service(1)))
    setup.nft.unreadable = True
    setup.nft.meddle("delete element ip svcdns-proxy cluster-ips { 10.96.0.1 }")
    assert await setup.follow(plan_of()) == [True, True]
    assert setup.nft.tables["ip"].elements["services"] == {}


async def test_one_bad_service_never_stops_the_others(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    setup.nft.refuses = lambda text: BAD in text
    services = [service(n, n % 4) for n in range(1, 30)]
    bad = service(40, address=BAD)
    assert all(one.ok for one in await setup.start(plan_of(*services, bad)))
    assert setup.verdict("10.96.0.7") == {"dnat"}
    assert setup.value("svcdns_proxy_nft_excluded_service_ports") == 1
    (line,) = (r.getMessage() for r in caplog.records if r.levelno == logging.ERROR)
    assert line.startswith("shop/s40/TCP: nft refuses its rules, it goes without: ")
    # Others come and go meanwhile, and its own next plan is tried.
    assert await setup.follow(plan_of(*services, bad, service(50))) == [True, True]
    assert setup.verdict("10.96.0.50") == {"dnat"}
    good = msgspec.structs.replace(bad, frontends=service(40).frontends)
    assert await setup.follow(plan_of(*services, good)) == [True, True]
    assert setup.verdict("10.96.0.40") == {"dnat"}


async def test_several_bad_services_are_all_found(setup: Setup) -> None:
    setup.nft.refuses = lambda text: any(f"10.96.0.{n} " in text for n in (3, 4, 17))
    await setup.start(plan_of(*(service(n) for n in range(1, 20))))
    assert setup.value("svcdns_proxy_nft_excluded_service_ports") == 3
    assert setup.verdict("10.96.0.5") == {"dnat"}


async def test_when_nothing_helps_the_old_rules_stay_and_mending_goes_on(setup: Setup) -> None:
    await setup.start(plan_of(service(1)))
    setup.nft.refuses = lambda text: text.split()[2] == "ip"
    assert await setup.follow(plan_of(service(2))) == [False, True]
    assert setup.verdict("10.96.0.1") == {"dnat"}
    assert setup.value(FAILURES, "IPv4") == 2
    setup.nft.refuses = lambda text: False
    assert [one.ok for one in await setup.tables.look(always=True)] == [True, True]
    assert setup.verdict("10.96.0.2") == {"dnat"}


async def test_meddling_is_noticed_by_the_kernels_count_and_put_right_r108(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    await setup.start(plan_of(service(1)))
    await setup.follow(plan_of(service(1), service(2)))
    listed = setup.nft.listed
    assert await setup.tables.look() == []
    assert setup.nft.listed == listed, "nobody was here"
    for text in (
        "delete table ip svcdns-proxy",
        "flush chain ip svcdns-proxy dispatch",
        "delete element ip svcdns-proxy services { 10.96.0.2 . tcp . 80 }",
        'add rule ip svcdns-proxy dispatch drop comment "mine"',
        "add element ip svcdns-proxy services { 192.0.2.1 . tcp . 80 : drop }",
    ):
        setup.nft.meddle(text)
        caplog.clear()
        first, second = await setup.tables.look()
        assert first.ok, text
        assert first.operations > 0
        assert second.operations == 0
        assert "was changed by somebody else" in caplog.text
        assert setup.verdict("10.96.0.1") == setup.verdict("10.96.0.2") == {"dnat"}
        assert setup.nft.tables["ip"].send(Packet("192.0.2.9", "tcp", "192.0.2.1", 80)) == {
            Result("pass")
        }
        assert await setup.tables.look() == []
    assert setup.value("svcdns_proxy_nft_repairs_total") == 5


async def test_others_who_write_all_the_time_do_not_keep_us_busy(setup: Setup) -> None:
    await setup.start(plan_of(service(1)))
    steps = iter((1.0, 3.0, 3.0))  # a listing takes two seconds

    async def slow(table: object) -> object:
        setup.now = next(steps, setup.now)
        return await FakeNft.listing(setup.nft, table)  # type: ignore[arg-type]  # as it came

    setup.nft.listing = slow  # type: ignore[method-assign, assignment]  # time passes
    setup.nft.count += 1
    assert len(await setup.tables.look()) == 2
    setup.nft.count += 1
    setup.now += 5
    assert await setup.tables.look() == []
    setup.now += 5
    assert len(await setup.tables.look()) == 2


async def test_idle_chains_go_a_while_after_the_last_change_r106(setup: Setup) -> None:
    await setup.start(plan_of(service(1, 3)))
    await setup.follow(plan_of(service(1, 4)))
    chains = setup.nft.tables["ip"].chains
    await setup.tables.collect()
    assert "forward-3" in chains
    setup.now += COLLECT_AFTER
    setup.nft.refuses = lambda text: "delete chain" in text
    await setup.tables.collect()
    assert setup.value("kubeproxy_sync_proxy_rules_nftables_cleanup_failures_total", "IPv4") == 1
    setup.nft.refuses = lambda text: False
    setup.now += COLLECT_AFTER
    await setup.tables.collect()
    assert "forward-3" not in setup.nft.tables["ip"].chains


async def test_clean_up_deletes_our_tables_and_says_when_it_cannot_r107(setup: Setup) -> None:
    await setup.start(plan_of(service(1)))
    assert await clean_up(setup.nft, (4, 6))  # type: ignore[arg-type]  # has what is asked of nft
    assert not setup.nft.tables["ip"].exists
    assert await clean_up(setup.nft, (4, 6))  # type: ignore[arg-type]  # twice is fine
    setup.nft.refuses = lambda text: True
    assert not await clean_up(setup.nft, (4, 6))  # type: ignore[arg-type]  # as above
