"""Questions and what is to be answered, as zone text; checked with dnspython.

::

    case("§2.3.1", "web.prod.svc.cluster.local. A",
         answer=["web.prod.svc.cluster.local. 5 IN A 10.96.0.10"])
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.SOA
import dns.rrset

from tests.support.wire import ask, decode, flags

SERIAL = "SERIAL"
"""In place of a SOA serial: any will do."""


@dataclass(frozen=True, slots=True)
class Case:
    """One question and the whole answer to it; records of a section are a set."""

    rule: str
    question: str
    "``qname TYPE``."
    rcode: str = "NOERROR"
    flags: str = "QR AA RD"
    answer: tuple[str, ...] = ()
    authority: tuple[str, ...] = ()
    additional: tuple[str, ...] | None = ()
    "``None``: whatever it holds."

    def __str__(self) -> str:
        return f"{self.rule} {self.question}"

    def ask(self, **options: Any) -> bytes:
        """Encode the question; *options* are those of dnspython's ``make_query``."""
        return ask(self.question, **options)


def case(
    rule: str,
    question: str,
    *,
    rcode: str = "NOERROR",
    flags: str = "QR AA RD",
    answer: Iterable[str] = (),
    authority: Iterable[str] = (),
    additional: Iterable[str] | None = (),
) -> Case:
    """Write a case with lists."""
    extra = None if additional is None else tuple(additional)
    return Case(rule, question, rcode, flags, tuple(answer), tuple(authority), extra)


def check(case: Case, wire: bytes) -> dns.message.Message:
    """Compare an answer with its case, whole; owners and names keep their case (rule A7).

    Returns:
        The message as dnspython reads it, for further looks (EDNS).
    """
    message = decode(wire)
    qname, qtype = case.question.split()
    [question] = message.question
    assert str(question.name) == str(dns.name.from_text(qname)), "the question's name"
    assert dns.rdatatype.to_text(question.rdtype) == qtype, "the question's type"
    assert dns.rcode.to_text(message.rcode()) == case.rcode
    assert flags(message) == case.flags
    _same("ANSWER", message.answer, case.answer)
    _same("AUTHORITY", message.authority, case.authority)
    if case.additional is not None:
        _same("ADDITIONAL", message.additional, case.additional)
    return message


def _same(section: str, got: list[dns.rrset.RRset], expected: tuple[str, ...]) -> None:
    masked = any(SERIAL in line for line in expected)
    found = [_line(rrset, rdata, masked) for rrset in got for rdata in rrset]
    wanted = [_normal(line) for line in expected]
    assert sorted(found) == sorted(wanted), section


def _line(rrset: dns.rrset.RRset, rdata: dns.rdata.Rdata, masked: bool) -> str:
    if masked and isinstance(rdata, dns.rdtypes.ANY.SOA.SOA):
        rdata = rdata.replace(serial=0)
    rrclass = dns.rdataclass.to_text(rrset.rdclass)
    rrtype = dns.rdatatype.to_text(rrset.rdtype)
    return f"{rrset.name} {rrset.ttl} {rrclass} {rrtype} {rdata.to_text()}"


def _normal(line: str) -> str:
    owner, ttl, *rest = line.replace(SERIAL, "0").split(None, 3 if " IN " not in line else 4)
    rrclass = rest.pop(0) if rest[0] == "IN" else "IN"
    rrtype, text = rest
    rdata = dns.rdata.from_text(rrclass, rrtype, text, relativize=False)
    return f"{dns.name.from_text(owner)} {int(ttl)} {rrclass} {rrtype} {rdata.to_text()}"
