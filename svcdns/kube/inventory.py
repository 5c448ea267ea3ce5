"""What a directory of manifests amounts to: the objects of all files, completed, in one store.

Files are put and dropped; :meth:`Inventory.settle` then brings the store in step.  Which object is
in force depends on the files only, not on their history: of several definitions of one object the
last counts, by name of file, then by place.  Objects are completed by what a cluster would add:
Namespaces that are used and not declared, addresses (:mod:`svcdns.kube.addresses`), EndpointSlices
(:mod:`svcdns.kube.endpoints`).
"""

from collections.abc import Callable, Container, Iterable
from ipaddress import ip_address
from typing import cast

from msgspec import Struct
from msgspec.structs import replace

from svcdns.kube.addresses import (
    Claim,
    Lease,
    Origin,
    allocate,
    allocate_node_ports,
    in_loopback,
)
from svcdns.kube.endpoints import MANAGED_BY, Declared, SliceController
from svcdns.kube.manifests import (
    DEFAULT_NAMESPACE,
    ENDPOINTS,
    Located,
    Manifest,
    Notice,
    subject_of,
)
from svcdns.kube.metadata import Metadata, ObjectKey
from svcdns.kube.mirroring import MANAGED_BY_LABEL, MIRRORED_BY, Endpoints
from svcdns.kube.objects import (
    EndpointSlice,
    Kind,
    KubeObject,
    Namespace,
    Pod,
    PodIP,
    Service,
    ServicePort,
)
from svcdns.kube.store import Delta, Store

ECHO_LABEL = "svcdns.io/echo"
"""Asks for an echo endpoint on a Pod's address (:mod:`svcdns.aio.echo`)."""

_EXPORTED = (MANAGED_BY, MIRRORED_BY)


class Settled(Struct, frozen=True):
    """What a batch of files has changed."""

    deltas: tuple[Delta, ...]
    "In the order in which the store changed."
    notices: tuple[Notice, ...]
    "Those that were not there before the batch."


class Inventory:
    """The manifests of a directory, and the store that they fill."""

    def __init__(
        self,
        store: Store,
        *,
        reserved: Container[str] = (),
        bindable: Callable[[str], bool] = in_loopback,
    ) -> None:
        """Fill *store*; *reserved* and *bindable* are those of :func:`.addresses.allocate`."""
        self._store = store
        self._reserved = reserved
        self._bindable = bindable
        self._manifests: dict[str, Manifest] = {}
        self._said: set[tuple[str, str, str]] = set()
        self._slices = SliceController(store)
        self.settled = False
        "Whether :meth:`settle` was called."
        store.wanted |= set(Kind)

    def put(self, manifest: Manifest) -> None:
        """Add a file, or replace what it held before."""
        self._manifests[manifest.file] = manifest

    def drop(self, file: str) -> None:
        """Forget a file."""
        self._manifests.pop(file, None)

    def file(self, name: str) -> Manifest:
        """Give what a file holds; changes to it count with the next :meth:`settle`."""
        return self._manifests[name]

    @property
    def files(self) -> frozenset[str]:
        """Names of the files that count."""
        return frozenset(self._manifests)

    def settle(self) -> Settled:
        """Bring the store in step with the files."""
        deltas: list[Delta] = []
        self._store.subscribe(deltas.append)
        try:
            notices = self._settle()
        finally:
            self._store.unsubscribe(deltas.append)
        self.settled = True
        return Settled(tuple(deltas), self._news(notices))

    def _settle(self) -> list[Notice]:
        in_force, notices = self._in_force()
        objects = [cast("KubeObject", one.object) for one in in_force if one.kind != ENDPOINTS]
        plain, exported = _split(objects)
        endpoints = [one.object for one in in_force if isinstance(one.object, Endpoints)]
        plain += _implicit_namespaces([*objects, *endpoints])
        leases = allocate(
            (claim for one in plain if (claim := _claim(one))),
            reserved=self._reserved,
            bindable=self._bindable,
        )
        node_ports = allocate_node_ports(one for one in plain if isinstance(one, Service))
        places = {(one.kind, one.key): one for one in in_force}
        names: dict[Kind, list[ObjectKey]] = {kind: [] for kind in Kind}
        for one in plain:
            kind = Kind(type(one).__name__)
            lease = leases.get((kind, one.key))
            names[kind].append(one.key)
            if place := places.get((kind.value, one.key)):
                notices += self._about_addresses(place, lease)
            if kind is not Kind.ENDPOINT_SLICE:
                self._store.apply(complete(one, lease, node_ports.get(one.key)))
        for kind in Kind:
            if kind is not Kind.ENDPOINT_SLICE:
                self._store.replace(kind, names[kind])
        self._slices.declare(_declared(exported, endpoints))
        self._slices.reconcile()
        # after the controller's: one that was exported before may be hand-made now
        for one in plain:
            if isinstance(one, EndpointSlice):
                self._store.apply(one)
        made = self._slices.made
        self._store.replace(Kind.ENDPOINT_SLICE, [*names[Kind.ENDPOINT_SLICE], *made])
        return notices

    def _in_force(self) -> tuple[list[Located], list[Notice]]:
        """Choose the last definition of every object; say which others there are."""
        found: dict[tuple[str, ObjectKey], Located] = {}
        notices: list[Notice] = []
        for file in sorted(self._manifests):
            manifest = self._manifests[file]
            notices += manifest.notices
            for one in manifest.objects:
                before = found.pop((one.kind, one.key), None)
                if before:
                    message = f"defined before in {before.file}:{before.line}: this one counts"
                    notices.append(Notice(one.file, one.line, subject_of(one.object), message))
                found[one.kind, one.key] = one
        return list(found.values()), notices

    def _about_addresses(self, place: Located, lease: Lease | None) -> list[Notice]:
        """Say where an object's address is not the one that its manifest gives."""
        found = place.object
        subject, messages = subject_of(found), []
        wanted = _wanted(found)
        if lease and lease.origin is Origin.MOVED:
            messages.append(f"{wanted} cannot be bound on this machine: {lease.address} stands in")
        elif lease and lease.origin is Origin.TAKEN:
            messages.append(f"{wanted} belongs to another object: {lease.address} stands in")
        if isinstance(found, Service):
            for address in found.addresses:
                if ip_address(address).version == 6 and not self._bindable(address):
                    messages.append(
                        f"{address} cannot be bound on this machine: names lead to it,"
                        " but nothing listens there"
                    )
        return [Notice(place.file, place.line, subject, message) for message in messages]

    def _news(self, notices: Iterable[Notice]) -> tuple[Notice, ...]:
        """Keep what was not said before; a line that has moved is no news."""
        now = {(one.file, one.subject, one.message): one for one in notices}
        news = tuple(one for identity, one in now.items() if identity not in self._said)
        self._said = set(now)
        return news


def _split(objects: Iterable[KubeObject]) -> tuple[list[KubeObject], list[EndpointSlice]]:
    """Part the slices that a cluster's controllers made from everything else."""
    plain: list[KubeObject] = []
    exported: list[EndpointSlice] = []
    for one in objects:
        labels = one.metadata.labels or {}
        if (
            isinstance(one, EndpointSlice)
            and one.service
            and labels.get(MANAGED_BY_LABEL) in _EXPORTED
        ):
            exported.append(one)
        else:
            plain.append(one)
    return plain, exported


def _declared(
    exported: Iterable[EndpointSlice], endpoints: Iterable[Endpoints]
) -> dict[ObjectKey, Declared]:
    owned: dict[ObjectKey, list[EndpointSlice]] = {}
    for one in exported:
        if one.service:
            owned.setdefault(one.service, []).append(one)
    by_key = {one.key: one for one in endpoints}
    return {
        key: Declared(tuple(owned.get(key, ())), by_key.get(key))
        for key in owned.keys() | by_key.keys()
    }


def _implicit_namespaces(objects: Iterable[KubeObject | Endpoints]) -> list[KubeObject]:
    """Make the Namespaces that are used and not declared; ``default`` always exists."""
    declared, used = set(), {DEFAULT_NAMESPACE}
    for one in objects:
        if isinstance(one, Namespace):
            declared.add(one.metadata.name)
        elif one.metadata.namespace:
            used.add(one.metadata.namespace)
    return [Namespace(Metadata(name)) for name in sorted(used - declared)]


def _wanted(found: KubeObject | Endpoints) -> str:
    """Find the IPv4 address that a manifest gives an object."""
    match found:
        case Service():
            given = list(found.addresses)
        case Pod():
            given = [one.ip for one in found.status.pod_ips or ()]
        case _:
            given = []
    return next((one for one in given if one and ip_address(one).version == 4), "")


def _claim(found: KubeObject) -> Claim | None:
    """Tell what address an object needs, if it needs one."""
    match found:
        case Service() if not found.headless and found.spec.type != "ExternalName":
            wanted = _wanted(found)
            if found.addresses and not wanted:
                return None  # IPv6 only: there is no range of loopback addresses to move to
            return Claim(Kind.SERVICE, found.key, wanted)
        case Pod():
            wanted = _wanted(found)
            if found.status.pod_ips and not wanted:
                return None
            echo = ECHO_LABEL in (found.metadata.labels or {})
            return Claim(Kind.POD, found.key, wanted, must_bind=echo, shared=True)
        case _:
            return None


def complete(
    found: KubeObject, lease: Lease | None, ports: tuple[ServicePort, ...] | None = None
) -> KubeObject:
    """Put in what was given: an address for the manifest's IPv4 address, ports with node ports."""
    if ports and isinstance(found, Service):
        found = replace(found, spec=replace(found.spec, ports=ports))
    if lease is None or lease.origin is Origin.GIVEN:
        return found
    wanted, address = _wanted(found), lease.address
    match found:
        case Service():
            spec = found.spec
            given = tuple(address if one == wanted else one for one in found.addresses)
            given = given or (address,)
            families = tuple(f"IPv{ip_address(one).version}" for one in given)
            return replace(
                found,
                spec=replace(spec, cluster_ip=given[0], cluster_ips=given, ip_families=families),
            )
        case Pod():
            ips = [address if one.ip == wanted else one.ip for one in found.status.pod_ips or ()]
            ips = ips or [address]
            status = replace(found.status, pod_ip=ips[0], pod_ips=tuple(PodIP(one) for one in ips))
            return replace(found, status=status)
        case _:
            return found
