"""Answers from zones of records: what ``file``, ``auto`` and ``secondary`` have in common.

Parity: CoreDNS ``plugin/file/file.go`` (ServeDNS).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec.structs import replace

from svcdns.corefile.fallthrough import Fallthrough
from svcdns.dns.constants import Rcode, RRType
from svcdns.dns.response import Record, Response
from svcdns.plugins.base import Failed, Handler, Outcome, Owner, Reply, Request, Storable
from svcdns.plugins.lookups import Looked, look_up
from svcdns.plugins.zonedata import Alias, Answer, NoData, NoName, Referral, Zone, within
from svcdns.plugins.zonesigned import verifiable


class Zones:
    """Zones by origin, some of them perhaps without their records yet."""

    def __init__(self, plugin: str, changed: Callable[[Iterable[Owner]], None]) -> None:
        """Hold none.

        Args:
            plugin: Who answers.
            changed: Ends stored answers.
        """
        self._plugin = plugin
        self._changed = changed
        self._zones: dict[bytes, Zone | None] = {}

    @property
    def zones(self) -> Mapping[bytes, Zone | None]:
        """By origin, a lower-case wire name; ``None``: it should be there and is not."""
        return self._zones

    def put(self, origin: bytes, zone: Zone | None) -> None:
        """Take a zone in, or note that there ought to be one; its stored answers end."""
        self._zones[origin] = zone
        self._changed((self._owner(origin),))

    def remove(self, origin: bytes) -> None:
        """Forget a zone; its stored answers end."""
        del self._zones[origin]
        self._changed((self._owner(origin),))

    def _owner(self, origin: bytes) -> Owner:
        return (self._plugin, id(self), origin)

    def records(self, origin: bytes) -> Sequence[Record] | None:
        """Give a whole zone for a transfer, SOA first; ``None``: it is not here."""
        zone = self._zones.get(origin)
        return zone.records() if zone else None

    def serial(self, origin: bytes) -> int | None:
        """Give the serial of a zone; ``None``: it is not here."""
        zone = self._zones.get(origin)
        return zone.serial if zone else None

    def serve(self, request: Request, proceed: Handler, through: Fallthrough) -> Outcome:
        """Answer names of the zones; leave the others to the next plugin."""
        query = request.query
        origin = within(query.name, self._zones)
        if origin is None:
            return proceed(request)
        zone = self._zones[origin]
        if zone is None:
            return Failed(
                Rcode.SERVFAIL, f"plugin/{self._plugin}: zone is not loaded", self._plugin
            )
        if query.qtype in (RRType.AXFR, RRType.IXFR):
            # Transfers are the business of ``transfer``, which comes first (rule H1).
            return Failed(Rcode.REFUSED, plugin=self._plugin)
        finding = zone.lookup(query.qname, query.qtype)
        if isinstance(finding, NoName) and through.through(query.name):
            return proceed(request)
        # DO: the client wants to verify (RFC 3225).
        secure = zone.signed and query.edns is not None and query.edns.do
        if isinstance(finding, Alias):
            return self._elsewhere(request, zone, finding, secure=secure)
        response = self._response(zone, finding)
        if secure:
            response = verifiable(zone, response, query.qname, finding)
        return Reply(response, self._plugin, Storable((self._owner(origin),)))

    def _response(self, zone: Zone, finding: Answer | Referral | NoData | NoName) -> Response:
        match finding:
            case Answer(records, additional):
                top = any(record in zone.servers for record in records)
                return Response(
                    answer=records,
                    authority=() if top else zone.servers,
                    additional=additional,
                    aa=True,
                )
            case Referral(servers, glue, records):
                return Response(
                    answer=records, authority=servers, additional=glue, aa=bool(records)
                )
            case NoData(records):
                return Response(answer=records, authority=(zone.soa,), aa=True)
            case NoName():
                return Response(Rcode.NXDOMAIN, authority=(zone.soa,), aa=True)

    def _elsewhere(self, request: Request, zone: Zone, alias: Alias, *, secure: bool) -> Outcome:
        """Ask the whole server for a target that is not in the zone's data (RFC 6604 §3)."""
        here = Response(answer=alias.records, authority=zone.servers, aa=True)
        if secure:
            here = verifiable(zone, here, request.query.qname, alias)

        def finish(found: Looked) -> Outcome:
            rcode = found.rcode if found.rcode in (Rcode.NXDOMAIN, Rcode.SERVFAIL) else 0
            answer = (*here.answer, *found.answer)
            response = replace(here, rcode=rcode, answer=answer, tc=found.tc)
            return Reply(response, self._plugin, background=found.background)

        return look_up(request, [alias.target], finish)
