"""Limits for DNS over HTTPS.

Name
----
*https*: limits the connections of ``https://`` server blocks.

Syntax
------
::

    https {
        max_connections NUMBER
    }

* ``max_connections``: connections at a time, 200 by default; 0 is no limit.

Examples:
--------
::

    https://. {
        tls cert.pem key.pem
        https {
            max_connections 1000
        }
        whoami
    }

Metrics
-------
``coredns_dns_https_responses_total{server, status}``.

Differences
-----------
* One connection too many takes the place of the one that was idle longest; CoreDNS lets it wait.
* A POST with a media type other than ``application/dns-message`` gets status 415, methods other
  than GET and POST get 405; CoreDNS takes the one and answers 400 to the other.
* ``max-age`` is a whole number of seconds (RFC 9111 §1.2.2).

Parity: CoreDNS ``plugin/https``, ``core/dnsserver/server_https.go``.
"""

from svcdns.corefile.options import last
from svcdns.corefile.syntax import Directive
from svcdns.plugins.base import Context
from svcdns.plugins.passive import Passive

NAME = "https"

MAX_CONNECTIONS = 200
"""CoreDNS's default."""


class Https(Passive):
    """One ``https`` directive."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self.max_connections = MAX_CONNECTIONS
        "0: no limit."


def setup(directives: tuple[Directive, ...], context: Context) -> Https:
    """Read the directive."""
    line = last(directives, context.warn)
    found = Https()
    seen = False
    for option in line.options():
        if option.name != "max_connections":
            raise option.unknown()
        if seen:
            raise option.error("max_connections already defined for this server block")
        found.max_connections = option.integer(0)
        seen = True
    return found
