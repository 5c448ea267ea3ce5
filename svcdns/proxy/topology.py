"""Which endpoints of a service port are usable on this node, and why the others are not.

Candidates come in as the slices say; out come the backends under policy Cluster and under policy
Local.  Ready endpoints are preferred, endpoints that drain but still serve are the fall-back, and
topology hints narrow the ready ones down under policy Cluster.

Rules R11, R12, R54, R56 to R61.
Parity: kube-proxy ``pkg/proxy/topology.go`` CategorizeEndpoints.
KEP: 1669 (terminating endpoints), 2433 (zone hints), 3015 (node hints).
"""

from collections.abc import Collection, Sequence

from msgspec import Struct

from svcdns.kube.objects import Endpoint
from svcdns.proxy.model import Backend, LeftOut, NodeView

MAX_WEIGHT = 16
"""How many times more an endpoint that is meant for us may get than another one."""


class Candidate(Struct, frozen=True, order=True, gc=False):
    """An endpoint of the service port, before anything was decided about it."""

    backend: Backend
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    node: str = ""
    "Node it runs on; empty when the slice does not say, then it is never local (rule R12)."
    zones: tuple[str, ...] = ()
    "Zones it is meant for, by hints."
    nodes: tuple[str, ...] = ()
    "Nodes it is meant for, by hints."

    @property
    def draining(self) -> bool:
        """Whether it is the fall-back for when nothing is ready (rule R56)."""
        return self.serving and self.terminating

    @property
    def usable(self) -> bool:
        """Whether any policy on any node could use it (rules R50, R58)."""
        return self.ready or self.draining


class Usable(Struct, frozen=True):
    """What became of the candidates."""

    cluster: tuple[Backend, ...]
    local: tuple[Backend, ...]
    any_usable: bool
    "Whether the cluster has a usable endpoint at all (rules R50, R54)."
    left_out: tuple[LeftOut, ...]
    preferred: tuple[Backend, ...] = ()
    "Those of :attr:`cluster` that hints mean for us, where hints do not filter."


def hint_weight(text: str) -> int:
    """Read the ``svcdns.io/hint-weight`` annotation; 0 for none, or one that means nothing."""
    return int(text) if text.isascii() and text.isdigit() and 2 <= int(text) <= MAX_WEIGHT else 0


def candidate(endpoint: Endpoint, address: str, port: int, node: NodeView) -> Candidate:
    """Describe an *endpoint* of a slice as seen from *node* (rules R11 and R12)."""
    hints, target = endpoint.hints, endpoint.target_ref
    name = endpoint.node_name or ""
    return Candidate(
        Backend(
            address,
            port,
            bool(name) and name == node.name,
            (target.name or "") if target and target.kind in (None, "Pod") else "",
        ),
        endpoint.ready,
        endpoint.serving,
        endpoint.terminating,
        name,
        tuple(zone.name for zone in hints.for_zones or ()) if hints else (),
        tuple(one.name for one in hints.for_nodes or ()) if hints else (),
    )


def categorise(
    candidates: Collection[Candidate],
    node: NodeView,
    *,
    cluster: bool,
    local: bool,
    weighted: bool = False,
) -> Usable:
    """Split *candidates* into what each policy may use.

    Args:
        candidates: Of one service port and family, without duplicates.
        node: This node.
        cluster: Whether a policy of the Service uses the Cluster set (rule R54).
        local: Whether one uses the Local set.
        weighted: Whether hints say who gets more, not who gets all (ours; KEP-2433 filters).
    """
    ready = [one for one in candidates if one.ready]
    draining = [one for one in candidates if one.draining and not one.ready]
    hinted = _hinted(ready, node) if cluster else []
    by_cluster = ((ready if weighted else hinted) or draining) if cluster else []
    by_local = (
        [one for one in ready if one.backend.local]
        or [one for one in draining if one.backend.local]
        if local
        else []
    )
    used = {one.backend for one in by_cluster} | {one.backend for one in by_local}
    return Usable(
        tuple(sorted(one.backend for one in by_cluster)),
        tuple(sorted(one.backend for one in by_local)),
        bool(ready or draining),
        tuple(sorted(_why(one, cluster) for one in candidates if one.backend not in used))
        if len(used) < len(candidates)
        else (),
        tuple(sorted(one.backend for one in hinted))
        if weighted and len(hinted) < len(ready)
        else (),
    )


def _hinted(ready: Sequence[Candidate], node: NodeView) -> Sequence[Candidate]:
    """Narrow ready candidates down to those hinted for this node or zone (rule R60)."""
    if all(one.nodes for one in ready):
        for_node = [one for one in ready if node.name in one.nodes]
        if for_node:
            return for_node
    if node.zone and all(one.zones for one in ready):
        for_zone = [one for one in ready if node.zone in one.zones]
        if for_zone:
            return for_zone
    return ready


def _why(one: Candidate, cluster: bool) -> LeftOut:
    """Name the rule that keeps a candidate from all traffic."""
    if not one.usable:
        reason = "terminating and no longer serving" if one.terminating else "not ready"
        rule = "R58"
    elif not cluster and not one.backend.local:
        where = f"runs on {one.node}" if one.node else "its slice names no node"
        rule, reason = ("R57" if one.node else "R12"), f"{where}, and the policy is Local"
    elif one.ready:
        hints = _hints(one)
        rule, reason = "R60", f"ready, but its hints name {hints}, and others are meant for us"
    else:
        where = "on this node " if one.backend.local and not cluster else ""
        rule = "R57" if where else "R56"
        reason = f"terminating, and others {where}are ready"
    return LeftOut(one.backend.address, one.backend.port, rule, reason)


def _hints(one: Candidate) -> str:
    words = []
    if one.nodes:
        words.append("node " + ", ".join(one.nodes))
    if one.zones:
        words.append("zone " + ", ".join(one.zones))
    return " and ".join(words)
