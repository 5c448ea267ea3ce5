"""``svcdns top``: what service ports and their endpoints did between two scrapes.

A counter is as old as its process, so a rate takes two scrapes.  One that fell was reset and has
counted from nothing since, as Prometheus takes it; when the process itself is another one, or the
scrape is the first, there is no rate.

Latency is that of the connections between the scrapes, or of all when there were none.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from math import inf, isfinite
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict, replace

from svcdns.proxy.balancer import State
from svcdns.proxy.samples import samples

UP_METRICS_ADDRESS = "127.0.0.1:1054"
"""Where ``svcdns up`` has its metrics: next to its DNS server, port 1053."""

PREFIX = "svcdns_proxy_"
_STARTED = "process_start_time_seconds"

_COUNTERS = {
    "svcdns_proxy_connections_total": "connections",
    "svcdns_proxy_sent_bytes_total": "sent",
    "svcdns_proxy_received_bytes_total": "received",
    "svcdns_proxy_retries_total": "retries",
    "svcdns_proxy_ejections_total": "ejections",
    "svcdns_proxy_failures_total": "failures",
    "svcdns_proxy_connect_seconds_sum": "connect_sum",
    "svcdns_proxy_connect_seconds_count": "connect_count",
}
_ENDPOINT_COUNTERS = {
    "svcdns_proxy_endpoint_connections_total": "connections",
    "svcdns_proxy_endpoint_sent_bytes_total": "sent",
    "svcdns_proxy_endpoint_received_bytes_total": "received",
    "svcdns_proxy_endpoint_ejections_total": "ejections",
    "svcdns_proxy_endpoint_failures_total": "failures",
    "svcdns_proxy_endpoint_connect_seconds_total": "connect_sum",
}
_ENDPOINT_ACTIVE = "svcdns_proxy_endpoint_active_connections"
_ENDPOINT_STATE = "svcdns_proxy_endpoint_state"
_ACTIVE = "svcdns_proxy_active_connections"
_STATES = "svcdns_proxy_endpoints"
_BUCKET = "svcdns_proxy_connect_seconds_bucket"

P99 = 0.99


class Sort(StrEnum):
    """What the table is sorted by; most comes first, but for names."""

    CONNECTIONS = "connections"
    ACTIVE = "active"
    BYTES = "bytes"
    RETRIES = "retries"
    EJECTIONS = "ejections"
    FAILURES = "failures"
    CONNECT = "connect"
    NAME = "name"


class Key(Struct, frozen=True, order=True):
    """A service port; both families of it are one."""

    namespace: str
    service: str
    port: str
    protocol: str

    def __str__(self) -> str:
        name = f":{self.port}" if self.port else ""
        return f"{self.namespace}/{self.service}{name}/{self.protocol}"


class Counts(Struct):
    """What one scrape says about a service port, or about one of its endpoints."""

    totals: dict[str, float] = field(default_factory=dict)
    "Counters; empty where the kernel forwards and nobody counts."
    active: float | None = None
    states: dict[str, int] = field(default_factory=dict)
    "How many endpoints are in which state; of an endpoint: its own."
    buckets: dict[float, float] = field(default_factory=dict)
    "Connects up to so many seconds, by bound."
    endpoints: dict[str, "Counts"] = field(default_factory=dict)
    "By address and port."
    pod: str = ""
    "Of an endpoint, where it is known."


class Scrape(Struct, frozen=True):
    """What a process said."""

    at: float
    "Seconds of any clock that does not jump."
    services: dict[Key, Counts]
    started: float | None = None
    "When the process began; tells one process from the next at the same address."

    @property
    def counted(self) -> bool:
        """Whether traffic is counted: it is not where the kernel forwards."""
        return any(one.totals for one in self.services.values())


class Traffic(Struct, frozen=True, kw_only=True):
    """What a service port or an endpoint did between two scrapes; ``None``: not known."""

    name: str
    active: int | None
    "Open connections and UDP sessions."
    connections: int | None
    "Since the process began, as the next four."
    bytes_in: int | None
    "Octets from clients to endpoints."
    bytes_out: int | None
    "Octets from endpoints to clients."
    ejections: int | None
    failures: int | None
    "Connections that no endpoint took; of an endpoint: connects that it did not take."
    connections_rate: float | None
    "A second, as the next two."
    bytes_in_rate: float | None
    bytes_out_rate: float | None
    connect_mean_seconds: float | None


class EndpointRow(Traffic, frozen=True, kw_only=True):
    """One endpoint of a service port."""

    pod: str
    state: str
    "Empty where it is not known."


class Row(Traffic, frozen=True, kw_only=True):
    """One service port."""

    namespace: str
    service: str
    port: str
    protocol: str
    retries: int | None
    connect_p99_seconds: float | None
    "An upper bound: that of the bucket; infinite beyond the last one."
    endpoint_states: dict[str, int]
    endpoints: tuple[EndpointRow, ...] = ()
    "Those that the proxy shows one by one."


def read(text: str, at: float) -> Scrape | None:
    """Read a scrape; None when it has no metrics of a service proxy.

    Args:
        text: Prometheus text.
        at: When it was made.
    """
    services: dict[Key, Counts] = {}
    started, ours = None, False
    for name, labels, value in samples(text, (PREFIX, _STARTED)):
        if name == _STARTED:
            started = value
            continue
        ours = True
        if not isfinite(value) or "service" not in labels:
            continue
        key = Key(*[labels.get(one, "") for one in ("namespace", "service", "port", "protocol")])
        counts = services.get(key)
        if counts is None:
            counts = services[key] = Counts()
        if "endpoint" in labels:
            _note_endpoint(counts, name, labels, value)
        else:
            _note(counts, name, labels, value)
    return Scrape(at, services, started) if ours else None


def _note(counts: Counts, name: str, labels: dict[str, str], value: float) -> None:
    if name in _COUNTERS:
        counts.totals[_COUNTERS[name]] = value
    elif name == _ACTIVE:
        counts.active = value
    elif name == _STATES:
        counts.states[labels.get("state", "")] = int(value)
    elif name == _BUCKET:
        counts.buckets[_bound(labels.get("le", ""))] = value


def _note_endpoint(service: Counts, name: str, labels: dict[str, str], value: float) -> None:
    counts = service.endpoints.get(labels["endpoint"])
    if counts is None:
        counts = service.endpoints[labels["endpoint"]] = Counts()
    if name in _ENDPOINT_COUNTERS:
        counts.totals[_ENDPOINT_COUNTERS[name]] = value
    elif name == _ENDPOINT_ACTIVE:
        counts.active = value
    elif name == _ENDPOINT_STATE:
        counts.pod = labels.get("pod", "")
        counts.states = {labels.get("state", ""): int(value)}


def _bound(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return inf


def rows(before: Scrape | None, after: Scrape, namespace: str = "") -> list[Row]:
    """Compare two scrapes; a service port that is in the second only has counted from nothing.

    Args:
        before: The earlier one; None at the first.
        after: The later one.
        namespace: Of the service ports that are wanted; empty: all.
    """
    if before and (before.started != after.started or after.at <= before.at):
        before = None
    return [
        _row(key, before, after, counts)
        for key, counts in after.services.items()
        if not namespace or key.namespace == namespace
    ]


def _row(key: Key, before: Scrape | None, after: Scrape, counts: Counts) -> Row:
    old = before.services.get(key, Counts()) if before else None
    seconds = after.at - before.at if before else 0.0
    mean, p99 = _latency(old, counts)
    retries = counts.totals.get("retries")
    return Row(
        namespace=key.namespace,
        service=key.service,
        port=key.port,
        protocol=key.protocol,
        name=str(key),
        retries=None if retries is None else int(retries),
        connect_mean_seconds=mean,
        connect_p99_seconds=p99,
        endpoint_states=counts.states,
        endpoints=tuple(
            _endpoint_row(name, old and old.endpoints.get(name, Counts()), one, seconds)
            for name, one in counts.endpoints.items()
        ),
        **_traffic(old, counts, seconds),
    )


def _endpoint_row(name: str, old: Counts | None, counts: Counts, seconds: float) -> EndpointRow:
    # Every connect that took its time made a connection, so one count does for both.
    timed = "connect_sum" in counts.totals
    mean, _ = _latency(old and _as_connects(old), _as_connects(counts)) if timed else (None, None)
    return EndpointRow(
        name=name,
        pod=counts.pod,
        state=next(iter(counts.states), ""),
        connect_mean_seconds=mean,
        **_traffic(old, counts, seconds),
    )


def _as_connects(counts: Counts) -> Counts:
    return Counts(counts.totals | {"connect_count": counts.totals.get("connections", 0)})


def _traffic(old: Counts | None, counts: Counts, seconds: float) -> dict[str, Any]:
    """Give what service ports and endpoints have in common; *old* is None without rates."""

    def total(name: str) -> int | None:
        found = counts.totals.get(name)
        return None if found is None else int(found)

    def rate(name: str) -> float | None:
        found = counts.totals.get(name)
        if old is None or found is None:
            return None
        return _grown(old.totals.get(name, 0), found) / seconds

    active = counts.active
    if active is None and counts.totals:
        active = 0  # a gauge that nobody has raised yet
    return {
        "active": None if active is None else int(active),
        "connections": total("connections"),
        "bytes_in": total("sent"),
        "bytes_out": total("received"),
        "ejections": total("ejections"),
        "failures": total("failures"),
        "connections_rate": rate("connections"),
        "bytes_in_rate": rate("sent"),
        "bytes_out_rate": rate("received"),
    }


def _grown(old: float, new: float) -> float:
    return new - old if new >= old else new


def _latency(old: Counts | None, new: Counts) -> tuple[float | None, float | None]:
    """Give mean and 99th percentile of the time to connect."""
    count, spent, buckets = _connects(new)
    if old is not None:
        before, spent_before, buckets_before = _connects(old)
        if count > before:
            count, spent = count - before, spent - spent_before
            buckets = {le: n - buckets_before.get(le, 0) for le, n in buckets.items()}
    if not count:
        return None, None
    bound = next((le for le in sorted(buckets) if buckets[le] >= count * P99), None)
    return max(spent, 0.0) / count, bound


def _connects(counts: Counts) -> tuple[float, float, dict[float, float]]:
    totals = counts.totals
    return totals.get("connect_count", 0), totals.get("connect_sum", 0.0), counts.buckets


def ordered(found: Iterable[Row], sort: Sort) -> list[Row]:
    """Sort rows, and the endpoints of each; ties by name, so that the table stands still.

    Where there are no rates yet, connections and octets so far stand for them.
    """

    def rank(one: Traffic) -> tuple[float, str]:
        return (-_amount(one, sort), one.name)

    some = [replace(row, endpoints=tuple(sorted(row.endpoints, key=rank))) for row in found]
    return sorted(some, key=rank)


def _amount(one: Traffic, sort: Sort) -> float:
    match sort:
        case Sort.CONNECTIONS:
            return _first(one.connections_rate, one.connections)
        case Sort.ACTIVE:
            return _first(one.active)
        case Sort.BYTES:
            into = _first(one.bytes_in_rate, one.bytes_in)
            return into + _first(one.bytes_out_rate, one.bytes_out)
        case Sort.RETRIES:
            return _first(one.retries) if isinstance(one, Row) else 0
        case Sort.EJECTIONS:
            return _first(one.ejections)
        case Sort.FAILURES:
            return _first(one.failures)
        case Sort.CONNECT:
            return _first(one.connect_mean_seconds)
        case Sort.NAME:
            return 0


def _first(*values: float | None) -> float:
    return next((value for value in values if value is not None), -1)


_IDENTITY = ("namespace", "service", "port", "protocol", "name")


def document(
    found: Sequence[Row], source: str, interval: float | None, *, endpoints: bool = False
) -> dict[str, object]:
    """Give the rows for programs.

    Args:
        found: In the order wanted.
        source: Where they come from.
        interval: Seconds between the scrapes; None at the first.
        endpoints: Whether each service port has its endpoints, one by one.
    """
    services = []
    for row in found:
        fields = {name: getattr(row, name) for name in (*_IDENTITY, *row.__struct_fields__)}
        if row.connect_p99_seconds == inf:
            fields["connect_p99_seconds"] = None  # JSON has no infinity
        fields["endpoint_states"] = {str(state): row.endpoint_states.get(state, 0)
                                     for state in State} | row.endpoint_states  # fmt: skip
        del fields["endpoints"]
        if endpoints:
            fields["endpoints"] = [asdict(one) for one in row.endpoints]
        services.append(fields)
    return {"source": source, "interval_seconds": interval, "services": services}
