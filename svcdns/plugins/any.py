"""A minimal answer to questions for everything.

Name
----
*any*: answers queries of type ANY with one HINFO record, so that they are of no use to attackers.

Syntax
------
::

    any

Examples:
--------
::

    example.org {
        whoami
        any
    }

Differences
-----------
None known.

Parity: CoreDNS ``plugin/any`` (rule J23); RFC 8482 §4.2.
"""

from svcdns.corefile.options import each
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import RRType
from svcdns.dns.rdata import hinfo
from svcdns.dns.response import Record, Response
from svcdns.plugins.base import Context, Handler, Need, Outcome, Reply, Request, Storable

NAME = "any"

TTL = 8482
"""Seconds."""

_RDATA = hinfo(b"ANY obsoleted", b"See RFC 8482")


class Any:
    """The ``any`` directive."""

    name = NAME
    needs: tuple[Need, ...] = ()

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Answer ANY; leave other types to the next plugin."""
        query = request.query
        if query.qtype != RRType.ANY:
            return proceed(request)
        record = Record(query.qname, RRType.HINFO, TTL, _RDATA)
        return Reply(Response(answer=(record,)), NAME, Storable())


def setup(directives: tuple[Directive, ...], context: Context) -> Any:
    """Read the directive."""
    for line in each(directives, context.warn):
        line.ignore_rest()
        line.ignore_block()
    return Any()
