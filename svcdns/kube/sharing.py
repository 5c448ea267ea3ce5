"""One copy of what many objects say alike, and nothing of what nobody reads.

A decoder makes every string anew: a cluster of 100,000 endpoints holds as many copies of a few
hundred node names, of the word ``Pod`` and of three conditions.  Objects are put right in place
before anybody else sees them, which is the only moment when they may change.
"""

import sys

from msgspec.structs import force_setattr

from svcdns.kube.objects import Conditions, Endpoint, EndpointSlice, KubeObject, Metadata, TargetRef

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""An annotation that holds the whole object once more; nobody here reads it."""

_conditions: dict[Conditions, Conditions] = {}
"""At most 27: three conditions with three values each."""


def share(found: KubeObject) -> None:
    """Share an object's parts with those of other objects; it has just been decoded."""
    _metadata(found.metadata)
    if isinstance(found, EndpointSlice):
        for endpoint in found.endpoints or ():
            _endpoint(endpoint)


def _metadata(metadata: Metadata) -> None:
    if metadata.namespace is not None:
        force_setattr(metadata, "namespace", sys.intern(metadata.namespace))
    # Identity is namespace and name here; of two objects of one name only the version tells.
    force_setattr(metadata, "uid", "")
    if metadata.labels:
        for key, value in metadata.labels.items():
            metadata.labels[key] = sys.intern(value)
    if metadata.annotations:
        metadata.annotations.pop(LAST_APPLIED, None)


def _endpoint(endpoint: Endpoint) -> None:
    conditions, target = endpoint.conditions, endpoint.target_ref
    if conditions is not None:
        force_setattr(endpoint, "conditions", _conditions.setdefault(conditions, conditions))
    if endpoint.node_name is not None:
        force_setattr(endpoint, "node_name", sys.intern(endpoint.node_name))
    if endpoint.zone is not None:
        force_setattr(endpoint, "zone", sys.intern(endpoint.zone))
    if target is not None:
        _target(target)


def _target(target: TargetRef) -> None:
    force_setattr(target, "uid", None)
    if target.kind is not None:
        force_setattr(target, "kind", sys.intern(target.kind))
    if target.namespace is not None:
        force_setattr(target, "namespace", sys.intern(target.namespace))
