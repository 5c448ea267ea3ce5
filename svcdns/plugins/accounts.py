"""What a server counts about queries, for CoreDNS's ``coredns_dns_*`` metrics.

Counting a query is one addition to a :class:`~svcdns.plugins.answers.Tally` that was found before;
labels and histograms are made of the tallies when somebody scrapes.

Parity: CoreDNS ``plugin/metrics/vars`` (corefile-features d).
"""

from bisect import bisect_left

from svcdns.dns.constants import RRType, rcode_text, type_text
from svcdns.dns.name import to_text
from svcdns.dns.query import Query
from svcdns.metrics import Cell, HistogramCell, Registry
from svcdns.plugins.answers import Tally
from svcdns.plugins.base import Client

DURATION_BUCKETS = tuple(0.00025 * 2**k for k in range(16))
"""Seconds."""

SIZE_BUCKETS = (0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16e3, 32e3, 48e3, 64e3)
"""Octets."""

DROPPED = "dropped"
"""Zone label of queries that no server block took."""

EXACT_LIMIT = 16384
"""Tallies that keep exact sizes; beyond, sizes count as their bucket's bound, which bounds them."""

_KNOWN_TYPES = frozenset(
    {
        RRType.A, RRType.AAAA, RRType.CNAME, RRType.DNSKEY, RRType.DS, RRType.MX, RRType.NSEC,
        RRType.NSEC3, RRType.NS, RRType.PTR, RRType.RRSIG, RRType.SOA, RRType.SRV, RRType.TXT,
        RRType.HTTPS, RRType.SVCB, RRType.IXFR, RRType.AXFR, RRType.ANY,
    }
)  # fmt: skip

_Key = tuple[str, str, bytes, str, int, bool, str, int, int, int, tuple[Cell, ...]]


class Accounts:
    """Counters of one server in one registry."""

    def __init__(self, server: str, registry: Registry) -> None:
        self.server = server
        "The ``server`` label: ``dns://:53``."
        self._tallies: dict[_Key, Tally] = {}
        self._folded: dict[_Key, tuple[int, int]] = {}
        self._stored_seconds = 0.0
        self._stored_times = 0
        self._durations: dict[tuple[bytes, str], HistogramCell] = {}
        view = ("server", "zone", "view")
        self._requests = registry.counter(
            "coredns_dns_requests_total",
            "DNS requests.",
            (*view, "proto", "family", "type"),
        )
        self._responses = registry.counter(
            "coredns_dns_responses_total",
            "DNS responses, by response code and the plugin that wrote them.",
            (*view, "rcode", "plugin"),
        )
        self._do = registry.counter(
            "coredns_dns_do_requests_total", "DNS requests with the DO bit set.", view
        )
        self._request_size = registry.histogram(
            "coredns_dns_request_size_bytes",
            "Size of DNS requests.",
            SIZE_BUCKETS,
            (*view, "proto"),
        )
        self._response_size = registry.histogram(
            "coredns_dns_response_size_bytes",
            "Size of DNS responses.",
            SIZE_BUCKETS,
            (*view, "proto"),
        )
        self._duration = registry.histogram(
            "coredns_dns_request_duration_seconds",
            "Time from a DNS request to its response.",
            DURATION_BUCKETS,
            view,
        )
        self._panics = registry.counter(
            "coredns_panics_total", "Bugs in plugins that cost a request its answer."
        ).cell()
        self._https = registry.counter(
            "coredns_dns_https_responses_total",
            "Answers of HTTPS listeners, by HTTP status.",
            ("server", "status"),
        )
        registry.before_scrape(self.fold)

    @classmethod
    def of(cls, server: str, registry: Registry) -> "Accounts":
        """Give the accounts of a server, by its label: a reload goes on with them.

        So queries that are under way at a reload are counted, and nothing is there twice.
        """
        return registry.lasting((cls, server), lambda: cls(server, registry))

    def tally(
        self,
        client: Client,
        query: Query,
        zone: bytes,
        view: str,
        plugin: str,
        rcode: int,
        size: int,
        cells: tuple[Cell, ...] = (),
    ) -> Tally:
        """Give the tally for queries like this one.

        Args:
            client: Gives ``proto`` and ``family``.
            query: Gives ``type``, DO and the request's size.
            zone: Of the server block; empty when none took the query.
            view: Of the server block.
            plugin: That wrote the answer.
            rcode: Of the answer.
            size: Octets of the answer.
            cells: Counters of plugins that go with it.
        """
        asked = query.size
        if len(self._tallies) >= EXACT_LIMIT:
            asked, size = _bound(asked), _bound(size)
        do = query.edns is not None and query.edns.do
        qtype = query.qtype if query.qtype in _KNOWN_TYPES else 0
        proto, family = client.proto, client.family
        key = (proto, family, zone, view, qtype, do, plugin, rcode, asked, size, cells)
        found = self._tallies.get(key)
        if found is None:
            found = self._tallies[key] = Tally(cells)
        return found

    def observe(self, zone: bytes, view: str, seconds: float, times: int = 1) -> None:
        """Count how long answers took."""
        cell = self._durations.get((zone, view))
        if cell is None:
            cell = self._duration.histogram(self.server, _zone_text(zone), view)
            self._durations[(zone, view)] = cell
        cell.observe(seconds, times)

    def time_stored(self, seconds: float, times: int) -> None:
        """Note how long a batch of stored answers took; they share the time evenly."""
        self._stored_seconds += seconds
        self._stored_times += times

    def count_panic(self) -> None:
        """Count a plugin's bug."""
        self._panics.value += 1

    def count_https(self, status: int) -> None:
        """Count an answer over HTTPS."""
        self._https.cell(self.server, str(status)).value += 1

    def fold(self) -> None:
        """Bring the metric families up to the tallies."""
        mean = self._stored_seconds / self._stored_times if self._stored_times else 0.0
        self._stored_seconds, self._stored_times = 0.0, 0
        for key, tally in self._tallies.items():
            hits, made = self._folded.get(key, (0, 0))
            news = tally.hits - hits
            if news:
                self.observe(key[2], key[3], mean, news)
                for cell in tally.cells:
                    cell.value += news
            if news or tally.made != made:
                self._folded[key] = (tally.hits, tally.made)
                self._add(key, news + tally.made - made)

    def _add(self, key: _Key, times: int) -> None:
        proto, family, zone, view, qtype, do, plugin, rcode, asked, size, _ = key
        labels = (self.server, _zone_text(zone), view)
        kind = type_text(qtype) if qtype else "other"
        self._requests.cell(*labels, proto, family, kind).value += times
        self._responses.cell(*labels, rcode_text(rcode), plugin).value += times
        if do:
            self._do.cell(*labels).value += times
        self._request_size.histogram(*labels, proto).observe(asked, times)
        self._response_size.histogram(*labels, proto).observe(size, times)


def _bound(size: int) -> int:
    at = bisect_left(SIZE_BUCKETS, size)
    return int(SIZE_BUCKETS[at]) if at < len(SIZE_BUCKETS) else 65535


def _zone_text(zone: bytes) -> str:
    return to_text(zone) if zone else DROPPED
