"""The kubernetes plugin over a small cluster."""

from svcdns.corefile.fallthrough import Fallthrough
from svcdns.kube.objects import Kind, KubeObject
from svcdns.kube.source import ApiSource
from svcdns.kube.store import Store
from svcdns.plugins.clusters import Cluster
from svcdns.plugins.kubernetes import Kubernetes
from svcdns.zones.index import ClusterIndex
from svcdns.zones.options import ZoneOptions
from svcdns.zones.zone import ClusterZones
from tests.support.cluster import namespace, service, store_of
from tests.support.records import wire_name

CLUSTER: tuple[KubeObject, ...] = (
    namespace("prod"),
    service("prod/web", "10.96.0.10", ports=("http:TCP:80",)),
    service("prod/ext", external_name="api.example.net"),
)


def plugin(store: Store | None = None, through: tuple[str, ...] = ()) -> Kubernetes:
    store = store or store_of(*CLUSTER)
    index = ClusterIndex(store, wall=lambda: 7.0)
    zones = tuple(map(wire_name, ("cluster.local", "in-addr.arpa")))
    cluster = Cluster(ApiSource(kinds=(Kind.SERVICE,)), store, index)
    fall = Fallthrough(tuple(map(wire_name, through)))
    return Kubernetes(ClusterZones(ZoneOptions(zones=zones), index), cluster, fall)
