"""Names of Services, their ports and their endpoints.

A name holds *entries*, one for each address and port behind it; which records an entry becomes
depends on the type asked for (:mod:`svcdns.zones.zone`).

Spec: DNS-SD spec §2.3 to §2.5.  Parity: CoreDNS ``plugin/kubernetes/kubernetes.go`` findServices
(rules B3 to B13, C, D, E, G4, G12, G13).
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from svcdns.kube.objects import EndpointPort, Service, ServicePort
from svcdns.zones.endpoints import NO_PORT, NamedAddress, ready_addresses
from svcdns.zones.index import ClusterIndex
from svcdns.zones.options import ZoneOptions
from svcdns.zones.records import packed
from svcdns.zones.schema import ServiceName

CLUSTER_LABEL = "multicluster.kubernetes.io/source-cluster"
"""Names the cluster that an imported slice comes from (KEP-1645)."""

PORTLESS = (ServicePort(port=NO_PORT),)
"""Stands for the ports of a Service without any: its name has addresses (rule C5)."""


class Entry(Struct, frozen=True, gc=False):
    """One address and port behind a name, or one name that it stands for."""

    value: str
    "An address; anything else is a name to follow (ExternalName, slices of type FQDN)."
    port: int
    base: tuple[str, ...]
    "Labels of the service, left of the zone."
    endpoint: NamedAddress | None = None
    "For entries of one endpoint, which put its name in front."

    @property
    def labels(self) -> tuple[str, ...]:
        """Where SRV points: labels left of the zone."""
        return (self.endpoint.name, *self.base) if self.endpoint else self.base


Entries = Sequence[Entry] | None
"""``None``: the name does not exist.  Empty: it exists and holds nothing."""


def find(name: ServiceName, index: ClusterIndex, options: ZoneOptions) -> Entries:
    """Look up a name under ``svc``; the namespace is known to be exposed."""
    if not name.service:
        return ()
    service = index.store.services.get((name.namespace, name.service))
    if service is None:
        return None
    if service.spec.type == "ExternalName":
        return _external(name, service)
    if name.zone:
        return _zonal(name, service, index, options)
    if options.ignore_empty_service and not service.headless and not _ready(name, index, options):
        return None
    if service.headless or name.endpoint:
        return _endpoints(name, _ready(name, index, options))
    return _cluster_ip(name, service)


def _external(name: ServiceName, service: Service) -> Entries:
    """An ExternalName has no ports and endpoints, and an address is no name (rules E8, E9)."""
    target = service.spec.external_name
    if name.endpoint or name.port or name.protocol or name.zone or not target or packed(target):
        return None
    return (Entry(target, 0, (name.service, name.namespace, "svc")),)


def _cluster_ip(name: ServiceName, service: Service) -> Entries:
    labels = (name.service, name.namespace, "svc")
    ports: Iterable[ServicePort] = service.ports or PORTLESS
    if name.port or name.protocol:
        ports = [port for port in ports if matches(name, port)]
        if not ports:
            return None
    addresses = service.addresses
    return [Entry(address, port.port, labels) for port in ports for address in addresses]


def _endpoints(name: ServiceName, addresses: Iterable[NamedAddress]) -> Entries:
    found = []
    base = (name.service, name.namespace, "svc")
    for address in addresses:
        if name.endpoint and name.endpoint != address.name:
            continue
        for port in address.ports:
            if matches(name, port):
                found.append(Entry(address.address, number_of(port), base, address))
    # Without a ready endpoint the name does not exist (rule D4).
    return found or None


def _zonal(
    name: ServiceName, service: Service, index: ClusterIndex, options: ZoneOptions
) -> Entries:
    """Endpoints of a headless service in one topology zone (rule G12)."""
    if not service.headless:
        return None
    everywhere = list(_ready(name, index, options))
    here = [address for address in everywhere if address.zone == name.zone]
    if not here and name.prefer:
        here = everywhere
    return _endpoints(name, here) or ()


def find_imported(name: ServiceName, index: ClusterIndex) -> Entries:
    """Look up a name in a clusterset zone (rule G13)."""
    if not name.service:
        return ()
    key = (name.namespace, name.service)
    imported = index.store.service_imports.get(key)
    if imported is None:
        return None
    if imported.spec.type != "Headless" and not name.endpoint:
        labels = (name.service, name.namespace, "svc")
        return [
            Entry(address, port.port, labels)
            for port in imported.spec.ports or ()
            if matches(name, port)
            for address in imported.spec.ips or ()
        ] or None
    if name.endpoint and not name.cluster:
        return None
    addresses = ready_addresses(index.imported_slices(key), cluster_label=CLUSTER_LABEL)
    return _imported_endpoints(name, addresses)


def _imported_endpoints(name: ServiceName, addresses: Iterable[NamedAddress]) -> Entries:
    found = []
    for address in addresses:
        if name.endpoint and (name.endpoint, name.cluster) != (address.name, address.cluster):
            continue
        base = (address.cluster, name.service, name.namespace, "svc")
        for port in address.ports:
            if matches(name, port):
                found.append(Entry(address.address, number_of(port), base, address))
    return found or None


def _ready(name: ServiceName, index: ClusterIndex, options: ZoneOptions) -> Sequence[NamedAddress]:
    slices = index.store.slices_of((name.namespace, name.service))
    return list(ready_addresses(slices, pod_names=options.endpoint_pod_names))


def number_of(port: EndpointPort) -> int:
    """Give a port's number, or :data:`~svcdns.zones.endpoints.NO_PORT` (rule D10)."""
    return port.port or NO_PORT


def matches(name: ServiceName, port: ServicePort | EndpointPort) -> bool:
    """Compare port and protocol, each in any case; what is not asked for matches (B7, B8)."""
    if name.port and name.port != (port.name or "").lower():
        return False
    return not name.protocol or name.protocol == (port.protocol or "").lower()
