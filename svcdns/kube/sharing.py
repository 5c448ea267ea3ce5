"""One copy of what many objects say alike, and nothing of what nobody reads.

A decoder makes every string anew: a cluster of 10,000 Services holds as many copies of the word
``ClusterIP`` and of the ports ``http`` and ``metrics``.  Objects are put right in place before
anybody else sees them, which is the only moment when they may change.
"""

import sys
from typing import TypeVar

from msgspec.structs import force_setattr

from svcdns.kube.metadata import Metadata
from svcdns.kube.objects import EndpointSlice, KubeObject, Service, ServiceSpec
from svcdns.kube.packing import pack

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""An annotation that holds the whole object once more; nobody here reads it."""

MOST = 1024
"""Different values that are kept for others to share; then it begins anew."""

_WORDS = (
    "type",
    "ip_family_policy",
    "session_affinity",
    "internal_traffic_policy",
    "external_traffic_policy",
    "traffic_distribution",
)
"""Fields of a Service that hold one of a few words."""

_Value = TypeVar("_Value")

_known: dict[object, object] = {}


def share(found: KubeObject) -> None:
    """Share an object's parts with those of other objects; it has just been decoded."""
    _metadata(found.metadata)
    match found:
        case EndpointSlice(endpoints=endpoints):
            force_setattr(found, "address_type", sys.intern(found.address_type))
            force_setattr(found, "ports", _one(found.ports))
            if endpoints is not None:
                force_setattr(found, "endpoints", pack(endpoints))
        case Service():
            _service(found.spec)
            force_setattr(found, "status", _one(found.status))


def _metadata(metadata: Metadata) -> None:
    force_setattr(metadata, "name", sys.intern(metadata.name))
    if metadata.namespace is not None:
        force_setattr(metadata, "namespace", sys.intern(metadata.namespace))
    if metadata.annotations:
        metadata.annotations.pop(LAST_APPLIED, None)
        # Their values are times, settings, whole documents: seldom twice the same.
        kept = {sys.intern(key): value for key, value in metadata.annotations.items()}
        force_setattr(metadata, "annotations", kept or None)
    force_setattr(metadata, "labels", _words(metadata.labels))


def _service(spec: ServiceSpec) -> None:
    for field in _WORDS:
        word = getattr(spec, field)
        if word is not None:
            force_setattr(spec, field, sys.intern(word))
    force_setattr(spec, "ip_families", _one(spec.ip_families))
    force_setattr(spec, "ports", _one(spec.ports))
    force_setattr(spec, "selector", _words(spec.selector))
    if spec.cluster_ips == (spec.cluster_ip,):
        force_setattr(spec, "cluster_ip", spec.cluster_ips[0])


def _words(found: dict[str, str] | None) -> dict[str, str] | None:
    """Share keys and values; an empty mapping says no more than none."""
    if not found:
        return None
    return {sys.intern(key): sys.intern(value) for key, value in found.items()}


def _one(value: _Value) -> _Value:
    """Give the first one of equal values."""
    if len(_known) >= MOST:
        _known.clear()
    return _known.setdefault(value, value)  # type: ignore[return-value]  # an equal one
