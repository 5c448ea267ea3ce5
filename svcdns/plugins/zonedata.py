"""A zone of records, and what it says about a name.

Spec: RFC 1034 §4.3.2 (the algorithm), RFC 4592 (wildcards), RFC 6672 (DNAME), RFC 8020 (empty
non-terminals).  Parity: CoreDNS ``plugin/file`` (lookup.go, wildcard.go, delegation.go).
"""

from bisect import bisect_right
from collections.abc import Iterable
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from svcdns.dns.constants import RRType
from svcdns.dns.name import MAX_NAME, is_subdomain, labels
from svcdns.dns.rdata import names_in
from svcdns.dns.response import Record
from svcdns.dns.transfer import times
from svcdns.plugins.slices import Slices, finish

CHAIN_LIMIT = 8
"""CNAME records in a row before an answer is given as far as it goes (CoreDNS)."""

SLICE = 500
"""Records or names handled without a pause: about 2 ms."""

_WITH_ADDITIONAL = frozenset({RRType.NS, RRType.MX, RRType.SRV})
_ADDRESSES = (RRType.A, RRType.AAAA)
_BESIDE_CNAME = frozenset({RRType.CNAME, RRType.SOA, RRType.NS, RRType.NSEC, RRType.RRSIG})

Node: TypeAlias = dict[int, tuple[Record, ...]]


class Answer(Struct, frozen=True):
    """There are records, behind CNAMEs perhaps."""

    records: tuple[Record, ...]
    additional: tuple[Record, ...] = ()


class Alias(Struct, frozen=True):
    """Records so far end in a CNAME to a name that is not in the zone's data."""

    records: tuple[Record, ...]
    target: bytes


class Referral(Struct, frozen=True):
    """Somebody else is responsible: their name servers, and addresses of those."""

    servers: tuple[Record, ...]
    glue: tuple[Record, ...]
    records: tuple[Record, ...] = ()
    "CNAMEs that lead there."


class NoData(Struct, frozen=True):
    """The name is there without such records."""

    records: tuple[Record, ...] = ()
    "CNAMEs that lead there."


class NoName(Struct, frozen=True):
    """The name is not there."""


Finding: TypeAlias = Answer | Alias | Referral | NoData | NoName


class Zone:
    """The records of one zone."""

    def __init__(self, origin: bytes, records: Iterable[Record], soa: Record | None = None) -> None:
        """Take *records* at and below *origin*, a lower-case wire name.

        Args:
            origin: The top of the zone.
            records: All there are.
            soa: One for an origin without; of any name, as in CoreDNS.

        Raises:
            ValueError: There is not exactly one SOA at the origin.
        """
        self._take(origin, finish(_nodes(origin, records)), soa)

    @classmethod
    def slices(
        cls, origin: bytes, records: Iterable[Record], soa: Record | None = None
    ) -> Slices["Zone"]:
        """Make a zone as :meth:`__init__` does, a slice at a time."""
        zone = cls.__new__(cls)
        zone._take(origin, (yield from _nodes(origin, records)), soa)
        return zone

    def _take(self, origin: bytes, nodes: dict[bytes, Node], soa: Record | None) -> None:
        self.origin = origin
        self._nodes = nodes
        apex = nodes.get(origin, {})
        soas = (soa,) if soa is not None else apex.get(RRType.SOA, ())
        if len(soas) != 1:
            raise ValueError(f"{len(soas)} SOA records at the top of the zone, expected one")
        self.soa = soas[0]
        self.servers = apex.get(RRType.NS, ())
        "NS at the top."
        self.signed = RRType.RRSIG in apex
        self._proving = sorted(
            (labels(name)[::-1], name) for name, node in self._nodes.items() if RRType.NSEC in node
        )
        "Names with NSEC, in the order of RFC 4034 §6.1."

    @property
    def serial(self) -> int:
        """The serial of the SOA."""
        return times(self.soa).serial

    def records(self) -> list[Record]:
        """Give all records, SOA first, then the top, then by name (RFC 5936 §2.2)."""
        rest = [
            record
            for name in sorted(self._nodes, key=lambda name: labels(name)[::-1])
            for kind in sorted(self._nodes[name])
            for record in self._nodes[name][kind]
            if record is not self.soa
        ]
        return [self.soa, *rest]

    def same(self, other: "Zone") -> bool:
        """Whether another zone holds the same records, in whatever order of names."""
        return self.soa == other.soa and self._nodes == other._nodes

    def lookup(self, qname: bytes, qtype: int) -> Finding:
        """Answer one question.

        Args:
            qname: A name of the zone in the client's case, which owners of records get.
            qtype: Any type but those of transfers.
        """
        found: list[Record] = []
        owner = qname
        while True:
            step = self._step(owner, qtype)
            match step:
                case Alias(records, target):
                    found += records
                    seen = {record.owner.lower() for record in found}
                    looped = target.lower() in seen or len(found) > CHAIN_LIMIT
                    if looped:
                        return Answer(tuple(found))
                    if target.lower() not in self._nodes:
                        return Alias(tuple(found), target)
                    owner = target
                case Answer() | Referral():
                    return replace(step, records=(*found, *step.records))
                case NoData():
                    return NoData(tuple(found))
                case NoName():
                    return step

    def _step(self, owner: bytes, qtype: int) -> Finding:
        """Find one name, following nothing."""
        name = owner.lower()
        cut = self._cut(name, qtype)
        if cut is not None:
            return cut
        source = self.source(name)
        if source is None:
            return NoName()
        node = self._nodes[source]
        # What stands beside a CNAME is not seen, as in CoreDNS, but for what RFC 4035 §2.5 allows
        # and what makes the zone.
        hidden = RRType.CNAME in node and qtype not in _BESIDE_CNAME
        if qtype in node and not hidden:
            answer = tuple([replace(record, owner=owner) for record in node[qtype]])
            return Answer(answer, self._additional(answer))
        if RRType.CNAME in node:
            alias = replace(node[RRType.CNAME][0], owner=owner)
            return Alias((alias,), alias.rdata)
        return NoData()

    def source(self, name: bytes) -> bytes | None:
        """Give the lower-case name whose records are *name*'s: itself, or a wildcard."""
        if name in self._nodes:
            return name
        wildcard = b"\x01*" + self.encloser(name)
        return wildcard if wildcard in self._nodes else None

    def encloser(self, name: bytes) -> bytes:
        """Give the longest end of a lower-case name of the zone that exists (RFC 4592 §3.3.1)."""
        while name not in self._nodes:
            name = name[1 + name[0] :]
        return name

    def group(self, name: bytes, rrtype: int) -> tuple[Record, ...]:
        """Give the records of exactly this lower-case name and type."""
        return self._nodes.get(name, {}).get(rrtype, ())

    def covering(self, name: bytes) -> tuple[Record, ...]:
        """Give the NSEC of the last name at or before a lower-case one (RFC 4035 §3.1.3)."""
        at = bisect_right(self._proving, labels(name)[::-1], key=lambda entry: entry[0])
        return self.group(self._proving[at - 1][1], RRType.NSEC) if self._proving else ()

    def _cut(self, name: bytes, qtype: int) -> Finding | None:
        """Look for a delegation or a DNAME between the top and the name, from the top."""
        above = [name]
        while above[-1] != self.origin:
            above.append(above[-1][1 + above[-1][0] :])
        for ancestor in reversed(above[:-1]):
            node = self._nodes.get(ancestor)
            if node is None:
                return None
            at_cut = ancestor == name
            if RRType.NS in node and not (at_cut and qtype == RRType.DS):
                servers = node[RRType.NS]
                return Referral(servers, self._additional(servers))
            if RRType.DNAME in node and not at_cut:
                return _substituted(name, node[RRType.DNAME][0])
        return None

    def _additional(self, records: tuple[Record, ...]) -> tuple[Record, ...]:
        """Give the addresses that the zone has of names in records."""
        found: dict[Record, None] = {}
        for record in records:
            if record.rrtype in _WITH_ADDITIONAL:
                (target,) = names_in(record.rrtype, record.rdata)
                node = self._nodes.get(target.lower(), {})
                for rrtype in _ADDRESSES:
                    found |= dict.fromkeys(node.get(rrtype, ()))
        return tuple(found)


def _nodes(origin: bytes, records: Iterable[Record]) -> Slices[dict[bytes, Node]]:
    """Put records where their names are, each of them once."""
    # In lists while it grows: adding to a tuple copies it, and thousands of records may share
    # owner and type.
    growing: dict[bytes, dict[int, list[Record]]] = {origin: {}}
    for number, record in enumerate(records, 1):
        node = _reach(record.owner.lower(), origin, growing)
        node.setdefault(record.rrtype, []).append(record)
        if not number % SLICE:
            yield
    nodes: dict[bytes, Node] = {}
    for number, (name, lists) in enumerate(growing.items(), 1):
        nodes[name] = {rrtype: tuple(dict.fromkeys(group)) for rrtype, group in lists.items()}
        if not number % SLICE:
            yield
    return nodes


def _reach(
    name: bytes, origin: bytes, nodes: dict[bytes, dict[int, list[Record]]]
) -> dict[int, list[Record]]:
    """Give the node of a name; it and those above exist from now on (RFC 8020 §2)."""
    node = nodes.get(name)
    if node is None:
        node = nodes[name] = {}
        while name != origin and (name := name[1 + name[0] :]) not in nodes:
            nodes[name] = {}
    return node


def _substituted(name: bytes, dname: Record) -> Finding:
    """Make the CNAME that a DNAME above a name stands for (RFC 6672 §3.1)."""
    target = name[: len(name) - len(dname.owner)] + dname.rdata
    if len(target) > MAX_NAME:
        return Answer((dname,))
    return Alias((dname, Record(name, RRType.CNAME, dname.ttl, target)), target)


def within(name: bytes, zones: Iterable[bytes]) -> bytes | None:
    """Give the longest of *zones* that a lower-case name belongs to."""
    found = [zone for zone in zones if is_subdomain(name, zone)]
    return max(found, key=len) if found else None
