"""The name servers of a cluster zone: NS at the apex, and ``ns.dns``.

Spec: DNS-SD spec §2.2.  Parity: CoreDNS ``plugin/kubernetes/ns.go`` (rules F14 to F16).
"""

from svcdns.kube.objects import EndpointSlice
from svcdns.zones.endpoints import endpoint_name
from svcdns.zones.index import ClusterIndex
from svcdns.zones.options import ZoneOptions

DEFAULT_NS = ("ns", "dns")
"""Labels of the name server when no Service is found for it (rule F14)."""

NS_LABELS = (b"ns", b"dns")
"""The same on the wire."""

SCHEMA_VERSION = b"1.1.0"
"""Value of ``dns-version`` (DNS-SD spec §2.1; rule C12)."""

SCHEMA_VERSION_TTL = 28800
"""Seconds (rule C12)."""


def name_servers(index: ClusterIndex, options: ZoneOptions) -> list[tuple[tuple[str, ...], str]]:
    """Give name (labels left of the zone) and address of each name server.

    These are the Services whose endpoints hold one of this process's own addresses; without such
    a Service, the addresses themselves under ``ns.dns``.
    """
    found: list[tuple[tuple[str, ...], str]] = []
    seen = False
    for address in options.local_addresses:
        for piece in index.slices_at(address):
            seen = True
            found += _servers_of(piece, index, options)
    if not seen:
        found = [(DEFAULT_NS, address) for address in options.local_addresses]
    return list(dict.fromkeys(found))


def _servers_of(
    piece: EndpointSlice, index: ClusterIndex, options: ZoneOptions
) -> list[tuple[tuple[str, ...], str]]:
    key = piece.service
    service = index.store.services.get(key) if key else None
    if service is None:
        return []
    namespace, name = service.key
    labels = (name, namespace, "svc")
    if not service.headless:
        return [(labels, address) for address in service.addresses]
    return [
        ((endpoint_name(endpoint, address, pod_names=options.endpoint_pod_names), *labels), address)
        for endpoint in piece.endpoints or ()
        if endpoint.ready
        for address in endpoint.addresses or ()
    ]
