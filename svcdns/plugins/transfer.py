"""Zone transfers to secondaries.

Name
----
*transfer*: gives whole zones of ``kubernetes``, ``file``, ``auto`` and ``secondary`` to servers
that ask for them over TCP, and tells them when a zone has changed.

Syntax
------
::

    transfer [ZONE...] {
        to ADDRESS...
        source ADDRESS
    }

ADDRESS is an address, with a port or without, or ``*`` for everybody.  Addresses get a NOTIFY when
a zone of ``file``, ``auto`` or ``secondary`` has a new serial, at start as well; from ``source``.

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
* Only the top of a zone is transferred: CoreDNS takes ``svc.cluster.local`` for a zone as well.
* A zone of ``kubernetes`` before its first lists gets SERVFAIL, not an empty transfer.

Parity: CoreDNS ``plugin/transfer`` (rules H2, H3, H5).
"""

from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address
from typing import Protocol, runtime_checkable

from msgspec import Struct
from msgspec.structs import replace

from svcdns.corefile.endpoints import is_address, split_host_port
from svcdns.corefile.options import Line, each
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import AA, Opcode, Rcode, RRType, rcode_text
from svcdns.dns.message import build_query, parse_response
from svcdns.dns.name import to_text
from svcdns.dns.response import Record, Response
from svcdns.dns.transfer import times
from svcdns.hostport import host_port
from svcdns.plugins.base import (
    Ask,
    Context,
    Drop,
    Failed,
    Handler,
    Need,
    Outcome,
    Periodic,
    Plugin,
    Reply,
    Request,
    Stream,
)
from svcdns.plugins.commands import Exchange, Exchanged, Result, Unanswered, Upstream
from svcdns.plugins.zonedata import within

NAME = "transfer"

MESSAGE_OCTETS = 60_000
"""Octets of records in one message, counted without compression (rule H5: about 63000)."""

_RECORD_OCTETS = 10
"""Octets of a record besides owner and data."""

EVERYBODY = "*"

LOOK_SECONDS = 1.0
"""Between two looks whether a zone has changed."""

NOTIFIES = 3
"""Tries to tell somebody (CoreDNS)."""

NOTIFY_SECONDS = 2.0
"""For each of them (miekg/dns)."""


@runtime_checkable
class Transferable(Protocol):
    """A plugin that has whole zones."""

    def zone_records(self, origin: bytes) -> Sequence[Record] | None:
        """Give a zone's records, SOA first and only once.

        ``None``: this plugin does not have the zone.  Empty: it has, but not its records yet.
        """


@runtime_checkable
class Versioned(Protocol):
    """A plugin whose zones have serials that change when they do."""

    def zone_serial(self, origin: bytes) -> int | None:
        """Give a zone's serial; ``None``: this plugin does not have the zone."""


class Settings(Struct, frozen=True):
    """One ``transfer`` directive."""

    zones: tuple[bytes, ...]
    to: frozenset[str]
    "Addresses, and :data:`EVERYBODY`."
    notify: tuple[Upstream, ...] = ()
    "Who hears of changes."


class Transfer:
    """All ``transfer`` directives of a block."""

    name = NAME

    def __init__(self, rules: Sequence[Settings], say: Callable[[str], None]) -> None:
        self._rules = {zone: rule for rule in rules for zone in rule.zones}
        self._say = say
        self._told: dict[bytes, int] = {}
        self._sources: tuple[Transferable, ...] = ()

    @property
    def needs(self) -> tuple[Need, ...]:
        """A look at the serials, when somebody wants to hear of changes."""
        if any(rule.notify for rule in self._rules.values()):
            return (Periodic(NAME, LOOK_SECONDS, self.look),)
        return ()

    def meet(self, siblings: Sequence[Plugin]) -> None:
        """Find the plugins that have zones, the first to see a query first."""
        self._sources = tuple([plugin for plugin in siblings if isinstance(plugin, Transferable)])

    def look(self, _now: float) -> tuple[Ask, ...]:
        """Give the NOTIFY messages for zones that have changed (RFC 1996 §3.1)."""
        asks: list[Ask] = []
        for zone, rule in self._rules.items():
            serial = self._serial(zone) if rule.notify else None
            if serial is None or self._told.get(zone) == serial:
                continue
            self._told[zone] = serial
            asks += [self._notify(zone, to, NOTIFIES) for to in rule.notify]
            names = " ".join(host_port(to.address, to.port) for to in rule.notify)
            self._say(
                f'[INFO] plugin/{NAME}: Sent notifies for zone "{to_text(zone)}" to [{names}]'
            )
        return tuple(asks)

    def _serial(self, zone: bytes) -> int | None:
        for source in self._sources:
            if isinstance(source, Versioned):
                serial = source.zone_serial(zone)
                if serial is not None:
                    return serial
        return None

    def _notify(self, zone: bytes, to: Upstream, tries: int) -> Ask:
        def resume(result: Result, _now: float) -> Outcome:
            problem = _refusal(result)
            if problem and tries > 1:
                return self._notify(zone, to, tries - 1)
            if problem:
                self._say(
                    f'[ERROR] plugin/{NAME}: notify for zone "{to_text(zone)}" was not accepted '
                    f'by "{host_port(to.address, to.port)}": {problem}'
                )
            return Drop()

        return Ask(Exchange(to, _notification(zone), NOTIFY_SECONDS), resume)

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
                return self._transferred(records, request)
        return proceed(request)

    def _transferred(self, records: Sequence[Record], request: Request) -> Outcome:
        if not records:
            return Failed(Rcode.SERVFAIL, f"plugin/{NAME}: zone is not loaded", NAME)
        soa, asked = records[0], request.query.serial
        serial = times(soa).serial
        what = f'zone "{to_text(request.query.name)}" to {request.client.address}'
        if asked == serial:
            self._say(
                f"[INFO] plugin/{NAME}: Outgoing noop, incremental transfer for up to date "
                f"{what} for {serial} SOA serial"
            )
            # The client has this version: its SOA alone says so (RFC 1995 §2).
            return Reply(Response(answer=(soa,), aa=True), NAME)
        line = (
            f"[INFO] plugin/{NAME}: Outgoing transfer of {len(records) + 1} records "
            f"of {what} for {serial} SOA serial"
        )
        return Stream(self._sent((*records, soa), line), NAME)

    def _sent(self, records: Sequence[Record], line: str) -> Iterator[Response]:
        """Give the messages, and say so when the last one has been taken."""
        yield from _messages(records)
        self._say(line)


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
    rules: list[Settings] = []
    seen: set[bytes] = set()
    for line in each(directives):
        rule = _read(line, context)
        if twice := seen.intersection(rule.zones):
            # As in CoreDNS, where neither is refused.
            names = ", ".join(sorted(to_text(zone) for zone in twice))
            place = f"{line.directive.file}:{line.directive.line}"
            context.warn(
                f"{place} - plugin/{NAME}: there is a `transfer` for {names} before this one, "
                "and the first one counts"
            )
        rules.append(replace(rule, zones=tuple([one for one in rule.zones if one not in seen])))
        seen.update(rule.zones)
    return Transfer(rules, context.write)


def _read(line: Line, context: Context) -> Settings:
    zones = line.zones(context.zones)
    everybody, source = False, ""
    to: list[tuple[str, int]] = []
    for option in line.options():
        match option.name:
            case "to":
                while option.more:
                    if option.next == EVERYBODY:
                        everybody = bool(option.word())
                    else:
                        to.append(option.read(_address))
            case "source":
                source = option.word()
            case _:
                raise option.unknown()
    if not to and not everybody:
        raise line.error("'to' is required")
    hosts = [host for host, _ in to]
    return Settings(
        zones,
        frozenset([*hosts, EVERYBODY] if everybody else hosts),
        tuple([Upstream(host, port, source=source) for host, port in to]),
    )


def _address(text: str) -> tuple[str, int]:
    host, port = split_host_port(text, 53)
    if not is_address(host):
        raise ValueError(f"must specify an IP address: `{host}'")
    # As clients' addresses are written, which are compared with it.
    return str(ip_address(host)), port


def _notification(zone: bytes) -> bytes:
    wire = build_query(zone, RRType.SOA, rd=False)
    flags = Opcode.NOTIFY << 11 | AA
    return wire[:2] + flags.to_bytes(2, "big") + wire[4:]


def _refusal(result: Result) -> str:
    """Say why a NOTIFY was not accepted; empty when it was."""
    if isinstance(result, Unanswered):
        return result.reason
    message = parse_response(result.wire) if isinstance(result, Exchanged) else None
    if message is None:
        return "an answer that cannot be read"
    return f"rcode was {rcode_text(message.rcode)}" if message.rcode else ""
