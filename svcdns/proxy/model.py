"""The forwarding plan: what each address and port of a Service leads to on this node.

:mod:`svcdns.proxy.plan` makes plans from objects; :mod:`svcdns.proxy.ruleset` (kernel) and
:mod:`svcdns.proxy.balancer` with :mod:`svcdns.aio.userspace` (relays) carry them out.  Plans are
values: equal plans forward alike.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Self, TypeAlias

from msgspec import Struct

from svcdns.kube.nodes import Node
from svcdns.proxy.address import is_loopback, normalise, normalise_range

ZONE_LABEL = "topology.kubernetes.io/zone"
"""Label of a Node that says which zone it is in (rule R62)."""


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


class PortId(Struct, frozen=True, order=True, gc=False):
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


class Backend(Struct, frozen=True, order=True, gc=False):
    """An endpoint's address and port."""

    address: str
    port: int
    local: bool = False
    "Whether it runs on this node (rule R12)."
    pod: str = ""
    "Name of the Pod behind it where the slice says so; for people."


class LeftOut(Struct, frozen=True, order=True, gc=False):
    """An endpoint that gets no traffic, or an address that is not served, and why."""

    address: str
    port: int
    "0 where the slice gives the endpoint no such port."
    rule: str
    "Id of the rule: ``R58``."
    reason: str


class Frontend(Struct, frozen=True, order=True, gc=False):
    """One address and port that is served."""

    exposure: Exposure
    address: str
    "Empty for a NodePort: every node-port address of this node."
    port: int


PlanKey: TypeAlias = tuple[PortId, int]
"""Identity of a plan: the service port and the address family (4 or 6)."""


class ServicePlan(Struct, frozen=True, gc=False):
    """Everything about one service port on this node, for one address family.

    A set of backends that no policy of the Service uses is empty (rule R54).
    """

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
    """CIDRs of this family that may reach the LoadBalancer addresses; empty: everybody may.

    The LoadBalancer addresses themselves are among them where rule R45 says so; a family without
    ranges of its own, in a Service that has some, lists one that no packet can match (rule R46).
    """
    serving: tuple[Backend, ...] = ()
    "Every serving endpoint, whatever policy or topology say: UDP flows to these live on (R90)."
    left_out: tuple[LeftOut, ...] = ()
    balance: str = ""
    "Value of the ``svcdns.io/balance`` annotation; userspace only."
    proxy_protocol: str = ""
    "Value of the ``svcdns.io/proxy-protocol`` annotation: ``v1``, ``v2`` or empty."
    retry: str = ""
    "Value of the ``svcdns.io/retry`` annotation; userspace only."
    hint_weight: str = ""
    "Value of the ``svcdns.io/hint-weight`` annotation; userspace only."
    responses: str = ""
    "Value of the ``svcdns.io/responses`` annotation; userspace only."
    preferred: tuple[Backend, ...] = ()
    "Those of :attr:`cluster` that hints mean for this node, where a weight says how much more."

    def verdict(self, policy: Policy) -> Verdict:
        """What a connection under *policy* gets (rule R50)."""
        if not self.any_usable:
            return Verdict.REJECT
        return Verdict.FORWARD if self.backends(policy) else Verdict.DROP

    def backends(self, policy: Policy) -> tuple[Backend, ...]:
        """Backends of a connection under *policy*."""
        return self.cluster if policy is Policy.CLUSTER else self.local

    def policy(self, exposure: Exposure) -> Policy:
        """Policy that a connection to an address of this kind is under (rules R51, R52)."""
        return self.internal if exposure is Exposure.CLUSTER_IP else self.external

    @property
    def key(self) -> PlanKey:
        """Identity among all plans of the node."""
        return (self.id, self.family)


class HealthCheck(Struct, frozen=True):
    """A healthCheckNodePort to serve (rules R80 to R83)."""

    namespace: str
    service: str
    port: int
    local_endpoints: int
    "Distinct addresses of ready local endpoints over all ports."


def _canonical(addresses: Iterable[str]) -> tuple[str, ...]:
    found = (normalise(address) for address in addresses)
    return tuple(dict.fromkeys(one[1] for one in found if one))


class NodeView(Struct, frozen=True):
    """What the proxy knows about its own node."""

    name: str
    zone: str = ""
    addresses: tuple[str, ...] = ()
    "This node's own addresses; the first of a family is its primary one (rule R31)."
    pod_cidrs: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()
    "All addresses of the machine's interfaces, for ``nodePortAddresses`` that are CIDRs."
    bind_address: str = ""
    "``bindAddress`` of the configuration, which a new Node object must not undo."

    @classmethod
    def from_node(
        cls,
        name: str,
        node: Node | None,
        *,
        interfaces: Iterable[str] = (),
        bind_address: str = "",
    ) -> Self:
        """Build the view from this node's object.

        Args:
            name: This node's name: the host name, or ``hostnameOverride``.
            node: Its object; ``None`` while the API has none.
            interfaces: Addresses found on the machine; they stand in for a missing object.
            bind_address: ``bindAddress`` of the configuration: the primary address of its family
                unless it is unspecified (kube-proxy ``detectNodeIPs``).
        """
        status = (node.status.addresses or ()) if node else ()
        internal = [one.address for one in status if one.type == "InternalIP"]
        external = [one.address for one in status if one.type == "ExternalIP"]
        local = _canonical(interfaces)
        addresses = _canonical([*internal, *external])
        if not addresses:
            addresses = tuple(one for one in local if not is_loopback(one))
        bound = _canonical([bind_address])
        if bound and bound[0] not in ("0.0.0.0", "::"):
            addresses = (*bound, *(one for one in addresses if one != bound[0]))
        spec = node.spec if node else None
        cidrs = (spec.pod_cidrs or ((spec.pod_cidr,) if spec.pod_cidr else ())) if spec else ()
        ranges = (normalise_range(cidr) for cidr in cidrs)
        return cls(
            name,
            (node.metadata.labels or {}).get(ZONE_LABEL, "") if node else "",
            addresses,
            tuple(found[1] for found in ranges if found),
            local,
            bind_address,
        )

    def primary(self, family: int) -> str:
        """Primary address of *family*; empty when the node has none."""
        return next((a for a in self.addresses if (":" in a) == (family == 6)), "")


class PlanOptions(Struct, frozen=True):
    """What the operator chose that changes plans."""

    families: tuple[int, ...] = (4, 6)
    node_port_addresses: tuple[str, ...] = ("primary",)
    "``primary`` or CIDRs (rule R31); none: every local address."
    loopback_node_ports: bool = False
    "Whether loopback addresses serve node ports: only relays can (rule R33)."
    service_cidrs: tuple[str, ...] = ()
    "In addition to the ServiceCIDR objects (rule R25)."
    hint_weights: bool = False
    "Whether hints may be weights where a Service says so: only relays can."


class NodePorts(Struct, frozen=True):
    """Which addresses of this node answer on node ports (rules R31 to R33)."""

    addresses: tuple[str, ...] = ()
    "Of both families, sorted; those of a family in :attr:`any_of` are not listed."
    any_of: tuple[int, ...] = ()
    "Families (4, 6) in which every local address but loopback answers."


class ForwardingPlan(Struct, frozen=True):
    """All service ports by identity and family, and what goes with them."""

    services: dict[PlanKey, ServicePlan]
    health_checks: dict[tuple[str, str], HealthCheck]
    "By namespace and Service name."
    service_cidrs: tuple[str, ...] = ()
    "Known ServiceCIDRs: unused addresses in them are dropped (rule R25)."
    node_ports: NodePorts = NodePorts()


class PlanChange(Struct, frozen=True):
    """What one :meth:`svcdns.proxy.plan.Planner.update` changed; falsy when nothing did."""

    services: dict[PlanKey, tuple[ServicePlan | None, ServicePlan | None]] = {}
    "Old and new plan; ``None`` for one that was not or is no longer there."
    health_checks: dict[tuple[str, str], HealthCheck | None] = {}
    "New or changed ones; ``None`` for one that is gone."
    node: bool = False
    "Whether ``service_cidrs`` or ``node_ports`` of the plan changed."
    triggers: tuple[str, ...] = ()
    "Values of ``endpoints.kubernetes.io/last-change-trigger-time`` of the slices (rule R122)."

    def __bool__(self) -> bool:
        return bool(self.services or self.health_checks or self.node)


class LocalDetector(Struct, frozen=True):
    """How traffic of this node's pods is told from other traffic (rule R73)."""

    cidrs: tuple[str, ...] = ()
    "Sources in these are pods; at most one of each family."
    interface: str = ""
    "What comes in by this interface is from a pod."
    prefix: str = ""
    "What comes in by an interface whose name begins so is from a pod."

    def knows(self, family: int) -> bool:
        """Whether pods of *family* can be told at all; if not, nothing counts as a pod's."""
        return bool(self.interface or self.prefix or self.cidr(family))

    def cidr(self, family: int) -> str:
        """The range of *family*; empty when there is none."""
        return next((cidr for cidr in self.cidrs if (":" in cidr) == (family == 6)), "")
