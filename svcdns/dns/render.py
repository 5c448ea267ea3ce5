"""Answers to bytes: header, question, compressed records, OPT, within the client's limit.

Names are always compressed, also where CoreDNS would send a short message without (rule J10):
smaller answers are truncated less often, and no client can tell otherwise.

Spec: RFC 1035 §4.1, RFC 2181 §9 (truncation), RFC 3597 §4 (which rdata may be compressed).
"""

from struct import Struct as Layout

from svcdns.dns.constants import AA, AD, CD, QR, RA, RD, TC, Opcode, RRType
from svcdns.dns.edns import answer_opt
from svcdns.dns.query import Query
from svcdns.dns.response import Record, Response

_HEADER = Layout("!6H")
_QUESTION_TAIL = Layout("!2H")
_RECORD_TAIL = Layout("!HHIH")

_POINTER = 0xC000
_POINTER_LIMIT = 0x4000
"""Offsets from here on cannot be pointed to (RFC 1035 §4.1.4)."""

_TO_QUESTION = b"\xc0\x0c"
_QUESTION_AT = 12
_OPCODE_MASK = 0x7800

_NAME_AT = {
    RRType.CNAME: (0, 1),
    RRType.NS: (0, 1),
    RRType.PTR: (0, 1),
    RRType.MX: (2, 1),
    RRType.SOA: (0, 2),
}
"""Where the names in rdata start and how many there are, for types that may be compressed."""


def render(query: Query, response: Response, *, limit: int) -> bytes:
    """Make the message for a client.

    As many whole records as fit are kept, ANSWER first; when one is lost, TC is set, also for a
    record of ADDITIONAL (rule J10).

    Args:
        query: Gives ID, RD, CD, question and EDNS.
        response: What to say.
        limit: Octets that the client takes.
    """
    opt = answer_opt(query, response.rcode, nsid=response.nsid, options=response.options)
    writer = _Writer(query, limit - len(opt))
    answers = writer.section(response.answer)
    authorities = writer.section(response.authority)
    additionals = writer.section(response.additional)
    flags = _flags(query, response.rcode)
    if response.aa:
        flags |= AA
    if response.tc or writer.truncated:
        flags |= TC
    if response.ra:
        flags |= RA
    if response.ad:
        flags |= AD
    if response.cd is not None:
        flags = flags & ~CD | (CD if response.cd else 0)
    out = writer.out
    out += opt
    _HEADER.pack_into(
        out, 0, query.id, flags, 1, answers, authorities, additionals + (1 if opt else 0)
    )
    return bytes(out)


def bare(query: Query, rcode: int) -> bytes:
    """Make an answer of nothing but an error: question and OPT come back (rules J5, J7)."""
    opt = answer_opt(query, rcode)
    header = _HEADER.pack(query.id, _flags(query, rcode), 1, 0, 0, 1 if opt else 0)
    return header + query.qname + _QUESTION_TAIL.pack(query.qtype, query.qclass) + opt


def _flags(query: Query, rcode: int) -> int:
    flags = QR | (query.flags & _OPCODE_MASK) | (rcode & 0xF)
    # RD and CD come back for queries only, not for NOTIFY (rule J3).
    if query.opcode == Opcode.QUERY:
        flags |= query.flags & (RD | CD)
    return flags


class _Writer:
    """A message under construction."""

    __slots__ = ("_limit", "_offsets", "_qname", "out", "truncated")

    def __init__(self, query: Query, limit: int) -> None:
        self.out = bytearray(_QUESTION_AT)
        self.out += query.qname
        self.out += _QUESTION_TAIL.pack(query.qtype, query.qclass)
        self._limit = limit
        self._qname = query.qname
        self._offsets: dict[bytes, int] | None = None
        self.truncated = False

    def section(self, records: tuple[Record, ...]) -> int:
        """Write records until one does not fit; give the number written."""
        out = self.out
        for count, record in enumerate(records):
            start = len(out)
            self._record(record)
            if len(out) > self._limit:
                del out[start:]
                self._forget(start)
                self.truncated = True
                return count
        return len(records)

    def _record(self, record: Record) -> None:
        out = self.out
        if record.owner == self._qname:
            out += _TO_QUESTION
        else:
            self._name(record.owner)
        names = _NAME_AT.get(record.rrtype)  # type: ignore[call-overload]  # any integer may come
        rdata = record.rdata
        if names is None:
            out += _RECORD_TAIL.pack(record.rrtype, record.rrclass, record.ttl, len(rdata))
            out += rdata
            return
        out += _RECORD_TAIL.pack(record.rrtype, record.rrclass, record.ttl, 0)
        start = len(out)
        at, count = names
        out += rdata[:at]
        for _ in range(count):
            end = _name_end(rdata, at)
            self._name(rdata[at:end])
            at = end
        out += rdata[at:]
        size = len(out) - start
        out[start - 2 : start] = size.to_bytes(2, "big")

    def _name(self, name: bytes) -> None:
        """Write a name, pointing to the longest suffix that is in the message already."""
        offsets = self._offsets
        if offsets is None:
            offsets = self._offsets = _suffixes(self._qname, _QUESTION_AT)
        base = len(self.out)
        at = 0
        while name[at]:
            suffix = name[at:]
            known = offsets.get(suffix)
            if known is not None:
                self.out += name[:at]
                self.out += (_POINTER | known).to_bytes(2, "big")
                return
            if base + at < _POINTER_LIMIT:
                offsets[suffix] = base + at
            at += 1 + name[at]
        self.out += name

    def _forget(self, start: int) -> None:
        """Drop pointers into a record that was taken back."""
        if self._offsets:
            self._offsets = {name: at for name, at in self._offsets.items() if at < start}


def _suffixes(name: bytes, base: int) -> dict[bytes, int]:
    found = {}
    at = 0
    while name[at]:
        found[name[at:]] = base + at
        at += 1 + name[at]
    return found


def _name_end(data: bytes, at: int) -> int:
    while length := data[at]:
        at += 1 + length
    return at + 1
