"""Names that never leave the machine.

Name
----
*local*: answers ``localhost``, names at and below it, and the reverse zones of 0/8, 127/8, 255/8.

Syntax
------
::

    local {
        localhost_prefix on | off
    }

* ``localhost_prefix``: whether ``localhost.`` in front of any domain is localhost as well, which
  search paths of clients make of it; on by default.

Examples:
--------
::

    . {
        local
        forward . 172.31.0.10
    }

Metrics
-------
``coredns_local_localhost_requests_total``: queries for names above or below localhost.

Differences
-----------
None known.

Parity: CoreDNS ``plugin/local``; RFC 6761 §6.3, RFC 6303.
"""

from svcdns.corefile.options import each
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import Rcode, RRType
from svcdns.dns.name import from_text, is_subdomain
from svcdns.dns.rdata import a, aaaa, ns, ptr, soa
from svcdns.dns.response import Record, Response
from svcdns.metrics import Cell
from svcdns.plugins.base import Context, Handler, Need, Outcome, Reply, Request, Storable

NAME = "local"

TTL = 604800
"""Seconds."""

LOCALHOST = from_text("localhost")

_REVERSE = tuple(from_text(f"{first}.in-addr.arpa") for first in (0, 127, 255))
_ZONES = (LOCALHOST, *_REVERSE)
_LOOPBACK = from_text("1.0.0.127.in-addr.arpa")
_LABEL = LOCALHOST[:-1]
_ADDRESSES: dict[int, bytes] = {RRType.A: a("127.0.0.1"), RRType.AAAA: aaaa("::1")}
_SOA = soa(LOCALHOST, from_text("root.localhost"), 1, 0, 0, 0, TTL)


class Local:
    """The ``local`` directive."""

    name = NAME
    needs: tuple[Need, ...] = ()

    def __init__(self, *, prefix: bool, requests: Cell) -> None:
        self._prefix = prefix
        self._requests = requests

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Answer local names; leave the others to the next plugin."""
        query = request.query
        qname, name, qtype = query.qname, query.name, query.qtype
        if name != LOCALHOST and self._is_localhost(name):
            self._requests.value += 1
            response = _answer(qname, qtype, _ADDRESSES.get(qtype)) or _nodata(qname)
            return Reply(response, NAME, Storable(cells=(self._requests,)))
        for zone in _ZONES:
            if is_subdomain(name, zone):
                response = _within(qname, name, qtype, qname[len(qname) - len(zone) :])
                return Reply(response, NAME, Storable())
        return proceed(request)

    def _is_localhost(self, name: bytes) -> bool:
        """Whether a name is below localhost, or has it in front."""
        return is_subdomain(name, LOCALHOST) or (self._prefix and name.startswith(_LABEL))


def _within(qname: bytes, name: bytes, qtype: int, zone: bytes) -> Response:
    """Answer in one of the zones; *qname* and *zone* in the client's case."""
    if name in _ZONES:
        if qtype == RRType.SOA:
            return Response(answer=(Record(qname, RRType.SOA, TTL, _SOA),))
        rdata = _ADDRESSES.get(qtype) if name == LOCALHOST else None
        if qtype == RRType.NS:
            rdata = ns(LOCALHOST)
        return _answer(qname, qtype, rdata) or _nodata(qname)
    if name == _LOOPBACK:
        rdata = ptr(LOCALHOST) if qtype == RRType.PTR else None
        return _answer(qname, qtype, rdata) or _nodata(zone)
    return Response(Rcode.NXDOMAIN, authority=(Record(zone, RRType.SOA, TTL, _SOA),))


def _answer(qname: bytes, qtype: int, rdata: bytes | None) -> Response | None:
    return None if rdata is None else Response(answer=(Record(qname, qtype, TTL, rdata),))


def _nodata(origin: bytes) -> Response:
    return Response(authority=(Record(origin, RRType.SOA, TTL, _SOA),))


def setup(directives: tuple[Directive, ...], context: Context) -> Local:
    """Read the directive."""
    prefix = True
    for line in each(directives, context.warn):
        line.ignore_rest()
        for option in line.options():
            if option.name != "localhost_prefix":
                raise option.unknown()
            prefix = option.word("on", "off") == "on"
    family = context.registry.counter(
        "coredns_local_localhost_requests_total", "Queries for names above or below localhost."
    )
    return Local(prefix=prefix, requests=family.cell())
