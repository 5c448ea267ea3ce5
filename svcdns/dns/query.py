"""A DNS query from a stranger: bytes in, :class:`Query` or a verdict out.

The only parser of untrusted client bytes.  It never raises, and what it accepts holds exactly one
question whose name is well formed.

Where the references differ:

- Octets behind the last record are ignored, as miekg/dns and NSD do (Knot: FORMERR).
- A question cut off right behind the header, and a record that the header counts but the message
  lacks, are FORMERR (miekg/dns takes the message for shorter than it says it is).
- A compressed QNAME is FORMERR (as in NSD): there is nothing before it that it could repeat.
- Queries over 512 octets are read whole (register K16), so that long cookies and paddings work.

Spec: RFC 1035 §4.1, RFC 6891.  Parity: CoreDNS through miekg/dns (rules J1 to J5, J26 of the
behaviour reference).
"""

import struct
from typing import Final

from msgspec import Struct

from svcdns.dns.constants import (
    CD,
    DO,
    MAX_MESSAGE,
    MAX_UDP_PLAIN,
    QR,
    RD,
    Opcode,
    Rcode,
    RRClass,
    RRType,
)
from svcdns.dns.edns import OPT_OCTETS, Edns, read_options
from svcdns.dns.name import MAX_LABEL, MAX_NAME, from_wire

__all__ = ["HEADER_OCTETS", "Edns", "Query", "Rejected", "parse"]

HEADER_OCTETS: Final = 12
"""Octets of a header (RFC 1035 §4.1.1)."""

_OPCODE_BITS = 0x7800
_OPCODES = frozenset({Opcode.QUERY << 11, Opcode.NOTIFY << 11})
"""What is let through to the plugins (rules J1, J3)."""

_header = struct.Struct("!HHQ").unpack_from
_question = struct.Struct("!HH").unpack_from
_opt = struct.Struct("!BHHBBHH").unpack_from
_record = struct.Struct("!HHIH").unpack_from
_RECORD_OCTETS = 10
_SOA_NUMBERS = 20
"""Octets behind the names of a SOA (RFC 1035 §3.3.13)."""
_OPT_TYPE: Final = RRType.OPT  # an enum's attribute costs more than the comparison
_rejection = struct.Struct("!6H").pack

_PLAIN = 1 << 48
"""The four counts as one number: one question and nothing else."""
_PLAIN_EDNS = _PLAIN | 1


class Query(Struct, frozen=True, gc=False):
    """One well-formed question.

    A Struct, not a dataclass: one is made for every query that misses the answer table.
    """

    id: int
    flags: int
    "The second header word as received: QR, opcode, flags, rcode."
    qname: bytes
    "Wire form in the client's case (0x20 bits matter: rule A7)."
    qtype: int
    qclass: int = RRClass.IN
    edns: Edns | None = None
    name: bytes = b""
    "*qname* in lower case; every look-up uses this one."
    size: int = 0
    "Octets of the message as received, for metrics and the log."
    serial: int | None = None
    "Of an IXFR: the zone's serial that the client has (RFC 1995 §3)."

    def with_flags(self, flags: int) -> "Query":
        """Give the same query with another second header word."""
        return Query(
            self.id, flags, self.qname, self.qtype, self.qclass, self.edns, self.name,
            self.size, self.serial,
        )  # fmt: skip

    @property
    def opcode(self) -> int:
        """The opcode (RFC 1035 §4.1.1)."""
        return (self.flags >> 11) & 0xF

    def limit(self, *, udp: bool) -> int:
        """Octets that an answer to this query may have (RFC 6891 §6.2.3; rule J10)."""
        if not udp:
            return MAX_MESSAGE
        return max(MAX_UDP_PLAIN, self.edns.size) if self.edns else MAX_UDP_PLAIN


class Rejected(Struct, frozen=True, gc=False):
    """A message that gets a bare error: *wire* is the whole answer (rule J26)."""

    rcode: int
    wire: bytes


def parse(wire: bytes) -> Query | Rejected | None:
    """Read a client's message.

    Returns:
        The query.  A :class:`Rejected`: send its ``wire``.  ``None``: send nothing, because the
        message is too short to have an ID or is an answer itself (rules J1, J2).
    """
    if len(wire) < HEADER_OCTETS:
        return None
    ident, flags, counts = _header(wire)
    if flags & (QR | _OPCODE_BITS):
        if flags & QR:
            return None
        if flags & _OPCODE_BITS not in _OPCODES:
            return _reject(ident, flags, Rcode.NOTIMP)
    if counts != _PLAIN and counts != _PLAIN_EDNS and not _acceptable(counts):
        return _reject(ident, flags, Rcode.FORMERR)
    # A name ends within 255 octets: who sends 64 KiB of labels shall not have us walk them all.
    head = wire if len(wire) <= MAX_UDP_PLAIN else wire[:MAX_UDP_PLAIN]
    at = HEADER_OCTETS
    try:
        while size := head[at]:
            if size > MAX_LABEL:
                return _reject(ident, flags, Rcode.FORMERR)
            at += 1 + size
        at += 1
        qtype, qclass = _question(wire, at)
    except (IndexError, struct.error):
        return _reject(ident, flags, Rcode.FORMERR)
    if at > HEADER_OCTETS + MAX_NAME:
        return _reject(ident, flags, Rcode.FORMERR)
    qname = wire[HEADER_OCTETS:at]
    if counts == _PLAIN:
        return Query(ident, flags, qname, qtype, qclass, None, qname.lower(), len(wire))
    serial = None
    try:
        edns = _edns(wire, at + 4, counts)
        if qtype == RRType.IXFR:
            serial = _serial(wire, at + 4, counts)
    except (ValueError, IndexError, struct.error):
        return _reject(ident, flags, Rcode.FORMERR, wire[HEADER_OCTETS : at + 4])
    return Query(ident, flags, qname, qtype, qclass, edns, qname.lower(), len(wire), serial)


def _acceptable(counts: int) -> bool:
    """Tell whether the counts are those of a query (miekg/dns ``acceptfunc.go``, rule J1).

    A NOTIFY may hold an answer, an IXFR an authority record; OPT and TSIG are the two additional
    ones.
    """
    questions, answers = counts >> 48, counts >> 32 & 0xFFFF
    authorities, additionals = counts >> 16 & 0xFFFF, counts & 0xFFFF
    return questions == 1 and answers <= 1 and authorities <= 1 and additionals <= 2


def _edns(wire: bytes, at: int, counts: int) -> Edns | None:
    """Read the OPT record; of two, the last one (rule J26).

    Raises:
        ValueError: A record's owner or the options are malformed, or OPT is where it may not be
            (RFC 6891 §6.1.1).
        IndexError, struct.error: The message ends too early.
    """
    if counts == _PLAIN_EDNS and wire[at] == 0:
        _, rrtype, size, _, version, flags, rdlength = _opt(wire, at)
        if rrtype == _OPT_TYPE and rdlength == 0:
            return Edns(size, version, flags & DO != 0)
    before = (counts >> 32 & 0xFFFF) + (counts >> 16 & 0xFFFF)
    edns: Edns | None = None
    for index in range(before + (counts & 0xFFFF)):
        start = at
        at = at + 1 if wire[at] == 0 else from_wire(wire, at)[1]
        rrtype, size, ttl, rdlength = _record(wire, at)
        at += _RECORD_OCTETS + rdlength
        if at > len(wire):
            raise ValueError("a record runs out of the message")
        if rrtype != _OPT_TYPE:
            continue
        if index < before or wire[start] != 0:
            raise ValueError("OPT outside the additional section, or not at the root")
        edns = Edns(
            size, ttl >> 16 & 0xFF, ttl & DO != 0, read_options(wire[start + OPT_OCTETS : at])
        )
    return edns


def _serial(wire: bytes, at: int, counts: int) -> int | None:
    """Read the serial of the SOA that is the authority section of an IXFR, if that is what it is.

    Raises:
        ValueError: A name is malformed.
        IndexError, struct.error: The message ends too early.
    """
    if counts >> 16 & 0xFFFFFFFF != 1:  # an answer before it, or no authority record at all
        return None
    _, at = from_wire(wire, at)
    rrtype, _, _, rdlength = _record(wire, at)
    at += _RECORD_OCTETS
    end = at + rdlength
    for _ in range(2):
        _, at = from_wire(wire, at)
    if rrtype != RRType.SOA or end - at != _SOA_NUMBERS:
        return None
    return int.from_bytes(wire[at : at + 4], "big")


def _reject(ident: int, flags: int, rcode: int, question: bytes = b"") -> Rejected:
    """Make a bare error: the header, and the question if that could be read (rules J1, J26).

    Opcode (RFC 1035 §4.1.1), RD and CD come back; TC, AD and RA are ours to say, and miekg/dns's
    habit of sending them back is not copied.
    """
    bits = QR | (flags & (_OPCODE_BITS | RD | CD)) | rcode
    return Rejected(rcode, _rejection(ident, bits, 1 if question else 0, 0, 0, 0) + question)
