from itertools import permutations
from typing import Any, cast

import pytest

from svcdns.kube.objects import EndpointSlice
from svcdns.proxy.endpoints import merge
from svcdns.proxy.model import NodeView, PortId
from tests.support.flows import decode, endpoint, slice_of

NODE = NodeView("node-1")
HTTP = PortId("shop", "web", "http", "TCP")


def slices(*raw: dict[str, Any]) -> list[EndpointSlice]:
    return [cast("EndpointSlice", decode(one)) for one in raw]


LEFT_OUT = [
    ("R5 FQDN", {**slice_of("web", [{"addresses": ["db.example"]}]), "addressType": "FQDN"}, "db.example", 8080, "a slice of type FQDN"),
    ("R5 other family", slice_of("web", [{"addresses": ["fd00::1"]}]), "fd00::1", 8080, "not an address of IPv4"),
    ("R16 no address", slice_of("web", [{"addresses": ["x"]}]), "x", 8080, "not an IP address"),
    ("R8 name", slice_of("web", [endpoint("p2")], ports=[{"name": "web", "protocol": "TCP", "port": 1}]), "10.244.1.12", 0, "slice web-v4 has no port 'http' with protocol TCP"),
    ("R8 protocol", slice_of("web", [endpoint("p2")], ports=[{"name": "http", "protocol": "UDP", "port": 1}]), "10.244.1.12", 0, "slice web-v4 has no port 'http' with protocol TCP"),
    ("R9 no number", slice_of("web", [endpoint("p2")], ports=[{"name": "http", "protocol": "TCP"}]), "10.244.1.12", 0, "slice web-v4 gives port 'http' no number"),
    ("R9 zero", slice_of("web", [endpoint("p2")], ports=[{"name": "http", "protocol": "TCP", "port": 0}]), "10.244.1.12", 0, "slice web-v4 gives port 'http' no number"),
]  # fmt: skip


@pytest.mark.parametrize("case", LEFT_OUT, ids=lambda case: case[0])
def test_what_cannot_be_used_is_named(case: tuple[str, dict[str, Any], str, int, str]) -> None:
    rule, raw, address, number, reason = case
    found, left_out = merge(slices(raw), HTTP, 4, NODE)
    assert found == []
    (one,) = left_out
    assert (one.rule, one.address, one.port, one.reason) == (
        rule.split()[0],
        address,
        number,
        reason,
    )


def test_only_the_first_address_counts_r10() -> None:
    raw = slice_of("web", [{"addresses": ["10.0.0.1", "10.0.0.2"]}])
    found, left_out = merge(slices(raw), HTTP, 4, NODE)
    assert [one.backend.address for one in found] == ["10.0.0.1"]
    assert [(one.address, one.rule) for one in left_out] == [("10.0.0.2", "R10")]


def test_a_null_name_is_not_the_empty_name_r9() -> None:
    unnamed = PortId("shop", "web", "", "TCP")
    raw = slice_of("web", [endpoint("p2")], ports=[{"protocol": "TCP", "port": 1}])
    found, left_out = merge(slices(raw), unnamed, 4, NODE)
    assert found == []
    assert [(one.rule, one.reason) for one in left_out] == [
        ("R9", "slice web-v4 has a port whose name is null, not empty")
    ]


@pytest.mark.parametrize("addresses", [None, []])
def test_an_endpoint_without_addresses_is_nothing(addresses: list[str] | None) -> None:
    assert merge(slices(slice_of("web", [{"addresses": addresses}])), HTTP, 4, NODE) == ([], [])


def test_a_protocol_that_is_not_said_is_tcp() -> None:
    raw = slice_of("web", [endpoint("p2")], ports=[{"name": "http", "port": 9}])
    found, _ = merge(slices(raw), HTTP, 4, NODE)
    assert [one.backend.port for one in found] == [9]


def test_headless_slices_are_not_looked_at_r3() -> None:
    raw = slice_of("web", [endpoint("p2")], labels={"service.kubernetes.io/headless": ""})
    assert merge(slices(raw), HTTP, 4, NODE) == ([], [])


def test_one_address_with_two_ports_is_two_endpoints_r13() -> None:
    raw = [
        slice_of("web", [endpoint("p2")], name="a"),
        slice_of("web", [endpoint("p2")], name="b", ports=[{"name": "http", "protocol": "TCP", "port": 81}]),
    ]  # fmt: skip
    found, _ = merge(slices(*raw), HTTP, 4, NODE)
    assert sorted(one.backend.port for one in found) == [81, 8080]


DUPLICATES = [
    ("local wins", endpoint("p2", "unready"), {**endpoint("p2"), "nodeName": "node-2"}, 0),
    ("ready wins", endpoint("p2", "draining"), endpoint("p2"), 1),
    ("draining beats unready", endpoint("p2", "unready"), endpoint("p2", "draining"), 1),
    ("leading zeros are the same address", {**endpoint("p2"), "addresses": ["10.244.001.012"]}, endpoint("p2", "unready"), 0),
]  # fmt: skip


@pytest.mark.parametrize("case", DUPLICATES, ids=lambda case: f"R14 {case[0]}")
def test_of_duplicates_the_same_one_stays_in_any_order(
    case: tuple[str, dict[str, Any], dict[str, Any], int],
) -> None:
    raw = [slice_of("web", [one], name=f"s{n}") for n, one in enumerate(case[1:3])]
    alone, _ = merge(slices(raw[case[3]]), HTTP, 4, NODE)
    for order in permutations(raw):
        found, _ = merge(slices(*order), HTTP, 4, NODE)
        assert found == alone
