"""DNS messages in HTTP requests and answers, whatever the version of HTTP.

Spec: RFC 8484 (DNS over HTTPS).
Parity: CoreDNS ``plugin/pkg/doh/doh.go``, ``core/dnsserver/server_https.go``.
"""

import base64
import binascii
from urllib.parse import parse_qs

from msgspec import Struct

from svcdns.dns.constants import MAX_MESSAGE, Rcode, RRType
from svcdns.dns.message import parse_response
from svcdns.dns.response import Record

PATH = "/dns-query"
"""RFC 8484 §3 leaves it to a template; everybody's is this one."""

MESSAGE_TYPE = "application/dns-message"
"""RFC 8484 §6."""

NO_RECORD_AGE = 5
"""Seconds that an answer without records may be kept (CoreDNS plugin/pkg/dnsutil/ttl.go)."""

_HEADER_OCTETS = 12


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
        texts = parse_qs(query, keep_blank_values=True).get("dns", [])
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


def _decode(text: str) -> bytes:
    """Decode base64url without padding (RFC 8484 §4.1.1); clients that pad are forgiven."""
    bare = text.rstrip("=").encode("ascii")
    return base64.b64decode(bare + b"=" * (-len(bare) % 4), altchars=b"-_", validate=True)


def max_age(wire: bytes) -> int:
    """Say how long an HTTP cache may keep an answer: as long as DNS would (RFC 8484 §5.1).

    Args:
        wire: An answer of ours.

    Returns:
        Seconds; 0 for what is not to be kept.
    """
    message = parse_response(wire)
    if message is None or message.tc or message.rcode not in (Rcode.NOERROR, Rcode.NXDOMAIN):
        return 0
    records = (*message.answer, *message.authority, *message.additional)
    ages = [record.ttl for record in records]
    if message.rcode == Rcode.NXDOMAIN or not message.answer:
        ages += [_minimum(record) for record in message.authority if record.rrtype == RRType.SOA]
    return min(ages, default=NO_RECORD_AGE)


def _minimum(soa: Record) -> int:
    """Give the SOA's last field, which bounds a denial too (RFC 2308 §5)."""
    return int.from_bytes(soa.rdata[-4:], "big")
