"""Messages of zone transfers, made by dnspython."""

import dns.message
import dns.rcode

from tests.support.wire import rrset

SOA = "example.org. 60 IN SOA ns.example.org. host.example.org. {} 7200 1800 86400 60"
WEB = "web.example.org. 60 IN A 10.0.0.1"


def message(
    *lines: str, question: str = "example.org", kind: str = "AXFR", rcode: int = 0, flags: int = 0
) -> bytes:
    found = dns.message.make_response(dns.message.make_query(question, kind))
    found.set_rcode(dns.rcode.Rcode(rcode))
    found.flags |= flags
    for line in lines:
        found.answer.append(rrset(line))
    return found.to_wire(max_size=65535)
