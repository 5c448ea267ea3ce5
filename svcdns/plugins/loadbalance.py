"""A new order of addresses for every answer.

Name
----
*loadbalance*: gives A, AAAA and MX records in a random order, behind CNAMEs and other records.

Syntax
------
::

    loadbalance [round_robin]

Examples:
--------
::

    . {
        kubernetes cluster.local
        loadbalance round_robin
    }

Differences
-----------
* Answers that the server keeps ready come in up to 16 fixed orders that take turns, such that every
  address is first equally often.
* ``weighted FILE`` is not implemented.

Parity: CoreDNS ``plugin/loadbalance`` (rule J19).
"""

from collections.abc import Callable

from msgspec.structs import replace

from svcdns.corefile.options import once
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import Rcode, RRType
from svcdns.plugins.base import Context, Handler, Need, Outcome, Reply, Request, then
from svcdns.plugins.rotation import shuffle

NAME = "loadbalance"

_TRANSFERS = frozenset({RRType.AXFR, RRType.IXFR})


class Loadbalance:
    """One ``loadbalance`` directive."""

    name = NAME
    needs: tuple[Need, ...] = ()

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Shuffle the answer, and have a stored one rotate."""
        if request.query.qtype in _TRANSFERS:
            return proceed(request)
        return then(proceed(request), self._shuffled, request.now)

    def _shuffled(self, outcome: Outcome, _now: float) -> Outcome:
        if not isinstance(outcome, Reply) or outcome.response.rcode != Rcode.NOERROR:
            return outcome
        if len(outcome.response.answer) + len(outcome.response.additional) < 2:
            return outcome
        response = shuffle(outcome.response, self._random)
        store = replace(outcome.store, rotate=True) if outcome.store else None
        return replace(outcome, response=response, store=store)


def setup(directives: tuple[Directive, ...], context: Context) -> Loadbalance:
    """Read the directive."""
    line = once(directives)
    if line.next == "weighted":
        raise line.error("policy weighted is not supported, use round_robin")
    line.word("round_robin", default="round_robin")
    line.end()
    return Loadbalance(context.random)
