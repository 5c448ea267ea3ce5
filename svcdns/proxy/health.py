"""What the proxy answers about its health: load balancers and probes ask.

``/healthz`` and ``/livez`` of the proxy, and the ``healthCheckNodePort`` of each Service with
externalTrafficPolicy Local.  Pure: the caller passes the time and serves the answers.

Two differences from kube-proxy, both towards telling the truth: a family whose *first* sync never
succeeds turns unhealthy like any other (upstream does not look at it, rule R120), and a request
that races with the closing of a health check port gets 503, not an empty 200 (rule R85).

Rules R80 to R85, R120, R121.
Parity: kube-proxy ``pkg/proxy/healthcheck``.
"""

import json
from datetime import UTC, datetime

from msgspec import Struct, to_builtins

from svcdns.kube.nodes import Node
from svcdns.proxy.kubeproxyconfig import KubeProxyConfiguration
from svcdns.proxy.model import HealthCheck

LEAVING_TAINT = "ToBeDeletedByClusterAutoscaler"
"""The cluster autoscaler is about to remove the node: load balancers should go elsewhere."""

FAMILY_NAMES = {4: "IPv4", 6: "IPv6"}

_HEADERS = (("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff"))


class Answer(Struct, frozen=True):
    """An HTTP answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class FamilyHealth(Struct):
    """How far the rules of one address family are behind; times in seconds since 1970."""

    updated: float | None = None
    "When a sync succeeded last."
    queued: float | None = None
    "When the oldest change came in that is not applied yet."


class ProxyHealth:
    """Whether the proxy keeps up with the cluster.

    The data path reports :meth:`queued` when a change comes in and :meth:`synced` when all changes
    so far are applied.
    """

    def __init__(self, sync_period: float) -> None:
        """Start healthy (rule R120).

        Args:
            sync_period: Seconds; a change that waits twice as long makes the proxy unhealthy.
        """
        self._patience = 2 * sync_period
        self._families: dict[int, FamilyHealth] = {}
        self.node_eligible = True
        "Whether this node should get traffic at all; see :func:`node_eligible`."

    def queued(self, family: int, now: float) -> None:
        """Note that a change for *family* (4 or 6) waits since *now*."""
        health = self._families.setdefault(family, FamilyHealth())
        if health.queued is None:
            health.queued = now

    def synced(self, family: int, now: float) -> None:
        """Note that all changes of *family* are applied."""
        self._families[family] = FamilyHealth(now, None)

    def healthy(self, now: float) -> bool:
        """Whether every family keeps up."""
        return all(self._keeps_up(health, now) for health in self._families.values())

    def _keeps_up(self, health: FamilyHealth, now: float) -> bool:
        return health.queued is None or now - health.queued < self._patience

    def healthz(self, now: float) -> Answer:
        """Answer ``/healthz``: load balancers stop sending when it is 503 (rule R120)."""
        healthy = self.healthy(now) and self.node_eligible
        return self._answer(now, healthy, {"nodeEligible": self.node_eligible})

    def livez(self, now: float) -> Answer:
        """Answer ``/livez``: whether the proxy itself works, whatever becomes of the node."""
        return self._answer(now, self.healthy(now), {})

    def _answer(self, now: float, healthy: bool, more: dict[str, bool]) -> Answer:
        status = {
            FAMILY_NAMES[family]: {
                "lastUpdated": _timestamp(self._updated(health, now)),
                "healthy": self._keeps_up(health, now),
            }
            for family, health in sorted(self._families.items())
        }
        oldest = min((h.updated or 0 for h in self._families.values()), default=now)
        body = {
            # A healthy proxy with nothing to do is up to date, however long ago the last change.
            "lastUpdated": _timestamp(now if healthy else oldest),
            "currentTime": _timestamp(now),
            **more,
            "healthy": healthy,
            "status": status,
        }
        return Answer(200 if healthy else 503, _HEADERS, json.dumps(body).encode())

    def _updated(self, health: FamilyHealth, now: float) -> float:
        return now if self._keeps_up(health, now) else health.updated or 0


def node_eligible(node: Node | None) -> bool:
    """Whether load balancers should send to this node (rule R120).

    Not when it is unknown, is being deleted, or is about to be removed by the autoscaler.
    """
    if node is None or node.metadata.deletion_timestamp:
        return False
    return all(taint.key != LEAVING_TAINT for taint in node.spec.taints or ())


def check_answer(check: HealthCheck | None, proxy_healthy: bool) -> Answer:
    """Answer at a healthCheckNodePort, whatever the method and path (rules R80 to R83, R85).

    Args:
        check: What is known of the Service; ``None`` when it went while the request was read.
        proxy_healthy: Whether the proxy keeps up; endpoints here do not help if it does not.
    """
    count = check.local_endpoints if check else 0
    body = {
        "service": {
            "namespace": check.namespace if check else "",
            "name": check.service if check else "",
        },
        "localEndpoints": count,
        "serviceProxyHealthy": proxy_healthy,
    }
    headers = (*_HEADERS, ("X-Load-Balancing-Endpoint-Weight", str(count)))
    return Answer(200 if count and proxy_healthy else 503, headers, json.dumps(body).encode())


def proxy_mode(mode: str) -> Answer:
    """Answer ``/proxyMode`` (rule R121)."""
    return Answer(200, (("Content-Type", "text/plain; charset=utf-8"),), mode.encode())


def configz(configuration: KubeProxyConfiguration) -> Answer:
    """Answer ``/configz``: the configuration with its defaults, under its API group."""
    group = configuration.api_version.partition("/")[0]
    body = json.dumps({group: to_builtins(configuration)})
    return Answer(200, (("Content-Type", "application/json"),), body.encode())


def _timestamp(now: float) -> str:
    """Write a time as Go's JSON does: RFC 3339."""
    return datetime.fromtimestamp(now, UTC).isoformat().replace("+00:00", "Z")
