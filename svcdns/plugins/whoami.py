"""The client's own address and port.

Name
----
*whoami*: answers every query with the address, the port and the transport it came from.

Syntax
------
::

    whoami

The answer has no record in ANSWER, and in ADDITIONAL an A or AAAA record with the address and a SRV
record of ``_udp`` or ``_tcp`` with the port.

Examples:
--------
::

    whoami.example {
        whoami
    }

Differences
-----------
Above names so long that ``_udp`` does not fit in front of them the SRV record is left out.

Parity: CoreDNS ``plugin/whoami`` (rule J23).
"""

from svcdns.corefile.options import each
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import RRType
from svcdns.dns.name import MAX_NAME, ROOT, join
from svcdns.dns.rdata import srv
from svcdns.dns.response import Record, Response
from svcdns.plugins.base import Context, Handler, Need, Outcome, Reply, Request
from svcdns.zones.records import packed

NAME = "whoami"


class Whoami:
    """The ``whoami`` directive."""

    name = NAME
    needs: tuple[Need, ...] = ()

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Answer; no query goes further."""
        query, client = request.query, request.client
        records = []
        address = packed(client.address.partition("%")[0])
        if address is not None:
            records.append(Record(query.qname, address[0], 0, address[1], query.qclass))
        owner = join((b"_udp" if client.udp else b"_tcp",), query.qname)
        if len(owner) <= MAX_NAME:
            rdata = srv(0, 0, client.port, ROOT)
            records.append(Record(owner, RRType.SRV, 0, rdata, query.qclass))
        return Reply(Response(additional=tuple(records), aa=True), NAME)


def setup(directives: tuple[Directive, ...], context: Context) -> Whoami:
    """Read the directive."""
    for line in each(directives):
        line.end()
    return Whoami()
