"""What a cluster knows about a query before it is answered, as labels for logs and views.

Parity: CoreDNS ``plugin/kubernetes/metadata.go`` (rule G14).
"""

from svcdns.dns.name import labels
from svcdns.kube.store import Store
from svcdns.zones import schema
from svcdns.zones.index import ClusterIndex
from svcdns.zones.zone import ClusterZones

PREFIX = "kubernetes/"


def of_query(zones: ClusterZones, name: bytes) -> dict[str, str]:
    """Take a name apart; nothing for names of other zones and of no shape.

    Args:
        zones: The plugin's zones.
        name: Lower-case wire name.
    """
    zone = zones.match(name)
    if zone is None:
        return {}
    options = zones.options
    shape = schema.parse(
        labels(name[: len(name) - len(zone)] + b"\x00"),
        multicluster=zone in options.multicluster,
        zonal=options.zonal,
    )
    match shape:
        case schema.ServiceName():
            found = {
                "endpoint": shape.endpoint,
                "kind": "svc",
                "namespace": shape.namespace,
                "port-name": shape.port,
                "protocol": shape.protocol,
                "service": shape.service,
                "zone": shape.zone,
            }
        case schema.PodName():
            found = {"kind": "pod", "namespace": shape.namespace, "service": shape.pod}
        case _:
            found = {}
    return {PREFIX + key: value for key, value in found.items()}


def of_client(index: ClusterIndex, store: Store, address: str) -> dict[str, str]:
    """Say which Pod asks; known only when Pods are watched (``pods verified``)."""
    for key in index.pods_at(address):
        pod = store.pods.get(key)
        if pod is None:
            continue
        found = {"client-namespace": key[0], "client-pod-name": key[1]}
        for label, value in (pod.metadata.labels or {}).items():
            found[f"client-label/{label}"] = value
        return {PREFIX + name: value for name, value in found.items()}
    return {}
