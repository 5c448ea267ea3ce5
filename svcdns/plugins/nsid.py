"""Which server answered.

Name
----
*nsid*: gives the Name Server Identifier to clients that ask for it with EDNS.

Syntax
------
::

    nsid [DATA...]

* DATA: what to say; the name of the machine by default.

Examples:
--------
::

    . {
        nsid resolver-1 in fra
        forward . 172.31.0.10
    }

Differences
-----------
None known.

Parity: CoreDNS ``plugin/nsid`` (rule J9); RFC 5001.
"""

from msgspec.structs import replace

from svcdns.corefile.options import once
from svcdns.corefile.syntax import Directive
from svcdns.plugins.base import Context, Handler, Need, Outcome, Reply, Request, then

NAME = "nsid"


class Nsid:
    """One ``nsid`` directive."""

    name = NAME
    needs: tuple[Need, ...] = ()

    def __init__(self, data: bytes) -> None:
        self._data = data

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Have the next plugin answer, and sign that.

        Whether the client hears it is decided when the answer is rendered; answers to clients that
        do not ask are marked too, so that they are not prepared for those that do.
        """
        return then(proceed(request), self._signed, request.now)

    def _signed(self, outcome: Outcome, _now: float) -> Outcome:
        if not isinstance(outcome, Reply):
            return outcome
        return replace(outcome, response=replace(outcome.response, nsid=self._data))


def setup(directives: tuple[Directive, ...], context: Context) -> Nsid:
    """Read the directive."""
    line = once(directives)
    data = " ".join(line.rest()) or context.hostname
    line.end()
    return Nsid(data.encode())
