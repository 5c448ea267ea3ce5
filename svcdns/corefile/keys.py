"""Keys of server blocks: ``[scheme://]ZONE[:port]`` taken apart.

Parity: ``core/dnsserver/register.go``, ``plugin/normalize.go SplitHostPort``,
``plugin/pkg/parse/transport.go``.
"""

import re

from svcdns.corefile.cidr import parse_network, reverse_zones
from svcdns.corefile.syntax import Key
from svcdns.dns.name import from_text, to_text

DNS = "dns"

DEFAULT_PORTS = {"dns": 53, "tls": 853, "quic": 853, "grpc": 443, "https3": 443, "https": 443}
"""By scheme; ``-dns.port`` changes the first (``plugin/pkg/transport``)."""

MAX_PORT = 65535

_NUMBER = re.compile(r"[+-]?[0-9]+")


def parse_key(text: str, default_port: int = 53) -> tuple[Key, ...]:
    """Take a key apart; a network becomes one key for each of its reverse zones (rule F12).

    A scheme nobody knows is no error, it is part of a strange zone: ``foo://x``.

    Raises:
        ValueError: No zone, no name, no port, or a scheme that has no server.
    """
    if text.startswith("unix://"):
        raise ValueError(f"a server block cannot listen on a unix socket: {text}")
    scheme, rest = split_scheme(text)
    host, port = split_port(rest)
    if port is None:
        port = default_port if scheme == DNS else DEFAULT_PORTS[scheme]
    return tuple(Key(text, scheme, zone, port) for zone in zones_of(host))


def split_scheme(text: str) -> tuple[str, str]:
    """Split a known ``scheme://`` off; it is ``dns`` where there is none."""
    scheme, separator, rest = text.partition("://")
    return (scheme, rest) if separator and scheme in DEFAULT_PORTS else (DNS, text)


def split_port(text: str) -> tuple[str, int | None]:
    """Split a ``:port`` off the end; what follows the last colon is one only if it is a number.

    Raises:
        ValueError: Nothing after the last colon, or a number that is no port.
    """
    if not text or text.endswith(":"):
        raise ValueError(f'expecting data after last colon: "{text}"')
    host, colon, number = text.rpartition(":")
    if not colon or not _NUMBER.fullmatch(number):
        return text, None
    # Checked by length first: int() of thousands of digits is slow and then refused.
    if len(number) > 9 or not 0 <= int(number) <= MAX_PORT:
        raise ValueError(f"invalid port {number[:20]} in {text[:80]}")
    return host, int(number)


def zones_of(text: str) -> tuple[str, ...]:
    """Give the zone, or for a network the reverse zones, that *text* names.

    Returns:
        Lower-case, with a final dot.

    Raises:
        ValueError: It is not a domain name.
    """
    network = parse_network(text)
    if network is not None:
        return reverse_zones(network)
    try:
        if text:
            return (to_text(from_text(text).lower()),)
    except ValueError as error:
        raise ValueError(f"zone is not a valid domain name: {text[:80]} ({error})") from error
    raise ValueError("zone is not a valid domain name: it is empty")
