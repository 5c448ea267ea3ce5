"""Schemes of server keys: which have a server here.

Parity: ``core/dnsserver/register.go`` (MakeServers); rule J12 for what is served.
"""

from collections.abc import Callable, Iterable

from svcdns.corefile.syntax import ServerBlock
from svcdns.errors import CorefileError

SERVED = ("dns", "tls", "https")
"""Plain DNS, DNS over TLS (RFC 7858) and DNS over HTTPS (RFC 8484)."""

_INSTEAD = {
    "quic": ("DNS over QUIC", "tls:// (DNS over TLS)"),
    "grpc": ("DNS over gRPC", "tls:// or https://"),
    "https3": ("DNS over HTTP/3", "https:// (HTTP/2 and HTTP/1.1)"),
}


def check_schemes(blocks: Iterable[ServerBlock], warn: Callable[[str], None]) -> None:
    """Check that there is a server for every key.

    Args:
        blocks: Of a Corefile.
        warn: Told about blocks that sound encrypted and are not.

    Raises:
        CorefileError: A scheme has no server here, at the line of its block.
    """
    for block in blocks:
        for key in block.keys:
            if key.scheme not in SERVED:
                what, instead = _INSTEAD[key.scheme]
                message = f"{key.text}: svcdns does not serve {what}; use {instead} instead"
                raise CorefileError(block.file, block.line, message)
        secure = {key.scheme for key in block.keys} - {"dns"}
        if secure and not block.named("tls"):
            # CoreDNS serves such a block in the clear as well, and says nothing.
            names = " and ".join([f"{scheme}://" for scheme in sorted(secure)])
            warn(
                f"{block.file}:{block.line} - {names} without a `tls` directive:"
                " connections are not encrypted"
            )
