"""The endpoints of a slice in few octets.

They are most of what there is to remember of a large cluster, and few of them are ever looked at:
a name with a cluster IP is answered without them.  So a slice holds them as one piece of msgpack,
a fifth of what they take as objects, and they are read when somebody asks.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias, overload

import msgspec

from svcdns.kube.objects import Conditions, Endpoint, ForNode, ForZone, Hints, TargetRef

JUST_READ = 8
"""Slices whose endpoints stay objects: one change is looked at by several, one after another."""


class _Conditions(Conditions, frozen=True, array_like=True):
    """Without the names of fields, as all that follow."""


class _TargetRef(TargetRef, frozen=True, array_like=True):
    pass


class _ForZone(ForZone, frozen=True, array_like=True):
    pass


class _ForNode(ForNode, frozen=True, array_like=True):
    pass


class _Hints(Hints, frozen=True, array_like=True):
    for_zones: tuple[_ForZone, ...] | None = None
    for_nodes: tuple[_ForNode, ...] | None = None


class _Endpoint(Endpoint, frozen=True, array_like=True):
    conditions: _Conditions | None = None
    target_ref: _TargetRef | None = None
    hints: _Hints | None = None


_Endpoints: TypeAlias = tuple[_Endpoint, ...]

_recent: dict[bytes, _Endpoints] = {}

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Endpoints).decode


class PackedEndpoints(Sequence[Endpoint]):
    """Endpoints, to be iterated over like a tuple of them; immutable."""

    __slots__ = ("octets",)

    def __init__(self, octets: bytes) -> None:
        """Take what :attr:`octets` of another one gave."""
        self.octets = octets
        "All there is; equal for equal endpoints."

    @overload
    def __getitem__(self, at: int) -> Endpoint: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Endpoint]: ...
    def __getitem__(self, at: int | slice) -> Endpoint | Sequence[Endpoint]:
        """Read one endpoint, or some."""
        return _read(self.octets)[at]

    def __iter__(self) -> Iterator[Endpoint]:
        """Read all endpoints."""
        return iter(_read(self.octets))

    def __len__(self) -> int:
        """Count them."""
        return len(_read(self.octets))

    def __eq__(self, other: object) -> bool:
        """Compare, also with endpoints that are not packed."""
        if isinstance(other, PackedEndpoints):
            return self.octets == other.octets
        if isinstance(other, tuple | list):
            return self.octets == pack(other).octets
        return NotImplemented

    def __hash__(self) -> int:
        """Hash equal ones alike."""
        return hash(self.octets)

    def __repr__(self) -> str:
        """Show the endpoints."""
        return repr(_read(self.octets))


def pack(endpoints: Sequence[Endpoint]) -> PackedEndpoints:
    """Pack endpoints; those that are packed stay as they are."""
    if isinstance(endpoints, PackedEndpoints):
        return endpoints
    rows = msgspec.convert(endpoints, _Endpoints, from_attributes=True)
    octets = _encode(rows)
    _remember(octets, rows)
    return PackedEndpoints(octets)


def _read(octets: bytes) -> _Endpoints:
    found = _recent.get(octets)
    if found is None:
        found = _decode(octets)
        _remember(octets, found)
    return found


def _remember(octets: bytes, rows: _Endpoints) -> None:
    if len(_recent) >= JUST_READ:
        del _recent[next(iter(_recent))]
    _recent[octets] = rows
