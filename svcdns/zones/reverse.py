"""Names that addresses point back to.

Spec: DNS-SD spec §2.3.3, §2.4.3.  Parity: CoreDNS ``plugin/kubernetes/reverse.go`` (rules F4 to
F11).
"""

from svcdns.zones.endpoints import endpoint_name
from svcdns.zones.index import ClusterIndex
from svcdns.zones.options import ZoneOptions


def targets(address: str, index: ClusterIndex, options: ZoneOptions) -> list[tuple[str, ...]]:
    """Give what an address points to, as labels left of the primary zone; empty: nothing.

    Args:
        address: Canonical text; it is compared with the text in the objects (rule F8).
        index: The cluster.
        options: Only ``namespaces`` limits this, not the existence of namespaces (rule F7).
    """
    for service in index.services_at(address):
        namespace, name = service.key
        if _exposed(namespace, options):
            return [(name, namespace, "svc")]
    found = []
    for piece in index.slices_at(address):
        owner = piece.service
        if owner is None or not _exposed(owner[0], options):
            continue
        namespace, service_name = owner
        for endpoint in piece.endpoints or ():
            if endpoint.ready and address in (endpoint.addresses or ()):
                name = endpoint_name(endpoint, address, pod_names=options.endpoint_pod_names)
                found.append((name.lower(), service_name, namespace, "svc"))
    return list(dict.fromkeys(found))


def _exposed(namespace: str, options: ZoneOptions) -> bool:
    return not options.namespaces or namespace in options.namespaces
