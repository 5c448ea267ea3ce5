"""What one service port puts into the table."""

import pytest

from svcdns.proxy import schema
from svcdns.proxy.elements import collapsed, contribution, pins, place, session_of
from svcdns.proxy.model import (
    Backend,
    Exposure,
    Frontend,
    LocalDetector,
    Policy,
    PortId,
    ServicePlan,
)
from svcdns.proxy.nft import Element
from svcdns.proxy.schema import LOCAL_BIT, MASQUERADE_BIT, RulesetOptions, Schema

SCHEMA = Schema(4, RulesetOptions(LocalDetector(("10.244.0.0/16",))))
WEB = PortId("shop", "web", "http", "TCP")
HERE, THERE = Backend("10.244.1.1", 8080, local=True), Backend("10.244.2.2", 8080)
CLUSTER_IP = Frontend(Exposure.CLUSTER_IP, "10.96.0.1", 80)
NODE_PORT = Frontend(Exposure.NODE_PORT, "", 30080)
VIP = Frontend(Exposure.LOAD_BALANCER, "203.0.113.1", 80)
EXTERNAL = Frontend(Exposure.EXTERNAL_IP, "192.0.2.1", 80)


def _verdict(frontend: Frontend, **more: object) -> str:
    fields = {"cluster": (HERE, THERE), "local": (HERE,), "any_usable": True, **more}
    plan = ServicePlan(WEB, 4, (frontend,), **fields)  # type: ignore[arg-type]  # fields by name
    found = contribution(SCHEMA, place(plan, session_of(WEB), None))
    (lead,) = (v for (name, _), v in found.elements.items() if name == schema.SERVICES)
    (verdict,) = (e.value for e in found.shared if (e.of, e.key) == (schema.LEADS, lead))
    return verdict


LOCAL = {"internal": Policy.LOCAL, "external": Policy.LOCAL}


@pytest.mark.parametrize(
    ("rule", "frontend", "more", "verdict"),
    [
        ("R20", CLUSTER_IP, {}, "goto forward-2"),
        ("R51", CLUSTER_IP, {"external": Policy.LOCAL}, "goto forward-2"),
        ("R51", CLUSTER_IP, {"internal": Policy.LOCAL}, "goto forward-1"),
        ("R30", NODE_PORT, {}, "goto node-port-masquerade-2"),
        ("R40", VIP, {}, "goto masquerade-2"),
        ("R47", EXTERNAL, {}, "goto masquerade-2"),
        ("R53", EXTERNAL, LOCAL, "goto local-policy"),
        ("R53", NODE_PORT, LOCAL, "goto node-port-local-policy"),
        ("R50", CLUSTER_IP, {"cluster": (), "any_usable": False}, "goto refuse"),
        ("R38", NODE_PORT, {"cluster": (), "any_usable": False}, "goto refuse-node-port"),
        ("R50", VIP, {**LOCAL, "cluster": (), "local": (), "any_usable": False}, "goto refuse"),
        ("R50", CLUSTER_IP, {"internal": Policy.LOCAL, "local": ()}, "drop"),
    ],
)
def test_a_frontend_leads_where_its_policy_says(
    rule: str, frontend: Frontend, more: dict[str, object], verdict: str
) -> None:
    assert _verdict(frontend, **more) == verdict, rule


def test_ranges_go_with_the_balancers_addresses_alone_r44() -> None:
    plan = ServicePlan(
        WEB,
        4,
        (CLUSTER_IP, NODE_PORT, VIP, EXTERNAL),
        (HERE,),
        any_usable=True,
        source_ranges=("10.0.0.0/8", "10.1.0.0/16", "192.0.2.7/32"),
    )
    found = contribution(SCHEMA, place(plan, 0, None)).elements
    key = "203.0.113.1 . tcp . 80"
    assert [k for k in found if k[0] in (schema.GUARDED, schema.ADMITTED)] == [
        (schema.GUARDED, key),
        (schema.ADMITTED, f"{key} . 10.0.0.0/8"),
        (schema.ADMITTED, f"{key} . 192.0.2.7"),
    ]


def test_hairpins_are_local_backends_and_under_policy_local_all_r74_r75() -> None:
    plan = ServicePlan(WEB, 4, (CLUSTER_IP, VIP), (HERE, THERE), (HERE,), any_usable=True)
    pairs = [Element(schema.HAIRPIN, f"{b.address} . {b.address}") for b in (HERE, THERE)]
    shared = contribution(SCHEMA, place(plan, 0, None)).shared
    assert pairs[0] in shared
    assert pairs[1] not in shared
    local = ServicePlan(
        WEB, 4, (CLUSTER_IP, VIP), (HERE, THERE), (HERE,), external=Policy.LOCAL, any_usable=True
    )
    assert set(pairs) <= contribution(SCHEMA, place(local, 0, None)).shared


def test_sessions_and_pins_are_the_same_in_every_life() -> None:
    """Pins live in the kernel longer than a process (R69): these numbers must never change."""
    assert session_of(WEB) == 0x067419A4
    assert session_of(WEB) & (LOCAL_BIT | MASQUERADE_BIT) == 0
    assert session_of(WEB) >> 28 == 0, "never the number of another lead"
    assert pins([HERE]) == {("10.244.1.1", 8080): 0xDFAC99A7}
    assert session_of(WEB) != session_of(PortId("shop", "web", "admin", "TCP"))
    one, both = pins([HERE]), pins([THERE, HERE, HERE])
    assert one.items() <= both.items()
    assert len(set(both.values())) == 2
    assert all(number >> 28 == 0xD for number in both.values())


@pytest.mark.parametrize(
    ("ranges", "kept"),
    [
        ((), []),
        (("0.0.0.0/0", "10.0.0.0/8"), ["0.0.0.0/0"]),
        (("10.0.0.0/9", "10.128.0.0/9"), ["10.0.0.0/9", "10.128.0.0/9"]),
        (("10.0.0.1/32", "10.0.0.1/32"), ["10.0.0.1"]),
        (("fd00::/64", "fd00::/48", "fd01::1/128"), ["fd00::/48", "fd01::1"]),
    ],
)
def test_overlapping_ranges_are_merged(ranges: tuple[str, ...], kept: list[str]) -> None:
    assert list(collapsed(ranges)) == kept
