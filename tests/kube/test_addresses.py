"""Loopback addresses for Services and Pods."""

from ipaddress import ip_address
from random import Random
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from svcdns.kube.addresses import (
    NODE_PORTS,
    PODS,
    RESERVED,
    SERVICES,
    Claim,
    Lease,
    Origin,
    allocate,
    allocate_node_ports,
    in_loopback,
)
from svcdns.kube.objects import Kind, Service


def service(name: str, wanted: str = "") -> Claim:
    return Claim(Kind.SERVICE, ("default", name), wanted)


def pod(name: str, wanted: str = "", *, must_bind: bool = False) -> Claim:
    return Claim(Kind.POD, ("default", name), wanted, must_bind, shared=True)


def lease_of(claim: Claim, *others: Claim, reserved: tuple[str, ...] = ()) -> Lease:
    return allocate([claim, *others], reserved=reserved)[claim.kind, claim.key]


def test_an_address_is_the_same_after_a_restart() -> None:
    # written down: another hash would move the addresses of everybody's directory
    assert lease_of(service("web")) == Lease("127.104.31.248", Origin.CHOSEN)
    assert lease_of(pod("web-0")) == Lease("127.244.46.178", Origin.CHOSEN)


def test_services_and_pods_have_ranges_of_their_own() -> None:
    assert ip_address(lease_of(service("a")).address) in SERVICES
    assert ip_address(lease_of(pod("a")).address) in PODS
    assert not SERVICES.overlaps(PODS)
    assert not SERVICES.overlaps(RESERVED)


def test_a_loopback_address_that_the_manifest_gives_is_kept() -> None:
    assert lease_of(service("a", "127.1.2.3")) == Lease("127.1.2.3", Origin.GIVEN)
    assert lease_of(service("a", "127.0.0.1")) == Lease("127.0.0.1", Origin.GIVEN)


def test_an_address_from_a_cluster_is_recognised_on_loopback() -> None:
    assert lease_of(service("a", "10.96.0.10")) == Lease("127.96.0.10", Origin.MOVED)
    assert lease_of(service("a", "172.20.7.9")) == Lease("127.20.7.9", Origin.MOVED)


def test_an_address_that_the_machine_routes_as_local_is_kept() -> None:
    leases = allocate([service("a", "10.96.0.10")], bindable=lambda _: True)

    assert leases[Kind.SERVICE, ("default", "a")].origin is Origin.GIVEN


def test_nothing_is_moved_onto_a_reserved_address() -> None:
    for wanted in ("10.0.0.1", "10.0.0.53", "10.0.1.1", "10.9.9.0", "10.9.9.255"):
        lease = lease_of(service("a", wanted))
        assert lease.origin is Origin.MOVED
        assert ip_address(lease.address) in SERVICES
    other = lease_of(service("a", "10.96.0.10"), reserved=("127.96.0.10",))
    assert other.address != "127.96.0.10"


def test_given_addresses_come_before_moved_and_moved_before_chosen() -> None:
    chosen = lease_of(service("web")).address
    twin = chosen.replace("127.", "10.", 1)

    leases = allocate([service("web"), service("x", twin), service("y", "127.96.0.10")])

    assert leases[Kind.SERVICE, ("default", "x")] == Lease(chosen, Origin.MOVED)
    assert leases[Kind.SERVICE, ("default", "web")].address != chosen


def test_of_two_services_with_one_address_the_first_by_name_has_it() -> None:
    leases = allocate([service("b", "127.1.1.1"), service("a", "127.1.1.1")])

    assert leases[Kind.SERVICE, ("default", "a")] == Lease("127.1.1.1", Origin.GIVEN)
    assert leases[Kind.SERVICE, ("default", "b")].origin is Origin.TAKEN
    assert leases[Kind.SERVICE, ("default", "b")].address != "127.1.1.1"


def test_pods_keep_any_address_unless_we_have_to_listen_there() -> None:
    assert lease_of(pod("a", "172.17.0.2")).origin is Origin.GIVEN
    assert lease_of(pod("a", "10.244.1.5", must_bind=True)) == Lease("127.244.1.5", Origin.MOVED)
    both = allocate([pod("a", "172.17.0.2"), pod("b", "172.17.0.2")])
    assert {lease.address for lease in both.values()} == {"172.17.0.2"}


def test_ipv6_loopback_is_not_a_range() -> None:
    assert in_loopback("127.255.0.1")
    assert not in_loopback("::1")
    assert not in_loopback("10.0.0.1")


def exposed(name: str, *ports: dict[str, Any], kind: str = "NodePort") -> Service:
    value = {
        "metadata": {"name": name, "namespace": "a"},
        "spec": {"type": kind, "ports": ports},
    }
    return msgspec.convert(value, Service)


def numbers(*services: Service) -> dict[str, list[int]]:
    found = allocate_node_ports(services)
    return {key[1]: [port.node_port for port in ports] for key, ports in found.items()}


def test_node_ports_are_the_same_after_a_restart_and_in_the_usual_range() -> None:
    web = exposed("web", {"port": 80, "name": "http"}, {"port": 81, "name": "b"})

    first, second = numbers(web)["web"]
    assert first in NODE_PORTS
    assert second in NODE_PORTS
    assert first != second
    assert numbers(exposed("api", {"port": 80}, kind="LoadBalancer"), web)["web"] == [first, second]


def test_a_node_port_that_a_manifest_names_is_nobody_elses() -> None:
    (chosen,) = numbers(exposed("web", {"port": 80}))["web"]
    given = exposed("a", {"port": 1, "nodePort": chosen})

    assert numbers(given, exposed("web", {"port": 80}))["web"] != [chosen]
    udp = exposed("a", {"port": 1, "nodePort": chosen, "protocol": "UDP"})
    assert numbers(udp, exposed("web", {"port": 80})) == {"web": [chosen]}


def test_when_all_node_ports_are_taken_there_is_none_to_give() -> None:
    everything = exposed("a", *[{"port": n, "nodePort": n} for n in NODE_PORTS])

    assert numbers(everything, exposed("web", {"port": 80})) == {"web": [0]}


def test_services_inside_the_cluster_get_no_node_port() -> None:
    assert numbers(exposed("web", {"port": 80}, kind="ClusterIP")) == {}


NAMES = st.text("ab", min_size=1, max_size=3)
CLAIMS = st.lists(
    st.builds(
        Claim,
        st.sampled_from([Kind.SERVICE, Kind.POD]),
        st.tuples(NAMES, NAMES),
        st.sampled_from(["", "", "10.96.0.1", "10.96.0.2", "127.1.1.1", "10.0.0.1"]),
    ),
    unique_by=lambda claim: (claim.kind, claim.key),
    max_size=30,
)


@given(CLAIMS, st.randoms())
def test_every_claim_has_one_address_of_its_own_whatever_the_order(
    claims: list[Claim], rng: Random
) -> None:
    leases = allocate(claims, reserved=("127.96.0.2",))
    rng.shuffle(claims)

    assert allocate(claims, reserved=("127.96.0.2",)) == leases
    assert leases.keys() == {(claim.kind, claim.key) for claim in claims}
    addresses = [lease.address for lease in leases.values()]
    assert len(set(addresses)) == len(addresses)
    assert "127.96.0.2" not in addresses
    assert all(in_loopback(address) for address in addresses)


def test_ten_thousand_services_fit() -> None:
    leases = allocate([service(f"s{n}") for n in range(10_000)])

    assert len({lease.address for lease in leases.values()}) == 10_000
