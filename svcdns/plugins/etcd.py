"""SkyDNS records in etcd.

Name
----
*etcd*: reads names from etcd 3 in the layout of SkyDNS, through its JSON gateway.

Syntax
------
::

    etcd [ZONES...] {
        path PATH
        endpoint ENDPOINT...
        credentials USERNAME PASSWORD
        tls CERT KEY CACERT
        min-lease-ttl DURATION
        max-lease-ttl DURATION
        fallthrough [ZONES...]
    }

PATH is ``/skydns``, ENDPOINT ``http://localhost:2379`` by default; of several the next one is asked
when one does not answer.

Examples:
--------
::

    skydns.local {
        etcd {
            path /skydns
            endpoint http://127.0.0.1:2379
            fallthrough
        }
        cache
    }

Differences
-----------
* The records of a key with a lease live ``min-lease-ttl`` (30 seconds) at most; CoreDNS asks how
  long the lease has left, within ``max-lease-ttl``.
* Additional records are addresses that the keys hold; hosts that are names are left to the client.
* ``stubzones`` of old Corefiles is ignored with a warning.

Parity: CoreDNS ``plugin/etcd``.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from svcdns.corefile.fallthrough import Fallthrough
from svcdns.corefile.options import Line, first
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import Rcode, RRType
from svcdns.dns.name import is_subdomain, join
from svcdns.dns.response import Record, Response
from svcdns.plugins import skydns
from svcdns.plugins.base import Ask, Context, Failed, Handler, Need, Outcome, Reply, Request
from svcdns.plugins.commands import Exchanged, Fetch, Result, Unanswered
from svcdns.plugins.lookups import Looked, look_up
from svcdns.plugins.zonedata import within
from svcdns.zones.records import soa

NAME = "etcd"

MIN_TTL = 30
"""Seconds: TTL and minimum of the SOA (CoreDNS)."""

_Done = Callable[[Request, list[skydns.Service] | None], Outcome]
"""What to do with services; ``None``: the name does not exist."""


class Settings(Struct, frozen=True):
    """One ``etcd`` directive."""

    zones: tuple[bytes, ...]
    path: str = "skydns"
    endpoints: tuple[str, ...] = ("http://localhost:2379",)
    credentials: tuple[str, str] | None = None
    tls: tuple[str, ...] = ()
    lease_ttl: int = 30
    "Seconds that records of keys with a lease live."
    fallthrough: Fallthrough = Fallthrough()


class _KeyValue(Struct):
    key: str
    value: str = ""
    lease: str = "0"


class _Range(Struct):
    """What the gateway says to ``/v3/kv/range``; keys and values in base64."""

    kvs: list[_KeyValue] = field(default_factory=list)


class _Token(Struct):
    token: str


class Etcd:
    """One ``etcd`` directive."""

    name = NAME

    def __init__(self, settings: Settings, wall: Callable[[], float]) -> None:
        self._settings = settings
        self._wall = wall
        self._token = ""

    @property
    def needs(self) -> tuple[Need, ...]:
        """Nothing: keys are read when somebody asks."""
        return ()

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Answer names of the zones; leave the others to the next plugin."""
        query = request.query
        zone = within(query.name, self._settings.zones)
        if zone is None:
            return proceed(request)
        if query.qtype == RRType.SOA:
            return self._reply((self._soa(zone),))

        def done(at: Request, services: list[skydns.Service] | None) -> Outcome:
            if services is None:
                if self._settings.fallthrough.through(query.name):
                    return proceed(at)
                return self._denial(zone, Rcode.NXDOMAIN)
            return self._answer(at, zone, services)

        if query.name != zone:
            return self._services(request, query.name, done)
        special = b"ns" if query.qtype == RRType.NS else b"apex"

        def top(at: Request, services: list[skydns.Service] | None) -> Outcome:
            if services is None and special == b"apex":
                return self._services(at, zone, done)
            return done(at, services)

        return self._services(request, join((special, b"dns"), zone), top)

    # Records

    def _answer(self, request: Request, zone: bytes, services: Sequence[skydns.Service]) -> Outcome:
        query = request.query
        prefix = self._settings.path
        match query.qtype:
            case RRType.A | RRType.AAAA | RRType.TXT:
                return self._plain(request, zone, services)
            case RRType.SRV | RRType.MX:
                answer, extra = skydns.targets(services, query.qname, query.qtype, prefix)
            case RRType.NS if query.name == zone:
                addresses = [service for service in services if service.address]
                answer, extra = skydns.targets(addresses, query.qname, query.qtype, prefix)
            case RRType.CNAME | RRType.PTR:
                answer, extra = self._names(query.qname, query.qtype, services), ()
            case _:
                answer, extra = (), ()
        return self._reply(answer, extra) if answer else self._denial(zone, Rcode.NOERROR)

    def _names(
        self, owner: bytes, qtype: int, services: Sequence[skydns.Service]
    ) -> tuple[Record, ...]:
        """Give hosts that are names; one is enough for a CNAME."""
        hosts = skydns.plain(services, owner, RRType.CNAME)
        found = tuple([replace(record, rrtype=qtype) for record in hosts])
        return found[:1] if qtype == RRType.CNAME else found

    def _plain(self, request: Request, zone: bytes, services: Sequence[skydns.Service]) -> Outcome:
        query = request.query
        made = dict.fromkeys(skydns.plain(services, query.qname, query.qtype))
        records = [record for record in made if record.rrtype == query.qtype]
        # An alias of the name itself, or of one above it, would only lead back here.
        aliases = [
            record
            for record in made
            if record.rrtype == RRType.CNAME and not is_subdomain(record.rdata.lower(), query.name)
        ]
        return self._follow(request, zone, records, aliases)

    def _follow(
        self, request: Request, zone: bytes, records: list[Record], aliases: list[Record]
    ) -> Outcome:
        """Add what aliases lead to, one after the other; inside the zone only if that is any."""
        if not aliases:
            return self._reply(tuple(records)) if records else self._denial(zone, Rcode.NOERROR)
        alias, *rest = aliases

        def add(found: Looked) -> Outcome:
            inside = is_subdomain(alias.rdata.lower(), zone)
            more = [] if inside and not found.answer else [alias, *found.answer]
            return self._follow(request, zone, [*records, *more], rest)

        return look_up(request, [alias.rdata], add)

    def _soa(self, zone: bytes) -> Record:
        return soa(zone, ttl=MIN_TTL, serial=int(self._wall()))

    def _denial(self, zone: bytes, rcode: int) -> Reply:
        return Reply(Response(rcode, authority=(self._soa(zone),), aa=True), NAME)

    def _reply(self, answer: tuple[Record, ...], extra: tuple[Record, ...] = ()) -> Reply:
        return Reply(Response(answer=answer, additional=extra, aa=True), NAME)

    # etcd

    def _services(self, request: Request, name: bytes, done: _Done) -> Outcome:
        """Read the keys of a name and below it."""
        key = skydns.path(name, self._settings.path)
        exact = request.query.qtype in (RRType.CNAME, RRType.PTR)
        # From the key itself up to all that begins with it and a slash, whose successor is 0.
        body = {"key": _encoded(key), "range_end": _encoded(key + "0")}

        def read(at: Request, page: bytes) -> Outcome:
            try:
                services = self._read(page, name, exact=exact)
            except (msgspec.DecodeError, ValueError) as error:
                return Failed(Rcode.SERVFAIL, f"plugin/{NAME}: {error}", NAME)
            return done(at, services)

        return self._post(request, "/v3/kv/range", msgspec.json.encode(body), read)

    def _read(self, page: bytes, name: bytes, *, exact: bool) -> list[skydns.Service] | None:
        """Take what answers *name* out of a range of keys.

        Raises:
            ValueError: A value is not SkyDNS's.
        """
        prefix = self._settings.path
        found: dict[str, tuple[bytes, int]] = {}
        for pair in msgspec.json.decode(page, type=_Range).kvs:
            key = b64decode(pair.key, validate=True).decode("latin-1")
            if skydns.belongs(key, name, prefix):
                lease = self._settings.lease_ttl if pair.lease != "0" else 0
                found[key] = (b64decode(pair.value, validate=True), lease)
        own = skydns.path(name, prefix)
        if exact:
            found = {key: held for key, held in found.items() if key == own}
        elif len(found) > 1:
            # Keys below hide the key of the name itself.
            found.pop(own, None)
        if not found:
            return None
        services = [
            skydns.read(key, value, lease_ttl=lease)
            for key, (value, lease) in sorted(found.items())
        ]
        kept = {replace(each, key=""): each for each in services if each.host or each.text}
        return skydns.grouped(list(kept.values()))

    def _post(
        self,
        request: Request,
        url: str,
        body: bytes,
        done: Callable[[Request, bytes], Outcome],
        *,
        number: int = 0,
        renewed: bool = False,
    ) -> Outcome:
        """Ask an endpoint, the next one if it does not answer, with a token if there are users."""
        settings = self._settings
        if settings.credentials and not self._token:
            return self._log_in(request, url, body, done, number)
        headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
        if self._token:
            headers = (*headers, ("Authorization", self._token))

        def resume(result: Result, now: float) -> Outcome:
            at = replace(request, now=now)
            if isinstance(result, Exchanged) and result.status == 200:
                return done(at, result.wire)
            if isinstance(result, Exchanged) and settings.credentials and not renewed:
                self._token = ""  # it may have run out
                return self._post(at, url, body, done, number=number, renewed=True)
            if number + 1 < len(settings.endpoints):
                return self._post(at, url, body, done, number=number + 1, renewed=renewed)
            return Failed(Rcode.SERVFAIL, f"plugin/{NAME}: {_trouble(result)}", NAME)

        endpoint = settings.endpoints[number]
        return Ask(Fetch("POST", endpoint + url, body, headers, tls=settings.tls), resume)

    def _log_in(
        self,
        request: Request,
        url: str,
        body: bytes,
        done: Callable[[Request, bytes], Outcome],
        number: int,
    ) -> Outcome:
        assert self._settings.credentials is not None
        name, password = self._settings.credentials
        login = msgspec.json.encode({"name": name, "password": password})

        def resume(result: Result, now: float) -> Outcome:
            at = replace(request, now=now)
            if isinstance(result, Exchanged) and result.status == 200:
                self._token = msgspec.json.decode(result.wire, type=_Token).token
                return self._post(at, url, body, done, number=number, renewed=True)
            return Failed(Rcode.SERVFAIL, f"plugin/{NAME}: log in: {_trouble(result)}", NAME)

        target = self._settings.endpoints[number] + "/v3/auth/authenticate"
        return Ask(Fetch("POST", target, login, tls=self._settings.tls), resume)


def _encoded(key: str) -> str:
    return b64encode(key.encode("latin-1")).decode()


def _trouble(result: Result) -> str:
    match result:
        case Exchanged(status=status):
            return f"etcd answers with status {status}"
        case Unanswered(reason=reason):
            return reason
        case _:
            return "etcd does not answer"


def setup(directives: tuple[Directive, ...], context: Context) -> Etcd:
    """Read the directive."""
    line = first(directives, context.warn)
    settings = Settings(line.zones(context.zones))
    for option in line.options():
        settings = _option(option, settings, context)
    return Etcd(settings, context.wall)


def _option(option: Line, settings: Settings, context: Context) -> Settings:
    match option.name:
        case "path":
            return replace(settings, path=option.word().strip("/"))
        case "endpoint":
            urls = [url if "://" in url else f"http://{url}" for url in option.rest(at_least=1)]
            return replace(settings, endpoints=tuple([url.rstrip("/") for url in urls]))
        case "credentials":
            return replace(settings, credentials=(option.word(), option.word()))
        case "tls":
            paths = tuple([context.path(path) for path in option.rest()])
            if len(paths) > 3:
                raise option.arity()
            for path in paths:
                context.read(path)  # a file that is missing is told with its line
            return replace(settings, tls=paths)
        case "min-lease-ttl":
            return replace(settings, lease_ttl=max(1, int(option.seconds(low=0))))
        case "max-lease-ttl":
            option.seconds(low=0)
            return settings
        case "fallthrough":
            return replace(settings, fallthrough=option.fallthrough())
        case "upstream" | "debug":
            option.rest()  # targets are always looked up; these say nothing any more
            return settings
        case "stubzones":
            context.warn(
                f"plugin/{NAME}: stubzones is ignored, CoreDNS removed it; use a server block "
                "with `forward` for each stub zone"
            )
            return settings
        case _:
            raise option.unknown()
