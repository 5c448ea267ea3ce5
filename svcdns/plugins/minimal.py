"""Answers without anything that was not asked for.

Name
----
*minimal*: leaves AUTHORITY and ADDITIONAL out of positive answers.

Syntax
------
::

    minimal

Denials, delegations and errors stay as they are.

Examples:
--------
::

    example.org {
        whoami
        minimal
    }

Differences
-----------
None known.

Parity: CoreDNS ``plugin/minimal`` (rule J23), ``plugin/pkg/response/typify.go``.
"""

from msgspec.structs import replace

from svcdns.corefile.options import each
from svcdns.corefile.syntax import Directive
from svcdns.plugins.base import Context, Handler, Need, Outcome, Reply, Request, then
from svcdns.plugins.cacheitems import Sort, sort_of

NAME = "minimal"


class Minimal:
    """The ``minimal`` directive."""

    name = NAME
    needs: tuple[Need, ...] = ()

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Have the next plugin answer, and shorten that."""

        def shorten(outcome: Outcome, _now: float) -> Outcome:
            if not isinstance(outcome, Reply):
                return outcome
            if sort_of(request.query, outcome.response) is not Sort.POSITIVE:
                return outcome
            response = replace(outcome.response, authority=(), additional=())
            return replace(outcome, response=response)

        return then(proceed(request), shorten, request.now)


def setup(directives: tuple[Directive, ...], context: Context) -> Minimal:
    """Read the directive."""
    for line in each(directives):
        line.end()
    return Minimal()
