"""A whole cluster zone, for secondaries.

Spec: RFC 5936 §2.2.  Parity: CoreDNS ``plugin/kubernetes/xfr.go`` (rules H2 to H4).
"""

from collections.abc import Iterable, Iterator
from math import floor

from svcdns.dns.constants import RRType
from svcdns.dns.name import from_text, join
from svcdns.dns.response import Record
from svcdns.dns.reverse import is_reverse
from svcdns.kube.objects import Service
from svcdns.zones.apex import name_servers
from svcdns.zones.endpoints import endpoint_name
from svcdns.zones.records import packed, srv
from svcdns.zones.zone import ClusterZones

SERVICE_WEIGHT = 100
"""Weight of SRV records of Services with a cluster IP (rule H4)."""


def records(zones: ClusterZones, zone: bytes) -> list[Record] | None:
    """Give the records of a zone, SOA first and only once; ``None``: there is none to transfer.

    Reverse zones and clusterset zones are none: their names are found by look-up alone.
    """
    options = zones.options
    if zone not in options.zones or zone in options.multicluster or is_reverse(zone):
        return None
    found = [zones.soa(zone), *_servers(zones, zone)]
    services = zones.index.store.services
    exposed = zones.index.store.namespaces
    for key in sorted(services, key=lambda key: (key[1], key[0])):
        namespace = key[0]
        configured = not options.namespaces or namespace in options.namespaces
        if configured and ("", namespace) in exposed:
            found += _Service(zones, zone, services[key]).records()
    return list(dict.fromkeys(found))


def _servers(zones: ClusterZones, zone: bytes) -> Iterator[Record]:
    """Give NS and the addresses of its targets; their TTL is the zone's (register K18)."""
    ttl = zones.options.ttl
    for labels, address in name_servers(zones.index, zones.options):
        target = _join(labels, zone)
        yield Record(zone, RRType.NS, ttl, target)
        yield from _addresses(target, (address,), ttl)


class _Service:
    """One Service on its way into a transfer."""

    def __init__(self, zones: ClusterZones, zone: bytes, service: Service) -> None:
        self._zones = zones
        self._service = service
        self._ttl = zones.options.ttl
        namespace, name = service.key
        self._name = _join((name, namespace, "svc"), zone)

    def records(self) -> Iterable[Record]:
        service = self._service
        if service.spec.type == "ExternalName":
            return self._alias()
        return self._endpoints() if service.headless else self._cluster_ip()

    def _alias(self) -> Iterator[Record]:
        target = self._service.spec.external_name
        if not target or packed(target):
            return
        try:
            yield Record(self._name, RRType.CNAME, self._ttl, from_text(target))
        except ValueError:
            return  # no name, so DNS has no alias either (rule E9)

    def _cluster_ip(self) -> Iterator[Record]:
        """Write addresses and ports; a Service without ports has no SRV (register K18)."""
        yield from _addresses(self._name, self._service.addresses, self._ttl)
        for port in self._service.ports:
            yield self._srv(self._name, SERVICE_WEIGHT, port.port, self._name)
            if port.name:
                owner = self._port(port.name, port.protocol)
                yield self._srv(owner, SERVICE_WEIGHT, port.port, self._name)

    def _endpoints(self) -> Iterator[Record]:
        pod_names = self._zones.options.endpoint_pod_names
        for piece in self._zones.index.store.slices_of(self._service.key):
            named = [
                (endpoint_name(endpoint, address, pod_names=pod_names).lower(), address)
                for endpoint in piece.endpoints or ()
                if endpoint.ready
                for address in endpoint.addresses or ()
            ]
            weight = max(1, floor(100 / len(named))) if named else 1
            for name, address in named:
                target = _join((name,), self._name)
                yield from _addresses(self._name, (address,), self._ttl)
                yield from _addresses(target, (address,), self._ttl)
                for port in piece.ports or ():
                    if port.name and port.port:
                        owner = self._port(port.name, port.protocol or "TCP")
                        yield self._srv(owner, weight, port.port, target)

    def _port(self, name: str, protocol: str) -> bytes:
        return _join((f"_{name.lower()}", f"_{protocol.lower()}"), self._name)

    def _srv(self, owner: bytes, weight: int, port: int, target: bytes) -> Record:
        return srv(owner, self._ttl, weight=weight, port=port, target=target)


def _addresses(owner: bytes, texts: Iterable[str], ttl: int) -> Iterator[Record]:
    for text in texts:
        if known := packed(text):
            yield Record(owner, known[0], ttl, known[1])


def _join(left: tuple[str, ...], suffix: bytes) -> bytes:
    return join([label.encode("latin-1", "replace") for label in left], suffix)
