"""Traffic of service ports and endpoints as metric families.

kube-proxy has no such metrics (rule R123), so the names are ours.  Relays count in plain integers;
:func:`publish` copies them when ``/metrics`` is scraped.
"""

from collections.abc import Iterable

from svcdns.hostport import host_port
from svcdns.metrics import Registry
from svcdns.proxy.balancer import Endpoint, State
from svcdns.proxy.model import ServicePlan
from svcdns.proxy.served import CONNECT_SECONDS_BOUNDS, Served

SERVICE_LABELS = ("namespace", "service", "port", "protocol")
ENDPOINT_LABELS = (*SERVICE_LABELS, "endpoint")

_SERVICE = (
    ("svcdns_proxy_connections_total", "Connections (UDP: sessions) that reached an endpoint."),
    ("svcdns_proxy_sent_bytes_total", "Octets sent to endpoints."),
    ("svcdns_proxy_received_bytes_total", "Octets received from endpoints."),
    ("svcdns_proxy_retries_total", "Connects that were tried again on another endpoint."),
    ("svcdns_proxy_ejections_total", "Endpoints left alone after failed connects."),
    ("svcdns_proxy_failures_total", "Connections that no endpoint took."),
)
_ENDPOINT = (
    ("svcdns_proxy_endpoint_connections_total", "Connections that reached the endpoint."),
    ("svcdns_proxy_endpoint_failures_total", "Connects that the endpoint did not take."),
    ("svcdns_proxy_endpoint_sent_bytes_total", "Octets sent to the endpoint."),
    ("svcdns_proxy_endpoint_received_bytes_total", "Octets received from the endpoint."),
)
_ACTIVE = ("svcdns_proxy_active_connections", "Connections and UDP sessions open now.")
_ENDPOINT_ACTIVE = ("svcdns_proxy_endpoint_active_connections", "Open to the endpoint now.")
_EJECTED = ("svcdns_proxy_endpoint_ejected", "Whether the endpoint is ejected at the moment.")
_STATES = ("svcdns_proxy_endpoints", "Endpoints by state: ready, ejected, slow-start, draining.")
_SECONDS = ("svcdns_proxy_connect_seconds", "Time until an endpoint took the connection.")


def publish(registry: Registry, services: Iterable[Served], now: float) -> None:
    """Bring the families in *registry* up to what *services* have counted.

    Series of services and endpoints that are gone disappear; a service's own numbers include what
    its former endpoints did, so they never fall.
    """
    totals = [registry.counter(name, text, SERVICE_LABELS) for name, text in _SERVICE]
    parts = [registry.counter(name, text, ENDPOINT_LABELS) for name, text in _ENDPOINT]
    active = registry.gauge(*_ACTIVE, SERVICE_LABELS)
    endpoint_active = registry.gauge(*_ENDPOINT_ACTIVE, ENDPOINT_LABELS)
    ejected = registry.gauge(*_EJECTED, ENDPOINT_LABELS)
    states = registry.gauge(*_STATES, (*SERVICE_LABELS, "state"))
    seconds = registry.histogram(*_SECONDS, CONNECT_SECONDS_BOUNDS, SERVICE_LABELS)
    for family in (*totals, *parts, active, endpoint_active, ejected, states):
        family.cells.clear()
    seconds.histograms.clear()
    for served in services:
        identity = served.plan.id
        labels = (identity.namespace, identity.service, identity.port, identity.protocol)
        # One service port has two of these in a dual-stack cluster: their numbers add up.
        for family, value in zip(totals, service_counts(served), strict=True):
            family.cell(*labels).value += value
        cell = seconds.histogram(*labels)
        cell.sum += served.connect_seconds.sum
        for index, count in enumerate(served.connect_seconds.counts):
            cell.counts[index] += count
        for state, number in served.states(now).items():
            states.cell(*labels, state).value += number
        for endpoint in served.endpoints():
            if not (endpoint.connections or endpoint.failures):
                continue  # of 100,000 endpoints few have ever been asked
            names = (*labels, _name(endpoint))
            counts = (endpoint.connections, endpoint.failures, endpoint.sent, endpoint.received)
            for family, value in zip(parts, counts, strict=True):
                family.cell(*names).value += value
            active.cell(*labels).value += endpoint.active
            endpoint_active.cell(*names).value += endpoint.active
            ejected.cell(*names).value = int(endpoint.health.ejected(now))


def publish_planned(registry: Registry, plans: Iterable[ServicePlan]) -> None:
    """Count the endpoints of *plans* where the kernel forwards: nothing else is known there."""
    states = registry.gauge(*_STATES, (*SERVICE_LABELS, "state"))
    states.cells.clear()
    for plan in plans:
        number = len(plan.cluster or plan.local)
        if plan.cluster and plan.local:
            number = len({*plan.cluster, *plan.local})
        identity = plan.id
        labels = (identity.namespace, identity.service, identity.port, identity.protocol)
        states.cell(*labels, State.READY).value += number


def service_counts(served: Served) -> tuple[int, int, int, int, int, int]:
    """Give connections, octets sent and received, retries, ejections and failures so far."""
    endpoints = served.endpoints()
    return (
        served.retired_connections + sum(e.connections for e in endpoints),
        served.retired_sent + sum(e.sent for e in endpoints),
        served.retired_received + sum(e.received for e in endpoints),
        served.retries,
        served.ejections,
        served.failures,
    )


def _name(endpoint: Endpoint) -> str:
    address, port = endpoint.sockaddr
    return host_port(address, port)
