"""Names of Pods by their address: ``10-1-0-7.ns.pod.cluster.local``.

Spec: DNS-SD spec §2.6 (removed from it, kept by CoreDNS).  Parity: CoreDNS
``plugin/kubernetes/kubernetes.go`` findPods (rules F1 to F3).
"""

from svcdns.zones.index import ClusterIndex
from svcdns.zones.options import PodMode, ZoneOptions
from svcdns.zones.records import packed
from svcdns.zones.schema import PodName
from svcdns.zones.services import Entries, Entry


def find(name: PodName, index: ClusterIndex, options: ZoneOptions) -> Entries:
    """Look up a name under ``pod``; the namespace is known to be exposed."""
    if options.pods is PodMode.DISABLED:
        return None
    if not name.pod:
        return ()
    address = address_of(name.pod)
    if options.pods is PodMode.VERIFIED:
        exists = index.pod_at(address, name.namespace)
    else:
        exists = packed(address) is not None
    return (Entry(address, 0, (name.pod, name.namespace, "pod")),) if exists else None


def address_of(label: str) -> str:
    """Turn a Pod's label into the text of an address, which may turn out not to be one (F2)."""
    if label.count("-") == 3 and "--" not in label:
        return label.replace("-", ".")
    return label.replace("-", ":")
