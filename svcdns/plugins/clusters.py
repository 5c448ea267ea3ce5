"""The clusters that a process keeps copies of.

A copy outlives the configuration that asked for it: a reload that wants the same source finds its
objects, index and serial as they were, instead of listing everything again.
"""

from collections.abc import Callable, Hashable, Iterable, MutableMapping
from weakref import WeakValueDictionary

from msgspec import Struct

from svcdns.kube.source import ApiSource
from svcdns.kube.store import Store
from svcdns.zones.index import ClusterIndex


class Cluster(Struct, eq=False):
    """One copy: where it comes from, its objects, and what DNS finds by address."""

    source: ApiSource
    store: Store
    index: ClusterIndex


class Clusters:
    """Copies by source; equal sources share one."""

    def __init__(self, wall: Callable[[], float]) -> None:
        """Start without any; *wall* gives seconds since the epoch, for serials."""
        self._wall = wall
        self._clusters: dict[str, Cluster] = {}
        self.others: MutableMapping[Hashable, object] = WeakValueDictionary()
        """Copies of other things, for as long as a configuration holds them: while a new one is
        made the old one is still there, so nothing that both want is lost (``secondary``)."""

    def get(self, source: ApiSource) -> Cluster:
        """Give the copy for a source, empty and unsynced when it is new."""
        found = self._clusters.get(source.identity)
        if found is None:
            store = Store()
            # Before anything is fed in, a store without wishes would count as complete.
            store.wanted = set(source.kinds)
            found = Cluster(source, store, ClusterIndex(store, self._wall))
            self._clusters[source.identity] = found
        return found

    def retain(self, clusters: Iterable[Cluster]) -> list[Cluster]:
        """Forget all but *clusters*; give those that were forgotten."""
        kept = {cluster.source.identity for cluster in clusters}
        gone = [self._clusters.pop(key) for key in self._clusters.keys() - kept]
        for cluster in gone:
            cluster.index.close()
        return gone
