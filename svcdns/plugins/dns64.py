"""IPv6 addresses made from IPv4 ones, for clients behind NAT64.

Name
----
*dns64*: answers AAAA queries for names that have A records only with addresses under a prefix.

Syntax
------
::

    dns64 PREFIX

    dns64 {
        prefix PREFIX
        translate_all
        allow_ipv4
    }

* PREFIX: ``64:ff9b::/96`` by default; 32 to 96 bits, a multiple of 8.  On the line of the directive
  it stands alone: as in CoreDNS, a block behind it has no effect, and a warning says so.
* ``translate_all``: also for names that have AAAA records, instead of those.
* ``allow_ipv4``: also for queries that came over IPv4.

Examples:
--------
::

    . {
        dns64 64:1337::/96
        forward . 172.31.0.10
    }

Metrics
-------
``coredns_dns64_requests_translated_total`` {server}.

Differences
-----------
* When there are no A records either, the answer about AAAA stands as it was (RFC 6147 §5.1.6), and
  the query does not count as translated; CoreDNS answers NOERROR even when A failed.

As in CoreDNS, PTR queries are not translated, and DNSSEC plays no role.

Parity: CoreDNS ``plugin/dns64``; RFC 6147, RFC 6052 §2.2.
"""

from ipaddress import IPv4Network, IPv6Network, ip_network

from msgspec import Struct
from msgspec.structs import replace

from svcdns.corefile.options import each
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import RRClass, RRType
from svcdns.dns.response import Record, Response
from svcdns.metrics import Cell
from svcdns.plugins.base import Ask, Context, Handler, Need, Outcome, Reply, Request, Storable, then
from svcdns.plugins.cacheitems import Sort, sort_of

NAME = "dns64"

WELL_KNOWN = IPv6Network("64:ff9b::/96")
"""RFC 6052 §2.1."""

MAX_TTL = 600
"""Seconds for a made address when no SOA says otherwise (RFC 6147 §5.1.7)."""

_IPV6 = "2"


class Settings(Struct, frozen=True):
    """What the directive says."""

    prefix: IPv6Network = WELL_KNOWN
    translate_all: bool = False
    allow_ipv4: bool = False


class Dns64:
    """One ``dns64`` directive."""

    name = NAME
    needs: tuple[Need, ...] = ()

    def __init__(self, settings: Settings, translated: Cell) -> None:
        self._settings = settings
        self._translated = translated

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Have the next plugin answer, and ask for A when there is no AAAA."""
        query = request.query
        if query.qtype != RRType.AAAA or query.qclass != RRClass.IN:
            return proceed(request)
        if request.client.family != _IPV6 and not self._settings.allow_ipv4:
            return proceed(request)

        def examine(outcome: Outcome, now: float) -> Outcome:
            if not isinstance(outcome, Reply) or not self._wants(request, outcome.response):
                return outcome
            return self._ask(replace(request, now=now), outcome)

        return then(proceed(request), examine, request.now)

    def _wants(self, request: Request, response: Response) -> bool:
        """Whether A records are needed (RFC 6147 §5.1.1, §5.1.2)."""
        if sort_of(request.query, response) is Sort.NAME_ERROR:
            return False
        if self._settings.translate_all:
            return True
        return all(record.rrtype != RRType.AAAA for record in response.answer)

    def _ask(self, request: Request, original: Reply) -> Outcome:
        nested = replace(request, query=replace(request.query, qtype=RRType.A), metadata=None)
        asked = request.resolve(nested)
        # What took time may have been overtaken by a change of what the answer depends on.
        storable = not isinstance(asked, Ask)

        def make(outcome: Outcome, _now: float) -> Outcome:
            if not isinstance(outcome, Reply):
                return original
            if all(record.rrtype != RRType.A for record in outcome.response.answer):
                return original
            self._translated.value += 1
            store = self._stored(original.store, outcome.store) if storable else None
            return Reply(self._translate(original.response, outcome.response), NAME, store)

        return then(asked, make, request.now)

    def _translate(self, original: Response, found: Response) -> Response:
        """Make AAAA records of A records; everything else stays (RFC 6147 §5.3)."""
        ttl = _ttl(original)
        answer = tuple(
            record
            if record.rrtype != RRType.A
            else Record(
                record.owner,
                RRType.AAAA,
                min(record.ttl, ttl),
                embed(self._settings.prefix, record.rdata),
            )
            for record in found.answer
        )
        return Response(
            answer=answer, authority=found.authority, additional=found.additional, tc=found.tc
        )

    def _stored(self, first: Storable | None, second: Storable | None) -> Storable | None:
        """Give the leave to store what depends on both answers."""
        if first is None or second is None:
            return None
        return Storable(
            (*first.owners, *second.owners),
            min(first.until, second.until),
            second.rotate,
            (*first.cells, *second.cells, self._translated),
        )


def _ttl(response: Response) -> int:
    """Give the longest TTL that made addresses may have, in seconds (RFC 6147 §5.1.7)."""
    found = [record.ttl for record in response.authority if record.rrtype == RRType.SOA]
    return found[-1] if found else MAX_TTL


def embed(prefix: IPv6Network, address: bytes) -> bytes:
    """Put an IPv4 address behind a prefix, around octet 8 (RFC 6052 §2.2).

    Args:
        prefix: Of 32 to 96 bits, a multiple of 8.
        address: Four octets.
    """
    size = prefix.prefixlen // 8
    out = bytearray(16)
    out[:size] = prefix.network_address.packed[:size]
    at = size
    for octet in address:
        if at == 8:
            at += 1
        out[at] = octet
        at += 1
    return bytes(out)


def _prefix(text: str) -> IPv6Network:
    """Read a prefix.

    Raises:
        ValueError: It is no IPv6 network, or its size does not fit.
    """
    try:
        if not text.partition("/")[2].isdecimal():
            raise ValueError(text)
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"invalid CIDR address: {text[:60]}") from None
    if isinstance(network, IPv4Network):
        raise ValueError(f"invalid netmask 32 IPv6 address: {text!r}")
    if network.prefixlen % 8 or not 32 <= network.prefixlen <= 96:
        raise ValueError(f"invalid prefix length {text!r}: 32 to 96 bits, a multiple of 8")
    return network


def setup(directives: tuple[Directive, ...], context: Context) -> Dns64:
    """Read the directives; the last one counts."""
    settings = Settings()
    for line in each(directives, context.warn):
        if line.more:
            settings = replace(settings, prefix=line.read(_prefix))
            line.ignore_block()  # setup.go goes on to the next directive
            line.end()
            continue
        for option in line.options():
            match option.name:
                case "prefix":
                    settings = replace(settings, prefix=option.read(_prefix))
                case "translate_all":
                    settings = replace(settings, translate_all=True)
                case "allow_ipv4":
                    settings = replace(settings, allow_ipv4=True)
                case _:
                    raise option.unknown()
    family = context.registry.counter(
        "coredns_dns64_requests_translated_total", "AAAA queries answered from A.", ("server",)
    )
    return Dns64(settings, family.cell(context.server))
