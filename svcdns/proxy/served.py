"""A service port that relays serve: its plan, its balancer, and what has been counted for it."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from svcdns.metrics import HistogramCell
from svcdns.proxy.balancer import Balancer, Endpoint, Random, State
from svcdns.proxy.listeners import Need
from svcdns.proxy.model import Backend, Policy, ServicePlan
from svcdns.proxy.outlier import EjectionRules
from svcdns.proxy.repeat import repeatable
from svcdns.proxy.udplife import responses

CONNECT_SECONDS_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0)
"""Buckets of the connect time: from a fast loopback to Envoy's connect time-out."""

Network = IPv4Network | IPv6Network


def networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Parse CIDRs once, for :meth:`Served.pick`.

    Raises:
        ValueError: One of them is none.
    """
    return tuple(ip_network(text, strict=False) for text in texts)


class Served:
    """Lives from the first plan that has the service port to the last."""

    def __init__(
        self,
        plan: ServicePlan,
        now: float,
        random: Random,
        *,
        own: tuple[Network, ...] = (),
        rules: EjectionRules | None = None,
    ) -> None:
        self.plan = plan
        self.balancer = Balancer(random, rules)
        self.leaving: set[Endpoint] = set()
        "Endpoints that are out of the plan but still have connections."
        self.repeatable = repeatable(plan.retry)
        "What a client has said first and may be said again."
        self.responses = 0
        "Datagrams that answer each datagram of a client; 0: nobody knows."
        self.retries = 0
        self.ejections = 0
        self.failures = 0
        "Connections that ended before any endpoint took them."
        self.evictions = 0
        "UDP sessions that ended to make room for others."
        self.connect_seconds = HistogramCell(CONNECT_SECONDS_BOUNDS)
        self.retired_sent = 0
        "Octets of endpoints that are gone for good."
        self.retired_received = 0
        self.retired_connections = 0
        self.own = own
        "Where clients count as this node's own (rule R53)."
        self.update(plan, now)

    def update(self, plan: ServicePlan, now: float) -> list[Endpoint]:
        """Take over a new plan of the same service port; give back the endpoints that left."""
        self.plan = plan
        self.repeatable = repeatable(plan.retry)
        if plan.id.protocol == "UDP":
            self.responses = responses(plan.responses, [f.port for f in plan.frontends]) or 0
        gone = self.balancer.update(plan, now)
        self.leaving.update(gone)
        self.retire()
        return gone

    def retire(self) -> None:
        """Forget endpoints that left and have no connection any more, but not what they did."""
        for endpoint in [e for e in self.leaving if not e.active]:
            self.leaving.discard(endpoint)
            self.retired_sent += endpoint.sent
            self.retired_received += endpoint.received
            self.retired_connections += endpoint.connections

    def pick(self, need: Need, client: str, now: float, tried: list[Endpoint]) -> Endpoint | None:
        """Choose an endpoint for *client*, who came in by the socket of *need*."""
        return self.balancer.pick(self.policy(need, client), client, now, tried)

    def policy(self, need: Need, client: str) -> Policy:
        """Tell by which policy *client* is served (rule R53)."""
        if need.policy is need.own_policy:
            return need.policy
        address = ip_address(client)
        own = client == need.listener.address or any(address in network for network in self.own)
        return need.own_policy if own else need.policy

    def connected(self, endpoint: Endpoint, seconds: float) -> None:
        """Take note that *endpoint* took a connection after *seconds*."""
        self.connect_seconds.observe(seconds)
        endpoint.connect_seconds += seconds
        endpoint.connections += 1
        self.balancer.succeeded(endpoint)

    def failed(self, endpoint: Endpoint, now: float) -> None:
        """Take note that *endpoint* refused or did not answer."""
        if self.balancer.failed(endpoint, now):
            self.ejections += 1

    def still_serving(self, backend: Backend) -> bool:
        """Whether UDP flows to *backend* live on: it serves, whatever policies say (R90, R92)."""
        return any(
            (b.address, b.port) == (backend.address, backend.port) for b in self.plan.serving
        )

    def endpoints(self) -> list[Endpoint]:
        """Give all endpoints with something to show: current ones first, then leaving ones."""
        return [*self.balancer.endpoints.values(), *self.leaving]

    def states(self, now: float) -> dict[State, int]:
        """Count the endpoints by state; states that nobody is in are left out, but for READY."""
        found = self.balancer.states(now)
        draining = sum(bool(e.active) for e in self.leaving)
        if draining:
            found[State.DRAINING] = draining
        return found
