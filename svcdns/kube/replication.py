"""Changes of a store, on their way to copies of it in other processes.

A copy begins equal (it is forked), and stays so by applying what the first one applied, in order.
Nothing is ever sent twice or asked for again: a copy that missed something is thrown away.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from svcdns.kube.metadata import ObjectKey
from svcdns.kube.objects import EndpointSlice, Kind, KubeObject
from svcdns.kube.packing import PackedEndpoints, pack
from svcdns.kube.resources import KIND_OF
from svcdns.kube.sharing import share
from svcdns.kube.store import Delta, Store

_TYPE_OF = {kind: found for found, kind in KIND_OF.items()}

_encoder = msgspec.msgpack.Encoder()

_decoders: dict[Kind, msgspec.msgpack.Decoder[KubeObject]] = {
    kind: msgspec.msgpack.Decoder(found) for kind, found in _TYPE_OF.items()
}


class Changed(Struct, frozen=True, array_like=True, tag="changed"):
    """One change."""

    identity: str
    "Of the store's source."
    kind: Kind
    key: ObjectKey
    body: bytes
    "The object now, as msgpack; empty: it is gone."
    endpoints: bytes = b""
    "Those of a slice, packed as they are remembered; empty: it has none."


class Marked(Struct, frozen=True, array_like=True, tag="marked"):
    """What a store is known by beside its objects."""

    identity: str
    listed: tuple[Kind, ...]
    "Kinds whose first list is complete."
    serial: int
    "Of the zone; all processes show the same."
    multicluster_serial: int


def changed(identity: str, delta: Delta) -> Changed:
    """Write a change down for others."""
    if delta.new is None:
        return Changed(identity, delta.kind, delta.key, b"")
    new, octets = delta.new, b""
    if isinstance(new, EndpointSlice) and new.endpoints is not None:
        octets = pack(new.endpoints).octets
        new = replace(new, endpoints=None)
    return Changed(identity, delta.kind, delta.key, _encoder.encode(new), octets)


def apply(message: Changed, stores: Mapping[str, Store]) -> None:
    """Repeat a change in the copy; a store that this process does not have is passed over.

    Raises:
        msgspec.DecodeError: The object cannot be read.
    """
    store = stores.get(message.identity)
    if store is None:
        return
    if not message.body:
        store.delete(message.kind, message.key)
        return
    found = _decoders[message.kind].decode(message.body)
    if message.endpoints:
        found = replace(found, endpoints=PackedEndpoints(message.endpoints))
    share(found)
    store.apply(found)
