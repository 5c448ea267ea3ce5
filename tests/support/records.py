"""Records as zone text, read by dnspython and not by svcdns."""

from collections.abc import Iterable

import dns.name
import dns.rdata
import dns.rdatatype
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType

from svcdns.dns.response import Record


def zone_text(record: Record) -> str:
    """``owner ttl TYPE rdata``, names with a final dot."""
    owner, _ = dns.name.from_wire(record.owner, 0)
    rrclass, rrtype = RdataClass.make(record.rrclass), RdataType.make(record.rrtype)
    rdata = dns.rdata.from_wire(rrclass, rrtype, record.rdata, 0, len(record.rdata))
    return f"{owner} {record.ttl} {dns.rdatatype.to_text(rrtype)} {rdata.to_text()}"


def zone_texts(records: Iterable[Record]) -> list[str]:
    return sorted(zone_text(record) for record in records)


def wire_name(text: str) -> bytes:
    return dns.name.from_text(text).to_wire() or b""
