"""An answer to bytes: header, question, records with compression, OPT, all within a limit.

Deliberate difference from CoreDNS: names are compressed always, not only when the message would
not fit otherwise (rule J10).  Smaller answers are truncated less often, by us and on the way.

Spec: RFC 1035 §4.1, RFC 2181 §9 (truncation), RFC 6891 §6.1.1 (OPT), RFC 3597 §4 (names inside
other than the RFC 1035 types are never compressed).  Parity: miekg/dns ``msg_truncate.go``.
"""

import struct
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, TypeAlias

from svcdns.dns.constants import (
    AA,
    AD,
    CD,
    MAX_UDP_PLAIN,
    QR,
    RA,
    RD,
    TC,
    Rcode,
    RRType,
)
from svcdns.dns.edns import answer_opt
from svcdns.dns.name import MAX_NAME
from svcdns.dns.query import HEADER_OCTETS, Query
from svcdns.dns.response import Record, Response

_OPCODE_BITS = 0x7800
_header = struct.Struct("!6H")
_question = struct.Struct("!HH").pack
_fixed = struct.Struct("!HHIH").pack
_fixed_behind_qname = struct.Struct("!HHHIH").pack
_pointer = struct.Struct("!H").pack

_QNAME_POINTER = 0xC000 | HEADER_OCTETS
_POINTABLE = 0x4000
"""Offsets from here on do not fit a pointer (RFC 1035 §4.1.4)."""

_SLACK = 16
"""Octets by which names of one answer usually differ in length."""

_SOA: Final = RRType.SOA

_Suffixes: TypeAlias = tuple[tuple[bytes, int], ...]

_COMPRESSED: Final[dict[int, tuple[int, int]]] = {
    RRType.NS: (0, 1),
    RRType.CNAME: (0, 1),
    RRType.SOA: (0, 2),
    RRType.PTR: (0, 1),
    RRType.MX: (2, 1),
}
"""Types whose rdata is compressed: octets in front of the names, number of names."""


def render(query: Query, response: Response, *, limit: int) -> bytes:
    """Make the message that answers *query*.

    As many whole records as fit are sent, ANSWER before AUTHORITY before ADDITIONAL; clients that
    do not try TCP get what there is (musl before 1.2.4, busybox).  The first record that does not
    fit ends the message, and TC says so, in whichever section it was (rule J10).  OPT stays.

    Args:
        query: What was asked; ID, RD, CD, opcode and the question come from here.
        response: What to say.  A response code over 15 becomes SERVFAIL without EDNS.
        limit: Octets that the message may have, at least 512.
    """
    rcode: int = response.rcode
    edns = query.edns
    if edns is None:
        opt = b""
        if rcode > 0xF:
            rcode = Rcode.SERVFAIL
    else:
        room = limit - HEADER_OCTETS - len(query.qname) - 4
        opt = answer_opt(edns, rcode, nsid=response.nsid, options=response.options, room=room)
    out = bytearray(HEADER_OCTETS)
    out += query.qname
    out += _question(query.qtype, query.qclass)
    writer = _Writer(out, query.qname, limit - len(opt))
    answers = writer.add(response.answer)
    authorities = writer.add(response.authority) if response.authority else 0
    additionals = writer.add(response.additional) if response.additional else 0
    flags = _flags(query) | (rcode & 0xF)
    if response.aa:
        flags |= AA
    if response.tc or writer.full:
        flags |= TC
    if response.ra:
        flags |= RA
    if response.ad:
        flags |= AD
    if response.rd is not None:
        flags = flags & ~RD | (RD if response.rd else 0)
    if response.cd is not None:
        flags = flags & ~CD | (CD if response.cd else 0)
    if opt:
        out += opt
        additionals += 1
    _header.pack_into(out, 0, query.id, flags, 1, answers, authorities, additionals)
    return bytes(out)


def bare(query: Query, rcode: int) -> bytes:
    """Make an error answer that holds the question, and OPT if the query had one (rule J7).

    BADVERS gets an OPT of version 0 and size 0 (rule J5).
    """
    return render(query, Response(rcode=rcode), limit=MAX_UDP_PLAIN)


def _flags(query: Query) -> int:
    """Start the second header word: RD and CD come back for QUERY alone (rules A1, J3)."""
    opcode = query.flags & _OPCODE_BITS
    return QR | opcode if opcode else QR | (query.flags & (RD | CD))


class _Writer:
    """Appends records to a message as long as they fit."""

    __slots__ = ("_limit", "_offsets", "_out", "_qname", "_reach", "full")

    def __init__(self, out: bytearray, qname: bytes, limit: int) -> None:
        self._out = out
        self._qname = qname
        self._limit = limit
        self._offsets: dict[bytes, int] = {}
        self._reach = 0
        "Octets of the longest suffix of the question that is among the offsets."
        self.full = False
        "Whether a record had to be left out; nothing is added after it."

    def add(self, records: Iterable[Record]) -> int:
        """Append one section and give the number of records that fitted."""
        out, qname, limit = self._out, self._qname, self._limit
        count = 0
        if self.full:
            return 0
        for record in records:
            mark = len(out)
            rrtype, rdata = record.rrtype, record.rdata
            if rrtype in _COMPRESSED:
                if rrtype != _SOA or not self._denial(record):
                    self._compressed(record)
            elif record.owner == qname:
                out += _fixed_behind_qname(
                    _QNAME_POINTER, rrtype, record.rrclass, record.ttl, len(rdata)
                )
                out += rdata
            else:
                self._name(record.owner)
                out += _fixed(rrtype, record.rrclass, record.ttl, len(rdata))
                out += rdata
            if len(out) > limit:
                del out[mark:]
                self.full = True
                break
            count += 1
        return count

    def _denial(self, record: Record) -> bool:
        """Append the SOA of a zone that the question is in, if its names are in the zone, too.

        They all end in one pointer into the question then.  That is what most denials consist of,
        and nothing comes behind it that would want to point at the names' other labels.
        """
        qname, owner = self._qname, record.owner
        if not qname.endswith(owner):
            return False
        at = len(qname) - len(owner)
        octets = _in_zone(at, owner, record.rrclass, record.ttl, record.rdata)
        self._out += octets
        return octets != b""

    def _compressed(self, record: Record) -> None:
        out = self._out
        self._name(record.owner)
        out += _fixed(record.rrtype, record.rrclass, record.ttl, 0)
        start = len(out)
        before, names, behind = _taken_apart(record.rrtype, record.rdata)
        out += before
        for name, suffixes in names:
            self._name(name, suffixes)
        out += behind
        out[start - 2 : start] = _pointer(len(out) - start)

    def _name(self, name: bytes, suffixes: _Suffixes | None = None) -> None:
        """Append a name, its longest suffix met before as a pointer; case counts (rule A7)."""
        out, offsets = self._out, self._offsets
        if name == self._qname:
            out += _pointer(_QNAME_POINTER) if len(name) > 1 else name
            return
        if len(name) > self._reach:
            self._reach = len(name) + _SLACK
            for suffix, at in _suffixes(self._qname, self._reach):
                offsets.setdefault(suffix, HEADER_OCTETS + at)
        whole = offsets.get(name)
        if whole is not None:
            out += _pointer(0xC000 | whole)
            return
        start = len(out)
        for suffix, at in suffixes or _suffixes(name):
            known = offsets.get(suffix)
            if known is not None:
                out += name[:at] + _pointer(0xC000 | known)
                return
            if start + at < _POINTABLE:
                offsets[suffix] = start + at
        out += name


def _suffixes(name: bytes, longest: int = MAX_NAME) -> _Suffixes:
    """Give a name and what is left of it behind each label, with the offset; not the root.

    Args:
        name: Wire name.
        longest: Octets; longer suffixes are left out.
    """
    found = []
    at, first = 0, len(name) - longest
    while at < first:
        at += 1 + name[at]
    while size := name[at]:
        found.append((name[at:], at))
        at += 1 + size
    return tuple(found)


@lru_cache(maxsize=256)
def _in_zone(at: int, owner: bytes, rrclass: int, ttl: int, rdata: bytes) -> bytes:
    """Write a SOA record whose names end in its zone, which is so many octets into the question.

    Returns:
        Octets; none if a name is outside the zone.
    """
    _, names, behind = _taken_apart(_SOA, rdata)
    fronts = [name[:to] for name, suffixes in names for suffix, to in suffixes if suffix == owner]
    if len(fronts) != len(names):
        return b""
    zone = _pointer(_QNAME_POINTER + at)
    data = zone.join([*fronts, behind])
    return zone + _fixed(_SOA, rrclass, ttl, len(data)) + data


@lru_cache(maxsize=256)
def _taken_apart(
    rrtype: int, rdata: bytes
) -> tuple[bytes, tuple[tuple[bytes, _Suffixes], ...], bytes]:
    """Find the names in rdata whose names are compressed; a zone's SOA is in all its denials.

    Returns:
        Octets in front of the names, the names, and the octets behind them.
    """
    first, count = _COMPRESSED[rrtype]
    names = []
    at = first
    for _ in range(count):
        start = at
        while size := rdata[at]:
            at += 1 + size
        at += 1
        name = rdata[start:at]
        names.append((name, _suffixes(name)))
    return rdata[:first], tuple(names), rdata[at:]
