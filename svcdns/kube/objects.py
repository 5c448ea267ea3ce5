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

from msgspec import field

from svcdns.kube.metadata import Lean, Metadata, ObjectKey
from svcdns.kube.nodes import Node

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


class ServicePort(Lean, frozen=True):
    """One port of a Service."""

    port: int
    name: str | None = None
    protocol: str = "TCP"
    node_port: int = 0
    target_port: int | str | None = None
    app_protocol: str | None = None


class ClientIPConfig(Lean, frozen=True):
    """``sessionAffinityConfig.clientIP``."""

    timeout_seconds: int | None = None


class SessionAffinityConfig(Lean, frozen=True):
    """``sessionAffinityConfig``."""

    client_ip: ClientIPConfig | None = field(default=None, name="clientIP")


class ServiceSpec(Lean, frozen=True):
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


class LoadBalancerIngress(Lean, frozen=True):
    """One entry of ``status.loadBalancer.ingress``."""

    ip: str | None = None
    hostname: str | None = None
    ip_mode: str | None = None


class LoadBalancerStatus(Lean, frozen=True):
    """``status.loadBalancer``."""

    ingress: tuple[LoadBalancerIngress, ...] | None = None


class ServiceStatus(Lean, frozen=True):
    """ServiceStatus."""

    load_balancer: LoadBalancerStatus | None = None


class Service(Lean, frozen=True):
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


class Conditions(Lean, frozen=True):
    """EndpointConditions; ``None`` means that nobody said."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class TargetRef(Lean, frozen=True):
    """The object behind an endpoint."""

    kind: str | None = None
    namespace: str | None = None
    name: str | None = None


class ForZone(Lean, frozen=True):
    """A zone hint."""

    name: str


class ForNode(Lean, frozen=True):
    """A node hint (KEP-3015)."""

    name: str


class Hints(Lean, frozen=True):
    """EndpointHints."""

    for_zones: tuple[ForZone, ...] | None = None
    for_nodes: tuple[ForNode, ...] | None = None


class Endpoint(Lean, frozen=True):
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


class EndpointPort(Lean, frozen=True):
    """A port of a slice; a ``None`` number is no number."""

    name: str | None = None
    protocol: str | None = None
    port: int | None = None
    app_protocol: str | None = None


class EndpointSlice(Lean, frozen=True):
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


class Namespace(Lean, frozen=True):
    """A v1 Namespace."""

    metadata: Metadata

    @property
    def key(self) -> ObjectKey:
        """``("", name)``."""
        return self.metadata.key


class PodIP(Lean, frozen=True):
    """One address of a Pod."""

    ip: str = ""


class ContainerPort(Lean, frozen=True):
    """A declared port of a container."""

    container_port: int
    name: str | None = None
    protocol: str = "TCP"


class Container(Lean, frozen=True):
    """A container, as far as its ports go."""

    name: str = ""
    ports: tuple[ContainerPort, ...] | None = None
    restart_policy: str | None = None


class PodSpec(Lean, frozen=True):
    """PodSpec."""

    hostname: str | None = None
    subdomain: str | None = None
    node_name: str | None = None
    host_network: bool = False
    containers: tuple[Container, ...] | None = None
    init_containers: tuple[Container, ...] | None = None


class PodCondition(Lean, frozen=True):
    """A condition of a Pod."""

    type: str
    status: str = "Unknown"


class PodStatus(Lean, frozen=True):
    """PodStatus."""

    phase: str | None = None
    pod_ip: str | None = field(default=None, name="podIP")
    pod_ips: tuple[PodIP, ...] | None = field(default=None, name="podIPs")
    conditions: tuple[PodCondition, ...] | None = None


class Pod(Lean, frozen=True):
    """A v1 Pod."""

    metadata: Metadata
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def key(self) -> ObjectKey:
        """Namespace and name."""
        return self.metadata.key


class ServiceCIDRSpec(Lean, frozen=True):
    """ServiceCIDRSpec."""

    cidrs: tuple[str, ...] | None = None


class ServiceCIDR(Lean, frozen=True):
    """A networking.k8s.io/v1 ServiceCIDR (KEP-1880)."""

    metadata: Metadata
    spec: ServiceCIDRSpec = ServiceCIDRSpec()

    @property
    def key(self) -> ObjectKey:
        """``("", name)``."""
        return self.metadata.key


class ServiceImportSpec(Lean, frozen=True):
    """ServiceImportSpec (KEP-1645)."""

    type: str = "ClusterSetIP"
    ips: tuple[str, ...] | None = None
    ports: tuple[ServicePort, ...] | None = None


class ServiceImport(Lean, frozen=True):
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
