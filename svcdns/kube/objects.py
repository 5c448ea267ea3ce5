"""The Kubernetes objects svcdns reads, stripped to the fields it needs.

Decoded straight from JSON by msgspec, which skips what is not declared.  That goes for uids as
well: identity is namespace and name here, and of two objects of one name the version tells.
Field names are the API's in snake_case.  Lists that the API may send as ``null`` are ``None`` here,
because one ``null`` must not cost the object (dependency notes 1.4).

Spec: https://kubernetes.io/docs/reference/kubernetes-api/
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct, field

ObjectKey: TypeAlias = tuple[str, str]
"""Namespace and name; the namespace of a cluster-wide object is ``""``."""

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
"""Ties an EndpointSlice to its Service (KEP-0752)."""

HEADLESS = "None"
"""``clusterIP`` of a headless Service."""


class Kind(StrEnum):
    """The kinds that svcdns reads."""

    NAMESPACE = "Namespace"
    SERVICE = "Service"
    ENDPOINT_SLICE = "EndpointSlice"
    POD = "Pod"
    NODE = "Node"
    SERVICE_CIDR = "ServiceCIDR"
    SERVICE_IMPORT = "ServiceImport"


class _Lean(Struct, frozen=True, gc=False, rename="camel"):
    """Base of all objects: immutable, and invisible to the cycle collector (no cycles exist)."""


class Metadata(_Lean, frozen=True):
    """ObjectMeta."""

    name: str
    namespace: str | None = None
    resource_version: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    deletion_timestamp: str | None = None

    @property
    def key(self) -> ObjectKey:
        """Identity within the kind."""
        return (self.namespace or "", self.name)


class ServicePort(_Lean, frozen=True):
    """One port of a Service."""

    port: int
    name: str | None = None
    protocol: str = "TCP"
    node_port: int = 0
    target_port: int | str | None = None
    app_protocol: str | None = None


class ClientIPConfig(_Lean, frozen=True):
    """``sessionAffinityConfig.clientIP``."""

    timeout_seconds: int | None = None


class SessionAffinityConfig(_Lean, frozen=True):
    """``sessionAffinityConfig``."""

    client_ip: ClientIPConfig | None = field(default=None, name="clientIP")


class ServiceSpec(_Lean, frozen=True):
    """ServiceSpec."""

    type: str = "ClusterIP"
    cluster_ip: str | None = field(default=None, name="clusterIP")
    cluster_ips: tuple[str, ...] | None = field(default=None, name="clusterIPs")
    ip_families: tuple[str, ...] | None = None
    ip_family_policy: str | None = None
    ports: tuple[ServicePort, ...] | None = None
    selector: dict[str, str] | None = None
    external_name: str | None = None
    external_ips: tuple[str, ...] | None = field(default=None, name="externalIPs")
    session_affinity: str | None = None
    session_affinity_config: SessionAffinityConfig | None = None
    internal_traffic_policy: str | None = None
    external_traffic_policy: str | None = None
    health_check_node_port: int = 0
    load_balancer_source_ranges: tuple[str, ...] | None = None
    publish_not_ready_addresses: bool = False
    traffic_distribution: str | None = None


class LoadBalancerIngress(_Lean, frozen=True):
    """One entry of ``status.loadBalancer.ingress``."""

    ip: str | None = None
    hostname: str | None = None
    ip_mode: str | None = None


class LoadBalancerStatus(_Lean, frozen=True):
    """``status.loadBalancer``."""

    ingress: tuple[LoadBalancerIngress, ...] | None = None


class ServiceStatus(_Lean, frozen=True):
    """ServiceStatus."""

    load_balancer: LoadBalancerStatus | None = None


class Service(_Lean, frozen=True):
    """A v1 Service."""

    metadata: Metadata
    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus | None = None

    @property
    def key(self) -> ObjectKey:
        """Namespace and name."""
        return self.metadata.key

    @property
    def addresses(self) -> tuple[str, ...]:
        """Cluster IPs of every family; empty for headless and ExternalName."""
        spec = self.spec
        if spec.type == "ExternalName":
            return ()
        found = spec.cluster_ips or ((spec.cluster_ip,) if spec.cluster_ip else ())
        if HEADLESS in found or "" in found:
            return tuple([address for address in found if address and address != HEADLESS])
        return found

    @property
    def headless(self) -> bool:
        """Whether DNS answers with the endpoints instead of a cluster IP."""
        spec = self.spec
        if spec.type == "ExternalName":
            return False
        first = spec.cluster_ips[0] if spec.cluster_ips else spec.cluster_ip
        return first == HEADLESS

    @property
    def ports(self) -> tuple[ServicePort, ...]:
        """Ports in the order of the object."""
        return self.spec.ports or ()


class Conditions(_Lean, frozen=True):
    """EndpointConditions; ``None`` means that nobody said."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class TargetRef(_Lean, frozen=True):
    """The object behind an endpoint."""

    kind: str | None = None
    namespace: str | None = None
    name: str | None = None


class ForZone(_Lean, frozen=True):
    """A zone hint."""

    name: str


class ForNode(_Lean, frozen=True):
    """A node hint (KEP-3015)."""

    name: str


class Hints(_Lean, frozen=True):
    """EndpointHints."""

    for_zones: tuple[ForZone, ...] | None = None
    for_nodes: tuple[ForNode, ...] | None = None


class Endpoint(_Lean, frozen=True):
    """One endpoint of a slice."""

    addresses: tuple[str, ...] | None = None
    conditions: Conditions | None = None
    hostname: str | None = None
    node_name: str | None = None
    zone: str | None = None
    target_ref: TargetRef | None = None
    hints: Hints | None = None

    @property
    def ready(self) -> bool:
        """Ready unless somebody said no (rules D2 and R11)."""
        conditions = self.conditions
        return conditions is None or conditions.ready is not False

    @property
    def serving(self) -> bool:
        """Serving unless somebody said no (rule R11)."""
        conditions = self.conditions
        return conditions is None or conditions.serving is not False

    @property
    def terminating(self) -> bool:
        """Terminating only when somebody said so (rule R11)."""
        conditions = self.conditions
        return conditions is not None and conditions.terminating is True


class EndpointPort(_Lean, frozen=True):
    """A port of a slice; a ``None`` number is no number."""

    name: str | None = None
    protocol: str | None = None
    port: int | None = None
    app_protocol: str | None = None


class EndpointSlice(_Lean, frozen=True):
    """A discovery.k8s.io/v1 EndpointSlice."""

    metadata: Metadata
    address_type: str = "IPv4"
    endpoints: Sequence[Endpoint] | None = None
    "Packed once they were read from the API (:mod:`svcdns.kube.packing`)."
    ports: tuple[EndpointPort, ...] | None = None

    @property
    def key(self) -> ObjectKey:
        """Namespace and name."""
        return self.metadata.key

    @property
    def service(self) -> ObjectKey | None:
        """The Service this slice belongs to, by its label (rules D1 and R4)."""
        name = (self.metadata.labels or {}).get(SERVICE_NAME_LABEL)
        return (self.metadata.namespace or "", name) if name else None


class Namespace(_Lean, frozen=True):
    """A v1 Namespace."""

    metadata: Metadata

    @property
    def key(self) -> ObjectKey:
        """``("", name)``."""
        return self.metadata.key


class PodIP(_Lean, frozen=True):
    """One address of a Pod."""

    ip: str = ""


class ContainerPort(_Lean, frozen=True):
    """A declared port of a container."""

    container_port: int
    name: str | None = None
    protocol: str = "TCP"


class Container(_Lean, frozen=True):
    """A container, as far as its ports go."""

    name: str = ""
    ports: tuple[ContainerPort, ...] | None = None
    restart_policy: str | None = None


class PodSpec(_Lean, frozen=True):
    """PodSpec."""

    hostname: str | None = None
    subdomain: str | None = None
    node_name: str | None = None
    host_network: bool = False
    containers: tuple[Container, ...] | None = None
    init_containers: tuple[Container, ...] | None = None


class PodCondition(_Lean, frozen=True):
    """A condition of a Pod."""

    type: str
    status: str = "Unknown"


class PodStatus(_Lean, frozen=True):
    """PodStatus."""

    phase: str | None = None
    pod_ip: str | None = field(default=None, name="podIP")
    pod_ips: tuple[PodIP, ...] | None = field(default=None, name="podIPs")
    conditions: tuple[PodCondition, ...] | None = None


class Pod(_Lean, frozen=True):
    """A v1 Pod."""

    metadata: Metadata
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def key(self) -> ObjectKey:
        """Namespace and name."""
        return self.metadata.key


class NodeAddress(_Lean, frozen=True):
    """One address of a Node."""

    type: str
    address: str


class NodeStatus(_Lean, frozen=True):
    """NodeStatus."""

    addresses: tuple[NodeAddress, ...] | None = None


class Taint(_Lean, frozen=True):
    """A taint of a Node."""

    key: str
    effect: str = ""


class NodeSpec(_Lean, frozen=True):
    """NodeSpec."""

    pod_cidr: str | None = field(default=None, name="podCIDR")
    pod_cidrs: tuple[str, ...] | None = field(default=None, name="podCIDRs")
    taints: tuple[Taint, ...] | None = None


class Node(_Lean, frozen=True):
    """A v1 Node."""

    metadata: Metadata
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    @property
    def key(self) -> ObjectKey:
        """``("", name)``."""
        return self.metadata.key


class ServiceCIDRSpec(_Lean, frozen=True):
    """ServiceCIDRSpec."""

    cidrs: tuple[str, ...] | None = None


class ServiceCIDR(_Lean, frozen=True):
    """A networking.k8s.io/v1 ServiceCIDR (KEP-1880)."""

    metadata: Metadata
    spec: ServiceCIDRSpec = ServiceCIDRSpec()

    @property
    def key(self) -> ObjectKey:
        """``("", name)``."""
        return self.metadata.key


class ServiceImportSpec(_Lean, frozen=True):
    """ServiceImportSpec (KEP-1645)."""

    type: str = "ClusterSetIP"
    ips: tuple[str, ...] | None = None
    ports: tuple[ServicePort, ...] | None = None


class ServiceImport(_Lean, frozen=True):
    """A multicluster.x-k8s.io/v1alpha1 ServiceImport (KEP-1645)."""

    metadata: Metadata
    spec: ServiceImportSpec = ServiceImportSpec()

    @property
    def key(self) -> ObjectKey:
        """Namespace and name."""
        return self.metadata.key


KubeObject: TypeAlias = (
    Namespace | Service | EndpointSlice | Pod | Node | ServiceCIDR | ServiceImport
)


class Resource(Struct, frozen=True):
    """Where the API serves a kind, and what it decodes to."""

    kind: Kind
    group: str
    "``v1`` or ``group/version``."
    plural: str
    type: type[KubeObject]
    namespaced: bool = True

    @property
    def collection(self) -> str:
        """The path of the whole collection."""
        root = "/api/" if "/" not in self.group else "/apis/"
        return f"{root}{self.group}/{self.plural}"


RESOURCES: dict[Kind, Resource] = {
    resource.kind: resource
    for resource in (
        Resource(Kind.NAMESPACE, "v1", "namespaces", Namespace, namespaced=False),
        Resource(Kind.SERVICE, "v1", "services", Service),
        Resource(Kind.ENDPOINT_SLICE, "discovery.k8s.io/v1", "endpointslices", EndpointSlice),
        Resource(Kind.POD, "v1", "pods", Pod),
        Resource(Kind.NODE, "v1", "nodes", Node, namespaced=False),
        Resource(
            Kind.SERVICE_CIDR, "networking.k8s.io/v1", "servicecidrs", ServiceCIDR, namespaced=False
        ),
        Resource(
            Kind.SERVICE_IMPORT, "multicluster.x-k8s.io/v1alpha1", "serviceimports", ServiceImport
        ),
    )
}

KIND_OF: dict[type[KubeObject], Kind] = {r.type: r.kind for r in RESOURCES.values()}
