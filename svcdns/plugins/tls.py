"""The certificate of encrypted listeners.

Name
----
*tls*: names the certificate and the key of ``tls://`` and ``https://`` server blocks.

Syntax
------
::

    tls CERT KEY [CA] {
        client_auth nocert|request|require|verify_if_given|require_and_verify
        keylog FILE
    }

* CERT, KEY: PEM files; the certificate may have its chain behind it.
* CA: PEM file of the authorities that clients' certificates are verified with, the system's by
  default.
* ``client_auth``: whether clients have to show a certificate; ``nocert`` by default.
* ``keylog``: a file that gets the keys of all connections, to read recorded traffic with.

Examples:
--------
::

    tls://.:5553 {
        tls cert.pem key.pem ca.pem
        forward . /etc/resolv.conf
    }

::

    https://. {
        tls cert.pem key.pem
        whoami
    }

Differences
-----------
* ``request`` is the same as ``nocert``: a certificate that nobody verifies changes nothing.
* ``require`` verifies the certificate as well, like ``require_and_verify``.
* Of several blocks on one address and port the first ``tls`` counts; in CoreDNS any may.
* Certificates are read again at every reload, also by SIGUSR1 with an unchanged Corefile;
  connections stay open.

Parity: CoreDNS ``plugin/tls``, ``core/dnsserver/server_tls.go``, ``server_https.go``.
"""

from enum import StrEnum

from svcdns.corefile.options import Line, each
from svcdns.corefile.syntax import Directive
from svcdns.plugins.base import Context
from svcdns.plugins.passive import Passive

NAME = "tls"


class ClientAuth(StrEnum):
    """What clients have to show; Go's ``tls.ClientAuthType``."""

    NOCERT = "nocert"
    REQUEST = "request"
    REQUIRE = "require"
    VERIFY_IF_GIVEN = "verify_if_given"
    REQUIRE_AND_VERIFY = "require_and_verify"


class Tls(Passive):
    """One ``tls`` directive."""

    def __init__(self, directive: Directive, certificate: str, key: str, authority: str) -> None:
        """Name the files.

        Args:
            directive: For messages.
            certificate: Path.
            key: Path.
            authority: Path; empty: the system's authorities.
        """
        super().__init__(NAME)
        self.directive = directive
        self.certificate = certificate
        self.key = key
        self.authority = authority
        self.client_auth = ClientAuth.NOCERT
        self.keylog = ""
        "Path; empty: no keys are logged."


def setup(directives: tuple[Directive, ...], context: Context) -> Tls:
    """Read the directive; of several in a block the last one counts."""
    return [_read(line, context) for line in each(directives)][-1]


def _read(line: Line, context: Context) -> Tls:
    if line.next == "acme" or any(one.name == "acme" for one in line.directive.block or ()):
        raise line.error("acme is not supported; give CERT and KEY, and have them renewed outside")
    words = [context.path(word) for word in line.rest(at_least=2)]
    if len(words) > 3:
        raise line.arity()
    certificate, key, *more = words
    found = Tls(line.directive, certificate, key, more[0] if more else "")
    for option in line.options():
        match option.name:
            case "client_auth":
                found.client_auth = ClientAuth(option.word(*ClientAuth))
            case "keylog":
                found.keylog = context.path(option.word())
            case _:
                raise option.unknown()
    for path in words:
        context.read(path)  # a file that is missing is told with its line
    return found
