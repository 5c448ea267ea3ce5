"""Which UDP flows a change of the plan makes stale.

The kernel decides where a flow goes at its first packet and remembers.  A TCP connection to an
endpoint that went ends by itself; a UDP flow goes on into nothing as long as its client keeps
sending, and one that began before its Service was there was never translated.  So after a change,
flows to the Service's addresses that do not lead to a serving endpoint are forgotten, and their
next packet finds the new rules.

Narrower than kube-proxy in two ways: a node port is matched together with an address that serves
node ports, not by its number alone, so that nobody else's flow is cut (rule R93); and only Services
that changed are looked at, which comes to the same.

Rules R90 to R94.
Parity: kube-proxy ``pkg/proxy/conntrack/cleanup.go``.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from svcdns.proxy.model import ForwardingPlan, PlanKey, ServicePlan

UDP = "UDP"


class Flow(Struct, frozen=True, gc=False):
    """A UDP flow that the kernel remembers; addresses in canonical text."""

    destination: str
    "Where its client sends."
    port: int
    endpoint: str
    "Where the packets really go: who the answers come from."
    endpoint_port: int
    handle: bytes = b""
    "What the kernel wants to be told to forget it."


class Sweep(Struct, frozen=True):
    """What to look for among the flows of one address family."""

    family: int
    serving: dict[tuple[str, int], frozenset[tuple[str, int]]]
    "Service address and port to the endpoints that may have flows."

    def stale(self, flows: Iterable[Flow]) -> Iterator[Flow]:
        """Pick the flows to forget."""
        for flow in flows:
            endpoints = self.serving.get((flow.destination, flow.port))
            if endpoints is not None and (flow.endpoint, flow.endpoint_port) not in endpoints:
                yield flow


def sweep(
    plan: ForwardingPlan, changed: Iterable[PlanKey], family: int, own_addresses: Iterable[str]
) -> Sweep | None:
    """Say what to look for after a change; ``None`` when no flow can be stale.

    Args:
        plan: The plan as it is now; a Service that went leaves its flows alone.
        changed: Keys of what changed.
        family: 4 or 6.
        own_addresses: Addresses of this machine, where all of them serve node ports (rule R31).
    """
    nodes = [a for a in plan.node_ports.addresses if (":" in a) == (family == 6)]
    if family in plan.node_ports.any_of:
        nodes += [a for a in own_addresses if (":" in a) == (family == 6)]
    serving: dict[tuple[str, int], frozenset[tuple[str, int]]] = {}
    for key in changed:
        service = plan.services.get(key)
        # Without a serving endpoint there is nothing better to send to (rule R91).
        if service and service.family == family and service.id.protocol == UDP and service.serving:
            endpoints = frozenset((one.address, one.port) for one in service.serving)
            for place in _places(service, nodes):
                serving[place] = endpoints
    return Sweep(family, serving) if serving else None


def _places(service: ServicePlan, nodes: list[str]) -> Iterator[tuple[str, int]]:
    for frontend in service.frontends:
        for address in [frontend.address] if frontend.address else nodes:
            yield address, frontend.port
