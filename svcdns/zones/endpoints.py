"""Endpoints as DNS sees them: which ones have names, and what their names are.

Spec: DNS-SD spec §2.4.  Parity: CoreDNS ``plugin/kubernetes/object/endpoint.go`` and
``endpointHostname`` (rules D2, D8 to D11).
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from svcdns.kube.objects import Endpoint, EndpointPort, EndpointSlice

NO_PORT = -1
"""Stands for "has an address but no port": A answers, SRV has nothing to say (rules C5, D10)."""

_LABEL_LIMIT = 64
"""A Pod name must be shorter than this to be an endpoint's name (rule D8)."""

_ANY_PORT = (EndpointPort(port=NO_PORT),)


class NamedAddress(Struct, frozen=True, gc=False):
    """One address of a ready endpoint, with the slice's ports; its name is made on demand."""

    address: str
    endpoint: Endpoint
    cluster: str
    ports: tuple[EndpointPort, ...]
    pod_names: bool

    @property
    def name(self) -> str:
        """The endpoint's label, lower-case."""
        return endpoint_name(self.endpoint, self.address, pod_names=self.pod_names).lower()

    @property
    def zone(self) -> str:
        """The endpoint's topology zone, lower-case (rule G12)."""
        return (self.endpoint.zone or "").lower()


def ready_addresses(
    slices: Iterable[EndpointSlice], *, pod_names: bool = False, cluster_label: str = ""
) -> Iterator[NamedAddress]:
    """Give every address of every ready endpoint (rule D2); the address type is not looked at.

    Args:
        slices: All slices of one service; their order has no meaning.
        pod_names: The ``endpoint_pod_names`` option.
        cluster_label: Label that holds the cluster id of a slice (rule G13), or empty.
    """
    for piece in slices:
        ports = piece.ports or _ANY_PORT
        cluster = (piece.metadata.labels or {}).get(cluster_label, "") if cluster_label else ""
        for endpoint in piece.endpoints or ():
            if endpoint.ready:
                for address in endpoint.addresses or ():
                    yield NamedAddress(address, endpoint, cluster, ports, pod_names)


def endpoint_name(endpoint: Endpoint, address: str, *, pod_names: bool) -> str:
    """Name an endpoint: its hostname, its Pod if so configured, or its address (rule D8)."""
    if endpoint.hostname:
        return endpoint.hostname
    target = endpoint.target_ref
    if pod_names and target and target.name and len(target.name) < _LABEL_LIMIT:
        return target.name
    return dashed(address)


def dashed(address: str) -> str:
    """Write an address as a label: ``10-1-0-7``, ``fd00--5``, ``fd00--0`` (rule D9)."""
    text = address.replace(".", "-").replace(":", "-")
    return text + "0" if text.endswith("-") else text
