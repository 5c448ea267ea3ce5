"""What may be cached, for how long, and what a cached answer looks like later.

Parity: CoreDNS ``plugin/pkg/response`` (Typify), ``plugin/pkg/dnsutil/ttl.go``,
``plugin/cache/item.go`` (rules J13 to J16).
"""

from collections.abc import Iterable
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from svcdns.dns.constants import Opcode, Rcode, RRType
from svcdns.dns.query import Query
from svcdns.dns.response import Record, Response

DEFAULT_TTL = 5
"""Seconds for answers that say nothing of time themselves, and the floor of all (rule J13)."""

LONGEST_TTL = 3600
"""Seconds: no answer counts as good for longer."""

_DNSSEC = frozenset(
    {RRType.DNSKEY, RRType.DS, RRType.NSEC, RRType.NSEC3, RRType.NSEC3PARAM, RRType.RRSIG}
)
_META = frozenset({RRType.AXFR, RRType.IXFR, RRType.TSIG, 249})
"""Types whose answers are no data; 249 is TKEY."""

_QUERY = Opcode.QUERY
_SOA = RRType.SOA
_NS = RRType.NS
_NXDOMAIN = Rcode.NXDOMAIN


class Sort(Enum):
    """What an answer amounts to."""

    POSITIVE = "positive", False, True
    DELEGATION = "delegation", False, False
    NAME_ERROR = "name error", True, True
    NO_DATA = "no data", True, True
    SERVER_ERROR = "server error", True, False
    OTHER = "other", False, False
    "Neither cached nor counted on."

    def __init__(self, text: str, denial: bool, timed: bool) -> None:
        self.text = text
        self.denial = denial
        "Whether it is kept with the denials."
        self.timed = timed
        "Whether its records say how long it is good for."


# A member of an enum costs more to look up than what is done with it here.
_POSITIVE, _NAME_ERROR, _NO_DATA = Sort.POSITIVE, Sort.NAME_ERROR, Sort.NO_DATA


def sort_of(query: Query, response: Response) -> Sort:
    """Tell what an answer amounts to."""
    if query.opcode != _QUERY or query.qtype in _META:
        return Sort.OTHER
    rcode = response.rcode
    if response.answer and not rcode:
        return _POSITIVE
    delegates = False
    for record in response.authority:
        if record.rrtype == _SOA and (not rcode or rcode == _NXDOMAIN):
            return _NAME_ERROR if rcode else _NO_DATA
        delegates = delegates or record.rrtype == _NS
    if rcode in (Rcode.SERVFAIL, Rcode.NOTIMP):
        return Sort.SERVER_ERROR
    if rcode:
        return Sort.OTHER
    return Sort.DELEGATION if delegates else _POSITIVE


def lifetime(response: Response, sort: Sort) -> int:
    """Give the least TTL of an answer in seconds, that of a denial's SOA minimum included."""
    if not sort.timed:
        return DEFAULT_TTL
    least, denial, timed = LONGEST_TTL, sort.denial, False
    for section in (response.answer, response.authority, response.additional):
        for record in section:
            timed = True
            ttl = record.ttl
            if ttl < least:
                least = ttl
            if denial and record.rrtype == _SOA:
                minimum = int.from_bytes(record.rdata[-4:], "big")
                if minimum < least:
                    least = minimum
    return least if timed else DEFAULT_TTL


def keepable(query: Query, response: Response, sort: Sort) -> bool:
    """Whether an answer may be kept at all (rule J14)."""
    if sort is Sort.OTHER or response.tc:
        return False
    aliases_only = bool(response.answer) and all(
        record.rrtype == RRType.CNAME for record in response.answer
    )
    # A CNAME without its target's data is half an answer, unless the CNAME was the question or an
    # SOA says that there is no more.
    return not (aliases_only and query.qtype != RRType.CNAME and not response.authority)


def with_ttl(response: Response, ttl: int, query: Query) -> Response:
    """Give every record the same TTL, and leave DNSSEC out for clients that did not ask for it."""
    for section in (response.answer, response.authority, response.additional):
        for record in section:
            if record.ttl != ttl or record.rrtype in _DNSSEC:
                return _changed(response, ttl, query)
    return response


def _changed(response: Response, ttl: int, query: Query) -> Response:
    do = query.edns is not None and query.edns.do
    return replace(
        response,
        answer=_records(response.answer, ttl, query.qtype, do=do),
        authority=_records(response.authority, ttl, query.qtype, do=do),
        additional=_records(response.additional, ttl, query.qtype, do=do),
    )


def _records(records: Iterable[Record], ttl: int, qtype: int, *, do: bool) -> tuple[Record, ...]:
    return tuple(
        record if record.ttl == ttl else replace(record, ttl=ttl)
        for record in records
        if do or record.rrtype not in _DNSSEC or record.rrtype == qtype
    )


class Item(Struct):
    """A cached answer."""

    response: Response
    sort: Sort
    stored: float
    "Monotonic seconds."
    ttl: int
    "Seconds that it was good for when it was stored."
    hits: int = 0
    "Since :attr:`first_hit`, for prefetching."
    first_hit: float = 0.0
    last_hit: float = 0.0
    refreshing: bool = False

    def left(self, now: float) -> int:
        """Seconds that it is still good for; negative when it is stale."""
        return self.ttl - int(now - self.stored)

    def ticks(self, now: float) -> float:
        """Give the time (monotonic seconds) up to which :meth:`left` stays what it is."""
        return self.stored + int(now - self.stored) + 1

    def hit(self, now: float, within: float) -> int:
        """Count a hit; the count starts anew after *within* quiet seconds."""
        if now - self.last_hit > within:
            self.hits, self.first_hit = 0, now
        self.hits += 1
        self.last_hit = now
        return self.hits
