"""Nodes, stripped to the fields that svcdns needs (see :mod:`svcdns.kube.objects`)."""

from msgspec import field

from svcdns.kube.metadata import Lean, Metadata, ObjectKey


class NodeAddress(Lean, frozen=True):
    """One address of a Node."""

    type: str
    address: str


class NodeStatus(Lean, frozen=True):
    """NodeStatus."""

    addresses: tuple[NodeAddress, ...] | None = None


class Taint(Lean, frozen=True):
    """A taint of a Node."""

    key: str
    effect: str = ""


class NodeSpec(Lean, frozen=True):
    """NodeSpec."""

    pod_cidr: str | None = field(default=None, name="podCIDR")
    pod_cidrs: tuple[str, ...] | None = field(default=None, name="podCIDRs")
    taints: tuple[Taint, ...] | None = None


class Node(Lean, frozen=True):
    """A v1 Node."""

    metadata: Metadata
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    @property
    def key(self) -> ObjectKey:
        """``("", name)``."""
        return self.metadata.key
