"""What ``rewrite`` does to answers on their way to the client.

Each function here gives an :data:`Undo`; they are applied in the opposite order of the rules that
asked for them, to all three sections.

Parity: CoreDNS ``plugin/rewrite/reverter.go``, ``name.go``, ``ttl.go``, ``rcode.go``,
``cname_target.go``.
"""

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from svcdns.dns.constants import RRType
from svcdns.dns.name import from_text, to_text
from svcdns.dns.rdata import map_names
from svcdns.dns.response import Record, Response
from svcdns.plugins.base import Failed, Outcome, Reply, Request, then
from svcdns.plugins.rewritematch import Change

Undo = Callable[[Outcome, Request], Outcome]
"""From a finished outcome to another one; the request is the client's."""

_WITH_VALUE = frozenset(
    {
        RRType.CNAME,
        RRType.DNAME,
        RRType.MX,
        RRType.NAPTR,
        RRType.NS,
        RRType.PTR,
        RRType.SOA,
        RRType.SRV,
    }
)
"""Types whose name ``answer value`` and ``answer auto`` rewrite; of SOA the first one."""


def _each(change: Callable[[Record], Record]) -> Undo:
    """Change every record of an answer."""

    def section(records: Iterable[Record]) -> tuple[Record, ...]:
        return tuple([change(record) for record in records])

    def undo(outcome: Outcome, _request: Request) -> Outcome:
        if not isinstance(outcome, Reply):
            return outcome
        response = replace(
            outcome.response,
            answer=section(outcome.response.answer),
            authority=section(outcome.response.authority),
            additional=section(outcome.response.additional),
        )
        return replace(outcome, response=response)

    return undo


def _renamed(name: bytes, change: Change) -> bytes:
    found = change(to_text(name.lower()))
    if found is None:
        return name
    try:
        return from_text(found)
    except ValueError:
        return name  # the rule makes no name of this one, so it stays as it is


def owners(change: Change) -> Undo:
    """Rename the owners of records (``answer name``)."""
    return _each(lambda record: replace(record, owner=_renamed(record.owner, change)))


def values(change: Change) -> Undo:
    """Rename the names that records point to (``answer value``)."""

    def renamed(record: Record) -> Record:
        if record.rrtype not in _WITH_VALUE:
            return record
        seen = 0

        def first_of_soa(name: bytes) -> bytes:
            nonlocal seen
            seen += 1
            if record.rrtype == RRType.SOA and seen > 1:
                return name
            return _renamed(name, change)

        return replace(record, rdata=map_names(record.rrtype, record.rdata, first_of_soa))

    return _each(renamed)


def own_case(outcome: Outcome, request: Request) -> Outcome:
    """Write the client's own name as the client wrote it (RFC 4343 §4; rule A7)."""
    query = request.query
    if query.qname == query.name:
        return outcome

    def written(record: Record) -> Record:
        return replace(record, owner=query.qname) if record.owner == query.name else record

    return _each(written)(outcome, request)


def ttls(low: int, high: int) -> Undo:
    """Keep TTLs between two numbers of seconds."""
    return _each(lambda record: replace(record, ttl=min(max(record.ttl, low), high)))


def rcode(old: int, new: int) -> Undo:
    """Give one response code for another, also where no plugin wrote an answer."""

    def undo(outcome: Outcome, _request: Request) -> Outcome:
        match outcome:
            case Reply(response=response) if response.rcode == old:
                return replace(outcome, response=replace(response, rcode=new))
            case Failed(rcode=code) if code == old:
                return replace(outcome, rcode=new)
            case _:
                return outcome

    return undo


def options(codes: dict[int, bytes]) -> Undo:
    """Tell a client that speaks EDNS which options its query was given."""

    def undo(outcome: Outcome, _request: Request) -> Outcome:
        if not isinstance(outcome, Reply):
            return outcome
        kept = [option for option in outcome.response.options if option[0] not in codes]
        response = replace(outcome.response, options=(*kept, *codes.items()))
        return replace(outcome, response=response)

    return undo


def targets(change: Change) -> Undo:
    """Lead CNAMEs elsewhere, and ask the whole server for the new target (``cname``)."""

    def undo(outcome: Outcome, request: Request) -> Outcome:
        if not isinstance(outcome, Reply):
            return outcome
        before: list[Record] = []
        for record in outcome.response.answer:
            if record.rrtype == RRType.CNAME:
                target = _renamed(record.rdata, change)
                if target != record.rdata:
                    before.append(replace(record, rdata=target))
                    return _elsewhere(outcome, request, tuple(before), target)
            before.append(record)
        return outcome

    return undo


def _elsewhere(
    reply: Reply, request: Request, before: tuple[Record, ...], target: bytes
) -> Outcome:
    nested = replace(request.query, qname=target, name=target.lower())

    def combine(found: Outcome, _now: float) -> Outcome:
        if not isinstance(found, Reply):
            return reply
        response: Response = replace(
            reply.response,
            answer=(*before, *found.response.answer),
            tc=reply.response.tc or found.response.tc,
        )
        # What the target holds is another question's business, and changes when that does.
        background = (*reply.background, *found.background)
        return replace(reply, response=response, store=None, background=background)

    asked = request.resolve(replace(request, query=nested, metadata=None))
    return then(asked, combine, request.now)
