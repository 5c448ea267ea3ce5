"""A zone that another server sends, message by message.

Everything in it comes from outside: it is bounded in octets, and whatever is not the zone that was
asked for ends the transfer.

Spec: RFC 5936 §2.2 (AXFR), RFC 1982 (serial numbers), RFC 1035 §3.3.13 (SOA).
"""

import struct

from msgspec import Struct

from svcdns.dns.constants import Rcode, RRClass, RRType, rcode_text
from svcdns.dns.message import build_query, parse_response
from svcdns.dns.name import is_subdomain
from svcdns.dns.response import Record

MAX_OCTETS = 64 << 20
"""Octets of all messages of a transfer, and of its names and data without compression: two octets
may stand for 255."""

MAX_RECORDS = 1_000_000
"""Each costs some hundred octets of memory however short it is."""

_TOO_LARGE = "the zone is too large"
_HALF = 1 << 31
_times = struct.Struct("!5I")


class Times(Struct, frozen=True):
    """The numbers of an SOA."""

    serial: int
    refresh: int
    "Seconds until the primary is asked again."
    retry: int
    "Seconds until that, when it did not answer."
    expire: int
    "Seconds without an answer after which the zone must not be served any more."


class Incoming:
    """The state of one transfer."""

    def __init__(
        self, origin: bytes, max_octets: int = MAX_OCTETS, max_records: int = MAX_RECORDS
    ) -> None:
        """Wait for the first message of a zone, whose lower-case wire name is *origin*."""
        self.origin = origin
        self.records: list[Record] = []
        "Those at and below the origin, the SOA first and once."
        self._wire_left = self._left = max_octets
        self._places = max_records
        self._done = False

    @property
    def query(self) -> bytes:
        """The message that asks for it, with ID 0."""
        return build_query(self.origin, RRType.AXFR, rd=False)

    def take(self, wire: bytes) -> bool:
        """Take the next message.

        Returns:
            Whether it was the last one.

        Raises:
            ValueError: This is not the zone, or too much of it.
        """
        self._wire_left -= len(wire)
        if self._wire_left < 0:
            raise ValueError(_TOO_LARGE)
        message = parse_response(wire)
        if message is None:
            raise ValueError("a message that cannot be read")
        if message.rcode != Rcode.NOERROR:
            raise ValueError(f"bad xfr rcode: {rcode_text(message.rcode)}")
        if message.tc:
            raise ValueError("a truncated message")
        if message.qname is not None and (
            message.qname.lower() != self.origin or message.qtype != RRType.AXFR
        ):
            raise ValueError("an answer to another question")
        for record in message.answer:
            self._add(record)
        if not message.answer:
            raise ValueError("a message without records")
        return self._done

    def _add(self, record: Record) -> None:
        if self._done:
            raise ValueError("records behind the last SOA")
        owner = record.owner.lower()
        soa = record.rrtype == RRType.SOA and owner == self.origin
        if not self.records and not soa:
            raise ValueError("no SOA first")
        if self.records and soa:
            if times(record).serial != times(self.records[0]).serial:
                raise ValueError("the zone changed while it was sent")
            self._done = True
            return
        # Before anything is left out: what is not of the zone costs time as well.
        self._left -= len(owner) + len(record.rdata)
        self._places -= 1
        if self._left < 0 or self._places < 0:
            raise ValueError(_TOO_LARGE)
        if is_subdomain(owner, self.origin) and record.rrclass == RRClass.IN:
            self.records.append(record)


def times(soa: Record) -> Times:
    """Read the numbers of an SOA.

    Raises:
        ValueError: It is too short to be one.
    """
    if len(soa.rdata) < _times.size + 2:
        raise ValueError("an SOA that cannot be read")
    serial, refresh, retry, expire, _ = _times.unpack(soa.rdata[-_times.size :])
    return Times(serial, refresh, retry, expire)


def newer(serial: int, known: int) -> bool:
    """Tell whether a serial comes after another one (RFC 1982 §3.2; equal is not newer)."""
    return 0 < (serial - known) % (1 << 32) < _HALF
