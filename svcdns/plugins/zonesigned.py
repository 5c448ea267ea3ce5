"""What a signed zone adds for those who want to verify: signatures, and proof of what is not there.

A zone comes signed, from its file or its primary; nothing is signed here.  Proofs are NSEC only:
answers from a zone with NSEC3 have signatures and no proofs, which verifiers refuse.

Spec: RFC 4035 §3.1 (what goes where), RFC 4034 §6.1 (order of names).  Parity: CoreDNS
``plugin/file/lookup.go``, which leaves out what proves that there is no closer name than a wildcard
without such records, and no DS.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby

from msgspec.structs import replace

from svcdns.dns.constants import RRType
from svcdns.dns.response import Record, Response
from svcdns.plugins.zonedata import NoData, NoName, Referral, Zone


def verifiable(zone: Zone, response: Response, qname: bytes, finding: object) -> Response:
    """Give an answer from *zone* with all that it takes to verify it.

    Args:
        zone: A signed one.
        response: Made of *finding*, without signatures.
        qname: What was asked for.
        finding: What the zone says about it.
    """
    proof = dict.fromkeys(_proof(zone, response, qname, finding))
    return replace(
        response,
        answer=tuple(_with_signatures(zone, response.answer)),
        authority=tuple(_with_signatures(zone, (*response.authority, *proof))),
        additional=tuple(_with_signatures(zone, response.additional)),
    )


def _with_signatures(zone: Zone, records: Iterable[Record]) -> Iterator[Record]:
    for (owner, rrtype), group in groupby(records, key=lambda one: (one.owner, one.rrtype)):
        yield from group
        source = zone.source(owner.lower())
        if source is None:
            continue
        for signature in zone.group(source, RRType.RRSIG):
            if int.from_bytes(signature.rdata[:2], "big") == rrtype:
                yield replace(signature, owner=owner)


def _proof(zone: Zone, response: Response, qname: bytes, finding: object) -> Iterator[Record]:
    """Give the NSEC records that prove what the answer says is not there."""
    for record in response.answer:
        yield from _no_closer(zone, record.owner.lower())
    name = qname.lower()
    for record in response.answer:
        if record.rrtype == RRType.CNAME:
            name = record.rdata.lower()
    match finding:
        case NoName():
            yield from zone.covering(name)
            yield from zone.covering(b"\x01*" + zone.encloser(name))
        case NoData():
            yield from _no_such_type(zone, name)
        case Referral(servers):
            cut = servers[0].owner.lower()
            yield from zone.group(cut, RRType.DS) or zone.group(cut, RRType.NSEC)
        case _:
            return


def _no_such_type(zone: Zone, name: bytes) -> Iterator[Record]:
    source = zone.source(name)
    # A name that only has names below it has no NSEC; the one before it says so.
    yield from (source and zone.group(source, RRType.NSEC)) or zone.covering(name)
    yield from _no_closer(zone, name)


def _no_closer(zone: Zone, name: bytes) -> tuple[Record, ...]:
    """Prove that a wildcard was right to answer for a name; nothing when none did."""
    return () if zone.source(name) in (name, None) else zone.covering(name)
