from random import Random

from msgspec.structs import replace

from svcdns.metrics import Registry
from svcdns.proxy.served import Served
from svcdns.proxy.traffic import SHOWN_UNASKED, Drop, publish, publish_dropped, publish_planned
from tests.support.plans import service_plan

WEB = ("ns-1", "web", "", "TCP")


def values(registry: Registry, name: str) -> dict[tuple[str, ...], float]:
    return {labels: cell.value for labels, cell in registry.families[name].cells.items()}


def test_numbers_of_services_and_endpoints() -> None:
    served = Served(
        service_plan("10.96.0.1:80", "10.0.0.1:80", "10.0.0.2:80"), 0.0, Random(1).random
    )
    first, second = served.balancer.endpoints.values()
    first.connections, first.sent, first.received, first.active = 3, 10, 20, 1
    second.connections, second.failures = 2, 4
    served.retries, served.evictions = 4, 6
    served.connect_seconds.observe(0.002, times=5)
    registry = Registry()
    publish(registry, [served], now=0.0)
    assert values(registry, "svcdns_proxy_connections_total") == {WEB: 5}
    assert values(registry, "svcdns_proxy_sent_bytes_total") == {WEB: 10}
    assert values(registry, "svcdns_proxy_received_bytes_total") == {WEB: 20}
    assert values(registry, "svcdns_proxy_retries_total") == {WEB: 4}
    assert values(registry, "svcdns_proxy_evictions_total") == {WEB: 6}
    assert values(registry, "svcdns_proxy_active_connections") == {WEB: 1}
    assert values(registry, "svcdns_proxy_endpoint_failures_total") == {
        (*WEB, "10.0.0.1:80"): 0,
        (*WEB, "10.0.0.2:80"): 4,
    }
    assert registry.families["svcdns_proxy_connect_seconds"].histograms[WEB].sum == 0.01


def test_scraping_twice_counts_once() -> None:
    served = Served(service_plan("10.96.0.1:80", "10.0.0.1:80"), 0.0, Random(1).random)
    next(iter(served.balancer.endpoints.values())).connections = 7
    registry = Registry()
    for _ in range(2):
        publish(registry, [served], now=0.0)
    assert values(registry, "svcdns_proxy_connections_total") == {WEB: 7}


def test_both_families_of_a_service_port_add_up() -> None:
    four = Served(service_plan("10.96.0.1:80", "10.0.0.1:80"), 0.0, Random(1).random)
    six = Served(service_plan("fd00::1:80", "fd01::1:80"), 0.0, Random(1).random)
    for served, count in ((four, 2), (six, 3)):
        next(iter(served.balancer.endpoints.values())).connections = count
    registry = Registry()
    publish(registry, [four, six], now=0.0)
    assert values(registry, "svcdns_proxy_connections_total") == {WEB: 5}
    assert (*WEB, "[fd01::1]:80") in values(registry, "svcdns_proxy_endpoint_connections_total")


def test_series_of_a_removed_endpoint_disappear_and_totals_do_not_fall() -> None:
    served = Served(service_plan("10.96.0.1:80", "10.0.0.1:80"), 0.0, Random(1).random)
    next(iter(served.balancer.endpoints.values())).connections = 7
    registry = Registry()
    publish(registry, [served], now=0.0)
    served.update(service_plan("10.96.0.1:80", "10.0.0.2:80"), 1.0)
    next(iter(served.balancer.endpoints.values())).connections = 1
    publish(registry, [served], now=1.0)
    assert values(registry, "svcdns_proxy_connections_total") == {WEB: 8}
    assert list(values(registry, "svcdns_proxy_endpoint_connections_total")) == [
        (*WEB, "10.0.0.2:80")
    ]


def test_of_many_endpoints_only_those_that_were_asked_have_series() -> None:
    registry = Registry()
    many = [f"10.0.{n // 250}.{n % 250 + 1}:80" for n in range(SHOWN_UNASKED + 1)]
    served = Served(service_plan("10.96.0.1:80", *many), 0.0, Random(1).random)
    publish(registry, [served], now=0.0)
    assert values(registry, "svcdns_proxy_endpoint_connections_total") == {}
    assert values(registry, "svcdns_proxy_endpoint_state") == {}
    assert values(registry, "svcdns_proxy_connections_total") == {WEB: 0}
    served.connected(served.balancer.endpoints[("10.0.0.1", 80)], 0.5)
    publish(registry, [served], now=0.0)
    assert values(registry, "svcdns_proxy_endpoint_connections_total") == {(*WEB, "10.0.0.1:80"): 1}

    few = Served(service_plan("10.96.0.1:80", *many[:-1]), 0.0, Random(1).random)
    publish(registry, [few], now=0.0)
    assert len(values(registry, "svcdns_proxy_endpoint_connections_total")) == SHOWN_UNASKED


def test_each_endpoint_has_its_state_and_the_time_of_its_connects() -> None:
    plan = service_plan("10.96.0.1:80", "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80")
    served = Served(plan, 0.0, Random(1).random)
    first, second, _ = served.balancer.endpoints.values()
    registry = Registry()
    for seconds in (0.25, 0.5):
        served.connected(second, seconds)
    for _ in range(3):
        served.failed(first, 0.0)

    def states(now: float) -> list[str]:
        publish(registry, [served], now=now)
        found = values(registry, "svcdns_proxy_endpoint_state")
        assert set(found.values()) == {1}
        return [labels[-1] for labels in sorted(found)]

    assert states(0.5) == ["ejected", "ready", "ready"]
    assert states(1.5) == ["slow-start", "ready", "ready"]
    second.active = 1
    served.update(service_plan("10.96.0.1:80", "10.0.0.3:80"), 61.0)
    assert states(61.0) == ["draining", "ready"]
    name = (*WEB, "10.0.0.2:80")
    assert values(registry, "svcdns_proxy_endpoint_connect_seconds_total")[name] == 0.75
    assert values(registry, "svcdns_proxy_endpoint_connections_total")[name] == 2
    assert values(registry, "svcdns_proxy_active_connections") == {WEB: 1}


def test_a_service_that_is_gone_has_no_series() -> None:
    served = Served(service_plan("10.96.0.1:80", "10.0.0.1:80"), 0.0, Random(1).random)
    registry = Registry()
    publish(registry, [served], now=0.0)
    publish(registry, [], now=0.0)
    assert values(registry, "svcdns_proxy_connections_total") == {}


def test_endpoints_are_counted_by_state() -> None:
    plan = service_plan("10.96.0.1:80", "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80")
    served = Served(plan, 0.0, Random(1).random)
    registry = Registry()
    states = "svcdns_proxy_endpoints"

    publish(registry, [served], now=0.0)
    assert values(registry, states) == {(*WEB, "ready"): 3}
    first, second, _ = served.balancer.endpoints.values()
    for _ in range(3):
        served.failed(first, 0.0)
    publish(registry, [served], now=0.5)
    assert values(registry, states) == {(*WEB, "ready"): 2, (*WEB, "ejected"): 1}
    publish(registry, [served], now=1.5)  # the first ejection lasts a second
    assert values(registry, states) == {(*WEB, "ready"): 2, (*WEB, "slow-start"): 1}
    publish(registry, [served], now=60.0)
    assert values(registry, states) == {(*WEB, "ready"): 3}

    second.active = 1
    served.update(service_plan("10.96.0.1:80", "10.0.0.3:80"), 61.0)
    publish(registry, [served], now=61.0)
    assert values(registry, states) == {(*WEB, "ready"): 1, (*WEB, "draining"): 1}
    second.active = 0
    served.update(service_plan("10.96.0.1:80"), 62.0)
    publish(registry, [served], now=62.0)
    assert values(registry, states) == {(*WEB, "ready"): 0}


def test_where_the_kernel_forwards_the_plan_is_counted() -> None:
    registry = Registry()
    local = service_plan("10.96.0.1:80", "10.0.0.1:80", "10.0.0.2:80*")
    six = service_plan("[fd00::1]:80", "fd01::1:80")
    only_local = replace(local, cluster=())
    publish_planned(registry, [local, six])
    assert values(registry, "svcdns_proxy_endpoints") == {(*WEB, "ready"): 3}
    publish_planned(registry, [only_local])
    assert values(registry, "svcdns_proxy_endpoints") == {(*WEB, "ready"): 1}
    assert values(registry, "svcdns_proxy_endpoint_state") == {
        (*WEB, "10.0.0.2:80", "", "ready"): 1
    }
    assert list(registry.families) == ["svcdns_proxy_endpoints", "svcdns_proxy_endpoint_state"]
    many = service_plan("10.96.0.1:80", *(f"10.1.{n // 250}.{n % 250 + 1}:80" for n in range(1001)))
    publish_planned(registry, [many])
    assert values(registry, "svcdns_proxy_endpoints") == {(*WEB, "ready"): 1001}
    assert values(registry, "svcdns_proxy_endpoint_state") == {}


def test_dropped_datagrams_are_told_by_their_reason() -> None:
    registry = Registry()
    for count in (1, 5):
        publish_dropped(registry, {**dict.fromkeys(Drop, 0), Drop.SOCKET: count})
    assert values(registry, "svcdns_proxy_dropped_datagrams_total") == {
        ("no-endpoint",): 0,
        ("no-socket",): 5,
        ("queue-full",): 0,
        ("endpoint-send",): 0,
        ("client-send",): 0,
    }
