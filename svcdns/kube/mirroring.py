"""From hand-made v1 Endpoints to EndpointSlices, as the EndpointSliceMirroring controller does it.

Only the Endpoints of Services without a selector are mirrored: those of the others are made by a
controller from the same Pods that slices are made from.

KEP: 0752 (EndpointSlice).
Parity: kubernetes ``pkg/controller/endpointslicemirroring``.
"""

from ipaddress import ip_address

from msgspec import Struct, field

from svcdns.kube.metadata import Metadata, ObjectKey
from svcdns.kube.objects import (
    SERVICE_NAME_LABEL,
    Conditions,
    Endpoint,
    EndpointPort,
    EndpointSlice,
    TargetRef,
)

MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
MIRRORED_BY = "endpointslicemirroring-controller.k8s.io"

SKIP_MIRROR_LABEL = "endpointslice.kubernetes.io/skip-mirror"
"""``"true"`` keeps an Endpoints object from being mirrored."""


class EndpointAddress(Struct, frozen=True, gc=False, rename="camel"):
    """One address of a subset."""

    ip: str
    hostname: str | None = None
    node_name: str | None = None
    target_ref: TargetRef | None = None


class EndpointSubset(Struct, frozen=True, gc=False, rename="camel"):
    """Addresses that share ports."""

    addresses: tuple[EndpointAddress, ...] | None = None
    not_ready_addresses: tuple[EndpointAddress, ...] | None = None
    ports: tuple[EndpointPort, ...] | None = None


class Endpoints(Struct, frozen=True, gc=False, rename="camel"):
    """A v1 Endpoints object; its name is its Service's."""

    metadata: Metadata
    subsets: tuple[EndpointSubset, ...] | None = field(default=None)

    @property
    def key(self) -> ObjectKey:
        """Namespace and name."""
        return self.metadata.key


def mirror(endpoints: Endpoints) -> tuple[EndpointSlice, ...]:
    """Make the slices of one Endpoints object: one for each subset and address family."""
    labels = endpoints.metadata.labels or {}
    if labels.get(SKIP_MIRROR_LABEL) == "true":
        return ()
    found = []
    for number, subset in enumerate(endpoints.subsets or ()):
        families: dict[int, list[Endpoint]] = {}
        for ready, addresses in (
            (True, subset.addresses or ()),
            (False, subset.not_ready_addresses or ()),
        ):
            for address in addresses:
                family: int = ip_address(address.ip).version
                families.setdefault(family, []).append(_endpoint(address, ready=ready))
        for version, members in sorted(families.items()):
            name = f"{endpoints.metadata.name}-mirrored-{number}-ipv{version}"
            metadata = Metadata(
                name,
                endpoints.metadata.namespace,
                labels=labels
                | {SERVICE_NAME_LABEL: endpoints.metadata.name, MANAGED_BY_LABEL: MIRRORED_BY},
            )
            slices = EndpointSlice(metadata, f"IPv{version}", tuple(members), subset.ports or ())
            found.append(slices)
    return tuple(found)


def _endpoint(address: EndpointAddress, *, ready: bool) -> Endpoint:
    return Endpoint(
        (address.ip,),
        Conditions(ready=ready),
        address.hostname,
        address.node_name,
        target_ref=address.target_ref,
    )
