"""Zone transfers to secondaries.

Name
----
*transfer*: gives whole zones of ``kubernetes``, ``file`` and ``auto`` to servers that ask for them
over TCP.

Syntax
------
::

    transfer [ZONE...] {
        to ADDRESS...
        source ADDRESS
    }

ADDRESS is an address, with a port or without, or ``*`` for everybody.

Examples:
--------
::

    . {
        transfer cluster.local {
            to *
        }
        kubernetes cluster.local
    }

Differences
-----------
* NOTIFY is not sent, so ``source`` has no effect; secondaries find changes by their refresh timer.
* Only the top of a zone is transferred: CoreDNS takes ``svc.cluster.local`` for a zone as well.
* A zone of ``kubernetes`` before its first lists gets SERVFAIL, not an empty transfer.

Parity: CoreDNS ``plugin/transfer`` (rules H2, H3, H5).
"""

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from msgspec import Struct

from svcdns.corefile.options import Line, each
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import Rcode, RRType
from svcdns.dns.response import Record, Response
from svcdns.plugins.base import (
    Context,
    Failed,
    Handler,
    Need,
    Outcome,
    Plugin,
    Reply,
    Request,
    Stream,
)
from svcdns.plugins.zonedata import within

NAME = "transfer"

MESSAGE_OCTETS = 60_000
"""Octets of records in one message, counted without compression (rule H5: about 63000)."""

_RECORD_OCTETS = 10
"""Octets of a record besides owner and data."""

EVERYBODY = "*"


@runtime_checkable
class Transferable(Protocol):
    """A plugin that has whole zones."""

    def zone_records(self, origin: bytes) -> Sequence[Record] | None:
        """Give a zone's records, SOA first and only once.

        ``None``: this plugin does not have the zone.  Empty: it has, but not its records yet.
        """


class Settings(Struct, frozen=True):
    """One ``transfer`` directive."""

    zones: tuple[bytes, ...]
    to: frozenset[str]
    "Addresses, and :data:`EVERYBODY`."


class Transfer:
    """All ``transfer`` directives of a block."""

    name = NAME

    def __init__(self, rules: Sequence[Settings]) -> None:
        self._rules = {zone: rule for rule in rules for zone in rule.zones}
        self._sources: tuple[Transferable, ...] = ()

    @property
    def needs(self) -> tuple[Need, ...]:
        """Nothing."""
        return ()

    def meet(self, siblings: Sequence[Plugin]) -> None:
        """Find the plugins that have zones, the first to see a query first."""
        self._sources = tuple([plugin for plugin in siblings if isinstance(plugin, Transferable)])

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Answer AXFR and IXFR; leave the rest to the next plugin."""
        query = request.query
        if query.qtype not in (RRType.AXFR, RRType.IXFR):
            return proceed(request)
        if request.client.udp:
            return Failed(Rcode.REFUSED, plugin=NAME)
        zone = within(query.name, self._rules)
        if zone is None:
            return proceed(request)
        allowed = self._rules[zone].to
        if EVERYBODY not in allowed and request.client.address not in allowed:
            return Reply(Response(Rcode.REFUSED), NAME)
        if query.qtype == RRType.IXFR and query.serial is None:
            return Failed(Rcode.SERVFAIL, plugin=NAME)
        for source in self._sources:
            records = source.zone_records(query.name)
            if records is not None:
                return _transferred(records, query.serial)
        return proceed(request)


def _transferred(records: Sequence[Record], serial: int | None) -> Outcome:
    if not records:
        return Failed(Rcode.SERVFAIL, f"plugin/{NAME}: zone is not loaded", NAME)
    soa = records[0]
    if serial is not None and serial == int.from_bytes(soa.rdata[-20:-16], "big"):
        # The client has this version: its SOA alone says so (RFC 1995 §2).
        return Reply(Response(answer=(soa,), aa=True), NAME)
    return Stream(_messages((*records, soa)), NAME)


def _messages(records: Sequence[Record]) -> Iterator[Response]:
    """Put as many records into each message as surely fit (RFC 5936 §2.2)."""
    chunk: list[Record] = []
    size = 0
    for record in records:
        octets = len(record.owner) + _RECORD_OCTETS + len(record.rdata)
        if chunk and size + octets > MESSAGE_OCTETS:
            yield Response(answer=tuple(chunk), aa=True)
            chunk, size = [], 0
        chunk.append(record)
        size += octets
    yield Response(answer=tuple(chunk), aa=True)


def setup(directives: tuple[Directive, ...], context: Context) -> Transfer:
    """Read the directives."""
    rules = [_read(line, context) for line in each(directives)]
    seen: set[bytes] = set()
    for rule, line in zip(rules, each(directives), strict=True):
        if seen.intersection(rule.zones):
            raise line.error("a zone can be transferred by one transfer only")
        seen.update(rule.zones)
    return Transfer(rules)


def _read(line: Line, context: Context) -> Settings:
    zones = line.zones(context.zones)
    to: list[str] = []
    for option in line.options():
        match option.name:
            case "to":
                while option.more:
                    to.append(_address(option))
            case "source":
                option.word()
            case _:
                raise option.unknown()
    if not to:
        raise line.error("'to' is required")
    return Settings(zones, frozenset(to))


def _address(option: Line) -> str:
    if option.next == EVERYBODY:
        return option.word()
    host, _ = option.address(53)
    return host
