"""Formats of the query log: ``{remote}:{port} - {>id} …`` compiled into a function.

Parity: CoreDNS ``plugin/pkg/replacer``, ``plugin/pkg/response`` (corefile-features f).
"""

import re
from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from svcdns.dns.constants import (
    AA,
    AD,
    CD,
    QR,
    RA,
    RD,
    TC,
    Opcode,
    Rcode,
    RRType,
    class_text,
    rcode_text,
    type_text,
)
from svcdns.dns.name import to_text
from svcdns.dns.response import Response
from svcdns.hostport import bracketed
from svcdns.plugins.base import Request

COMMON = (
    '{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}"'
    " {rcode} {>rflags} {rsize} {duration}"
)
COMBINED = COMMON + ' "{>opcode}"'

EMPTY = "-"
"""For what has no value."""

_FLAGS = ((QR, "qr"), (AA, "aa"), (TC, "tc"), (RD, "rd"), (RA, "ra"), (AD, "ad"), (CD, "cd"))
_META = frozenset({RRType.AXFR, RRType.IXFR})
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_RECORD_OCTETS = 10
_HEADER_OCTETS = 12


class Entry(Struct, frozen=True):
    """A query and what became of it."""

    request: Request
    response: Response | None
    "``None``: no plugin wrote an answer."
    seconds: float


Placeholder: TypeAlias = Callable[[Entry], str]


def _flags(entry: Entry) -> str:
    response, query = entry.response, entry.request.query
    if response is None:
        return EMPTY
    bits = QR
    # An answer repeats RD and CD of its query unless a plugin says otherwise (dns/render).
    repeated = query.flags if query.opcode == Opcode.QUERY else 0
    rd = bool(repeated & RD) if response.rd is None else response.rd
    cd = bool(repeated & CD) if response.cd is None else response.cd
    for wanted, bit in (
        (response.aa, AA),
        (response.tc, TC),
        (rd, RD),
        (response.ra, RA),
        (response.ad, AD),
        (cd, CD),
    ):
        if wanted:
            bits |= bit
    return ",".join([name for bit, name in _FLAGS if bits & bit])


def _rcode(entry: Entry) -> str:
    # A query that no plugin answered is logged before the server writes its error: there is no code
    # yet.  CoreDNS up to 1.8 wrote NOERROR.
    return rcode_text(entry.response.rcode) if entry.response else EMPTY


def _size(entry: Entry) -> str:
    """Count the octets of the answer without compression and OPT, as CoreDNS does."""
    response = entry.response
    if response is None:
        return "0"
    total = _HEADER_OCTETS + len(entry.request.query.qname) + 4
    for section in (response.answer, response.authority, response.additional):
        for record in section:
            total += len(record.owner) + _RECORD_OCTETS + len(record.rdata)
    return str(total)


def _duration(entry: Entry) -> str:
    text = f"{max(0.0, entry.seconds):.9f}".rstrip("0").rstrip(".")
    return f"{text}s"


def _bufsize(entry: Entry) -> str:
    return str(entry.request.query.limit(udp=entry.request.client.udp))


def _proto(entry: Entry) -> str:
    return entry.request.client.proto


def _host(address: str) -> str:
    if not address:
        return EMPTY
    return bracketed(address)


_PLACEHOLDERS: dict[str, Placeholder] = {
    "{type}": lambda entry: type_text(entry.request.query.qtype),
    "{name}": lambda entry: to_text(entry.request.query.name),
    "{class}": lambda entry: class_text(entry.request.query.qclass),
    "{proto}": _proto,
    "{remote}": lambda entry: _host(entry.request.client.address),
    "{local}": lambda entry: _host(entry.request.client.local_address),
    "{port}": lambda entry: str(entry.request.client.port),
    "{size}": lambda entry: str(entry.request.query.size),
    "{duration}": _duration,
    "{rcode}": _rcode,
    "{rsize}": _size,
    "{>rflags}": _flags,
    "{>bufsize}": _bufsize,
    "{>do}": lambda entry: _boolean(
        entry.request.query.edns is not None and entry.request.query.edns.do
    ),
    "{>id}": lambda entry: str(entry.request.query.id),
    "{>opcode}": lambda entry: str(entry.request.query.opcode),
}


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _metadata(label: str) -> Placeholder:
    return lambda entry: (entry.request.metadata or {}).get(label) or EMPTY


def compile_format(text: str) -> Placeholder:
    """Make a function of a format; an unknown ``{word}`` stays as it is."""
    text = text.replace("{common}", COMMON).replace("{combined}", COMBINED)
    parts: list[str | Placeholder] = []
    at = 0
    for match in _PLACEHOLDER.finditer(text):
        found = _PLACEHOLDERS.get(match[0])
        if found is None and match[0].startswith("{/"):
            found = _metadata(match[0][2:-1])
        if found is None:
            continue
        parts += [text[at : match.start()], found]
        at = match.end()
    parts.append(text[at:])

    def write(entry: Entry) -> str:
        return "".join([part if isinstance(part, str) else part(entry) for part in parts])

    return write


def classify(request: Request, response: Response | None) -> str:
    """Give the class of an answer: ``success``, ``denial`` or ``error``.

    Parity: CoreDNS ``plugin/pkg/response/typify.go``, ``classify.go``.
    """
    if response is None or request.query.opcode != Opcode.QUERY or request.query.qtype in _META:
        return "error"
    soa = any(record.rrtype == RRType.SOA for record in response.authority)
    if response.rcode == Rcode.NOERROR:
        return "denial" if soa and not response.answer else "success"
    return "denial" if soa and response.rcode == Rcode.NXDOMAIN else "error"
