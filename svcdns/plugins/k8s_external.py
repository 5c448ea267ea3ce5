"""A zone of external addresses of Services.

Name
----
*k8s_external*: serves the external addresses and load balancers of Services, and if so configured
the endpoints of headless ones, under a zone of its own.

Syntax
------
::

    k8s_external [ZONE...] {
        apex APEX
        ttl TTL
        headless
        fallthrough [ZONES...]
    }

Names are ``service.namespace.ZONE``, ``_port._protocol.service.namespace.ZONE`` and, with
``headless``, ``endpoint.service.namespace.ZONE``.  The name server is ``ns1.APEX.ZONE``; APEX is
``dns`` by default, TTL 5 seconds.  It needs ``kubernetes`` in the same server block.

Examples:
--------
::

    . {
        kubernetes cluster.local
        k8s_external example.org {
            ttl 30
        }
    }

Differences
-----------
* Before the first lists of the cluster names that are not known get SERVFAIL, not a denial.
* Additional records of SRV are those of the Service; names of load balancers are left to the
  client's resolver.

Parity: CoreDNS ``plugin/k8s_external`` (rule J24).
"""

from collections.abc import Sequence
from math import floor

from msgspec import Struct
from msgspec.structs import replace

from svcdns.corefile.fallthrough import Fallthrough
from svcdns.corefile.options import last
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import Rcode, RRType
from svcdns.dns.name import from_text, is_subdomain, join, labels
from svcdns.dns.rdata import soa
from svcdns.dns.response import Record, Response
from svcdns.dns.reverse import address_of, is_reverse
from svcdns.plugins.base import (
    Context,
    Handler,
    Need,
    Outcome,
    Plugin,
    Reply,
    Request,
    Storable,
    then,
)
from svcdns.plugins.kubernetes import Kubernetes
from svcdns.plugins.lookups import Looked, look_up
from svcdns.zones import external
from svcdns.zones.endpoints import NO_PORT
from svcdns.zones.owners import Owner, of_namespace, of_service
from svcdns.zones.records import EXPIRE, REFRESH, RETRY, packed, srv
from svcdns.zones.services import Entry

NAME = "k8s_external"

MAX_TTL = 3600
"""Seconds (CoreDNS)."""


class Settings(Struct, frozen=True):
    """One ``k8s_external`` directive."""

    zones: tuple[bytes, ...]
    apex: bytes = b"dns"
    "A label."
    ttl: int = 5
    "Seconds."
    headless: bool = False
    fallthrough: Fallthrough = Fallthrough()


class K8sExternal:
    """One ``k8s_external`` directive with the cluster that it shows."""

    name = NAME

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kubernetes: Kubernetes | None = None
        self._reverse: external.Reverse | None = None

    @property
    def needs(self) -> tuple[Need, ...]:
        """Nothing: ``kubernetes`` keeps the cluster."""
        return ()

    def meet(self, siblings: Sequence[Plugin]) -> None:
        """Find the plugin that has the cluster."""
        for plugin in siblings:
            if isinstance(plugin, Kubernetes):
                self._kubernetes = plugin
                self._reverse = external.Reverse(plugin.cluster.index)

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Answer names of the zones; leave the others to the next plugin."""
        name = request.query.name
        zones = [zone for zone in self._settings.zones if is_subdomain(name, zone)]
        if not zones or self._kubernetes is None:
            return proceed(request)
        zone = max(zones, key=len)
        if name == zone:
            return self._apex(request, zone)
        if is_subdomain(name, join((self._settings.apex,), zone)):
            return self._below_apex(request, zone)
        if request.query.qtype == RRType.PTR and (address := address_of(name)):
            return self._pointer(request, proceed, zone, address)
        return self._service(request, proceed, zone)

    # The zone itself

    def _apex(self, request: Request, zone: bytes) -> Outcome:
        match request.query.qtype:
            case RRType.SOA:
                return self._reply(answer=(self._soa(zone),))
            case RRType.NS:
                server = join((b"ns1", self._settings.apex), zone)
                record = Record(zone, RRType.NS, self._settings.ttl, server)
                return self._reply(answer=(record,), additional=self._servers(server))
            case _:
                return self._denial(zone, Rcode.NOERROR)

    def _below_apex(self, request: Request, zone: bytes) -> Outcome:
        """Answer ``dns`` and ``ns1.dns``; nothing else is there."""
        query = request.query
        match labels(query.name[: len(query.name) - len(zone)] + b"\0"):
            case (_,):
                return self._denial(zone, Rcode.NOERROR)
            case (b"ns1", _):
                servers = self._servers(query.qname)
                answer = tuple(found for found in servers if found.rrtype == query.qtype)
                return self._reply(answer=answer) if answer else self._denial(zone, Rcode.NOERROR)
            case _:
                return self._denial(zone, Rcode.NXDOMAIN)

    def _servers(self, owner: bytes) -> tuple[Record, ...]:
        kubernetes = self._found
        texts = external.name_servers(
            kubernetes.cluster.index, kubernetes.zones.options, headless=self._settings.headless
        )
        known = [found for text in texts if (found := packed(text))]
        return tuple([Record(owner, rrtype, self._settings.ttl, rdata) for rrtype, rdata in known])

    def _soa(self, zone: bytes) -> Record:
        apex, ttl = self._settings.apex, self._settings.ttl
        serial = self._found.cluster.index.serial
        rdata = soa(
            join((b"ns1", apex), zone), join((b"hostmaster", apex), zone),
            serial, REFRESH, RETRY, EXPIRE, ttl,
        )  # fmt: skip
        return Record(zone, RRType.SOA, ttl, rdata)

    # Services

    def _service(self, request: Request, proceed: Handler, zone: bytes) -> Outcome:
        query, kubernetes = request.query, self._found
        left = labels(query.name[: len(query.name) - len(zone)] + b"\0")
        name = external.parse(tuple([label.decode("latin-1") for label in left]))
        if name is None or is_reverse(zone):
            return self._missing(request, proceed, zone, ())
        held: tuple[Owner, ...] = (of_namespace(name.namespace),)
        if name.service:
            held = (*held, of_service(name.namespace, name.service))
        index, options = kubernetes.cluster.index, kubernetes.zones.options
        entries = external.find(name, index, options, headless=self._settings.headless)
        if entries is None:
            return self._missing(request, proceed, zone, held)
        match query.qtype:
            case RRType.A | RRType.AAAA:
                return self._addresses(request, zone, entries, held)
            case RRType.SRV:
                return self._ports(request, zone, entries, held)
            case _:
                return self._denial(zone, Rcode.NOERROR, held)

    def _addresses(
        self, request: Request, zone: bytes, entries: Sequence[Entry], held: tuple[Owner, ...]
    ) -> Outcome:
        query, ttl = request.query, self._settings.ttl
        answer: list[Record] = []
        targets: list[bytes] = []
        for value in dict.fromkeys([entry.value for entry in entries]):
            known = packed(value)
            if known is None:
                if target := _name(value):
                    answer.append(Record(query.qname, RRType.CNAME, ttl, target))
                    targets.append(target)
            elif known[0] == query.qtype:
                answer.append(Record(query.qname, known[0], ttl, known[1]))
        if not answer:
            return self._denial(zone, Rcode.NOERROR, held)
        reply = self._reply(answer=tuple(answer), store=Storable(held))
        if not targets:
            return reply

        def finish(found: Looked) -> Outcome:
            whole = replace(reply.response, answer=(*answer, *found.answer), tc=found.tc)
            return Reply(whole, NAME, background=found.background)

        return look_up(request, targets, finish)

    def _ports(
        self, request: Request, zone: bytes, entries: Sequence[Entry], held: tuple[Owner, ...]
    ) -> Outcome:
        ttl = self._settings.ttl
        weight = max(1, floor(100 / max(1, len(entries))))
        answer: dict[Record, None] = {}
        additional: dict[Record, None] = {}
        for entry in entries:
            if entry.port == NO_PORT:
                continue
            known = packed(entry.value)
            target = _name(entry.value)
            if known:
                target = join([label.encode("latin-1") for label in entry.labels], zone)
                additional[Record(target, known[0], ttl, known[1])] = None
            if target:
                owner = request.query.qname
                answer[srv(owner, ttl, weight=weight, port=entry.port, target=target)] = None
        if not answer:
            return self._denial(zone, Rcode.NOERROR, held)
        return self._reply(answer=tuple(answer), additional=tuple(additional), store=Storable(held))

    def _pointer(self, request: Request, proceed: Handler, zone: bytes, address: str) -> Outcome:
        """Lead an address back to its Services, under the first zone."""
        assert self._reverse is not None
        found = self._reverse.services_at(address, self._found.zones.options)
        if not found:
            return self._missing(request, proceed, zone, None)
        targets = [
            join((name.encode(), namespace.encode()), self._settings.zones[0])
            for name, namespace in found
        ]
        owner, ttl = request.query.qname, self._settings.ttl
        return self._reply(
            answer=tuple([Record(owner, RRType.PTR, ttl, target) for target in targets])
        )

    # Answers

    @property
    def _found(self) -> Kubernetes:
        assert self._kubernetes is not None, "asked only when the cluster is there"
        return self._kubernetes

    def _missing(
        self, request: Request, proceed: Handler, zone: bytes, held: tuple[Owner, ...] | None
    ) -> Outcome:
        if self._settings.fallthrough.through(request.query.name):
            return then(proceed(request), _unstored, request.now)
        if not self._found.cluster.store.synced:
            return self._denial(zone, Rcode.SERVFAIL)
        return self._denial(zone, Rcode.NXDOMAIN, held)

    def _denial(self, zone: bytes, rcode: int, held: tuple[Owner, ...] | None = None) -> Outcome:
        if not self._found.cluster.store.synced:
            held = None
        store = None if held is None else Storable(held)
        return Reply(Response(rcode, authority=(self._soa(zone),), aa=True), NAME, store)

    def _reply(
        self,
        *,
        answer: tuple[Record, ...],
        additional: tuple[Record, ...] = (),
        store: Storable | None = None,
    ) -> Reply:
        return Reply(Response(answer=answer, additional=additional, aa=True), NAME, store)


def _unstored(outcome: Outcome, _now: float) -> Outcome:
    """Keep the next plugin's answer out of the table: a new Service takes its name over."""
    return replace(outcome, store=None) if isinstance(outcome, Reply) else outcome


def _name(text: str) -> bytes | None:
    try:
        return from_text(text)
    except ValueError:
        return None


def setup(directives: tuple[Directive, ...], context: Context) -> K8sExternal:
    """Read the directive."""
    line = last(directives, context.warn)
    settings = Settings(line.zones(context.zones))
    for option in line.options():
        match option.name:
            case "apex":
                label = labels(option.read(from_text))
                option.ignore_rest()
                if len(label) != 1:
                    raise option.error("apex must be one label")
                settings = replace(settings, apex=label[0].lower())
            case "ttl":
                settings = replace(settings, ttl=option.integer(0, MAX_TTL))
                option.ignore_rest()
            case "headless":
                settings = replace(settings, headless=True)
            case "fallthrough":
                settings = replace(settings, fallthrough=option.fallthrough())
            case _:
                raise option.unknown()
    return K8sExternal(settings)
