"""A cluster zone: a name and a type in, what to answer out.

The four outcomes are :class:`Found`, :class:`NoData` (the name exists without such records),
:class:`NoName` and :class:`Chase` (an ExternalName leads out of the zone).  Each says which
owners it depends on, so that it can be stored until one of them changes.

Spec: DNS-SD spec.  Parity: CoreDNS ``plugin/kubernetes/handler.go`` and
``plugin/backend_lookup.go`` (rules A3 to A14 above all).
"""

from math import floor
from typing import Final, TypeAlias

from msgspec import Struct

from svcdns.dns.constants import RRType
from svcdns.dns.name import from_text, is_subdomain, join, labels
from svcdns.dns.response import Record
from svcdns.dns.reverse import address_of, is_reverse
from svcdns.zones import apex, owners, pods, reverse, schema, services
from svcdns.zones.endpoints import NO_PORT
from svcdns.zones.index import ClusterIndex
from svcdns.zones.options import PodMode, ZoneOptions
from svcdns.zones.owners import Owner
from svcdns.zones.records import packed, soa, srv, txt
from svcdns.zones.services import Entries

CHAIN_LIMIT = 8
"""CNAME records in front of an answer before following stops (rule E6)."""

Owners: TypeAlias = tuple[Owner, ...]


class Found(Struct, frozen=True, gc=False):
    """There are records."""

    answer: tuple[Record, ...]
    additional: tuple[Record, ...] = ()
    owners: Owners | None = ()
    "``None``: depends on too much to be stored."


class NoData(Struct, frozen=True, gc=False):
    """The name exists, and holds nothing of the type."""

    owners: Owners | None = ()


class NoName(Struct, frozen=True, gc=False):
    """The name does not exist."""

    owners: Owners | None = ()


class Chase(Struct, frozen=True, gc=False):
    """Records so far end in a CNAME that leads out of the zone (rules E1 to E3)."""

    answer: tuple[Record, ...]
    target: bytes
    "Wire name to ask the whole server for, with the query's type."


Finding: TypeAlias = Found | NoData | NoName | Chase

_NOT_STORED: Final = None

_SOA_LIMIT = 256
"""Spellings of zones whose SOA is kept between changes: 0x20 clients make many."""


class ClusterZones:
    """The zones of one ``kubernetes`` directive."""

    def __init__(self, options: ZoneOptions, index: ClusterIndex) -> None:
        self.options = options
        self.index = index
        self._by_length = sorted(options.zones, key=lambda zone: -len(labels(zone)))
        self._soa: dict[bytes, Record] = {}
        self.name_servers = {zone: join(apex.NS_LABELS, zone) for zone in options.zones}
        "The name of ``ns.dns`` in each zone."
        self.reverse = frozenset(zone for zone in options.zones if is_reverse(zone))
        "Those of the zones that hold PTR records."
        self._soa_changes = -1

    def match(self, name: bytes) -> bytes | None:
        """Give the longest zone that a lower-case name belongs to (rule A6)."""
        for zone in self._by_length:
            if name.endswith(zone) and is_subdomain(name, zone):
                return zone
        return None

    def serial(self, zone: bytes) -> int:
        """Serial of a zone, seconds since the epoch."""
        multicluster = zone in self.options.multicluster
        return self.index.multicluster_serial if multicluster else self.index.serial

    def soa(self, zone: bytes) -> Record:
        """SOA of a zone given in the client's case."""
        if self.index.changes != self._soa_changes or len(self._soa) > _SOA_LIMIT:
            self._soa.clear()
            self._soa_changes = self.index.changes
        found = self._soa.get(zone)
        if found is None:
            found = soa(zone, ttl=self.options.ttl, serial=self.serial(zone.lower()))
            self._soa[zone] = found
        return found

    def lookup(self, qname: bytes, zone: bytes, qtype: int) -> Finding:
        """Answer one question.

        Args:
            qname: The query's name, in the client's case.
            zone: The result of :meth:`match`, lower-case.
            qtype: Anything but AXFR and IXFR.
        """
        return _Lookup(self, qname, zone).run(qtype)


class _Lookup:
    """One question; holds what every step of it needs."""

    __slots__ = (
        "index",
        "multicluster",
        "name",
        "options",
        "origin",
        "qname",
        "shape",
        "zone",
        "zones",
    )

    def __init__(self, zones: ClusterZones, qname: bytes, zone: bytes) -> None:
        self.zones = zones
        self.options = zones.options
        self.index = zones.index
        self.qname = qname
        self.name = qname.lower()
        self.zone = zone
        self.origin = qname[len(qname) - len(zone) :]
        "The zone in the client's case (rule A7)."
        self.multicluster = zone in self.options.multicluster
        self.shape = self._shape(self.name)

    def _shape(self, name: bytes) -> schema.Shape:
        return schema.parse(
            labels(name[: len(name) - len(self.zone)] + b"\x00"),
            multicluster=self.multicluster,
            zonal=self.options.zonal,
        )

    def run(self, qtype: int) -> Finding:
        match qtype:
            case RRType.A | RRType.AAAA:
                return self._addresses(qtype)
            case RRType.SRV:
                return self._srv()
            case RRType.PTR:
                return self._ptr()
            case RRType.CNAME:
                return self._cname()
            case RRType.TXT:
                return self._txt()
            case RRType.SOA:
                return self._soa()
            case RRType.NS if self.name == self.zone:
                return self._ns()
            case _:
                return self._other()

    # What a name holds

    def _entries(self, shape: schema.Shape) -> Entries:
        """Find the entries of a name: ``None`` when it does not exist (rules A12, B12)."""
        match shape:
            case schema.ServiceName():
                if not self._exposed(shape.namespace):
                    return None
                if self.multicluster:
                    return services.find_imported(shape, self.index)
                return services.find(shape, self.index, self.options)
            case schema.PodName():
                if not self._exposed(shape.namespace):
                    return None
                return pods.find(shape, self.index, self.options)
            case schema.Structure():
                return ()
            case schema.Unparsable():
                return None

    def _exposed(self, namespace: str) -> bool:
        """Whether a namespace is in this zone (rules B12, G1); reverse zones have none."""
        if self.zone in self.zones.reverse:
            return False
        configured = self.options.namespaces
        if configured and namespace not in configured:
            return False
        return ("", namespace) in self.index.store.namespaces

    def _owners(self, shape: schema.Shape) -> Owners:
        match shape:
            case schema.ServiceName():
                namespace, service = shape.namespace, shape.service
                if not service:
                    return (owners.of_namespace(namespace),)
                if self.multicluster:
                    return (owners.of_namespace(namespace), owners.of_import(namespace, service))
                return (owners.of_namespace(namespace), owners.of_service(namespace, service))
            case schema.PodName():
                namespace, pod = shape.namespace, shape.pod
                if pod and self.options.pods is PodMode.VERIFIED:
                    address = pods.address_of(pod)
                    return (owners.of_namespace(namespace), owners.of_pod(address, namespace))
                return (owners.of_namespace(namespace),)
            case _:
                return ()

    @property
    def _is_name_server(self) -> bool:
        """Whether this is ``ns.dns.<zone>``; in any case, unlike CoreDNS (register K13)."""
        return self.name == self.zones.name_servers[self.zone]

    # Types

    def _addresses(self, qtype: int) -> Finding:
        if self._is_name_server:
            servers = apex.name_servers(self.index, self.options)
            records = [self._address(self.qname, address) for _, address in servers]
            answer = tuple(record for record in records if record and record.rrtype == qtype)
            return Found(answer, owners=_NOT_STORED) if answer else NoData(_NOT_STORED)
        held = self._owners(self.shape)
        entries = self._entries(self.shape)
        if entries is None:
            return NoName(held)
        return self._resolve(self.qname, entries, qtype, held, ())

    def _resolve(
        self, owner: bytes, entries: Entries, qtype: int, held: Owners, before: tuple[Record, ...]
    ) -> Finding:
        """Turn entries into addresses, following names inside the zone (rules E1, E5, E6)."""
        addresses: dict[bytes, Record] = {}
        for entry in entries or ():
            known = packed(entry.value)
            if known is None:
                return self._follow(owner, entry.value, qtype, held, before)
            rrtype, rdata = known
            if rrtype == qtype and rdata not in addresses:
                addresses[rdata] = Record(owner, qtype, self.options.ttl, rdata)
        if not addresses:
            return NoData(held)
        return Found((*before, *addresses.values()), owners=held)

    def _follow(
        self, owner: bytes, value: str, qtype: int, held: Owners, before: tuple[Record, ...]
    ) -> Finding:
        try:
            target = from_text(value)
        except ValueError:
            return NoData(held)
        alias = Record(owner, RRType.CNAME, self.options.ttl, target)
        name = target.lower()
        looped = any(record.owner.lower() == name for record in (*before, alias))
        if looped or len(before) >= CHAIN_LIMIT:
            return NoData(held)
        if not is_subdomain(name, self.zone):
            return Chase((*before, alias), target)
        shape = self._shape(name)
        held = (*held, *self._owners(shape))
        entries = self._entries(shape)
        return self._resolve(target, entries, qtype, held, (*before, alias))

    def _srv(self) -> Finding:
        if self._is_name_server:
            return NoData(_NOT_STORED)
        held = self._owners(self.shape)
        entries = self._entries(self.shape)
        if entries is None:
            return NoName(held)
        resolved = [(entry, known) for entry in entries if (known := packed(entry.value))]
        # Weights count entries before duplicates fall away (rule C7, register K2).
        weight = max(1, floor(100.0 / (100 * len(resolved)) * 100)) if resolved else 1
        answer: dict[Record, None] = {}
        additional: dict[Record, None] = {}
        for entry, (rrtype, rdata) in resolved:
            if entry.port == NO_PORT:
                continue
            target = self._name(entry.labels)
            ttl = self.options.ttl
            answer[srv(self.qname, ttl, weight=weight, port=entry.port, target=target)] = None
            additional[Record(target, rrtype, ttl, rdata)] = None
        if not answer:
            return NoData(held)
        return Found(tuple(answer), tuple(additional), held)

    def _ptr(self) -> Finding:
        address = address_of(self.name) if self.zone in self.zones.reverse else None
        if address is None:
            return self._existence()
        held = (owners.of_address(address),)
        targets = reverse.targets(address, self.index, self.options)
        if not targets:
            return NoName(held)
        primary = self.options.primary
        answer = tuple(
            Record(self.qname, RRType.PTR, self.options.ttl, join(_encode(target), primary))
            for target in targets
        )
        return Found(answer, owners=held)

    def _cname(self) -> Finding:
        if self._is_name_server:
            return NoData(_NOT_STORED)
        held = self._owners(self.shape)
        entries = self._entries(self.shape)
        if entries is None:
            return NoName(held)
        if not entries or packed(entries[0].value):
            return NoData(held)
        try:
            target = from_text(entries[0].value)
        except ValueError:
            return NoData(held)
        return Found((Record(self.qname, RRType.CNAME, self.options.ttl, target),), owners=held)

    def _txt(self) -> Finding:
        if self.name == join((b"dns-version",), self.zone):
            record = txt(self.qname, apex.SCHEMA_VERSION_TTL, apex.SCHEMA_VERSION)
            return Found((record,))
        # An empty result counts as a missing name here (rule C13, register K6).
        held = self._owners(self.shape)
        return NoData(held) if self._entries(self.shape) else NoName(held)

    def _soa(self) -> Finding:
        """Answer the apex; below it SOA is never there, whatever the name (rules A11, F13)."""
        if self.name != self.zone:
            return NoData()
        return Found((self.zones.soa(self.origin),), owners=_NOT_STORED)

    def _ns(self) -> Finding:
        answer: dict[Record, None] = {}
        additional: dict[Record, None] = {}
        for server, text in apex.name_servers(self.index, self.options):
            target = self._name(server)
            address = self._address(target, text)
            if address:
                answer[Record(self.qname, RRType.NS, self.options.ttl, target)] = None
                additional[address] = None
        if not answer:
            return NoData(_NOT_STORED)
        return Found(tuple(answer), tuple(additional), _NOT_STORED)

    def _other(self) -> Finding:
        """Tell NODATA from NXDOMAIN for types that clusters never hold (rules A10, A13)."""
        return NoData(_NOT_STORED) if self._is_name_server else self._existence()

    def _existence(self) -> Finding:
        held = self._owners(self.shape)
        return NoName(held) if self._entries(self.shape) is None else NoData(held)

    def _name(self, left: tuple[str, ...]) -> bytes:
        return join(_encode(left), self.origin)

    def _address(self, owner: bytes, text: str) -> Record | None:
        known = packed(text)
        return Record(owner, known[0], self.options.ttl, known[1]) if known else None


def _encode(left: tuple[str, ...]) -> list[bytes]:
    return [label.encode("latin-1", "replace") for label in left]
