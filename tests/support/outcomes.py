"""What happens to one new connection, by the plan: the rules as a function.

The kernel's table and the relays carry the plan out; this says what they have to do, by looking
every service port through.

Rules R20 to R26, R30 to R34, R44, R47, R48, R50 to R53, section 8 (masquerade and hairpin).
Parity: kube-proxy ``pkg/proxy/nftables/proxier.go`` syncProxyRules.
"""

from enum import StrEnum
from ipaddress import ip_address, ip_network

from msgspec import Struct

from svcdns.proxy.address import is_loopback
from svcdns.proxy.model import (
    Backend,
    Exposure,
    ForwardingPlan,
    Frontend,
    LocalDetector,
    NodeView,
    Policy,
    ServicePlan,
    Verdict,
)


class Origin(StrEnum):
    """Where a connection comes from, as far as the rules care (rule R53)."""

    POD = "pod"
    "A pod that the detector knows; without a detector pods are outside."
    NODE = "node"
    OUTSIDE = "outside"


class Flow(Struct, frozen=True):
    """The first packet of a connection; addresses in canonical text."""

    source: str
    protocol: str
    address: str
    port: int
    interface: str = ""
    "Name of the interface it comes in by; empty when it starts on this node."


class Outcome(Struct, frozen=True):
    """What becomes of a flow."""

    verdict: Verdict | None
    "``None``: not ours, it goes on by normal routing."
    backends: tuple[Backend, ...] = ()
    masquerade: bool = False
    "Whether the source is replaced, whichever backend is picked."
    rule: str = ""
    plan: ServicePlan | None = None
    frontend: Frontend | None = None

    def masquerades(self, flow: Flow, backend: Backend) -> bool:
        """Whether *backend* sees another source than the client's (rule R74: hairpin)."""
        return self.masquerade or backend.address == flow.source


class Surroundings(Struct, frozen=True):
    """What the plan does not say: the node, its pods, and who is always masqueraded."""

    node: NodeView
    detector: LocalDetector = LocalDetector()
    masquerade_all: bool = False


def decide(plan: ForwardingPlan, flow: Flow, around: Surroundings) -> Outcome:
    """Say what becomes of *flow*."""
    found = _find(plan, flow, around.node)
    if found is None:
        return _unserved(plan, flow)
    service, frontend = found
    came_from = origin(flow, around)
    if frontend.exposure is Exposure.LOAD_BALANCER and not _admitted(service, flow.source):
        return Outcome(Verdict.DROP, rule="R44", plan=service, frontend=frontend)
    policy, masquerade = _route(service, frontend, flow, around, came_from)
    verdict = service.verdict(policy)
    if verdict is Verdict.FORWARD:
        backends = service.backends(policy)
        return Outcome(verdict, backends, masquerade, "R20", service, frontend)
    return Outcome(verdict, rule="R50", plan=service, frontend=frontend)


def origin(flow: Flow, around: Surroundings) -> Origin:
    """Tell where *flow* comes from (rules R53 and R73)."""
    detector, family = around.detector, 6 if ":" in flow.source else 4
    cidr = detector.cidr(family)
    if (
        (cidr and _within(flow.source, cidr))
        or (detector.interface and flow.interface == detector.interface)
        or (detector.prefix and flow.interface.startswith(detector.prefix))
    ):
        return Origin.POD
    own = flow.source in around.node.addresses or flow.source in around.node.interfaces
    return Origin.NODE if own or is_loopback(flow.source) else Origin.OUTSIDE


def _route(
    service: ServicePlan, frontend: Frontend, flow: Flow, around: Surroundings, came_from: Origin
) -> tuple[Policy, bool]:
    """Give the policy a flow is under, and whether it is masqueraded (R53, section 8)."""
    if frontend.exposure is Exposure.CLUSTER_IP:
        foreign = around.detector.knows(service.family) and came_from is not Origin.POD
        return service.internal, around.masquerade_all or foreign
    if service.external is Policy.CLUSTER:
        return Policy.CLUSTER, True
    if came_from is Origin.OUTSIDE:
        return Policy.LOCAL, False
    return Policy.CLUSTER, came_from is Origin.NODE  # the short circuit of rule R53


def _find(plan: ForwardingPlan, flow: Flow, node: NodeView) -> tuple[ServicePlan, Frontend] | None:
    """Find what serves a flow: an address of a Service first, then a node port."""
    by_node_port = None
    answers = _is_node_port_address(plan, flow.address, node)
    for service in plan.services.values():
        if service.id.protocol != flow.protocol:
            continue
        for frontend in service.frontends:
            if frontend.port != flow.port:
                continue
            if frontend.address == flow.address:
                return service, frontend
            family = 6 if ":" in flow.address else 4
            if not frontend.address and answers and service.family == family:
                by_node_port = service, frontend
    return by_node_port


def _is_node_port_address(plan: ForwardingPlan, address: str, node: NodeView) -> bool:
    if address in plan.node_ports.addresses:
        return True
    local = address in node.addresses or address in node.interfaces
    family = 6 if ":" in address else 4
    return family in plan.node_ports.any_of and local and not is_loopback(address)


def _unserved(plan: ForwardingPlan, flow: Flow) -> Outcome:
    """Treat a flow that no frontend serves (rules R23, R25 and R48)."""
    for service in plan.services.values():
        for frontend in service.frontends:
            if frontend.exposure is Exposure.CLUSTER_IP and frontend.address == flow.address:
                return Outcome(Verdict.REJECT, rule="R23", plan=service)
    if any(_within(flow.address, cidr) for cidr in plan.service_cidrs):
        return Outcome(Verdict.DROP, rule="R25")
    return Outcome(None, rule="R48")


def _admitted(service: ServicePlan, source: str) -> bool:
    ranges = service.source_ranges
    return not ranges or any(_within(source, one) for one in ranges)


def _within(address: str, cidr: str) -> bool:
    return ip_address(address) in ip_network(cidr)
