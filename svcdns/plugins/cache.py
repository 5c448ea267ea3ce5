"""Keeps answers for a while.

Name
----
*cache*: answers again what was answered before, as long as its TTL lasts.

Syntax
------
::

    cache [TTL] [ZONES...] {
        success CAPACITY [TTL] [MINTTL]
        denial CAPACITY [TTL] [MINTTL]
        prefetch AMOUNT [DURATION [PERCENTAGE%]]
        serve_stale [DURATION] [immediate | verify]
        serve_stale_policy prefer_positive
        servfail DURATION
        disable success|denial [ZONES...]
        keepttl
    }

Examples:
--------
::

    . {
        cache 30 {
            disable success cluster.local
            disable denial cluster.local
        }
        forward . /etc/resolv.conf
    }

Metrics
-------
``coredns_cache_entries``, ``_hits_total`` {server, type, zones, view}; ``_requests_total``,
``_misses_total``, ``_prefetch_total``, ``_drops_total``, ``_served_stale_total``
{server, zones, view}; ``_evictions_total`` {server, type, zones, view}.

Differences
-----------
* Answers of the cluster zone are never kept here: they live in the answer table until their
  Service changes, so that a new Service is found at once whatever the TTL (users of CoreDNS wait
  for the denial of its name to expire).  Their TTL is capped as CoreDNS caps it (rule J17).
* The least recently used answer makes room, not a random one.

Parity: CoreDNS ``plugin/cache`` (rules J13 to J18).
"""

from collections import OrderedDict
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from svcdns.corefile.options import once
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import AD, CD
from svcdns.dns.name import ROOT, is_subdomain, to_text
from svcdns.dns.query import Query
from svcdns.dns.response import Response
from svcdns.metrics import Cell, Family
from svcdns.plugins import cacheoptions
from svcdns.plugins.base import (
    Ask,
    Context,
    Failed,
    Handler,
    Need,
    Outcome,
    Reply,
    Request,
    Storable,
    then,
)
from svcdns.plugins.cacheitems import Item, Sort, keepable, lifetime, sort_of, with_ttl
from svcdns.plugins.cacheoptions import Kept, Settings

NAME = "cache"

_Key = tuple[bytes, int, int, bool, bool]

_SERVER_ERROR = Sort.SERVER_ERROR  # an enum's attribute costs more than the comparison


class _Counters:
    """The metrics of one directive."""

    def __init__(self, context: Context, zones: str) -> None:
        self._labels = (context.server, zones, context.view)
        registry = context.registry
        names = ("server", "zones", "view")
        typed = ("server", "type", "zones", "view")

        def plain(name: str, text: str) -> Cell:
            return registry.counter(f"coredns_cache_{name}_total", text, names).cell(*self._labels)

        self.requests = plain("requests", "Queries that came to the cache.")
        self.misses = plain("misses", "Queries that the cache could not answer.")
        self.prefetches = plain("prefetch", "Answers renewed before they expired.")
        self.drops = plain("drops", "Answers that did not match their question.")
        self.stale = plain("served_stale", "Answers served after they expired.")
        self._hits = registry.counter("coredns_cache_hits_total", "Queries answered.", typed)
        self._entries = registry.gauge("coredns_cache_entries", "Answers kept.", typed)
        self._evictions = registry.counter(
            "coredns_cache_evictions_total", "Answers pushed out by newer ones.", typed
        )
        self.hits = {sort: self._typed(self._hits, sort) for sort in (True, False)}
        self.entries = {sort: self._typed(self._entries, sort) for sort in (True, False)}
        self.evictions = {sort: self._typed(self._evictions, sort) for sort in (True, False)}

    def _typed(self, family: Family, denial: bool) -> Cell:
        server, zones, view = self._labels
        return family.cell(server, "denial" if denial else "success", zones, view)


class _Shelf:
    """Answers of one kind; the one not used for longest makes room, and is counted.

    Every query looks on both shelves, for which ``cachetools`` takes six calls in Python.
    """

    __slots__ = ("_capacity", "_evictions", "_items", "find")

    def __init__(self, capacity: int, evictions: Cell) -> None:
        self._capacity = capacity
        self._evictions = evictions
        self._items: OrderedDict[_Key, Item] = OrderedDict()
        self.find = self._items.get
        "Gives an answer, without counting that as its use."

    def __len__(self) -> int:
        return len(self._items)

    def used(self, key: _Key) -> None:
        """Note that an answer is of use."""
        self._items.move_to_end(key)

    def put(self, key: _Key, item: Item) -> None:
        """Take an answer in."""
        self._items[key] = item
        self._items.move_to_end(key)
        if len(self._items) > self._capacity:
            self._evictions.value += 1
            self._items.popitem(last=False)

    def remove(self, key: _Key) -> None:
        """Forget an answer, if it is there."""
        self._items.pop(key, None)


class _Renewal(Struct, frozen=True, gc=False):
    """Renews the stored octets of an answer when its TTL has ticked over (:data:`base.Renew`).

    It does not hold the answer itself, which may make room for others meanwhile.
    """

    shelf: _Shelf
    key: _Key
    stored: float
    "Tells the answer from a later one to the same question."
    keep_ttl: bool

    def __call__(self, now: float) -> tuple[int, float] | None:
        item = self.shelf.find(self.key)
        if item is None or item.stored != self.stored or (left := item.left(now)) <= 0:
            return None
        self.shelf.used(self.key)
        return item.ttl if self.keep_ttl else left, item.ticks(now)


class Cache:
    """One ``cache`` directive."""

    name = NAME

    def __init__(self, settings: Settings, counters: _Counters) -> None:
        self._settings = settings
        self._counters = counters
        self._everything = ROOT in settings.zones
        self._shelves = {
            True: _Shelf(settings.denial.capacity, counters.evictions[True]),
            False: _Shelf(settings.success.capacity, counters.evictions[False]),
        }

    @property
    def needs(self) -> tuple[Need, ...]:
        """Nothing."""
        return ()

    def count_entries(self) -> None:
        """Bring the gauges up to date; called before a scrape."""
        for denial, shelf in self._shelves.items():
            self._counters.entries[denial].value = len(shelf)

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Answer from the cache, or keep what the next plugin answers."""
        query = request.query
        if not self._everything and not _within(query.name, self._settings.zones):
            return proceed(request)
        self._counters.requests.value += 1
        key = _key(query)
        item = self._find(key, request.now)
        if item is None:
            self._counters.misses.value += 1
            return self._ask(request, proceed, key)
        if item.left(request.now) <= 0:
            return self._stale(request, proceed, key, item)
        return self._hit(request, proceed, key, item)

    def _find(self, key: _Key, now: float) -> Item | None:
        for shelf in self._shelves.values():  # denials first, as in CoreDNS
            item = shelf.find(key)
            if item is not None and item.left(now) > -self._settings.stale_for:
                shelf.used(key)
                return item
        return None

    # Answering from the cache

    def _hit(self, request: Request, proceed: Handler, key: _Key, item: Item) -> Outcome:
        now, settings = request.now, self._settings
        counter = self._counters.hits[item.sort.denial]
        counter.value += 1
        reply = self._reply(request, item, item.left(now))
        if not settings.prefetch:
            cells = (counter, self._counters.requests)
            renew = _Renewal(self._shelves[item.sort.denial], key, item.stored, settings.keep_ttl)
            return replace(reply, store=Storable(until=item.ticks(now), cells=cells, renew=renew))
        often = item.hit(now, settings.prefetch_within) >= settings.prefetch
        soon = item.left(now) <= item.ttl * settings.prefetch_at
        if often and soon and not item.refreshing:
            self._counters.prefetches.value += 1
            return replace(reply, background=self._refresh(request, proceed, key, item))
        return reply

    def _stale(self, request: Request, proceed: Handler, key: _Key, item: Item) -> Outcome:
        """Serve an expired answer, now or when a new one cannot be had (rule J18)."""

        def fall_back(outcome: Outcome, now: float) -> Outcome:
            failed = isinstance(outcome, Failed) or (
                isinstance(outcome, Reply)
                and sort_of(request.query, outcome.response) is Sort.SERVER_ERROR
            )
            return self._serve_stale(request, item) if failed else outcome

        if self._settings.verify:
            fresh = proceed(_downstream(request))
            checked = then(fresh, fall_back, request.now)
            return then(checked, self._keeper(request, key), request.now)
        reply = self._serve_stale(request, item)
        if item.refreshing:
            return reply
        return replace(reply, background=self._refresh(request, proceed, key, item))

    def _serve_stale(self, request: Request, item: Item) -> Reply:
        self._counters.stale.value += 1
        self._counters.hits[item.sort.denial].value += 1
        return self._reply(request, item, 0)

    def _refresh(
        self, request: Request, proceed: Handler, key: _Key, item: Item
    ) -> tuple[Ask, ...]:
        """Ask again while nobody waits; at most once at a time for an answer."""
        item.refreshing = True

        def done(outcome: Outcome, now: float) -> Outcome:
            item.refreshing = False
            return self._keep(request, key, outcome, now)

        outcome = then(proceed(_downstream(request)), done, request.now)
        return (outcome,) if isinstance(outcome, Ask) else ()

    def _reply(self, request: Request, item: Item, ttl: int) -> Reply:
        query = request.query
        response = with_ttl(
            item.response, item.ttl if self._settings.keep_ttl else max(ttl, 0), query
        )
        # AA is set on every cached answer, because some clients drop others (register K21).
        return Reply(replace(response, aa=True, cd=None, ad=response.ad and _wants_ad(query)), NAME)

    # Keeping what others answer

    def _ask(self, request: Request, proceed: Handler, key: _Key) -> Outcome:
        outcome = proceed(_downstream(request))
        if isinstance(outcome, Reply):
            return self._keep(request, key, outcome, request.now)
        return then(outcome, self._keeper(request, key), request.now)

    def _keeper(self, request: Request, key: _Key) -> Callable[[Outcome, float], Outcome]:
        return lambda outcome, now: self._keep(request, key, outcome, now)

    def _keep(self, request: Request, key: _Key, outcome: Outcome, now: float) -> Outcome:
        """Keep an answer if it may be kept, and cap its TTL in any case (rule J17)."""
        if not isinstance(outcome, Reply) or outcome.plugin == NAME:
            return outcome
        query, response = request.query, outcome.response
        sort = sort_of(query, response)
        kept = self._settings.denial if sort.denial else self._settings.success
        ttl = _duration(self._settings, kept, response, sort)
        # What may be stored until its owner changes is not kept for a time (Differences).
        wanted = outcome.store is None and not kept.disabled_for(query.name)
        if wanted and ttl > 0 and keepable(query, response, sort):
            self._put(key, Item(response, sort, now, ttl))
        capped = with_ttl(response, ttl, query)
        if response.ad and not _wants_ad(query):
            capped = replace(capped, ad=False)
        return outcome if capped is response else replace(outcome, response=capped)

    def _put(self, key: _Key, item: Item) -> None:
        shelf = self._shelves[item.sort.denial]
        other = self._shelves[not item.sort.denial]
        if item.sort.denial and self._settings.prefer_positive and other.find(key) is not None:
            return
        # A name is either there or denied: the older verdict would win later otherwise.
        other.remove(key)
        shelf.put(key, item)


def _within(name: bytes, zones: tuple[bytes, ...]) -> bool:
    return any(is_subdomain(name, zone) for zone in zones)


def _key(query: Query) -> _Key:
    do = query.edns is not None and query.edns.do
    return (query.name, query.qtype, query.qclass, do, bool(query.flags & CD))


def _wants_ad(query: Query) -> bool:
    from_flag = bool(query.flags & AD)
    return from_flag or (query.edns is not None and query.edns.do)


def _downstream(request: Request) -> Request:
    """Ask on with AD set, to learn whether the answer is authenticated (rule J16)."""
    query = request.query
    if query.flags & AD:
        return request
    asked = query.with_flags(query.flags | AD)
    return Request(
        asked, request.client, request.now, request.resolve, request.zone, request.metadata
    )


def _duration(settings: Settings, kept: Kept, response: Response, sort: Sort) -> int:
    if sort is _SERVER_ERROR:
        return int(settings.servfail)
    return min(max(lifetime(response, sort), kept.min_ttl), kept.max_ttl)


def setup(directives: tuple[Directive, ...], context: Context) -> Cache:
    """Read the directive."""
    settings = cacheoptions.read(once(directives, context.warn), context.zones)
    zones = ",".join(to_text(zone) for zone in settings.zones)
    cache = Cache(settings, _Counters(context, zones))
    context.registry.before_scrape(cache.count_entries)
    return cache
