"""TLS settings of listeners, from the ``tls`` directives of their blocks.

Parity: CoreDNS ``plugin/tls/tls.go``: TLS 1.2 at least.
"""

import ssl

from svcdns.aio.exchange_stream import tls_reason
from svcdns.errors import CorefileError
from svcdns.plugins.server import Server
from svcdns.plugins.tls import ClientAuth, Tls

PROTOCOLS = {"tls": ["dot"], "https": ["h2", "http/1.1"]}
"""By scheme: what clients may choose from (RFC 7858 §11, RFC 9113 §3.1, RFC 7301)."""

_VERIFY = {
    ClientAuth.NOCERT: ssl.CERT_NONE,
    ClientAuth.REQUEST: ssl.CERT_NONE,
    ClientAuth.REQUIRE: ssl.CERT_REQUIRED,
    ClientAuth.VERIFY_IF_GIVEN: ssl.CERT_OPTIONAL,
    ClientAuth.REQUIRE_AND_VERIFY: ssl.CERT_REQUIRED,
}


def directive_of(server: Server) -> Tls | None:
    """Give the ``tls`` directive that counts for a server: that of its first block with one."""
    found = (plugin for block in server.blocks for plugin in block.beside)
    return next((plugin for plugin in found if isinstance(plugin, Tls)), None)


def context_of(server: Server) -> ssl.SSLContext | None:
    """Give the TLS settings of a server, read from the files now; none for plain DNS.

    Raises:
        CorefileError: At the directive's line, with what is wrong with which file.
    """
    if server.listen.scheme not in PROTOCOLS:
        return None
    directive = directive_of(server)
    return None if directive is None else context(directive, PROTOCOLS[server.listen.scheme])


def context(tls: Tls, protocols: list[str]) -> ssl.SSLContext:
    """Make TLS settings of a directive.

    Args:
        tls: Names the files.
        protocols: For ALPN; none to see whether the files are good.

    Raises:
        CorefileError: A file is missing or is not what it should be.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if protocols:
        made.set_alpn_protocols(protocols)
    made.verify_mode = _VERIFY[tls.client_auth]
    try:
        made.load_cert_chain(tls.certificate, tls.key, _no_password)
    except (OSError, ValueError) as error:
        raise _error(tls, f"certificate {tls.certificate} with key {tls.key}", error) from error
    try:
        if tls.authority:
            made.load_verify_locations(tls.authority)
        elif made.verify_mode is not ssl.CERT_NONE:
            made.load_default_certs(ssl.Purpose.CLIENT_AUTH)
    except (OSError, ValueError) as error:
        raise _error(tls, f"authorities of clients {tls.authority}", error) from error
    if tls.keylog:
        try:
            made.keylog_filename = tls.keylog
        except OSError as error:
            raise _error(tls, f"keylog {tls.keylog}", error) from error
    return made


def _no_password() -> str:
    """Refuse keys with a password; OpenSSL would ask for it on the terminal."""
    raise ValueError("the key is encrypted, which a server that starts by itself cannot use")


def _error(tls: Tls, what: str, error: Exception) -> CorefileError:
    text = f"plugin/tls: {what}: {tls_reason(error)}"
    return CorefileError(tls.directive.file, tls.directive.line, text)
