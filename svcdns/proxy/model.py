"""The forwarding plan: what each address and port of a Service leads to on this node.

:mod:`svcdns.proxy.plan` makes plans from objects; :mod:`svcdns.proxy.ruleset` (kernel) and
:mod:`svcdns.proxy.balancer` with :mod:`svcdns.aio.userspace` (relays) carry them out.  Plans are
values: equal plans forward alike.
"""

from enum import StrEnum

from msgspec import Struct


class Exposure(StrEnum):
    """By which of its addresses a service port is reached."""

    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"
    EXTERNAL_IP = "ExternalIP"


class Policy(StrEnum):
    """A traffic policy (rule R50)."""

    CLUSTER = "Cluster"
    LOCAL = "Local"


class Verdict(StrEnum):
    """What happens to a new connection (rule R50)."""

    FORWARD = "forward"
    REJECT = "reject"
    DROP = "drop"


class PortId(Struct, frozen=True, order=True):
    """Identity of a service port: the number is not part of it (rule R7)."""

    namespace: str
    service: str
    port: str
    "The port's name; empty for the unnamed one."
    protocol: str
    "``TCP``, ``UDP`` or ``SCTP``."

    def __str__(self) -> str:
        name = f":{self.port}" if self.port else ""
        return f"{self.namespace}/{self.service}{name}/{self.protocol}"


class Backend(Struct, frozen=True, order=True):
    """An endpoint's address and port."""

    address: str
    port: int
    local: bool = False
    "Whether it runs on this node (rule R12)."
    pod: str = ""
    "Name of the Pod behind it where the slice says so; for people."


class LeftOut(Struct, frozen=True, order=True):
    """An endpoint that gets no traffic, and why."""

    address: str
    port: int
    rule: str
    "Id of the rule: ``R58``."
    reason: str


class Frontend(Struct, frozen=True, order=True):
    """One address and port that is served."""

    exposure: Exposure
    address: str
    "Empty for a NodePort: every node-port address of this node."
    port: int


class ServicePlan(Struct, frozen=True):
    """Everything about one service port on this node, for one address family."""

    id: PortId
    family: int
    "4 or 6."
    frontends: tuple[Frontend, ...]
    cluster: tuple[Backend, ...] = ()
    "Backends under policy Cluster, sorted (rules R56, R60)."
    local: tuple[Backend, ...] = ()
    "Backends under policy Local, sorted (rule R57)."
    internal: Policy = Policy.CLUSTER
    external: Policy = Policy.CLUSTER
    any_usable: bool = False
    "Whether the whole cluster has a usable endpoint: rejects become drops (rule R50)."
    affinity: int = 0
    "Seconds of ClientIP affinity; 0: none (rules R65, R66)."
    source_ranges: tuple[str, ...] = ()
    "Of this family; filter LoadBalancer addresses only (rules R44 to R46)."
    serving: tuple[Backend, ...] = ()
    "Every serving endpoint, whatever policy or topology say: UDP flows to these live on (R90)."
    left_out: tuple[LeftOut, ...] = ()
    balance: str = ""
    "Value of the ``svcdns.io/balance`` annotation; userspace only."
    proxy_protocol: str = ""
    "Value of the ``svcdns.io/proxy-protocol`` annotation: ``v1``, ``v2`` or empty."

    def verdict(self, policy: Policy) -> Verdict:
        """What a connection under *policy* gets (rule R50)."""
        if not self.any_usable:
            return Verdict.REJECT
        usable = self.cluster if policy is Policy.CLUSTER else self.local
        return Verdict.FORWARD if usable else Verdict.DROP


class HealthCheck(Struct, frozen=True):
    """A healthCheckNodePort to serve (rules R80 to R83)."""

    namespace: str
    service: str
    port: int
    local_endpoints: int
    "Distinct addresses of ready local endpoints over all ports."


class NodeView(Struct, frozen=True):
    """What the proxy knows about its own node."""

    name: str
    zone: str = ""
    addresses: tuple[str, ...] = ()
    "This node's own addresses; the first of a family is its primary one (rule R31)."
    pod_cidrs: tuple[str, ...] = ()


class ForwardingPlan(Struct, frozen=True):
    """All service ports by identity and family, and what goes with them."""

    services: dict[tuple[PortId, int], ServicePlan]
    health_checks: dict[tuple[str, str], HealthCheck]
    "By namespace and Service name."
    service_cidrs: tuple[str, ...] = ()
    "Known ServiceCIDRs: unused addresses in them are dropped (rule R25)."
