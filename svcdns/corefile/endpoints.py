"""Addresses with ports as arguments: ``10.0.0.1:53``, ``[fd00::1]:53``, ``fd00::1``, ``:8080``.

Parity: Go ``net.SplitHostPort``, ``plugin/pkg/parse/host.go``.
"""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from svcdns.corefile.keys import MAX_PORT


def parse_port(text: str) -> int:
    """Read a port.

    Raises:
        ValueError: It is no number from 0 to 65535.
    """
    if text.isascii() and text.isdigit() and len(text) < 7 and int(text) <= MAX_PORT:
        return int(text)
    raise ValueError(f"invalid port {text[:20]!r}")


def split_host_port(text: str, default_port: int | None = None) -> tuple[str, int]:
    """Split HOST:PORT; brackets around an IPv6 address are taken off.

    Args:
        text: The argument.
        default_port: For a text without a port, and then a bare IPv6 address is one; ``None``
            asks for the port.

    Returns:
        The host (empty for ``:53``) and the port.

    Raises:
        ValueError: A port is missing or is none, or brackets do not match.
    """
    if default_port is not None and is_address(text):
        return text, default_port
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket:
            raise ValueError(f"address {text}: missing ']' in address")
        if rest and not rest.startswith(":"):
            raise ValueError(f"address {text}: missing port in address")
        colon, port = rest[:1], rest[1:]
    else:
        host, colon, port = text.rpartition(":")
        if ":" in host:
            raise ValueError(f"address {text}: too many colons in address")
        if not colon:
            host = text
    if colon:
        return host, parse_port(port)
    if default_port is None:
        raise ValueError(f"address {text}: missing port in address")
    return host, default_port


def is_address(text: str) -> bool:
    """Tell whether *text* is an IPv4 or IPv6 address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """Read an address or a network; bits behind the mask are ignored.

    Raises:
        ValueError: It is neither.
    """
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise ValueError(f"illegal CIDR notation {text!r}") from error
