from typing import Any, cast

import pytest

from svcdns.kube.nodes import Node
from svcdns.proxy.model import (
    Exposure,
    LocalDetector,
    NodeView,
    PlanChange,
    Policy,
    PortId,
    ServicePlan,
)
from tests.support.flows import decode, node_object


def node(*addresses: tuple[str, str], **spec: Any) -> Node:
    raw = node_object()
    raw["status"]["addresses"] = [{"type": kind, "address": one} for kind, one in addresses]
    if spec:
        raw["spec"] = spec
    return cast("Node", decode(raw))


ADDRESSES = [
    ("internal before external", [("ExternalIP", "192.0.2.1"), ("InternalIP", "10.0.0.1")], "", "10.0.0.1"),
    ("names are no addresses", [("Hostname", "10.9.9.9"), ("InternalIP", "10.0.0.1")], "", "10.0.0.1"),
    ("bindAddress wins", [("InternalIP", "10.0.0.1")], "10.0.0.7", "10.0.0.7"),
    ("an unspecified one does not", [("InternalIP", "10.0.0.1")], "0.0.0.0", "10.0.0.1"),
    ("of the other family neither", [("InternalIP", "10.0.0.1")], "fd00::7", "10.0.0.1"),
    ("only external", [("ExternalIP", "192.0.2.1")], "", "192.0.2.1"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "bind", "primary"), [c[1:] for c in ADDRESSES], ids=[c[0] for c in ADDRESSES]
)
def test_the_primary_address_r31(status: list[tuple[str, str]], bind: str, primary: str) -> None:
    assert NodeView.from_node("node-1", node(*status), bind_address=bind).primary(4) == primary


def test_each_family_has_its_primary_address() -> None:
    status = [("InternalIP", "FD00::1"), ("InternalIP", "10.0.0.1"), ("InternalIP", "10.0.0.2")]
    view = NodeView.from_node("node-1", node(*status))
    assert (view.primary(4), view.primary(6)) == ("10.0.0.1", "fd00::1")
    assert NodeView("n").primary(6) == ""


def test_interfaces_stand_in_for_a_missing_object() -> None:
    view = NodeView.from_node("n", None, interfaces=["127.0.0.1", "::1", "10.0.0.9", "junk"])
    assert view.addresses == ("10.0.0.9",)
    assert view.interfaces == ("127.0.0.1", "::1", "10.0.0.9")
    assert (view.zone, view.pod_cidrs) == ("", ())


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"podCIDRs": ["10.244.1.0/24", "fd00::/64"]}, ("10.244.1.0/24", "fd00::/64")),
        ({"podCIDR": "10.244.1.0/24"}, ("10.244.1.0/24",)),
        ({"podCIDRs": ["junk"]}, ()),
        ({"taints": []}, ()),
    ],
)
def test_pod_ranges_of_the_node_r73(spec: dict[str, Any], expected: tuple[str, ...]) -> None:
    view = NodeView.from_node("node-1", node(**spec))
    assert view.pod_cidrs == expected
    assert view.zone == "a", "R62"


def test_a_detector_knows_its_families_r73() -> None:
    by_range = LocalDetector(("10.244.0.0/16",))
    assert (by_range.knows(4), by_range.knows(6)) == (True, False)
    assert LocalDetector(prefix="veth").knows(6)
    assert LocalDetector(interface="cbr0").knows(4)
    assert not LocalDetector().knows(4)


@pytest.mark.parametrize("exposure", Exposure)
def test_internal_policy_is_for_cluster_ips_only_r51_r52(exposure: Exposure) -> None:
    identity = PortId("shop", "web", "", "TCP")
    plan = ServicePlan(identity, 4, (), internal=Policy.LOCAL, external=Policy.CLUSTER)
    expected = Policy.LOCAL if exposure is Exposure.CLUSTER_IP else Policy.CLUSTER
    assert plan.policy(exposure) is expected
    assert plan.key == (identity, 4)


def test_an_identity_is_spelled_as_kube_proxy_spells_it_r7() -> None:
    assert str(PortId("shop", "web", "http", "TCP")) == "shop/web:http/TCP"
    assert str(PortId("shop", "web", "", "UDP")) == "shop/web/UDP"


def test_a_change_of_nothing_is_false() -> None:
    assert not PlanChange(triggers=("2026-11-21T10:00:00Z",))
    assert PlanChange(node=True)
    assert PlanChange(health_checks={("shop", "web"): None})
