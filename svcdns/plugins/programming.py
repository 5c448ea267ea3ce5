"""How long it takes from a change of a headless Service's endpoints to answers that show it.

Parity: CoreDNS ``plugin/kubernetes/object/metrics.go`` (EndpointLatencyRecorder): headless Services
only, by the trigger time that the endpoint controller writes.  What was triggered before this
server started is not its latency, and is left out.
"""

from collections.abc import Callable
from datetime import datetime

from svcdns.kube.objects import EndpointSlice
from svcdns.kube.store import Delta, Store
from svcdns.metrics import Registry

TRIGGER_ANNOTATION = "endpoints.kubernetes.io/last-change-trigger-time"

BUCKETS = tuple(0.001 * 2**k for k in range(20))
"""Seconds."""


class Programming:
    """The latency of one cluster's changes; a subscriber of its store."""

    def __init__(self, store: Store, registry: Registry, wall: Callable[[], float]) -> None:
        """Count from now on.

        Args:
            store: Of the cluster.
            registry: For ``coredns_kubernetes_dns_programming_duration_seconds``.
            wall: Seconds since the epoch.
        """
        self._store = store
        self._wall = wall
        self._started = wall()
        self._family = registry.histogram(
            "coredns_kubernetes_dns_programming_duration_seconds",
            "Time from the change of a Service's endpoints to answers that show it.",
            BUCKETS,
            ("service_kind",),
        )

    def __call__(self, delta: Delta) -> None:
        """Count a change that is in the answers now."""
        new = delta.new
        if not isinstance(new, EndpointSlice) or not new.metadata.annotations:
            return
        text = new.metadata.annotations.get(TRIGGER_ANNOTATION)
        service = self._store.services.get(new.service) if new.service else None
        if text is None or service is None or not service.headless:
            return
        triggered = _seconds(text)
        if triggered is not None and triggered >= self._started:
            elapsed = max(0.0, self._wall() - triggered)
            self._family.histogram("headless_with_selector").observe(elapsed)


def _seconds(text: str) -> float | None:
    """Read a time in RFC 3339, to seconds since the epoch; ``None`` when it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.timestamp() if found.tzinfo else None
