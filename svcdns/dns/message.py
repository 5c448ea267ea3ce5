"""Messages to and from upstreams: queries out, their answers in.

An answer is as untrusted as a query: :func:`parse_response` never raises and its work is bounded
by the length of the message.  Names inside rdata are written out, so that a record can be sent on
in another message (RFC 3597 §4).

Spec: RFC 1035 §4.1, RFC 2181 §8 (TTL), RFC 6891.
"""

import struct
from typing import Final

from msgspec import Struct

from svcdns.dns.constants import AA, AD, CD, DO, QR, RA, RD, TC, Rcode, RRClass, RRType
from svcdns.dns.edns import Edns, Options, opt_record, read_options
from svcdns.dns.name import from_wire
from svcdns.dns.query import HEADER_OCTETS
from svcdns.dns.rdata import expand
from svcdns.dns.response import Record, Response

EXTENDED_ERROR: Final = 15
"""EDNS option code of extended DNS errors (RFC 8914)."""

_MAX_TTL = 0x7FFFFFFF
_RECORD_MINIMUM = 11
"""Octets of the smallest record: a root owner, the fixed fields, no rdata."""

_header = struct.Struct("!6H")
_question = struct.Struct("!HH")
_fixed = struct.Struct("!HHIH")


class Message(Struct, frozen=True, gc=False):
    """A well-formed answer from another server."""

    id: int
    flags: int
    "The second header word as received."
    rcode: int
    "With the upper bits from OPT (RFC 6891 §6.1.3)."
    qname: bytes | None
    "Wire name as sent; ``None`` when the message has no question."
    qtype: int = 0
    qclass: int = 0
    answer: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    "Without OPT."
    edns: Edns | None = None
    "The upstream's OPT."

    @property
    def aa(self) -> bool:
        """Authoritative answer."""
        return self.flags & AA != 0

    @property
    def tc(self) -> bool:
        """Truncated: ask again over TCP."""
        return self.flags & TC != 0

    @property
    def ra(self) -> bool:
        """Recursion available."""
        return self.flags & RA != 0

    @property
    def ad(self) -> bool:
        """Authentic data (RFC 4035 §3.2.3)."""
        return self.flags & AD != 0

    @property
    def cd(self) -> bool:
        """Checking disabled, as far as the upstream repeats it (RFC 4035 §3.2.2)."""
        return self.flags & CD != 0


def build_query(
    qname: bytes,
    qtype: int,
    qclass: int = RRClass.IN,
    *,
    ident: int = 0,
    rd: bool = True,
    cd: bool = False,
    ad: bool = False,
    size: int | None = None,
    do: bool = False,
    options: Options = (),
) -> bytes:
    """Make a query.

    Args:
        qname: Wire name.
        qtype: Type asked for.
        qclass: Class asked for.
        ident: The ID; 0 where the shell puts its own.
        rd: Recursion desired.
        cd: Checking disabled.
        ad: The answer's AD is understood (RFC 6840 §5.7).
        size: UDP payload size in octets for OPT; ``None`` sends none, nor *do* and *options*.
        do: DNSSEC OK.
        options: EDNS options.
    """
    flags = (RD if rd else 0) | (CD if cd else 0) | (AD if ad else 0)
    opt = b"" if size is None else opt_record(size, do=do, options=options)
    head = _header.pack(ident, flags, 1, 0, 0, 1 if opt else 0)
    return head + qname + _question.pack(qtype, qclass) + opt


def parse_response(wire: bytes) -> Message | None:
    """Read an answer from anyone; ``None`` when it is malformed or no answer.

    Octets behind the last record are ignored, as for queries.  Whether it answers *our* question
    is for :func:`svcdns.dns.matching.answers`.
    """
    try:
        return _message(wire)
    except (ValueError, IndexError, struct.error):
        return None


def _message(wire: bytes) -> Message | None:
    ident, flags, questions, answers, authorities, additionals = _header.unpack_from(wire)
    if not flags & QR or questions > 1:
        return None
    if (answers + authorities + additionals) * _RECORD_MINIMUM > len(wire):
        return None
    at = HEADER_OCTETS
    known: dict[int, bytes] = {}
    qname, qtype, qclass = None, 0, 0
    if questions:
        qname, at = from_wire(wire, at, known)
        qtype, qclass = _question.unpack_from(wire, at)
        at += _question.size
    reader = _Reader(wire, at, known)
    answer = reader.section(answers)
    authority = reader.section(authorities)
    if reader.edns is not None:
        return None  # RFC 6891 §6.1.1: OPT belongs in the additional section
    additional = reader.section(additionals)
    return Message(
        ident, flags, (flags & 0xF) | reader.rcode,
        qname, qtype, qclass,
        answer, authority, additional,
        reader.edns,
    )  # fmt: skip


class _Reader:
    """Reads records one after the other; raises ValueError, IndexError or struct.error."""

    __slots__ = ("_at", "_known", "_wire", "edns", "rcode")

    def __init__(self, wire: bytes, at: int, known: dict[int, bytes]) -> None:
        self._wire = wire
        self._at = at
        self._known = known
        self.edns: Edns | None = None
        self.rcode = 0
        "The upper bits of the response code."

    def section(self, count: int) -> tuple[Record, ...]:
        """Read *count* records and give those that are not OPT."""
        wire, at, known = self._wire, self._at, self._known
        records = []
        for _ in range(count):
            owner, at = from_wire(wire, at, known)
            rrtype, rrclass, ttl, size = _fixed.unpack_from(wire, at)
            start = at + _fixed.size
            at = start + size
            if at > len(wire):
                raise ValueError("a record runs out of the message")
            if rrtype == RRType.OPT:
                self._opt(owner, rrclass, ttl, wire[start:at])
                continue
            rdata = expand(rrtype, rrclass, wire, start, at, known)
            # A TTL with the top bit set is 0 (RFC 2181 §8).
            records.append(Record(owner, rrtype, ttl if ttl <= _MAX_TTL else 0, rdata, rrclass))
        self._at = at
        return tuple(records)

    def _opt(self, owner: bytes, size: int, ttl: int, data: bytes) -> None:
        if self.edns is not None or owner != b"\x00":
            raise ValueError("a second OPT record, or one not at the root")
        self.edns = Edns(size, ttl >> 16 & 0xFF, ttl & DO != 0, read_options(data))
        self.rcode = ttl >> 24 << 4


def to_response(message: Message) -> Response:
    """Make what a client gets to see of an upstream's answer.

    What concerns our hop alone ends here: OPT but for extended errors (CoreDNS passes every
    option on, the upstream's cookie too), TSIG, and response codes over 15, which are all about
    EDNS, cookies and signatures and become SERVFAIL.
    """
    options: Options = ()
    if message.edns is not None:
        options = tuple(option for option in message.edns.options if option[0] == EXTENDED_ERROR)
    return Response(
        rcode=message.rcode if message.rcode <= 0xF else Rcode.SERVFAIL,
        answer=message.answer,
        authority=message.authority,
        additional=tuple([record for record in message.additional if record.rrtype != RRType.TSIG]),
        aa=message.aa,
        tc=message.tc,
        ra=message.ra,
        ad=message.ad,
        cd=message.cd,
        options=options,
    )
