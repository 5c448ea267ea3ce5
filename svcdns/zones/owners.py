"""What a stored answer depends on, and which of it a change touches.

The grammar makes invalidation exact: every name under the cluster zone depends on one Service and
its Namespace, on a Pod's address, or (PTR) on an address.  That holds for names that do not exist
as well, so a stored negative answer dies in the moment its Service is created.
"""

from collections.abc import Iterator, Sequence
from enum import IntEnum
from itertools import zip_longest
from typing import TypeAlias

from svcdns.kube.objects import Endpoint, EndpointSlice, Kind, Pod, Service, ServiceImport
from svcdns.kube.store import Delta


class Level(IntEnum):
    """What kind of thing an owner is."""

    SERVICE = 1
    "A Service with its slices: namespace, name."
    NAMESPACE = 2
    "Everything in a namespace: name, empty."
    ADDRESS = 3
    "An address, for PTR: address, empty."
    POD = 4
    "A Pod's address, for ``pods verified``: address, namespace."
    IMPORT = 5
    "A ServiceImport with its slices: namespace, name."


# Plain numbers: a tuple of nothing but those and text is of no interest to the garbage collector,
# and there are two for every stored answer.
_SERVICE, _NAMESPACE, _ADDRESS = int(Level.SERVICE), int(Level.NAMESPACE), int(Level.ADDRESS)
_POD, _IMPORT = int(Level.POD), int(Level.IMPORT)

Owner: TypeAlias = tuple[int, str, str]
"""A :class:`Level`, and two texts that say which."""


def of_service(namespace: str, name: str) -> Owner:
    """Own the names of one Service."""
    return (_SERVICE, namespace, name)


def of_namespace(namespace: str) -> Owner:
    """Own the names of a namespace, those of its Services included."""
    return (_NAMESPACE, namespace, "")


def of_address(address: str) -> Owner:
    """Own the PTR name of an address."""
    return (_ADDRESS, address, "")


def of_pod(address: str, namespace: str) -> Owner:
    """Own the name of a verified Pod."""
    return (_POD, address, namespace)


def of_import(namespace: str, name: str) -> Owner:
    """Own the names of one ServiceImport."""
    return (_IMPORT, namespace, name)


MULTICLUSTER_SERVICE_LABEL = "multicluster.kubernetes.io/service-name"
"""Ties an EndpointSlice to a ServiceImport (KEP-1645)."""


def touched(delta: Delta) -> Iterator[Owner]:
    """Give every owner whose answers a change may alter; an owner may come twice."""
    match delta.kind:
        case Kind.SERVICE:
            yield of_service(*delta.key)
            for service in (delta.old, delta.new):
                if isinstance(service, Service):
                    for address in service.addresses:
                        yield of_address(address)
        case Kind.ENDPOINT_SLICE:
            yield from _slice_owners(delta)
        case Kind.NAMESPACE:
            yield of_namespace(delta.key[1])
        case Kind.POD:
            for pod in (delta.old, delta.new):
                if isinstance(pod, Pod) and pod.status.pod_ip:
                    yield of_pod(pod.status.pod_ip, pod.metadata.namespace or "")
        case Kind.SERVICE_IMPORT:
            for imported in (delta.old, delta.new):
                if isinstance(imported, ServiceImport):
                    yield of_import(*imported.key)
        case Kind.NODE | Kind.SERVICE_CIDR:
            pass


def _slice_owners(delta: Delta) -> Iterator[Owner]:
    slices = [piece for piece in (delta.old, delta.new) if isinstance(piece, EndpointSlice)]
    for piece in slices:
        if service := piece.service:
            yield of_service(*service)
        if imported := (piece.metadata.labels or {}).get(MULTICLUSTER_SERVICE_LABEL):
            yield of_import(piece.metadata.namespace or "", imported)
    # Only endpoints that differ can change what an address points back to; a slice that moves to
    # another service changes it for all of them.
    endpoints = [piece.endpoints or () for piece in slices]
    if len(slices) == 2 and slices[0].service == slices[1].service:
        endpoints = _differing(*endpoints)
    for some in endpoints:
        for endpoint in some:
            for address in endpoint.addresses or ():
                yield of_address(address)


def _differing(old: Sequence[Endpoint], new: Sequence[Endpoint]) -> list[Sequence[Endpoint]]:
    """Leave out what both have; mostly it is in the same place, and comparing is soon done."""
    moved = [pair for pair in zip_longest(old, new) if pair[0] != pair[1]]
    before = {one for one, _ in moved if one is not None}
    after = {one for _, one in moved if one is not None}
    return [tuple(before - after), tuple(after - before)]
