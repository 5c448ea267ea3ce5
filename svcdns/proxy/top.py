"""``svcdns top``: what service ports did between two scrapes.

A counter is as old as its process, so a rate takes two scrapes.  One that fell was reset and has
counted from nothing since, as Prometheus takes it; when the process itself is another one, or the
scrape is the first, there is no rate.

Latency is that of the connections between the scrapes, or of all when there were none.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from math import inf, isfinite

from msgspec import Struct, field

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
    """What one scrape says about a service port."""

    totals: dict[str, float] = field(default_factory=dict)
    "Counters; empty where the kernel forwards and nobody counts."
    active: float | None = None
    states: dict[str, int] = field(default_factory=dict)
    buckets: dict[float, float] = field(default_factory=dict)
    "Connects up to so many seconds, by bound."


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


class Row(Struct, frozen=True):
    """One service port between two scrapes; ``None``: not known."""

    namespace: str
    service: str
    port: str
    protocol: str
    name: str
    active: int | None
    "Open connections and UDP sessions."
    connections: int | None
    "Since the process began, as the next four."
    bytes_in: int | None
    "Octets from clients to endpoints."
    bytes_out: int | None
    "Octets from endpoints to clients."
    retries: int | None
    ejections: int | None
    failures: int | None
    connections_rate: float | None
    "A second, as the next two."
    bytes_in_rate: float | None
    bytes_out_rate: float | None
    connect_mean_seconds: float | None
    connect_p99_seconds: float | None
    "An upper bound: that of the bucket; infinite beyond the last one."
    endpoint_states: dict[str, int]


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
        names = ("namespace", "service", "port", "protocol")
        key = Key(*[labels.get(one, "") for one in names])
        if name in _COUNTERS:
            _counts(services, key).totals[_COUNTERS[name]] = value
        elif name == _ACTIVE:
            _counts(services, key).active = value
        elif name == _STATES:
            _counts(services, key).states[labels.get("state", "")] = int(value)
        elif name == _BUCKET:
            _counts(services, key).buckets[_bound(labels.get("le", ""))] = value
    return Scrape(at, services, started) if ours else None


def _counts(services: dict[Key, Counts], key: Key) -> Counts:
    found = services.get(key)
    if found is None:
        found = services[key] = Counts()
    return found


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

    def total(name: str) -> int | None:
        found = counts.totals.get(name)
        return None if found is None else int(found)

    def rate(name: str) -> float | None:
        found = counts.totals.get(name)
        if old is None or found is None:
            return None
        return _grown(old.totals.get(name, 0), found) / seconds

    mean, p99 = _latency(old, counts)
    active = counts.active
    if active is None and counts.totals:
        active = 0  # the gauge appears with the first connection
    return Row(
        namespace=key.namespace,
        service=key.service,
        port=key.port,
        protocol=key.protocol,
        name=str(key),
        active=None if active is None else int(active),
        connections=total("connections"),
        bytes_in=total("sent"),
        bytes_out=total("received"),
        retries=total("retries"),
        ejections=total("ejections"),
        failures=total("failures"),
        connections_rate=rate("connections"),
        bytes_in_rate=rate("sent"),
        bytes_out_rate=rate("received"),
        connect_mean_seconds=mean,
        connect_p99_seconds=p99,
        endpoint_states=counts.states,
    )


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
    """Sort rows; ties by name, so that the table stands still.

    Where there are no rates yet, connections and octets so far stand for them.
    """

    def amount(row: Row) -> float:
        match sort:
            case Sort.CONNECTIONS:
                return _first(row.connections_rate, row.connections)
            case Sort.ACTIVE:
                return _first(row.active)
            case Sort.BYTES:
                into = _first(row.bytes_in_rate, row.bytes_in)
                return into + _first(row.bytes_out_rate, row.bytes_out)
            case Sort.RETRIES:
                return _first(row.retries)
            case Sort.EJECTIONS:
                return _first(row.ejections)
            case Sort.FAILURES:
                return _first(row.failures)
            case Sort.CONNECT:
                return _first(row.connect_mean_seconds)
            case Sort.NAME:
                return 0

    return sorted(found, key=lambda row: (-amount(row), row.name))


def _first(*values: float | None) -> float:
    return next((value for value in values if value is not None), -1)


def document(found: Sequence[Row], source: str, interval: float | None) -> dict[str, object]:
    """Give the rows for programs; *interval* in seconds, None at the first scrape."""
    services = []
    for row in found:
        fields = {name: getattr(row, name) for name in row.__struct_fields__}
        if row.connect_p99_seconds == inf:
            fields["connect_p99_seconds"] = None  # JSON has no infinity
        fields["endpoint_states"] = {str(state): row.endpoint_states.get(state, 0)
                                     for state in State} | row.endpoint_states  # fmt: skip
        services.append(fields)
    return {"source": source, "interval_seconds": interval, "services": services}
