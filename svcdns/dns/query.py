"""A DNS query from a stranger: bytes in, :class:`Query` or a verdict out.

The only parser of untrusted client bytes.  It never raises, and what it accepts holds exactly one
question whose name is well formed.

Spec: RFC 1035 §4.1, RFC 6891.  Parity: CoreDNS through miekg/dns (rules J1 to J5, J26 of the
behaviour reference).
"""

from struct import Struct as Layout
from struct import error as StructError

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
from svcdns.dns.name import MAX_LABEL, MAX_NAME

_HEADER = Layout("!6H")
_QUESTION_TAIL = Layout("!2H")
_RECORD_TAIL = Layout("!HHIH")
_OPTION = Layout("!2H")
_OPCODE_MASK = 0x7800
_POINTER = 0xC0


class Edns(Struct, frozen=True, gc=False):
    """The OPT record of a query (RFC 6891 §6.1.2)."""

    size: int
    "The client's UDP payload size in octets, as sent."
    version: int = 0
    do: bool = False
    options: tuple[tuple[int, bytes], ...] = ()
    "Option code and data, in the order received."


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

    Bytes behind the last record are ignored, as miekg/dns does.

    Returns:
        The query; a :class:`Rejected` for what gets a bare error; ``None`` for what gets no answer
        (too short to have an ID, or itself an answer).
    """
    size = len(wire)
    if size < _HEADER.size:
        return None
    ident, flags, questions, answers, authorities, additionals = _HEADER.unpack_from(wire)
    if flags & QR:
        return None
    if flags & _OPCODE_MASK not in (0, Opcode.NOTIFY << 11):
        return _reject(ident, flags, Rcode.NOTIMP)
    if questions != 1 or answers > 1 or authorities > 1 or additionals > 2:
        return _reject(ident, flags, Rcode.FORMERR)
    at = _HEADER.size
    try:
        while length := wire[at]:
            if length > MAX_LABEL:
                return _reject(ident, flags, Rcode.FORMERR)
            at += 1 + length
        at += 1
        qtype, qclass = _QUESTION_TAIL.unpack_from(wire, at)
    except (IndexError, ValueError, StructError):
        return _reject(ident, flags, Rcode.FORMERR)
    qname = wire[_HEADER.size : at]
    if len(qname) > MAX_NAME:
        return _reject(ident, flags, Rcode.FORMERR)
    edns: Edns | None = None
    if answers or authorities or additionals:
        found = _records(wire, at + 4, answers + authorities, additionals)
        if found is _MALFORMED:
            return _reject(ident, flags, Rcode.FORMERR)
        edns = found
    return Query(ident, flags, qname, qtype, qclass, edns, qname.lower(), size)


_MALFORMED = Edns(0, version=-1)


def _records(wire: bytes, at: int, before: int, additionals: int) -> Edns | None:
    """Walk the records behind the question and read OPT, the last one if there are several."""
    edns: Edns | None = None
    try:
        for number in range(before + additionals):
            at = _skip_name(wire, at)
            rrtype, rrclass, ttl, length = _RECORD_TAIL.unpack_from(wire, at)
            at += _RECORD_TAIL.size
            if at + length > len(wire):
                return _MALFORMED
            if rrtype == RRType.OPT and number >= before:
                options = _options(wire[at : at + length])
                edns = Edns(rrclass, (ttl >> 16) & 0xFF, bool(ttl & DO), options)
            at += length
    except (IndexError, ValueError, StructError):
        return _MALFORMED
    return edns


def _skip_name(wire: bytes, at: int) -> int:
    while length := wire[at]:
        if length >= _POINTER:
            return at + 2
        if length > MAX_LABEL:
            raise ValueError(length)
        at += 1 + length
    return at + 1


def _options(data: bytes) -> tuple[tuple[int, bytes], ...]:
    found = []
    at = 0
    while at < len(data):
        code, length = _OPTION.unpack_from(data, at)
        at += _OPTION.size
        if at + length > len(data):
            raise ValueError(length)
        found.append((code, data[at : at + length]))
        at += length
    return tuple(found)


def _reject(ident: int, flags: int, rcode: int) -> Rejected:
    """Make the 12 octets that are all a rejected message gets (rule J1)."""
    opcode = flags & _OPCODE_MASK if rcode == Rcode.NOTIMP else 0
    header = _HEADER.pack(ident, QR | opcode | (flags & (RD | CD)) | rcode, 0, 0, 0, 0)
    return Rejected(rcode, header)
