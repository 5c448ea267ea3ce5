"""DNS messages in HTTP requests and answers, whatever the version of HTTP.

Spec: RFC 8484 (DNS over HTTPS).
Parity: CoreDNS ``plugin/pkg/doh/doh.go``, ``core/dnsserver/server_https.go``.
"""

import binascii
import re
from struct import Struct as Layout
from struct import error as StructError
from urllib.parse import parse_qs

from msgspec import Struct

from svcdns.dns.constants import MAX_MESSAGE, Rcode, RRType

PATH = "/dns-query"
"""RFC 8484 §3 leaves it to a template; everybody's is this one."""

MESSAGE_TYPE = "application/dns-message"
"""RFC 8484 §6."""

NO_RECORD_AGE = 5
"""Seconds that an answer without records may be kept (CoreDNS plugin/pkg/dnsutil/ttl.go)."""

_HEADER_OCTETS = 12
_TC = 0x02
_POINTER = 0xC0
_LONGEST = 2**31 - 1

_SPECIAL = re.compile("[&%+]")

_counts = Layout("!4H").unpack_from
_record = Layout("!HHLH").unpack_from
_record_octets = 10

_STANDARD = bytes.maketrans(b"-_+/", b"+/--")
"""From the alphabet of RFC 4648 §5 to that of §4, whose own letters are no longer any."""


class Refusal(Struct, frozen=True):
    """An HTTP status instead of an answer."""

    status: int
    text: str


def read_request(method: str, target: str, media_type: str, body: bytes) -> bytes | Refusal:
    """Take the DNS message out of a request.

    Args:
        method: ``GET`` and ``POST`` carry messages (RFC 8484 §4.1).
        target: Path and query of the URL.
        media_type: The Content-Type header; empty without one.
        body: Of a POST; at most :data:`~svcdns.dns.constants.MAX_MESSAGE` octets are a message.
    """
    path, _, query = target.partition("?")
    if path != PATH:
        return Refusal(404, "")
    if method == "POST":
        if media_type and media_type.partition(";")[0].strip().lower() != MESSAGE_TYPE:
            return Refusal(415, f"expected the media type {MESSAGE_TYPE}")
        wire = body
    elif method == "GET":
        texts = _texts(query)
        if len(texts) != 1:
            return Refusal(400, f"expected one 'dns' query parameter, found {len(texts)}")
        try:
            wire = _decode(texts[0])
        except (binascii.Error, ValueError):
            return Refusal(400, "the 'dns' query parameter is not base64url")
    else:
        return Refusal(405, f"method not allowed: {method[:20]}")
    if len(wire) > MAX_MESSAGE:
        return Refusal(413, f"a DNS message has at most {MAX_MESSAGE} octets")
    if len(wire) < _HEADER_OCTETS:
        return Refusal(400, "the DNS message is shorter than its header")
    return wire


def _texts(query: str) -> list[str]:
    """Give the values of the ``dns`` parameter; as a rule there is no other, and no escape."""
    name, _, value = query.partition("=")
    if name == "dns" and value.isascii() and not _SPECIAL.search(value):
        return [value]
    return parse_qs(query, keep_blank_values=True).get("dns", [])


def _decode(text: str) -> bytes:
    """Decode base64url without padding (RFC 8484 §4.1.1); clients that pad are forgiven."""
    bare = text.rstrip("=").encode("ascii").translate(_STANDARD)
    return binascii.a2b_base64(bare + b"=" * (-len(bare) % 4), strict_mode=True)


def max_age(wire: bytes) -> int:
    """Say how long an HTTP cache may keep an answer: as long as DNS would (RFC 8484 §5.1).

    Args:
        wire: An answer of ours.

    Returns:
        Seconds; 0 for what is not to be kept.
    """
    if len(wire) < _HEADER_OCTETS or wire[2] & _TC:
        return 0
    rcode = wire[3] & 0xF
    if rcode not in (Rcode.NOERROR, Rcode.NXDOMAIN):
        return 0
    questions, answers, authorities, additionals = _counts(wire, 4)
    try:
        at = _HEADER_OCTETS
        for _ in range(questions):
            at = _behind_name(wire, at) + 4
        denial = rcode == Rcode.NXDOMAIN or not answers
        ages: list[int] = []
        for number in range(answers + authorities + additionals):
            at = _behind_name(wire, at)
            rrtype, _, ttl, size = _record(wire, at)
            at += _record_octets + size
            if rrtype == RRType.OPT:
                if ttl >> 24:  # the rest of an rcode (RFC 6891 §6.1.3)
                    return 0
                continue
            ages.append(ttl if ttl <= _LONGEST else 0)  # RFC 2181 §8
            if denial and rrtype == RRType.SOA and answers <= number < answers + authorities:
                ages.append(int.from_bytes(wire[at - 4 : at], "big"))
    except (IndexError, StructError):
        return 0
    return min(ages, default=NO_RECORD_AGE)


def _behind_name(wire: bytes, at: int) -> int:
    """Give the place behind a name."""
    while size := wire[at]:
        if size >= _POINTER:
            return at + 2
        at += size + 1
    return at + 1
