"""A bound on the time that a query may take.

Name
----
*cancel*: fails a query that is not answered in time.

Syntax
------
::

    cancel [TIMEOUT]

* TIMEOUT: 5.001 s by default.

Examples:
--------
::

    . {
        cancel 1s
        forward . 8.8.8.8
    }

Differences
-----------
Time-outs of upstreams are cut to what is left, so the query fails when TIMEOUT is over; CoreDNS's
plugins look at the time when they get round to it.

Parity: CoreDNS ``plugin/cancel``.
"""

from msgspec.structs import replace

from svcdns.corefile.options import last
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import Rcode
from svcdns.plugins.base import Ask, Context, Failed, Handler, Need, Outcome, Request
from svcdns.plugins.commands import Exchange, Fetch, Result

NAME = "cancel"

DEFAULT_SECONDS = 5.001


class Cancel:
    """One ``cancel`` directive."""

    name = NAME
    needs: tuple[Need, ...] = ()

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Let the rest of the chain answer until the time is over."""
        return self._bound(proceed(request), request.now, request.now + self.seconds)

    def _bound(self, outcome: Outcome, now: float, deadline: float) -> Outcome:
        if not isinstance(outcome, Ask):
            return outcome
        left = deadline - now
        if left <= 0:
            return Failed(Rcode.SERVFAIL, "context deadline exceeded", NAME)
        ask, command = outcome, outcome.command
        if isinstance(command, Exchange | Fetch) and command.timeout > left:
            command = replace(command, timeout=left)

        def resume(result: Result, at: float) -> Outcome:
            return self._bound(ask.resume(result, at), at, deadline)

        return Ask(command, resume)


def setup(directives: tuple[Directive, ...], context: Context) -> Cancel:
    """Read the directive."""
    line = last(directives, context.warn)
    seconds = line.duration(default=DEFAULT_SECONDS)
    line.end()
    if seconds <= 0:
        raise line.error(f"invalid timeout: {line.directive.args[0]}")
    return Cancel(seconds)
