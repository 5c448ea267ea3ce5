"""Which UDP flows a change makes stale."""

import pytest

from svcdns.proxy.conntrack import Flow, sweep
from svcdns.proxy.model import (
    Backend,
    Exposure,
    ForwardingPlan,
    Frontend,
    NodePorts,
    PortId,
    ServicePlan,
)

DNS = PortId("kube-system", "kube-dns", "dns", "UDP")
A, B = Backend("10.244.1.1", 5353), Backend("10.244.2.2", 5353)
FRONTENDS = (
    Frontend(Exposure.CLUSTER_IP, "10.96.0.10", 53),
    Frontend(Exposure.NODE_PORT, "", 30053),
    Frontend(Exposure.EXTERNAL_IP, "192.0.2.9", 53),
)
NODES = NodePorts(("172.18.0.3", "fd00::3"))


def _plan(identity: PortId = DNS, *serving: Backend, nodes: NodePorts = NODES) -> ForwardingPlan:
    service = ServicePlan(identity, 4, FRONTENDS, serving=serving)
    return ForwardingPlan({service.key: service}, {}, node_ports=nodes)


def _stale(plan: ForwardingPlan, flow: Flow, own: tuple[str, ...] = ()) -> bool:
    found = sweep(plan, plan.services, 4, own)
    return found is not None and list(found.stale([flow])) == [flow]


@pytest.mark.parametrize(
    ("rule", "flow", "stale"),
    [
        ("R90 endpoint gone", Flow("10.96.0.10", 53, "10.244.9.9", 5353), True),
        ("R90 endpoint there", Flow("10.96.0.10", 53, "10.244.1.1", 5353), False),
        ("R90 other port of the endpoint", Flow("10.96.0.10", 53, "10.244.1.1", 53), True),
        ("R90 never translated", Flow("10.96.0.10", 53, "10.96.0.10", 53), True),
        ("R90 other port of the Service", Flow("10.96.0.10", 54, "10.244.9.9", 5353), False),
        ("R90 external IP", Flow("192.0.2.9", 53, "10.244.9.9", 5353), True),
        ("R93 node port", Flow("172.18.0.3", 30053, "10.244.9.9", 5353), True),
        ("R93 same port elsewhere", Flow("203.0.113.1", 30053, "203.0.113.1", 30053), False),
    ],
)
def test_a_flow_is_stale_when_it_leads_to_no_serving_endpoint(
    rule: str, flow: Flow, stale: bool
) -> None:
    assert _stale(_plan(DNS, A, B), flow) is stale, rule


def test_without_a_serving_endpoint_there_is_nothing_better_r91() -> None:
    plan = _plan(DNS)
    assert sweep(plan, plan.services, 4, ()) is None


def test_draining_endpoints_keep_their_flows_r92() -> None:
    """The plan's serving list is what counts, whatever policies and topology say."""
    assert not _stale(_plan(DNS, A), Flow("10.96.0.10", 53, "10.244.1.1", 5353))


def test_every_address_of_the_machine_serves_node_ports_when_told_so_r31() -> None:
    flow = Flow("198.18.0.1", 30053, "10.244.9.9", 5353)
    plan = _plan(DNS, A, nodes=NodePorts((), (4,)))
    assert _stale(plan, flow, ("198.18.0.1", "fd00::1"))
    assert not _stale(plan, flow, ("198.18.0.2",))


@pytest.mark.parametrize("protocol", ["TCP", "SCTP"])
def test_connections_are_never_touched_r94(protocol: str) -> None:
    plan = _plan(PortId("kube-system", "kube-dns", "dns", protocol), A)
    assert sweep(plan, plan.services, 4, ()) is None


def test_only_what_changed_and_is_of_the_family_is_looked_at() -> None:
    plan = _plan(DNS, A)
    assert sweep(plan, [], 4, ()) is None
    assert sweep(plan, plan.services, 6, ()) is None
    assert sweep(plan, [(PortId("gone", "gone", "", "UDP"), 4)], 4, ()) is None
