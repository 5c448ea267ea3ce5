"""What all Kubernetes objects have: how they are held here, and who they are."""

from typing import TypeAlias

from msgspec import Struct

ObjectKey: TypeAlias = tuple[str, str]
"""Namespace and name; the namespace of a cluster-wide object is ``""``."""


class Lean(Struct, frozen=True, gc=False, rename="camel"):
    """Base of all objects: immutable, and invisible to the cycle collector (no cycles exist)."""


class Metadata(Lean, frozen=True):
    """ObjectMeta."""

    name: str
    namespace: str | None = None
    resource_version: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    deletion_timestamp: str | None = None

    @property
    def key(self) -> ObjectKey:
        """Identity within the kind."""
        return (self.namespace or "", self.name)
