"""Questions that a plugin asks the whole server while it answers one: targets of CNAMEs.

Parity: CoreDNS ``plugin/pkg/upstream`` (rule E1).
"""

from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from svcdns.dns.constants import Rcode
from svcdns.dns.response import Record
from svcdns.plugins.base import Ask, Failed, Outcome, Reply, Request, then


class Looked(Struct, frozen=True):
    """What was found for all names together."""

    answer: tuple[Record, ...] = ()
    tc: bool = False
    "Whether one of the answers was truncated."
    rcode: int = Rcode.NOERROR
    "Of the last one."
    background: tuple[Ask, ...] = ()
    "Work of those answers that nobody waits for."


NOTHING = Looked()


def look_up(
    request: Request,
    names: Sequence[bytes],
    finish: Callable[[Looked], Outcome],
    found: Looked = NOTHING,
) -> Outcome:
    """Ask for names, one after the other, with the type of the query.

    Args:
        request: The client's.
        names: Wire names; what cannot be resolved adds nothing.
        finish: Makes the outcome of what was found.
        found: What is known already.
    """
    if not names:
        return finish(found)
    name = names[0]
    query = replace(request.query, qname=name, name=name.lower())

    def add(outcome: Outcome, now: float) -> Outcome:
        match outcome:
            case Reply(response=response, background=background):
                more = Looked(
                    (*found.answer, *response.answer),
                    found.tc or response.tc,
                    response.rcode,
                    (*found.background, *background),
                )
            case Failed(rcode=rcode):
                more = replace(found, rcode=rcode)
            case _:
                more = replace(found, rcode=Rcode.SERVFAIL)
        return look_up(replace(request, now=now), names[1:], finish, more)

    return then(request.resolve(replace(request, query=query, metadata=None)), add, request.now)
