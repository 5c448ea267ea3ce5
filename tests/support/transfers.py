"""Messages of zone transfers, made by dnspython."""

import dns.message
import dns.rrset

SOA = "example.org. 60 IN SOA ns.example.org. host.example.org. {} 7200 1800 86400 60"
WEB = "web.example.org. 60 IN A 10.0.0.1"


def message(
    *lines: str, question: str = "example.org", kind: str = "AXFR", rcode: int = 0, flags: int = 0
) -> bytes:
    found = dns.message.make_response(dns.message.make_query(question, kind))
    found.set_rcode(rcode)
    found.flags |= flags
    for line in lines:
        owner, ttl, cls, rrtype, rdata = line.split(maxsplit=4)
        rrset = dns.rrset.from_text(owner, int(ttl), cls, rrtype, rdata)
        found.answer.append(rrset)
    return found.to_wire(max_size=65535)
