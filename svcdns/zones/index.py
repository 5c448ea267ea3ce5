"""What DNS needs to find in the store and the store does not keep: addresses, and the serial.

Follows a :class:`~svcdns.kube.store.Store` by its deltas.  Names are looked up in the store
itself; only look-ups *by address* need an index of their own.

Parity: CoreDNS ``plugin/kubernetes/controller.go`` (indexers, ``updateModified``).
"""

from collections.abc import Callable, Iterable
from itertools import chain
from typing import TypeVar, cast

from svcdns.kube.metadata import ObjectKey
from svcdns.kube.objects import EndpointSlice, Kind, Pod, Service, ServiceImport
from svcdns.kube.store import Delta, Store
from svcdns.zones.owners import MULTICLUSTER_SERVICE_LABEL

_K = TypeVar("_K")


class _ByAddress:
    """Address to keys; a single key, the usual case, is held without a container of its own."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: dict[str, ObjectKey | list[ObjectKey]] = {}

    def add(self, address: str, key: ObjectKey) -> None:
        held = self._keys.get(address)
        if held is None:
            self._keys[address] = key
        elif isinstance(held, tuple):
            if held != key:
                self._keys[address] = [held, key]
        elif key not in held:
            held.append(key)

    def remove(self, address: str, key: ObjectKey) -> None:
        held = self._keys.get(address)
        if held == key:
            del self._keys[address]
        elif isinstance(held, list) and key in held:
            held.remove(key)
            if len(held) == 1:
                self._keys[address] = held[0]

    def get(self, address: str) -> tuple[ObjectKey, ...]:
        held = self._keys.get(address)
        if held is None:
            return ()
        return (held,) if isinstance(held, tuple) else tuple(held)


class ClusterIndex:
    """Addresses of Services, endpoints and Pods, and the zone's serial number."""

    def __init__(self, store: Store, wall: Callable[[], float]) -> None:
        """Index what *store* holds and follow it.

        Args:
            store: The objects.
            wall: Seconds since the epoch, for serials.
        """
        self.store = store
        self.serial = 0
        "Seconds since the epoch of the last change that DNS can show (rule A4); 0 before any."
        self.multicluster_serial = 0
        "The same for the clusterset zone (rule A5)."
        self.changes = 0
        "Number of changes followed; tells whether anything happened meanwhile."
        self._wall = wall
        self._services = _ByAddress()
        self._slices = _ByAddress()
        self._pods = _ByAddress()
        self._imported: dict[ObjectKey, dict[ObjectKey, EndpointSlice]] = {}
        for key, thing in chain(store.services.items(), store.slices.items(), store.pods.items()):
            self._index(key, None, thing)
        store.subscribe(self.follow)

    def close(self) -> None:
        """Stop following the store."""
        self.store.unsubscribe(self.follow)

    def services_at(self, address: str) -> list[Service]:
        """Services with this cluster IP by name; the first one answers a PTR (rule F4)."""
        services = self.store.services
        return [services[key] for key in sorted(self._services.get(address)) if key in services]

    def slices_at(self, address: str) -> list[EndpointSlice]:
        """Slices that hold a ready endpoint with this address (rule F5)."""
        slices = self.store.slices
        return [slices[key] for key in self._slices.get(address) if key in slices]

    def pod_at(self, address: str, namespace: str) -> bool:
        """Whether a Pod of the namespace has this primary address (rule F3)."""
        return any(key[0] == namespace for key in self._pods.get(address))

    def pods_at(self, address: str) -> tuple[ObjectKey, ...]:
        """Pods with this primary address; more than one on the network of their node (J22)."""
        return self._pods.get(address)

    def imported_slices(self, service: ObjectKey) -> Iterable[EndpointSlice]:
        """Slices of a ServiceImport, by their multicluster label (rule G13)."""
        return self._imported.get(service, {}).values()

    def follow(self, delta: Delta) -> None:
        """Take in one change; called by the store."""
        self.changes += 1
        self._index(delta.key, delta.old, delta.new)
        if _shows(delta):
            self.serial = int(self._wall())
        if delta.kind is Kind.SERVICE_IMPORT and delta.old and delta.new:
            self.multicluster_serial = int(self._wall())

    def _index(self, key: ObjectKey, old: object, new: object) -> None:
        match old or new:
            case Service():
                _move(self._services, key, _service_addresses(old), _service_addresses(new))
            case EndpointSlice():
                _move(self._slices, key, _slice_addresses(old), _slice_addresses(new))
                self._index_import(
                    cast("EndpointSlice | None", old), cast("EndpointSlice | None", new)
                )
            case Pod():
                _move(self._pods, key, _pod_addresses(old), _pod_addresses(new))
            case _:
                pass

    def _index_import(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        if old and (service := _import_of(old)):
            siblings = self._imported.get(service, {})
            siblings.pop(old.key, None)
            if not siblings:
                self._imported.pop(service, None)
        if new and (service := _import_of(new)):
            self._imported.setdefault(service, {})[new.key] = new


def _move(index: _ByAddress, key: ObjectKey, gone: set[str], come: set[str]) -> None:
    for address in gone - come:
        index.remove(address, key)
    for address in come - gone:
        index.add(address, key)


def _service_addresses(service: object) -> set[str]:
    return set(service.addresses) if isinstance(service, Service) else set()


def _slice_addresses(piece: object) -> set[str]:
    # A slice without the label belongs to no service and has no names to point back to.
    if not isinstance(piece, EndpointSlice) or piece.service is None:
        return set()
    return {
        address
        for endpoint in piece.endpoints or ()
        if endpoint.ready
        for address in endpoint.addresses or ()
    }


def _pod_addresses(pod: object) -> set[str]:
    return {pod.status.pod_ip} if isinstance(pod, Pod) and pod.status.pod_ip else set()


def _import_of(piece: EndpointSlice) -> ObjectKey | None:
    name = (piece.metadata.labels or {}).get(MULTICLUSTER_SERVICE_LABEL)
    return (piece.metadata.namespace or "", name) if name else None


def _shows(delta: Delta) -> bool:
    """Whether a change can be seen in DNS, by CoreDNS's count (rule A4).

    One deliberate difference: a changed cluster IP counts (register K19).
    """
    old, new = delta.old, delta.new
    match delta.kind:
        case Kind.NAMESPACE | Kind.NODE | Kind.SERVICE_CIDR:
            return False
        case _ if old is None or new is None:
            return True
        case Kind.SERVICE:
            return _service_view(cast("Service", old)) != _service_view(cast("Service", new))
        case Kind.ENDPOINT_SLICE:
            return _slice_view(cast("EndpointSlice", old)) != _slice_view(
                cast("EndpointSlice", new)
            )
        case Kind.POD:
            return cast("Pod", old).status.pod_ip != cast("Pod", new).status.pod_ip
        case Kind.SERVICE_IMPORT:
            return bool(cast("ServiceImport", old).spec != cast("ServiceImport", new).spec)


def _service_view(service: Service) -> object:
    ports = {(port.name, port.port, port.protocol) for port in service.ports}
    return (service.spec.external_name, service.addresses, ports)


def _slice_view(piece: EndpointSlice) -> object:
    ready = {
        (endpoint.addresses, endpoint.hostname, endpoint.zone)
        for endpoint in piece.endpoints or ()
        if endpoint.ready
    }
    return (ready, piece.ports)
