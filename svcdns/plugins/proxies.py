"""Upstream resolvers with their health, for plugins that forward.

An upstream that fails a query is *suspect*: it is asked last, and probed every half second until
it answers.  After more than ``max_fails`` failed probes it is *down* and not asked at all while
there are others.

Parity: CoreDNS ``plugin/pkg/proxy`` (rule J21); asking suspects last is ours.
"""

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from svcdns.dns.constants import RRType, rcode_text
from svcdns.dns.message import build_query, parse_response
from svcdns.dns.name import ROOT
from svcdns.hostport import host_port
from svcdns.metrics import Family, HistogramCell, Registry
from svcdns.plugins.base import Ask, Drop, Outcome
from svcdns.plugins.commands import Exchange, Exchanged, Result, Transport, Unanswered, Upstream

DURATION_BUCKETS = tuple(0.00025 * 2**k for k in range(16))
"""Seconds."""

PROBE_TIMEOUT = 1.0
"""Seconds that a health check may take (CoreDNS plugin/pkg/proxy/health.go)."""


class HealthCheck(Struct, frozen=True):
    """How upstreams are probed."""

    interval: float = 0.5
    "Seconds."
    recursion: bool = True
    "Whether the probe asks for recursion (``no_rec``)."
    domain: bytes = ROOT


class ProxyMetrics:
    """CoreDNS's ``coredns_proxy_*`` families for one kind of plugin."""

    def __init__(self, registry: Registry, proxy_name: str) -> None:
        self.proxy_name = proxy_name
        labels = ("proxy_name", "to")
        self.duration = registry.histogram(
            "coredns_proxy_request_duration_seconds",
            "Time that upstreams took to answer.",
            DURATION_BUCKETS,
            (*labels, "rcode"),
        )
        self.failures = registry.counter(
            "coredns_proxy_healthcheck_failures_total", "Failed health checks.", labels
        )
        self.hits = registry.counter(
            "coredns_proxy_conn_cache_hits_total",
            "Queries sent on a connection that was there.",
            (*labels, "proto"),
        )
        self.misses = registry.counter(
            "coredns_proxy_conn_cache_misses_total",
            "Queries that needed a new connection.",
            (*labels, "proto"),
        )


class Proxy:
    """One upstream and what we know of it."""

    def __init__(self, upstream: Upstream, metrics: ProxyMetrics) -> None:
        self.upstream = upstream
        self.stream = upstream
        "The same over TCP, for truncated answers."
        if upstream.transport is Transport.UDP:
            self.stream = replace(upstream, transport=Transport.TCP)
        self.address = host_port(upstream.address, upstream.port)
        self.fails = 0
        self.suspect = False
        self.probing = False
        self.looping = False
        "Its answers come from ourselves; see :mod:`svcdns.plugins.loop`."
        self._metrics = metrics
        self._durations: dict[int, HistogramCell] = {}

    def down(self, max_fails: int) -> bool:
        """Whether it failed too many probes; 0 switches that off."""
        return max_fails > 0 and self.fails > max_fails

    def answered(self, exchanged: Exchanged, rcode: int, transport: Transport) -> None:
        """Count an answer."""
        cell = self._durations.get(rcode)
        if cell is None:
            name = self._metrics.proxy_name
            cell = self._metrics.duration.histogram(name, self.address, rcode_text(rcode))
            self._durations[rcode] = cell
        cell.observe(exchanged.seconds)
        family: Family = self._metrics.hits if exchanged.reused else self._metrics.misses
        family.cell(self._metrics.proxy_name, self.address, transport).value += 1

    def probe(self, check: HealthCheck, transport: Transport) -> Ask:
        """Make a health check."""
        self.probing = True
        wire = build_query(check.domain, RRType.NS, rd=check.recursion)
        upstream = self.stream if transport is Transport.TCP else self.upstream
        return Ask(Exchange(upstream, wire, PROBE_TIMEOUT), self._probed)

    def _probed(self, result: Result, _now: float) -> Outcome:
        self.probing = False
        if isinstance(result, Exchanged) and parse_response(result.wire) is not None:
            # Any answer at all: also an upstream that refuses this name is alive.
            self.fails = 0
            self.suspect = False
        elif not (isinstance(result, Unanswered) and result.ours):
            self.fails += 1
            self._metrics.failures.cell(self._metrics.proxy_name, self.address).value += 1
        return Drop()


class Proxies:
    """The upstreams of one directive; the list changes when a resolv.conf does."""

    def __init__(
        self,
        metrics: ProxyMetrics,
        policy: str,
        random: Callable[[], float],
    ) -> None:
        self._metrics = metrics
        self._policy = policy
        self._random = random
        self._turn = 0
        self.all: tuple[Proxy, ...] = ()

    def change(self, upstreams: Iterable[Upstream]) -> None:
        """Have exactly these upstreams; what is known of those that stay is kept."""
        known = {proxy.upstream: proxy for proxy in self.all}
        self.all = tuple(
            known.get(upstream) or Proxy(upstream, self._metrics)
            for upstream in dict.fromkeys(upstreams)
        )

    def order(self) -> Sequence[Proxy]:
        """Give the upstreams in the order in which to try them for one query."""
        found = list(self.all)
        if len(found) < 2:
            return found
        match self._policy:
            case "random":
                for last in range(len(found) - 1, 0, -1):
                    other = int(self._random() * (last + 1))
                    found[last], found[other] = found[other], found[last]
            case "round_robin":
                self._turn += 1
                at = self._turn % len(found)
                found = found[at:] + found[:at]
        if any(proxy.suspect for proxy in found):
            found.sort(key=_is_suspect)
        return found

    def probes(self, check: HealthCheck, *, force_tcp: bool) -> tuple[Ask, ...]:
        """Give the health checks that are due now."""
        transport = Transport.TCP if force_tcp else Transport.UDP
        return tuple(
            proxy.probe(check, transport)
            for proxy in self.all
            if proxy.suspect and not proxy.probing
        )

    def any(self) -> Proxy:
        """Give one of all upstreams, up or down."""
        return self.all[int(self._random() * len(self.all))]


def _is_suspect(proxy: Proxy) -> bool:
    return proxy.suspect
