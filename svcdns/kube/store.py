"""The one copy of the cluster's objects, and the changes made to it.

Sources (an API watch, a directory of manifests) call :meth:`Store.apply`, :meth:`Store.delete`
and :meth:`Store.replace`; consumers (DNS zones, the proxy's plan) subscribe to deltas.  A delta is
delivered after the store has changed, so a consumer may read the store while it handles one.
"""

from collections.abc import Callable, Iterable
from typing import cast

from msgspec import Struct

from svcdns.kube.metadata import ObjectKey
from svcdns.kube.nodes import Node
from svcdns.kube.objects import (
    EndpointSlice,
    Kind,
    KubeObject,
    Namespace,
    Pod,
    Service,
    ServiceCIDR,
    ServiceImport,
)
from svcdns.kube.resources import KIND_OF


class Delta(Struct, frozen=True):
    """One change: *old* is ``None`` for an addition, *new* for a deletion."""

    kind: Kind
    key: ObjectKey
    old: KubeObject | None
    new: KubeObject | None


Subscriber = Callable[[Delta], None]


class Store:
    """Objects by kind and key, with the slices of every Service at hand."""

    def __init__(self) -> None:
        self.services: dict[ObjectKey, Service] = {}
        "All Services; read only, as the others."
        self.slices: dict[ObjectKey, EndpointSlice] = {}
        "All EndpointSlices."
        self.namespaces: dict[ObjectKey, Namespace] = {}
        "All Namespaces."
        self.pods: dict[ObjectKey, Pod] = {}
        "All Pods."
        self.nodes: dict[ObjectKey, Node] = {}
        "All Nodes."
        self.service_cidrs: dict[ObjectKey, ServiceCIDR] = {}
        "All ServiceCIDRs."
        self.service_imports: dict[ObjectKey, ServiceImport] = {}
        "All ServiceImports."
        by_kind = {
            Kind.SERVICE: self.services,
            Kind.ENDPOINT_SLICE: self.slices,
            Kind.NAMESPACE: self.namespaces,
            Kind.POD: self.pods,
            Kind.NODE: self.nodes,
            Kind.SERVICE_CIDR: self.service_cidrs,
            Kind.SERVICE_IMPORT: self.service_imports,
        }
        self._objects = cast("dict[Kind, dict[ObjectKey, KubeObject]]", by_kind)
        self._slices: dict[ObjectKey, tuple[EndpointSlice, ...]] = {}
        self._subscribers: list[Subscriber] = []
        self.wanted: set[Kind] = set()
        "Kinds that a source feeds; set before the source starts."
        self.listed: set[Kind] = set()
        "Kinds whose first full list has arrived."

    @property
    def synced(self) -> bool:
        """Whether every wanted kind was listed once; never goes back (rule I3)."""
        return self.wanted <= self.listed

    def count(self, kind: Kind) -> int:
        """Give the number of objects of a kind."""
        return len(self._objects[kind])

    def slices_of(self, service: ObjectKey) -> Iterable[EndpointSlice]:
        """Iterate over the slices labelled with a Service, whether or not it exists."""
        return self._slices.get(service, ())

    def subscribe(self, subscriber: Subscriber) -> None:
        """Have *subscriber* called for every change from now on."""
        self._subscribers.append(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Stop calling *subscriber*; the store outlives a configuration that is reloaded."""
        self._subscribers.remove(subscriber)

    def apply(self, new: KubeObject) -> Delta | None:
        """Add or update an object; ``None`` when it is equal to what is there."""
        kind = KIND_OF[type(new)]
        objects, key = self._objects[kind], new.key
        old = objects.get(key)
        if old == new:
            return None
        objects[key] = new
        if kind is Kind.ENDPOINT_SLICE:
            self._reindex(cast("EndpointSlice | None", old), cast("EndpointSlice", new))
        return self._publish(Delta(kind, key, old, new))

    def delete(self, kind: Kind, key: ObjectKey) -> Delta | None:
        """Remove an object; ``None`` when there is none (a duplicate event)."""
        old = self._objects[kind].pop(key, None)
        if old is None:
            return None
        if kind is Kind.ENDPOINT_SLICE:
            self._reindex(cast("EndpointSlice", old), None)
        return self._publish(Delta(kind, key, old, None))

    def replace(self, kind: Kind, keys: Iterable[ObjectKey]) -> list[Delta]:
        """End a full list: delete what it did not name, and count the kind as listed.

        The objects of the list itself have been applied one by one before (so that decoding a
        large list can yield to the loop); *keys* are the keys it named.
        """
        return self.complete(kind, self._objects[kind].keys() - set(keys))

    def held(self, kind: Kind) -> dict[ObjectKey, KubeObject]:
        """Give a copy of what is here of a kind, for who begins a full list of it."""
        return self._objects[kind].copy()

    def complete(self, kind: Kind, vanished: Iterable[ObjectKey]) -> list[Delta]:
        """End a full list as :meth:`replace` does; *vanished* are the keys it did not name.

        So nothing has to look through all keys at once, which takes milliseconds.
        """
        deltas = [delta for key in vanished if (delta := self.delete(kind, key))]
        self.listed.add(kind)
        return deltas

    def _reindex(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        if old and (service := old.service):
            siblings = tuple([one for one in self._slices.get(service, ()) if one is not old])
            if siblings:
                self._slices[service] = siblings
            else:
                self._slices.pop(service, None)
        if new and (service := new.service):
            self._slices[service] = (*self._slices.get(service, ()), new)

    def _publish(self, delta: Delta) -> Delta:
        for subscriber in tuple(self._subscribers):
            subscriber(delta)
        return delta
