"""The grammar of names under a cluster zone.

Every name under the zone is one of these shapes, whether it exists or not; the shape says which
objects the answer depends on (see :mod:`svcdns.zones.owners`).

Spec: DNS-SD spec §2.  Parity: CoreDNS ``plugin/kubernetes/parse.go`` (rules B1 to B11, G12, G13).
"""

from typing import Final, TypeAlias

from msgspec import Struct


class Structure(Struct, frozen=True, gc=False):
    """The apex, ``svc`` or ``pod``: empty names that always exist (rule B2)."""


class Unparsable(Struct, frozen=True, gc=False):
    """No shape of this grammar: never exists (rules B5, B9)."""


class ServiceName(Struct, frozen=True, gc=False):
    """A name under ``svc``: a namespace, a service, one of its endpoints or one of its ports."""

    namespace: str
    service: str = ""
    "Empty: the name of the namespace itself."
    endpoint: str = ""
    port: str = ""
    "Without underscore; empty matches every port (rule B8)."
    protocol: str = ""
    cluster: str = ""
    "Cluster id of a multicluster endpoint (rule G13)."
    zone: str = ""
    "Topology zone of a zonal name (rule G12)."
    prefer: bool = False
    "Zonal with fall-back to all endpoints."


class PodName(Struct, frozen=True, gc=False):
    """A name under ``pod``; *pod* is the dashed address (rules F1 to F3)."""

    namespace: str
    pod: str = ""


Shape: TypeAlias = Structure | Unparsable | ServiceName | PodName

STRUCTURE: Final = Structure()
UNPARSABLE: Final = Unparsable()

_ZONAL = b"_zone"
_ZONAL_MODES: Final = {b"pin": False, b"prefer": True}


def parse(labels: tuple[bytes, ...], *, multicluster: bool = False, zonal: bool = False) -> Shape:
    """Read the labels left of the zone, lower-case, leftmost first.

    Args:
        labels: The query's labels without those of the zone.
        multicluster: Whether the zone holds ServiceImports (rule G13).
        zonal: Whether the ``zonal`` option is on (rule G12).
    """
    if not labels:
        return STRUCTURE
    kind = labels[-1]
    if kind not in (b"svc", b"pod"):
        return UNPARSABLE
    if len(labels) == 1:
        return STRUCTURE
    namespace = labels[-2].decode("latin-1")
    if kind == b"pod":
        return _pod(labels, namespace)
    if zonal and len(labels) > 5 and labels[-4] == _ZONAL:
        return _zonal(labels, namespace)
    return _service(labels, namespace, multicluster=multicluster)


def _pod(labels: tuple[bytes, ...], namespace: str) -> Shape:
    if len(labels) == 2:
        return PodName(namespace)
    # Up to two labels left of the address are ignored: rule B11.
    if len(labels) > 5:
        return UNPARSABLE
    return PodName(namespace, labels[-3].decode("latin-1"))


def _service(labels: tuple[bytes, ...], namespace: str, *, multicluster: bool) -> Shape:
    size = len(labels)
    if size == 2:
        return ServiceName(namespace)
    service = labels[-3].decode("latin-1")
    if size == 3:
        return ServiceName(namespace, service)
    if size == 4:
        return ServiceName(namespace, service, endpoint=labels[0].decode("latin-1"))
    if size > 5:
        return UNPARSABLE
    left, right = labels[0].decode("latin-1"), labels[1].decode("latin-1")
    if multicluster and not (left.startswith("_") or right.startswith("_")):
        return ServiceName(namespace, service, endpoint=left, cluster=right)
    return ServiceName(
        namespace, service, port=left.removeprefix("_"), protocol=right.removeprefix("_")
    )


def _zonal(labels: tuple[bytes, ...], namespace: str) -> Shape:
    """Read ``<zone, may hold dots>.pin._zone.<svc>.<ns>.svc`` (rule G12)."""
    if labels[-5] not in _ZONAL_MODES:
        return UNPARSABLE
    return ServiceName(
        namespace,
        labels[-3].decode("latin-1"),
        zone=b".".join(labels[:-5]).decode("latin-1"),
        prefer=_ZONAL_MODES[labels[-5]],
    )
