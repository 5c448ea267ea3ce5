"""Flags of queries and answers.

Name
----
*header*: sets and clears flags of the query that the next plugins see, and of the answer.

Syntax
------
::

    header {
        query|response set|clear FLAGS...
        set|clear FLAGS...
    }

* FLAGS: ``aa``, ``ra``, ``rd``.  A line without ``query`` or ``response`` is about the answer.

Examples:
--------
::

    . {
        header {
            query set rd
            response set ra
            response clear aa
        }
        forward . 172.31.0.10
    }

Differences
-----------
Several directives add up; CoreDNS heeds the first.

Parity: CoreDNS ``plugin/header``.
"""

from msgspec import Struct
from msgspec.structs import replace

from svcdns.corefile.options import Line, each
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import AA, RA, RD
from svcdns.dns.query import Query
from svcdns.dns.response import Response
from svcdns.plugins.base import Context, Handler, Need, Outcome, Reply, Request, then

NAME = "header"

FLAGS = {"aa": AA, "ra": RA, "rd": RD}


class Rules(Struct, frozen=True):
    """Flags to set and to clear; the last line about a flag counts."""

    states: tuple[tuple[str, bool], ...] = ()
    "Name of a flag and whether it is to be set."

    def on_query(self, query: Query) -> Query:
        """Give the query with other flags."""
        flags = query.flags
        for name, state in self.states:
            flags = flags | FLAGS[name] if state else flags & ~FLAGS[name]
        return query if flags == query.flags else replace(query, flags=flags)

    def on_response(self, response: Response) -> Response:
        """Give the answer with other flags."""
        return replace(response, **dict(self.states)) if self.states else response


class Header:
    """All ``header`` directives of a block."""

    name = NAME
    needs: tuple[Need, ...] = ()

    def __init__(self, query: Rules, response: Rules) -> None:
        self._query = query
        self._response = response

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Change the query on its way down and the answer on its way up."""
        query = self._query.on_query(request.query)
        changed = query is not request.query
        # An answer repeats RD of its query, and for the next plugins this is the query.
        desired = bool(query.flags & RD) if changed else None

        def change(outcome: Outcome, _now: float) -> Outcome:
            if not isinstance(outcome, Reply):
                return outcome
            response = outcome.response
            if desired is not None and response.rd is None:
                response = replace(response, rd=desired)
            return replace(outcome, response=self._response.on_response(response))

        asked = proceed(replace(request, query=query) if changed else request)
        return then(asked, change, request.now)


def setup(directives: tuple[Directive, ...], context: Context) -> Header:
    """Read the directives."""
    found: dict[str, list[tuple[str, bool]]] = {"query": [], "response": []}
    lines = each(directives, context.warn)
    for line in lines:
        line.ignore_rest()
        for option in line.options():
            selector, states = _read(option)
            found[selector] += states
    if not any(found.values()):
        raise lines[0].arity()
    return Header(Rules(tuple(found["query"])), Rules(tuple(found["response"])))


def _read(option: Line) -> tuple[str, list[tuple[str, bool]]]:
    selector, action = option.name.lower(), ""
    if selector in ("set", "clear"):
        selector, action = "response", selector
    elif selector in ("query", "response"):
        action = option.word(default="").lower()
    else:
        message = f"invalid selector={selector} should be query or response"
        raise option.error(f"setting up rule: {message}")
    if action not in ("set", "clear"):
        message = f"unknown flag action={action}, should be set or clear"
        raise option.error(f"setting up rule: {message}")
    names = [name.lower() for name in option.rest()]
    if not names:
        message = "invalid length for flags, at least one should be provided"
        raise option.error(f"setting up rule: {message}")
    for name in names:
        if name not in FLAGS:
            raise option.error(f"setting up rule: unknown/unsupported flag={name}")
    return selector, [(name, action == "set") for name in names]
