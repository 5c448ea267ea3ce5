"""A ceiling for the client's UDP payload size.

Name
----
*bufsize*: limits the EDNS size that a client may ask for, against fragmented datagrams.

Syntax
------
::

    bufsize [SIZE]

* SIZE: 512 to 4096 octets, 1232 by default.

Examples:
--------
::

    . {
        bufsize 1232
        forward . 172.31.0.10
    }

Differences
-----------
None known.

Parity: CoreDNS ``plugin/bufsize`` (rule J23).
"""

from msgspec.structs import replace

from svcdns.corefile.options import first
from svcdns.corefile.syntax import Directive
from svcdns.plugins.base import Context, Handler, Need, Outcome, Request

NAME = "bufsize"

DEFAULT_SIZE = 1232
"""Octets; what DNS flag day 2020 agreed on."""

MIN_SIZE, MAX_SIZE = 512, 4096


class Bufsize:
    """One ``bufsize`` directive."""

    name = NAME
    needs: tuple[Need, ...] = ()

    def __init__(self, size: int) -> None:
        self.size = size

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Have the rest of the chain see a smaller size."""
        edns = request.query.edns
        if edns is None or edns.size <= self.size:
            return proceed(request)
        query = replace(request.query, edns=replace(edns, size=self.size))
        return proceed(replace(request, query=query))


def setup(directives: tuple[Directive, ...], context: Context) -> Bufsize:
    """Read the directive."""
    line = first(directives, context.warn)
    size = line.integer(MIN_SIZE, MAX_SIZE, default=DEFAULT_SIZE)
    line.ignore_block()
    line.end()
    return Bufsize(size)
