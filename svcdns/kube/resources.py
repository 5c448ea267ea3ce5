"""Where the API serves each kind of object, and what it decodes to."""

from msgspec import Struct

from svcdns.kube.nodes import Node
from svcdns.kube.objects import (
    EndpointSlice,
    Kind,
    KubeObject,
    Namespace,
    Pod,
    Service,
    ServiceCIDR,
    ServiceImport,
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
