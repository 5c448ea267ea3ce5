"""TTLs in written messages; dnspython writes and reads them."""

import dns.flags
import dns.message
import dns.rrset
import pytest

from svcdns.dns.ttls import with_ttl

NAME = "www.example.net."
OTHER = "mail.example.org."


def message(
    answer: tuple[str, ...], authority: tuple[str, ...] = (), *, edns: bool = False
) -> dns.message.Message:
    query = dns.message.make_query(NAME, "A", use_edns=edns, want_dnssec=edns)
    made = dns.message.make_response(query)
    made.flags |= dns.flags.AA
    for section, lines in ((made.answer, answer), (made.authority, authority)):
        for line in lines:
            owner, rrtype, text = line.split(" ", 2)
            section.append(dns.rrset.from_text(owner, 300, "IN", rrtype, text))
    return made


SOA = f"example.net. SOA ns.example.net. {OTHER} 1 7200 1800 86400 30"
MESSAGES = [
    ("no record", message(())),
    ("a pointer for a name", message((f"{NAME} A 192.0.2.1", f"{NAME} A 192.0.2.2"))),
    ("labels and a pointer", message((), (SOA,))),
    ("a name of its own", message((f"{NAME} CNAME {OTHER}", f"{OTHER} A 192.0.2.1"))),
    ("the root", message((), (". NS a.root-servers.net.",))),
    ("names in data", message((f"{NAME} MX 10 {OTHER}", f"{NAME} SRV 0 0 53 {OTHER}"))),
    ("hardly any data", message((f'{NAME} TXT ""',))),
    (
        "RFC 6891 §6.1.3: flags where other records have a TTL",
        message((f"{NAME} A 192.0.2.1",), (SOA,), edns=True),
    ),
]


@pytest.mark.parametrize(("case", "made"), MESSAGES, ids=[case for case, _ in MESSAGES])
@pytest.mark.parametrize("ttl", [0, 7, 3600, 2**31 - 1])
def test_every_record_gets_the_ttl_and_nothing_else_changes(
    case: str, made: dns.message.Message, ttl: int
) -> None:
    wire = made.to_wire()

    found = with_ttl(wire[2:], ttl)

    read = dns.message.from_wire(wire[:2] + found)
    expected = dns.message.from_wire(wire)
    for section in (*expected.answer, *expected.authority):
        section.ttl = ttl
    assert read.to_text() == expected.to_text()
    assert len(found) == len(wire) - 2
