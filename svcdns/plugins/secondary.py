"""Zones that other servers have.

Name
----
*secondary*: serves zones that it transfers from a primary, and keeps them up to date.

Syntax
------
::

    secondary [ZONES...] {
        transfer from ADDRESS [ADDRESS...]
        fallthrough [ZONES...]
    }

A zone is transferred at start, and whenever the primary's serial is higher: looked for after the
refresh time of its SOA, and when the primary says so (NOTIFY).  Until the first transfer, and when
no primary was reached for the expire time of the SOA, its names get SERVFAIL.  Names that the
zone does not have are the next plugin's with ``fallthrough``.

Examples:
--------
::

    . {
        secondary example.org {
            transfer from 10.0.1.1
            transfer from 10.1.2.1
        }
    }

Differences
-----------
* A reload keeps the zones whose primaries stay the same; CoreDNS has none until it transfers them.
* An expired zone comes back as soon as a primary answers; in CoreDNS only with a higher serial.
* Refresh and retry times below a second count as a second; a transfer is limited to 64 MB and a
  million records.
* A zone that is no newer than ours is not taken from a primary that lags behind another one.
* ``catalog`` (RFC 9432) is refused: name the member zones.
* `tls://ADDRESS` transfers over TLS (RFC 9103).

Parity: CoreDNS ``plugin/secondary``.
"""

from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address

from svcdns.corefile.endpoints import is_address, split_host_port
from svcdns.corefile.fallthrough import Fallthrough
from svcdns.corefile.options import Line, each
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import Opcode
from svcdns.dns.response import Record, Response
from svcdns.plugins.base import (
    Context,
    Drop,
    Handler,
    Need,
    Outcome,
    Periodic,
    Plugin,
    Reply,
    Request,
)
from svcdns.plugins.commands import Transport, Upstream
from svcdns.plugins.following import Follower, Held
from svcdns.plugins.zoneanswers import Zones

NAME = "secondary"

_TLS = "tls://"

LOOK_SECONDS = 0.25
"""Between two looks whether a zone is due."""


class Secondary:
    """All ``secondary`` directives of a block."""

    name = NAME

    def __init__(
        self,
        followers: Sequence[Follower],
        zones: Zones,
        through: Fallthrough,
        context: Context,
    ) -> None:
        self._followers = {one.origin: one for one in followers}
        self._zones = zones
        self._through = through
        self._say = context.write
        self.pass_on: Callable[[bytes], None] = _nobody_else
        "Tells the server's other processes of a NOTIFY: it comes to one of them."

    @property
    def needs(self) -> tuple[Need, ...]:
        """A look at each zone from time to time."""
        return tuple(
            Periodic(NAME, LOOK_SECONDS, follower.look) for follower in self._followers.values()
        )

    def zone_records(self, origin: bytes) -> Sequence[Record] | None:
        """Give a whole zone; asked by ``transfer``."""
        if origin in self._zones.zones and self._zones.zones[origin] is None:
            return ()
        return self._zones.records(origin)

    def zone_serial(self, origin: bytes) -> int | None:
        """Give the serial of a zone; asked by ``transfer``."""
        return self._zones.serial(origin)

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Answer names of the zones, and hear who says that one has changed."""
        if request.query.opcode == Opcode.NOTIFY:
            return self._notify(request, proceed)
        return self._zones.serve(request, proceed, self._through)

    def hear(self, origin: bytes) -> None:
        """Heed a NOTIFY that another process has got and checked."""
        if follower := self._followers.get(origin):
            follower.hurry()

    def _notify(self, request: Request, proceed: Handler) -> Outcome:
        """Heed a primary's NOTIFY, and nobody else's (RFC 1996 §3.10)."""
        follower = self._followers.get(request.query.name)
        if follower is None:
            return proceed(request)
        sender, zone = request.client.address, follower.name
        if sender not in [primary.address for primary in follower.primaries]:
            self._say(f"[INFO] plugin/{NAME}: Dropping notify from {sender} for {zone}")
            return Drop()
        self._say(f"[INFO] plugin/{NAME}: Notify from {sender} for {zone}: checking transfer")
        self.pass_on(follower.origin)
        return Reply(Response(aa=True), NAME, background=follower.notified(request.now, sender))


def _nobody_else(_origin: bytes) -> None:
    """There is one process."""


def secondaries(plugins: Iterable[Plugin]) -> tuple[Secondary, ...]:
    """Choose those whose processes have to hear of a NOTIFY from each other."""
    return tuple(plugin for plugin in plugins if isinstance(plugin, Secondary))


def setup(directives: tuple[Directive, ...], context: Context) -> Secondary:
    """Read the directives."""
    zones = Zones(NAME, context.changed)
    followers = []
    through = Fallthrough()
    for line in each(directives):
        origins = line.zones(context.zones)
        primaries: list[Upstream] = []
        # The last directive speaks for all, as for ``file``.
        through = Fallthrough()
        for option in line.options():
            match option.name:
                case "transfer":
                    primaries += _primaries(option)
                case "fallthrough":
                    through = option.fallthrough()
                case "catalog":
                    raise option.error("svcdns does not read catalog zones; name the member zones")
                case _:
                    raise option.unknown()
        if not primaries:
            raise line.error("secondary zones require a transfer from property")
        followers += [
            Follower(
                origin,
                primaries,
                zones,
                context.tell,
                context.random,
                _held(context, origin, primaries),
            )
            for origin in origins
        ]
    return Secondary(followers, zones, through, context)


def _held(context: Context, origin: bytes, primaries: Sequence[Upstream]) -> Held:
    """Give the copy that the configuration before has of a zone, from the same primaries."""
    if context.clusters is None:
        return Held()
    found = context.clusters.others.setdefault((NAME, origin, tuple(primaries)), Held())
    assert isinstance(found, Held)
    return found


def _primaries(option: Line) -> list[Upstream]:
    option.word("from")
    found = []
    while option.more:
        found.append(_primary(option))
    if not found:
        raise option.arity()
    return found


def _primary(option: Line) -> Upstream:
    text = option.next
    if text == "*":
        raise option.error("can't use '*' in transfer from")
    return option.read(_upstream)


def _upstream(text: str) -> Upstream:
    bare = text.removeprefix(_TLS)
    secure = bare != text
    host, port = split_host_port(bare, 853 if secure else 53)
    if not is_address(host):
        raise ValueError(f"not an IP address: {text!r}")
    return Upstream(str(ip_address(host)), port, Transport.TLS if secure else Transport.TCP)
