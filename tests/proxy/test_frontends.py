from typing import Any

import pytest

from svcdns.kube.store import Store
from svcdns.proxy.model import Exposure, NodeView, PortId, ServicePlan
from svcdns.proxy.plan import build
from tests.support.flows import NODE, decode, service

VIEW = NodeView(NODE, "a", ("172.18.0.3", "fd00:172:18::3"))


def planned(raw: dict[str, Any], family: int = 4) -> ServicePlan:
    store = Store()
    store.apply(decode(raw))
    return build(store, VIEW).services[PortId("shop", "web", "http", "TCP"), family]


def balanced(**spec: Any) -> dict[str, Any]:
    given = {"type": "LoadBalancer", "ingress": ["203.0.113.9"]}
    return service("web", "10.96.5.5", **{**given, **spec})


RANGES = [
    ("R44 none", None, ()),
    ("R44 trimmed and canonical", [" 198.51.100.7/24 ", "198.51.100.0/24"], ("198.51.100.0/24",)),
    ("R44 by family", ["198.51.100.0/24", "2001:db8::/32"], ("198.51.100.0/24",)),
    ("R45 the node's address", ["172.18.0.0/16"], ("172.18.0.0/16", "203.0.113.9/32")),
    ("R46 only the other family", ["2001:db8::/32"], ("0.0.0.0/32",)),
    ("R46 nothing that is a range", ["everybody"], ("0.0.0.0/32",)),
]


@pytest.mark.parametrize(
    ("given_ranges", "expected"), [c[1:] for c in RANGES], ids=[c[0] for c in RANGES]
)
def test_source_ranges(given_ranges: list[str] | None, expected: tuple[str, ...]) -> None:
    assert planned(balanced(loadBalancerSourceRanges=given_ranges)).source_ranges == expected


def test_source_ranges_without_a_load_balancer_address_filter_nothing_r44() -> None:
    raw = balanced(loadBalancerSourceRanges=["198.51.100.0/24"], ingress=[])
    assert planned(raw).source_ranges == ()


def test_an_address_that_is_named_twice_is_served_once() -> None:
    raw = balanced(externalIPs=["203.0.113.9", "203.0.113.009", "10.96.5.5", "192.0.2.9"])
    assert [(one.exposure, one.address) for one in planned(raw).frontends] == [
        (Exposure.CLUSTER_IP, "10.96.5.5"),
        (Exposure.LOAD_BALANCER, "203.0.113.9"),
        (Exposure.EXTERNAL_IP, "192.0.2.9"),
    ]


def test_an_address_that_is_none_is_named_and_harms_nobody_r16() -> None:
    found = planned(balanced(externalIPs=["nonsense"], ingress=["300.1.1.1"]))
    assert len(found.frontends) == 1
    assert [(one.address, one.rule, one.reason) for one in found.left_out] == [
        ("300.1.1.1", "R16", "LoadBalancer is not an IP address"),
        ("nonsense", "R16", "ExternalIP is not an IP address"),
    ]


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        (["2001:db8::/32"], ("2001:db8::/32",)),
        (["fd00:172::/32"], ("2001:db8::9/128", "fd00:172::/32")),
        (["10.0.0.0/8"], ("::/128",)),
    ],
)
def test_source_ranges_of_ipv6_r44_to_r46(ranges: list[str], expected: tuple[str, ...]) -> None:
    raw = balanced(
        clusterIPs=["10.96.5.5", "fd00:10:96::5"],
        ingress=["2001:db8::9"],
        loadBalancerSourceRanges=ranges,
    )
    assert planned(raw, 6).source_ranges == expected
    assert planned(raw, 4).source_ranges == (), "it has no LoadBalancer address to filter"
