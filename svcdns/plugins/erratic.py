"""Faults for tests of clients.

Name
----
*erratic*: answers A and AAAA queries with fixed addresses, and loses, delays or truncates some.

Syntax
------
::

    erratic {
        drop [AMOUNT]
        truncate [AMOUNT]
        delay [AMOUNT [DURATION]]
        large
    }

* ``drop``: every AMOUNT-th query gets no answer; every second one by default, when nothing else is
  asked for.
* ``truncate``: every AMOUNT-th answer has TC set.
* ``delay``: every AMOUNT-th answer is DURATION late; 2 and 100 ms by default.
* ``large``: answers to A queries are over 512 octets.

An AMOUNT of 0 switches a fault off; the first query counts as number 0, so it has every fault.
Queries of other types get SERVFAIL, but AXFR, which gets a small zone, without its end when
truncated.

Examples:
--------
::

    . {
        erratic {
            drop 3
            delay 5 200ms
        }
    }

Differences
-----------
None known.

Parity: CoreDNS ``plugin/erratic``.
"""

from msgspec import Struct
from msgspec.structs import replace

from svcdns.corefile.options import Line, each
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import Rcode, RRType
from svcdns.dns.name import ROOT, from_text, join
from svcdns.dns.rdata import a, aaaa, ns, soa
from svcdns.dns.response import Record, Response
from svcdns.plugins.base import (
    Ask,
    Context,
    Drop,
    Failed,
    Handler,
    Need,
    Outcome,
    Reply,
    Request,
    Stream,
)
from svcdns.plugins.commands import Delay

NAME = "erratic"

DEFAULT_AMOUNT = 2

DEFAULT_DELAY_SECONDS = 0.1

SEARCH = (from_text("a.example.org"), from_text("b.example.org"), ROOT)
"""The search path of every client, for ``autopath @erratic``."""

LARGE = 40
"""Records in a large answer: over 512 octets although names are compressed (CoreDNS: 30)."""

_ADDRESSES: dict[int, bytes] = {RRType.A: a("192.0.2.53"), RRType.AAAA: aaaa("2001:db8::53")}
_SOA = soa(
    from_text("sns.dns.icann.org"),
    from_text("noc.dns.icann.org"),
    2018050825,
    7200,
    3600,
    1209600,
    3600,
)


class Settings(Struct, frozen=True):
    """Which queries have which fault; 0: none."""

    drop: int = DEFAULT_AMOUNT
    truncate: int = 0
    delay: int = 0
    seconds: float = DEFAULT_DELAY_SECONDS
    "How late."
    large: bool = False


class Erratic:
    """One ``erratic`` directive."""

    name = NAME
    needs: tuple[Need, ...] = ()
    search_path = SEARCH

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._queries = 0

    @property
    def ready(self) -> bool:
        """Whether 3 or 4 queries have come: ``ready`` is to be tested with this, too."""
        return 3 <= self._queries < 5

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Answer, more or less; no query goes further."""
        settings, number = self._settings, self._queries
        self._queries += 1
        if _is_due(settings.drop, number):
            return Drop()
        outcome = self._answer(request, truncated=_is_due(settings.truncate, number))
        if _is_due(settings.delay, number):
            return Ask(Delay(settings.seconds), lambda _result, _now: outcome)
        return outcome

    def _answer(self, request: Request, *, truncated: bool) -> Outcome:
        query = request.query
        if query.qtype == RRType.AXFR:
            return Stream([Response(answer=_zone(query.qname, whole=not truncated), aa=True)], NAME)
        rdata = _ADDRESSES.get(query.qtype)
        if rdata is None:
            return Failed(Rcode.SERVFAIL, plugin=NAME)
        records: tuple[Record, ...] = (Record(query.qname, query.qtype, 0, rdata),)
        if self._settings.large and query.qtype == RRType.A:
            records *= LARGE
        return Reply(Response(answer=records, aa=True, tc=truncated), NAME)


def _is_due(amount: int, number: int) -> bool:
    return amount > 0 and number % amount == 0


def _zone(origin: bytes, *, whole: bool) -> tuple[Record, ...]:
    first, second = join((b"a",), origin), join((b"b",), origin)
    start = Record(origin, RRType.SOA, 0, _SOA)
    records = (
        start,
        Record(origin, RRType.NS, 0, ns(second)),
        Record(origin, RRType.NS, 0, ns(first)),
        Record(first, RRType.AAAA, 0, aaaa("2001:bd8::53")),
        Record(second, RRType.AAAA, 0, aaaa("2001:500::54")),
    )
    return (*records, start) if whole else records


def setup(directives: tuple[Directive, ...], context: Context) -> Erratic:
    """Read the directives."""
    settings, drop = Settings(), False
    for line in each(directives, context.warn):
        line.ignore_rest()
        for option in line.options():
            drop = drop or (option.name == "drop" and option.more)
            settings = _read(settings, option)
    if (settings.delay or settings.truncate) and not drop:
        # Who asks for another fault and not for this one does not want it.
        settings = replace(settings, drop=0)
    return Erratic(settings)


def _read(settings: Settings, option: Line) -> Settings:
    match option.name:
        case "drop":
            return replace(settings, drop=option.integer(low=0, default=settings.drop))
        case "truncate":
            return replace(settings, truncate=option.integer(low=0, default=settings.truncate))
        case "delay":
            amount = option.integer(low=0, default=DEFAULT_AMOUNT)
            seconds = option.duration(default=DEFAULT_DELAY_SECONDS)
            return replace(settings, delay=amount, seconds=max(0.0, seconds))
        case "large":
            return replace(settings, large=True)
        case _:
            raise option.unknown()
