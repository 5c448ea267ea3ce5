from collections.abc import Sequence
from random import Random

import dns.message
import pytest

from svcdns.metrics import Registry
from svcdns.plugins.base import Ask
from svcdns.plugins.commands import Exchange, Exchanged, Result, Transport, Unanswered, Upstream
from svcdns.plugins.proxies import HealthCheck, Proxies, ProxyMetrics
from tests.support.corefile import Outside

UPSTREAMS = tuple(Upstream(f"192.0.2.{last}", 53) for last in (1, 2, 3))
SILENCE = Unanswered("read udp: i/o timeout", timeout=True)


def make(policy: str = "sequential", numbers: Sequence[float] = (0.0,)) -> tuple[Proxies, Registry]:
    outside = Outside(numbers=numbers)
    made = Proxies(ProxyMetrics(outside.registry, "forward"), policy, outside.context().random)
    made.change(UPSTREAMS)
    return made, outside.registry


def order(proxies: Proxies) -> list[str]:
    return [proxy.upstream.address[-1] for proxy in proxies.order()]


def alive() -> Exchanged:
    answer = dns.message.make_response(dns.message.make_query(".", "NS"))
    return Exchanged(answer.to_wire(), 0.01)


def probe(proxies: Proxies, result: Result) -> Ask:
    (ask,) = proxies.probes(HealthCheck(), force_tcp=False)
    ask.resume(result, 0.0)
    return ask


def test_sequential_keeps_the_order() -> None:
    proxies, _ = make()

    assert [order(proxies) for _ in range(2)] == [["1", "2", "3"]] * 2


def test_round_robin_takes_turns() -> None:
    proxies, _ = make("round_robin")

    assert sorted(order(proxies)[0] for _ in range(6)) == ["1", "1", "2", "2", "3", "3"]


def test_random_gives_every_order() -> None:
    source = Random(7)
    proxies, _ = make("random", [source.random() for _ in range(200)])

    assert len({tuple(order(proxies)) for _ in range(60)}) == 6


def test_a_suspect_is_asked_last() -> None:
    proxies, _ = make()
    proxies.all[0].suspect = True

    assert order(proxies) == ["2", "3", "1"]


def test_only_suspects_are_probed_and_one_probe_at_a_time() -> None:
    proxies, _ = make()
    assert proxies.probes(HealthCheck(), force_tcp=False) == ()
    proxies.all[1].suspect = True

    (ask,) = proxies.probes(HealthCheck(), force_tcp=False)

    assert isinstance(ask.command, Exchange)
    assert ask.command.upstream == UPSTREAMS[1]
    assert proxies.probes(HealthCheck(), force_tcp=False) == ()


@pytest.mark.parametrize(("recursion", "flag"), [(True, "RD"), (False, "")])
def test_the_probe_asks_for_name_servers(recursion: bool, flag: str) -> None:
    """Rule J21: `. NS`."""
    proxies, _ = make()
    proxies.all[0].suspect = True
    check = HealthCheck(recursion=recursion, domain=b"\x07example\x00")
    (ask,) = proxies.probes(check, force_tcp=True)

    assert isinstance(ask.command, Exchange)
    message = dns.message.from_wire(ask.command.wire)
    assert message.question[0].to_text() == "example. IN NS"
    assert ("RD" in dns.flags.to_text(message.flags)) is bool(flag)
    assert ask.command.upstream.transport is Transport.TCP


def test_more_failed_probes_than_allowed_bring_an_upstream_down() -> None:
    """Rule J21: max_fails."""
    proxies, registry = make()
    proxy = proxies.all[0]
    proxy.suspect = True
    down = []
    for _ in range(3):
        probe(proxies, SILENCE)
        down.append(proxy.down(2))

    assert down == [False, False, True]
    assert not proxy.down(0), "0 switches it off"
    failures = registry.families["coredns_proxy_healthcheck_failures_total"]
    assert failures.cell("forward", "192.0.2.1:53").value == 3


def test_an_answer_brings_it_back() -> None:
    proxies, _ = make()
    proxy = proxies.all[0]
    proxy.suspect = True
    for _ in range(3):
        probe(proxies, SILENCE)
    probe(proxies, alive())

    assert not proxy.down(2)
    assert not proxy.suspect


@pytest.mark.parametrize("result", [Exchanged(b"\0" * 20, 0.1), SILENCE, None])
def test_nonsense_is_no_sign_of_life(result: Result) -> None:
    proxies, _ = make()
    proxies.all[0].suspect = True
    probe(proxies, result)

    assert (proxies.all[0].suspect, proxies.all[0].fails) == (True, 1)


def test_a_probe_that_was_never_sent_blames_nobody() -> None:
    proxies, _ = make()
    proxies.all[0].suspect = True
    probe(proxies, Unanswered("too many open files", ours=True))

    assert (proxies.all[0].suspect, proxies.all[0].fails) == (True, 0)


def test_what_is_known_of_an_upstream_survives_a_new_list() -> None:
    proxies, _ = make()
    proxies.all[1].fails = 7
    proxies.change([UPSTREAMS[1], Upstream("192.0.2.9", 53), UPSTREAMS[1]])

    assert [(proxy.address, proxy.fails) for proxy in proxies.all] == [
        ("192.0.2.2:53", 7),
        ("192.0.2.9:53", 0),
    ]


def test_answers_are_counted_by_upstream() -> None:
    proxies, registry = make()
    proxies.change([Upstream("2001:db8::1", 53)])
    proxy = proxies.all[0]
    proxy.answered(Exchanged(b"", 0.01), 0, Transport.UDP)
    proxy.answered(Exchanged(b"", 0.01, reused=True), 3, Transport.TCP)

    to = "[2001:db8::1]:53"
    durations = registry.families["coredns_proxy_request_duration_seconds"].histograms
    assert set(durations) == {("forward", to, "NOERROR"), ("forward", to, "NXDOMAIN")}
    hits = registry.families["coredns_proxy_conn_cache_hits_total"]
    misses = registry.families["coredns_proxy_conn_cache_misses_total"]
    assert hits.cell("forward", to, "tcp").value == 1
    assert misses.cell("forward", to, "udp").value == 1
