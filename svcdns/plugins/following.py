"""Keeping a copy of a zone equal to its primaries': when to ask, whom, and when to give up.

Parity: CoreDNS ``plugin/file/secondary.go`` and ``plugin/secondary/setup.go``.  Spec: RFC 1034
§4.3.5, RFC 1035 §3.3.13, RFC 1996 §3.11.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct

from svcdns.corefile.durations import format_duration
from svcdns.dns.constants import RRType, rcode_text
from svcdns.dns.message import build_query, parse_response
from svcdns.dns.name import to_text
from svcdns.dns.transfer import Incoming, newer, times
from svcdns.hostport import host_port
from svcdns.plugins.base import Ask, Drop, Outcome
from svcdns.plugins.commands import Exchange, Exchanged, ReadZone, Result, Unanswered, Upstream
from svcdns.plugins.zoneanswers import Zones
from svcdns.plugins.zonedata import Zone

FIRST_DELAY = 0.25
"""Seconds before the second try to get a zone that we never had; doubled up to the next."""

MAX_DELAY = 10.0

SHORTEST = 1.0
"""Seconds between two looks at a primary, whatever its SOA wants."""

SPREAD = 5.0
"""Seconds at most by which a look is put off at random, so that secondaries do not come at once."""

CHECK_SECONDS = 5.0
"""For the answer to a question for the SOA."""


class Held(Struct, weakref=True, eq=False):
    """The copy of a zone; outlives the configuration that got it."""

    zone: Zone | None = None
    "What the primaries had last."
    expires: float = 0.0
    "Monotonic seconds."
    expired: bool = False


class _Arrival:
    """A zone on its way here."""

    def __init__(self, origin: bytes) -> None:
        self.incoming = Incoming(origin)
        self.zone: Zone | str = "the transfer has not ended"
        "Or why there is none."

    def finish(self) -> None:
        """Put it together, now that everything has come."""
        try:
            self.zone = Zone(self.incoming.origin, self.incoming.records)
        except ValueError as error:
            self.zone = str(error)


class Follower:
    """One zone and its primaries."""

    def __init__(
        self,
        origin: bytes,
        primaries: Sequence[Upstream],
        zones: Zones,
        say: Callable[[str], None],
        random: Callable[[], float],
        held: Held | None = None,
    ) -> None:
        """Start with the copy that there is; the primaries are asked at the first look.

        Args:
            origin: Lower-case wire name.
            primaries: Asked in this order until one answers; TCP or TLS.
            zones: Where the zone is served from.
            say: Put a line into the log.
            random: Uniform in [0, 1).
            held: The copy of a configuration before this one.
        """
        self.origin = origin
        self.name = to_text(origin)
        self.primaries = tuple(primaries)
        self._zones = zones
        self._say = say
        self._random = random
        self._held = held or Held()
        self._zone = self._held.zone
        self._busy = False
        self._again = False
        self._told = ""
        "Who caused the look under way, as the log says it; empty: time."
        self._due = 0.0
        self._delay = FIRST_DELAY
        zones.put(origin, None if self._held.expired else self._zone)

    def look(self, now: float) -> tuple[Ask, ...]:
        """Give what has to be asked now; called every now and then."""
        served = self._zones.zones.get(self.origin)
        if served is not None and now >= self._held.expires:
            self._say(f"[ERROR] plugin/secondary: Zone {self.name} is expired")
            self._held.expired = True
            self._zones.put(self.origin, None)
        if self._busy or now < self._due:
            return ()
        self._busy = True
        return (self._transfer(0) if self._zone is None else self._check(0),)

    def notified(self, now: float, sender: str) -> tuple[Ask, ...]:
        """Give what has to be asked because a primary at *sender* says that it has changed."""
        self._due = now
        self._again = self._busy
        if not self._busy:
            self._told = f"Notify from {sender} for {self.name}: "
        return self.look(now)

    def hurry(self) -> None:
        """Ask at the next look, and once more when a look is under way."""
        self._due = 0.0
        self._again = self._busy

    # -- one look: the primaries in turn, first for the SOA, then for the zone

    def _check(self, number: int) -> Ask:
        wire = build_query(self.origin, RRType.SOA, rd=False)
        exchange = Exchange(self.primaries[number], wire, CHECK_SECONDS, max_idle=0.0)
        return Ask(exchange, lambda result, now: self._checked(number, result, now))

    def _checked(self, number: int, result: Result, now: float) -> Outcome:
        serial = _serial(result)
        if isinstance(serial, str):
            if number + 1 < len(self.primaries):
                return self._check(number + 1)
            what = f"{self._told}failed primary check:" if self._told else "Failed refresh check"
            self._say(f"[WARNING] plugin/secondary: {what} {serial}")
            return self._failed(now)
        assert self._zone is not None
        if newer(serial, self._zone.serial):
            # Those before did not answer.
            return self._transfer(number)
        if self._told:
            self._say(f"[INFO] plugin/secondary: {self._told}no SOA serial increase seen")
        return self._fresh(self._zone, now)

    def _transfer(self, number: int) -> Ask:
        arrival = _Arrival(self.origin)
        incoming = arrival.incoming
        command = ReadZone(self.primaries[number], incoming.query, incoming.take, arrival.finish)
        return Ask(command, lambda result, now: self._transferred(number, arrival, result, now))

    def _transferred(self, number: int, arrival: "_Arrival", result: Result, now: float) -> Outcome:
        primary = self.primaries[number]
        where = host_port(primary.address, primary.port)
        zone = self._received(arrival, result)
        if isinstance(zone, Zone):
            self._say(f"[INFO] plugin/secondary: Transferred: {self.name} from {where}")
            return self._fresh(zone, now)
        problem = zone
        self._say(
            f'[ERROR] plugin/secondary: Failed to transfer `{self.name}\' from "{where}": {problem}'
        )
        if number + 1 < len(self.primaries):
            return self._transfer(number + 1)
        if self._zone is None:
            self._say(
                f"[WARNING] plugin/secondary: All '{self.name}' masters failed to transfer, "
                f"retrying in {format_duration(self._delay)}: {problem}"
            )
        return self._failed(now)

    def _received(self, arrival: "_Arrival", result: Result) -> Zone | str:
        """Give the zone that has come, or say why it is not one to serve."""
        if isinstance(result, Unanswered):
            return result.reason
        zone = arrival.zone
        if isinstance(zone, str):
            return zone
        if self._zone is not None and not newer(zone.serial, self._zone.serial):
            return f"serial {zone.serial} is no newer than ours, {self._zone.serial}"
        return zone

    def _fresh(self, zone: Zone, now: float) -> Outcome:
        """Serve a zone that a primary has, as of now."""
        numbers = times(zone.soa)
        if self._zones.zones.get(self.origin) is not zone:
            self._zones.put(self.origin, zone)
        self._zone = self._held.zone = zone
        self._held.expires = now + max(numbers.expire, SHORTEST)
        self._held.expired = False
        self._next(now, numbers.refresh)
        return Drop()

    def _failed(self, now: float) -> Outcome:
        if self._zone is None:
            self._next(now, self._delay, spread=False)
            self._delay = min(self._delay * 2, MAX_DELAY)
        else:
            self._next(now, times(self._zone.soa).retry)
        return Drop()

    def _next(self, now: float, seconds: float, *, spread: bool = True) -> None:
        wait = max(seconds, SHORTEST) if spread else seconds
        late = self._random() * min(SPREAD, wait / 10) if spread else 0.0
        self._due = now if self._again else now + wait + late
        self._busy = self._again = False
        self._told = ""


def _serial(result: Result) -> int | str:
    """Read the serial of an SOA's answer, or say why there is none."""
    if not isinstance(result, Exchanged):
        return result.reason if isinstance(result, Unanswered) else "no answer"
    message = parse_response(result.wire)
    if message is None:
        return "an answer that cannot be read"
    if message.rcode:
        return f"rcode {rcode_text(message.rcode)}"
    for record in message.answer:
        if record.rrtype == RRType.SOA:
            try:
                return times(record).serial
            except ValueError as error:
                return str(error)
    return "an answer without SOA"
