"""Traffic of service ports and endpoints as metric families.

kube-proxy has no such metrics (rule R123), so the names are ours.  Relays count in plain integers;
:func:`publish` copies them when ``/metrics`` is scraped.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from svcdns.hostport import host_port
from svcdns.metrics import Registry
from svcdns.proxy.balancer import Endpoint, State
from svcdns.proxy.model import ServicePlan
from svcdns.proxy.served import CONNECT_SECONDS_BOUNDS, Served

SERVICE_LABELS = ("namespace", "service", "port", "protocol")
ENDPOINT_LABELS = (*SERVICE_LABELS, "endpoint")
STATE_LABELS = (*ENDPOINT_LABELS, "pod", "state")

_SERVICE = (
    ("svcdns_proxy_connections_total", "Connections (UDP: sessions) that an endpoint took."),
    ("svcdns_proxy_sent_bytes_total", "Octets sent to endpoints."),
    ("svcdns_proxy_received_bytes_total", "Octets received from endpoints."),
    ("svcdns_proxy_retries_total", "Connects that were tried again on another endpoint."),
    ("svcdns_proxy_ejections_total", "Endpoints left alone after failed connects."),
    ("svcdns_proxy_failures_total", "Connections that no endpoint took."),
    ("svcdns_proxy_evictions_total", "UDP sessions that ended to make room for others."),
)
_ENDPOINT = (
    ("svcdns_proxy_endpoint_connections_total", "Connections that the endpoint took."),
    ("svcdns_proxy_endpoint_failures_total", "Connects that the endpoint did not take."),
    ("svcdns_proxy_endpoint_ejections_total", "Times that the endpoint was left alone."),
    ("svcdns_proxy_endpoint_sent_bytes_total", "Octets sent to the endpoint."),
    ("svcdns_proxy_endpoint_received_bytes_total", "Octets received from the endpoint."),
)
_ACTIVE = ("svcdns_proxy_active_connections", "Connections and UDP sessions open now.")
_ENDPOINT_ACTIVE = ("svcdns_proxy_endpoint_active_connections", "Open to the endpoint now.")
_ENDPOINT_SECONDS = (
    "svcdns_proxy_endpoint_connect_seconds_total",
    "Time that connects to the endpoint took, all together.",
)
_STATE = ("svcdns_proxy_endpoint_state", "1 for the state that the endpoint is in.")
_EJECTED = ("svcdns_proxy_endpoint_ejected", "Whether the endpoint is ejected at the moment.")
_STATES = ("svcdns_proxy_endpoints", "Endpoints by state: ready, ejected, slow-start, draining.")
_SECONDS = ("svcdns_proxy_connect_seconds", "Time until an endpoint took the connection.")

_DROPPED = ("svcdns_proxy_dropped_datagrams_total", "Datagrams that were not passed on.")


class Drop(StrEnum):
    """Why a datagram was not passed on; values of a metric's label."""

    ENDPOINT = "no-endpoint"
    "No endpoint took it."
    SOCKET = "no-socket"
    "There was no descriptor, memory or port for its session."
    QUEUE = "queue-full"
    "It came faster than this process takes them."
    SEND = "endpoint-send"
    "The kernel did not send it to the endpoint."
    CLIENT = "client-send"
    "The kernel did not send it to the client."


SHOWN_UNASKED = 1000
"""Up to so many endpoints of a process have series before they are asked.  Beyond, of 100,000 few
ever are, and a scrape of all would be tens of MiB."""


def publish(registry: Registry, services: Iterable[Served], now: float) -> None:
    """Bring the families in *registry* up to what *services* have counted.

    Series of services and endpoints that are gone disappear; a service's own numbers include what
    its former endpoints did, so they never fall.
    """
    found = list(services)
    totals = [registry.counter(name, text, SERVICE_LABELS) for name, text in _SERVICE]
    active = registry.gauge(*_ACTIVE, SERVICE_LABELS)
    states = registry.gauge(*_STATES, (*SERVICE_LABELS, "state"))
    seconds = registry.histogram(*_SECONDS, CONNECT_SECONDS_BOUNDS, SERVICE_LABELS)
    for family in (*totals, active, states):
        family.cells.clear()
    seconds.histograms.clear()
    for served in found:
        labels = _labels(served.plan)
        # One service port has two of these in a dual-stack cluster: their numbers add up.
        for family, value in zip(totals, service_counts(served), strict=True):
            family.cell(*labels).value += value
        cell = seconds.histogram(*labels)
        cell.sum += served.connect_seconds.sum
        for index, count in enumerate(served.connect_seconds.counts):
            cell.counts[index] += count
        for state, number in served.states(now).items():
            states.cell(*labels, state).value += number
        active.cell(*labels).value += sum(endpoint.active for endpoint in served.endpoints())
    _publish_endpoints(registry, found, now)


def publish_dropped(registry: Registry, dropped: Mapping[Drop, int]) -> None:
    """Show how many datagrams were dropped so far, by reason."""
    family = registry.counter(*_DROPPED, ("reason",))
    for reason, number in dropped.items():
        family.cell(reason).value = number


def _publish_endpoints(registry: Registry, services: list[Served], now: float) -> None:
    parts = [registry.counter(name, text, ENDPOINT_LABELS) for name, text in _ENDPOINT]
    seconds = registry.counter(*_ENDPOINT_SECONDS, ENDPOINT_LABELS)
    active = registry.gauge(*_ENDPOINT_ACTIVE, ENDPOINT_LABELS)
    ejected = registry.gauge(*_EJECTED, ENDPOINT_LABELS)
    state = registry.gauge(*_STATE, STATE_LABELS)
    for family in (*parts, seconds, active, ejected, state):
        family.cells.clear()
    everyone = sum(len(served.balancer.endpoints) for served in services) <= SHOWN_UNASKED
    for served in services:
        labels = _labels(served.plan)
        for endpoint in served.endpoints():
            if not (everyone or endpoint.connections or endpoint.failures or endpoint.active):
                continue
            names = (*labels, host_port(*endpoint.sockaddr))
            for family, value in zip(parts, _endpoint_counts(endpoint), strict=True):
                family.cell(*names).value += value
            if served.plan.id.protocol == "TCP":
                seconds.cell(*names).value += endpoint.connect_seconds
            active.cell(*names).value += endpoint.active
            ejected.cell(*names).value = int(endpoint.health.ejected(now))
            state.cell(*names, endpoint.backend.pod, endpoint.state(now)).value = 1


def publish_planned(registry: Registry, plans: Iterable[ServicePlan]) -> None:
    """Show the endpoints of *plans* where the kernel forwards: nothing else is known there."""
    states = registry.gauge(*_STATES, (*SERVICE_LABELS, "state"))
    state = registry.gauge(*_STATE, STATE_LABELS)
    states.cells.clear()
    state.cells.clear()
    found = [(_labels(plan), {*plan.cluster, *plan.local}) for plan in plans]
    everyone = sum(len(backends) for _, backends in found) <= SHOWN_UNASKED
    for labels, backends in found:
        states.cell(*labels, State.READY).value += len(backends)
        for one in sorted(backends) if everyone else ():
            state.cell(*labels, host_port(one.address, one.port), one.pod, State.READY).value = 1


def _labels(plan: ServicePlan) -> tuple[str, str, str, str]:
    return (plan.id.namespace, plan.id.service, plan.id.port, plan.id.protocol)


def service_counts(served: Served) -> tuple[int, int, int, int, int, int, int]:
    """Give what :data:`_SERVICE` names, so far and in that order."""
    endpoints = served.endpoints()
    return (
        served.retired_connections + sum(e.connections for e in endpoints),
        served.retired_sent + sum(e.sent for e in endpoints),
        served.retired_received + sum(e.received for e in endpoints),
        served.retries,
        served.ejections,
        served.failures,
        served.evictions,
    )


def _endpoint_counts(endpoint: Endpoint) -> tuple[int, int, int, int, int]:
    return (
        endpoint.connections,
        endpoint.failures,
        endpoint.ejections,
        endpoint.sent,
        endpoint.received,
    )
