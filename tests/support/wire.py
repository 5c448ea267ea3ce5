"""Messages made and read by dnspython, the decoder that svcdns's is measured against."""

from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdatatype
import dns.rrset


def wire_name(text: str) -> bytes:
    """Encode a name; dnspython escapes are those of zone files."""
    wire = dns.name.from_text(text).to_wire()
    assert wire is not None
    return wire


def ask(question: str, **options: Any) -> bytes:
    """Encode ``qname TYPE``; *options* are those of dnspython's ``make_query``."""
    qname, rrtype = question.split()
    options.setdefault("id", 4242)
    return dns.message.make_query(qname, rrtype, **options).to_wire()


def decode(wire: bytes) -> dns.message.Message:
    """Decode strictly: octets behind the message are an error."""
    return dns.message.from_wire(wire)


def records(section: list[dns.rrset.RRset]) -> list[str]:
    """List one record a line as zone text, in message order of the sets."""
    return [
        f"{rrset.name} {rrset.ttl} {dns.rdatatype.to_text(rrset.rdtype)} {rdata.to_text()}"
        for rrset in section
        for rdata in rrset
    ]


def flags(message: dns.message.Message) -> str:
    """Name the flags: ``QR AA RD``."""
    return dns.flags.to_text(message.flags)


def edns_option(number: int, data: bytes) -> dns.edns.Option:
    """Make an EDNS option; *number* may be nobody's."""
    return dns.edns.GenericOption(dns.edns.OptionType.make(number), data)


def rrset(line: str) -> dns.rrset.RRset:
    """Read ``owner ttl class type rdata``."""
    owner, ttl, rrclass, rrtype, rdata = line.split(maxsplit=4)
    return dns.rrset.from_text(owner, int(ttl), rrclass, rrtype, rdata)
