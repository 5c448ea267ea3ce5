from collections.abc import Iterable
from itertools import permutations

import pytest
from msgspec.structs import replace

from svcdns.proxy.listeners import Listener, Need, Surroundings, Wants, diff, needs
from svcdns.proxy.model import Exposure, ForwardingPlan, Frontend, Policy, ServicePlan
from tests.support.plans import forwarding_plan, service_plan

LOCAL = Policy.LOCAL
AROUND = Surroundings(
    node_port_addresses=("172.18.0.3", "fd00::3"),
    own_networks=("172.18.0.3/32", "10.244.1.0/24", "::1/128"),
)
REMOTE, HERE = "10.244.2.22:8080", "10.244.1.11:8080*"
EVERYBODY = None
NOBODY: tuple[str, ...] = ()

CASES = [
    ("R50 no endpoints: refused", service_plan("10.96.5.5:80"), "closed"),
    ("R50 Cluster", service_plan("10.96.5.5:80", REMOTE), EVERYBODY),
    ("R50 iTP Local with one", service_plan("10.96.5.5:80", HERE, internal=LOCAL), EVERYBODY),
    (
        "R50 iTP Local with none: silence",
        service_plan("10.96.5.5:80", REMOTE, internal=LOCAL),
        NOBODY,
    ),
    (
        "R51 iTP Local is not about node ports",
        service_plan(":30080", REMOTE, internal=LOCAL, exposure=Exposure.NODE_PORT),
        EVERYBODY,
    ),
    (
        "R52 eTP Local is not about ClusterIPs",
        service_plan("10.96.5.5:80", REMOTE, external=LOCAL),
        EVERYBODY,
    ),
    ("R38 no endpoints", service_plan(":30080", exposure=Exposure.NODE_PORT), "closed"),
    (
        "R53 eTP Local with none: own clients only",
        service_plan(":30080", REMOTE, external=LOCAL, exposure=Exposure.NODE_PORT),
        ("172.18.0.3/32", "10.244.1.0/24", "172.18.0.3"),
    ),
    (
        "R44 source ranges",
        service_plan(
            "203.0.113.10:80",
            REMOTE,
            source_ranges=("198.51.100.0/24",),
            exposure=Exposure.LOAD_BALANCER,
        ),
        ("198.51.100.0/24",),
    ),
    (
        "R44 source ranges and R53: who is in both",
        service_plan(
            "203.0.113.10:80",
            REMOTE,
            external=LOCAL,
            source_ranges=("10.0.0.0/8", "198.51.100.0/24"),
            exposure=Exposure.LOAD_BALANCER,
        ),
        ("10.244.1.0/24",),
    ),
    (
        "R37 node ports are not filtered",
        service_plan(
            ":30080", REMOTE, source_ranges=("198.51.100.0/24",), exposure=Exposure.NODE_PORT
        ),
        EVERYBODY,
    ),
    (
        "R47 external IPs are not filtered",
        service_plan(
            "192.0.2.9:80",
            REMOTE,
            source_ranges=("198.51.100.0/24",),
            exposure=Exposure.EXTERNAL_IP,
        ),
        EVERYBODY,
    ),
]


@pytest.mark.parametrize(("rule", "service", "sources"), CASES)
def test_who_reaches_the_socket(
    rule: str, service: ServicePlan, sources: tuple[str, ...] | str | None
) -> None:
    found = list(needs(forwarding_plan(service), AROUND).sockets.values())
    if sources == "closed":
        assert found == []
    else:
        assert [need.sources for need in found] == [sources]


def test_a_node_port_is_opened_on_the_addresses_of_its_family_r31() -> None:
    four = service_plan(":30080", REMOTE, exposure=Exposure.NODE_PORT)
    six = replace(four, family=6)
    assert list(needs(forwarding_plan(four), AROUND).sockets) == [
        Listener("172.18.0.3", 30080, "TCP", 4)
    ]
    assert list(needs(forwarding_plan(six), AROUND).sockets) == [
        Listener("fd00::3", 30080, "TCP", 6)
    ]


def test_eTP_local_treats_own_clients_as_cluster_clients_r53() -> None:
    service = service_plan(":30080", HERE, external=LOCAL, exposure=Exposure.NODE_PORT)
    (need,) = needs(forwarding_plan(service), AROUND).sockets.values()
    assert (need.policy, need.own_policy) == (Policy.LOCAL, Policy.CLUSTER)


def test_the_same_number_on_tcp_and_udp_is_two_sockets_r22() -> None:
    tcp, udp = (
        service_plan("10.96.5.5:53", HERE),
        service_plan("10.96.5.5:53", HERE, protocol="UDP"),
    )
    assert len(needs(forwarding_plan(tcp, udp), AROUND).sockets) == 2


def test_sctp_is_reported_r134() -> None:
    found = needs(forwarding_plan(service_plan("10.96.5.5:80", HERE, protocol="SCTP")), AROUND)
    assert found.sockets == {}
    assert "SCTP is not relayed" in found.unbindable[0].reason


def test_of_two_claims_the_first_by_name_wins_and_the_other_is_reported() -> None:
    claims = [service_plan("10.96.5.5:80", HERE, name=name) for name in ("b", "a", "c")]
    found = needs(forwarding_plan(*claims), AROUND)
    assert [need.key[0].service for need in found.sockets.values()] == ["a"]
    assert [(u.service, u.reason) for u in found.unbindable] == [
        ("ns-1/b/TCP", "already taken by ns-1/a/TCP"),
        ("ns-1/c/TCP", "already taken by ns-1/a/TCP"),
    ]


def sockets(*services: ServicePlan) -> dict[Listener, Need]:
    return needs(forwarding_plan(*services), AROUND).sockets


def names(listeners: Iterable[Listener]) -> list[str]:
    return [f"{listener.address}:{listener.port}" for listener in listeners]


class TestDiff:
    WEB = service_plan("10.96.5.5:80", HERE)

    def test_equal_needs_are_left_alone(self) -> None:
        change = diff(sockets(self.WEB), sockets(self.WEB))
        assert (change.close, change.open, change.retarget) == ((), (), ())

    def test_endpoints_are_not_a_matter_of_sockets(self) -> None:
        change = diff(sockets(self.WEB), sockets(service_plan("10.96.5.5:80", HERE, REMOTE)))
        assert (change.close, change.open, change.retarget) == ((), (), ())

    def test_a_changed_port_number_closes_and_opens_r39(self) -> None:
        moved = replace(self.WEB, frontends=(Frontend(Exposure.CLUSTER_IP, "10.96.5.5", 81),))
        change = diff(sockets(self.WEB), sockets(moved))
        assert names(change.close) == ["10.96.5.5:80"]
        assert names(need.listener for need in change.open) == ["10.96.5.5:81"]

    def test_an_address_that_passes_to_another_service_is_retargeted_r109(self) -> None:
        heir = service_plan("10.96.5.5:80", HERE, name="other")
        change = diff(sockets(self.WEB), sockets(heir))
        assert (change.close, change.open) == ((), ())
        assert [need.key[0].service for need in change.retarget] == ["other"]

    def test_the_last_endpoint_gone_closes_the_socket(self) -> None:
        change = diff(sockets(self.WEB), sockets(service_plan("10.96.5.5:80")))
        assert names(change.close) == ["10.96.5.5:80"]

    @pytest.mark.parametrize("size", [0, 1, 50])
    def test_any_change_ends_where_a_fresh_start_does(self, size: int) -> None:
        old = sockets(*(service_plan(f"10.96.0.{n}:80", HERE, name=f"s{n}") for n in range(50)))
        new = sockets(
            *(service_plan(f"10.96.0.{n}:80", HERE, name=f"t{n}") for n in range(0, 3 * size, 3))
        )
        change = diff(old, new)
        left = {k: v for k, v in old.items() if k not in change.close}
        left |= {need.listener: need for need in (*change.open, *change.retarget)}
        assert left == new


class TestPlanAfterPlan:
    """Remembering what has not changed must not be seen in the result."""

    @staticmethod
    def plans() -> list[ForwardingPlan]:
        one = service_plan("10.96.0.1:80", HERE, name="one")
        two = service_plan("10.96.0.2:80", HERE, name="two")
        also_one = service_plan("10.96.0.1:80", HERE, name="also-one")
        other = service_plan("10.96.0.3:80", name="two")
        return [
            forwarding_plan(one, two),
            forwarding_plan(one, two, also_one),
            forwarding_plan(also_one, two),
            forwarding_plan(one, other),
            forwarding_plan(),
            forwarding_plan(one, also_one, two),
        ]

    @pytest.mark.parametrize("order", list(permutations(range(6), 3)))
    def test_any_order_of_plans_ends_as_the_last_one_alone(self, order: tuple[int, ...]) -> None:
        plans = self.plans()
        wants = Wants(AROUND)
        for number in order:
            found = wants.of(plans[number])
        assert found == needs(plans[order[-1]], AROUND)

    def test_whoever_sorts_first_has_the_socket_wherever_it_stands(self) -> None:
        one, _, also_one = (
            service_plan("10.96.0.1:80", HERE, name=name) for name in ("one", "two", "also-one")
        )
        for services in ((one, also_one), (also_one, one)):
            found = needs(forwarding_plan(*services), AROUND)
            (need,) = found.sockets.values()
            assert need.key == also_one.key
            (left,) = found.unbindable
            assert left.service == str(one.id)
            assert str(also_one.id) in left.reason
