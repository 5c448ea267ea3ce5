"""What runs here, in class CHAOS.

Name
----
*chaos*: answers ``version.bind``, ``version.server``, ``authors.bind``, ``hostname.bind`` and
``id.server`` of class CH and type TXT.

Syntax
------
::

    chaos [VERSION] [AUTHORS...]

* VERSION: what ``version.bind`` and ``version.server`` say; name and version of svcdns by default.
* AUTHORS: what ``authors.bind`` says, in a random order.

Examples:
--------
::

    bind server {
        chaos resolver-1 "Jo Example"
    }

Differences
-----------
Without arguments it is svcdns that is named, not CoreDNS and its authors.

Parity: CoreDNS ``plugin/chaos`` (rule J4).
"""

from collections.abc import Callable, Sequence

from svcdns import __version__
from svcdns.corefile.options import first
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import RRClass, RRType
from svcdns.dns.name import from_text
from svcdns.dns.rdata import MAX_STRING, txt
from svcdns.dns.response import Record, Response
from svcdns.plugins.base import Context, Handler, Need, Outcome, Reply, Request, Storable

NAME = "chaos"

VERSION = f"svcdns-{__version__}"

AUTHORS = ("The svcdns authors",)

_AUTHORS = from_text("authors.bind")
_VERSION = frozenset({from_text("version.bind"), from_text("version.server")})
_HOSTNAME = frozenset({from_text("hostname.bind"), from_text("id.server")})


class Chaos:
    """One ``chaos`` directive."""

    name = NAME
    needs: tuple[Need, ...] = ()

    def __init__(
        self,
        version: str,
        authors: Sequence[str],
        hostname: str,
        random: Callable[[], float],
    ) -> None:
        self._version = version
        self._authors = tuple(authors)
        self._hostname = hostname
        self._random = random

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Answer the five names; leave everything else to the next plugin."""
        query = request.query
        if query.qclass != RRClass.CH or query.qtype != RRType.TXT:
            return proceed(request)
        if query.name in _VERSION:
            return self._reply(request, (self._version,), Storable())
        if query.name in _HOSTNAME:
            return self._reply(request, (self._hostname,), Storable())
        if query.name == _AUTHORS:
            authors = sorted(self._authors, key=lambda _author: self._random())
            return self._reply(request, authors, None)
        return proceed(request)

    def _reply(self, request: Request, texts: Sequence[str], store: Storable | None) -> Reply:
        records = [
            Record(
                request.query.qname,
                RRType.TXT,
                0,
                txt(text.encode()[:MAX_STRING]),
                RRClass.CH,
            )
            for text in texts
        ]
        return Reply(Response(answer=tuple(records)), NAME, store)


def setup(directives: tuple[Directive, ...], context: Context) -> Chaos:
    """Read the directive."""
    line = first(directives, context.warn)
    version = line.word(default=VERSION)
    authors = line.rest() or AUTHORS
    line.ignore_block()
    line.end()
    unique = sorted(set(authors))
    return Chaos(version, unique, context.hostname, context.random)
