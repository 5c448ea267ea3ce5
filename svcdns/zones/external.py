"""Names of Services for the world outside of the cluster: ``web.prod.example.org``.

They hold the external addresses of a Service, and the endpoints of headless ones if so
configured.

Parity: CoreDNS ``plugin/kubernetes/external.go``, ``object/service.go`` (rule J24).
"""

from svcdns.kube.objects import Service
from svcdns.zones.endpoints import ready_addresses
from svcdns.zones.index import ClusterIndex
from svcdns.zones.options import ZoneOptions
from svcdns.zones.schema import ServiceName
from svcdns.zones.services import PORTLESS, Entries, Entry, matches, number_of


def addresses(service: Service) -> tuple[str, ...]:
    """Give ``externalIPs`` and what load balancers say: addresses, or names without address."""
    status = service.status
    balancer = status.load_balancer if status else None
    ingress = balancer.ingress if balancer else None
    balanced = [point.ip or point.hostname or "" for point in ingress or ()]
    return (*(service.spec.external_ips or ()), *[found for found in balanced if found])


def parse(labels: tuple[str, ...]) -> ServiceName | None:
    """Read the labels left of the zone: ``[endpoint.|_port._protocol.]service.namespace``.

    Returns:
        ``None`` for more labels than names have; a name without a service for a namespace.
    """
    match labels:
        case (namespace,):
            return ServiceName(namespace)
        case (service, namespace):
            return ServiceName(namespace, service)
        case (endpoint, service, namespace):
            return ServiceName(namespace, service, endpoint=endpoint.removeprefix("_"))
        case (port, protocol, service, namespace):
            port, protocol = port.removeprefix("_"), protocol.removeprefix("_")
            return ServiceName(namespace, service, port=port, protocol=protocol)
        case _:
            return None


def find(
    name: ServiceName, index: ClusterIndex, options: ZoneOptions, *, headless: bool
) -> Entries:
    """Look a name up; the labels of entries are those left of the external zone.

    Args:
        name: The result of :func:`parse`.
        index: The cluster.
        options: ``namespaces`` and ``endpoint_pod_names`` count.
        headless: Whether headless Services without external addresses show their endpoints.
    """
    if not exposed(name.namespace, index, options):
        return None
    if not name.service:
        return ()
    service = index.store.services.get((name.namespace, name.service))
    if service is None:
        return None
    labels = (name.service, name.namespace)
    found = addresses(service)
    if headless and not found and (service.headless or name.endpoint):
        return _endpoints(name, index, options)
    return [
        Entry(address, port.port, labels)
        for address in found
        for port in service.ports or PORTLESS
        if matches(name, port)
    ] or None


def _endpoints(name: ServiceName, index: ClusterIndex, options: ZoneOptions) -> Entries:
    slices = index.store.slices_of((name.namespace, name.service))
    return [
        Entry(found.address, number_of(port), (found.name, name.service, name.namespace))
        for found in ready_addresses(slices, pod_names=options.endpoint_pod_names)
        if not name.endpoint or name.endpoint == found.name
        for port in found.ports
        if matches(name, port)
    ] or None


def exposed(namespace: str, index: ClusterIndex, options: ZoneOptions) -> bool:
    """Whether a namespace exists and is shown (rule G1)."""
    configured = options.namespaces
    if configured and namespace not in configured:
        return False
    return ("", namespace) in index.store.namespaces


def name_servers(index: ClusterIndex, options: ZoneOptions, *, headless: bool) -> list[str]:
    """Give the addresses of the zone's name server.

    External ones of the Services with an endpoint at one of this process's own addresses; without
    such a Service, the addresses themselves (rules F14, J24).
    """
    found: dict[str, None] = {}
    seen = False
    for own in options.local_addresses:
        for piece in index.slices_at(own):
            seen = True
            service = index.store.services.get(piece.service) if piece.service else None
            if service is None:
                continue
            if headless and service.headless:
                found |= dict.fromkeys(
                    address
                    for endpoint in piece.endpoints or ()
                    if endpoint.ready
                    for address in endpoint.addresses or ()
                )
            else:
                found |= dict.fromkeys(addresses(service))
    return list(found) if seen else list(options.local_addresses)


class Reverse:
    """Services by external address, brought up to date when somebody asks."""

    def __init__(self, index: ClusterIndex) -> None:
        self._index = index
        self._at = -1
        self._services: dict[str, list[tuple[str, str]]] = {}

    def services_at(self, address: str, options: ZoneOptions) -> list[tuple[str, str]]:
        """Give the exposed Services with an external address, each as name and namespace."""
        if self._at != self._index.changes:
            self._at = self._index.changes
            self._services = {}
            for (namespace, name), service in self._index.store.services.items():
                for found in addresses(service):
                    self._services.setdefault(found, []).append((name, namespace))
        return [
            (name, namespace)
            for name, namespace in self._services.get(address, ())
            if not options.namespaces or exposed(namespace, self._index, options)
        ]
