"""Addresses as names: in-addr.arpa and ip6.arpa, both ways, and the zones of an address block.

Spec: RFC 1035 §3.5, RFC 3596 §2.5, RFC 5952 (canonical text).  Parity: CoreDNS
``plugin/pkg/dnsutil/reverse.go`` and ``plugin/pkg/cidr`` (rules F4, F8, F10, F12).
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from svcdns.dns.name import is_subdomain, join, labels

IN_ADDR: Final = b"\x07in-addr\x04arpa\x00"
"""in-addr.arpa"""

IP6: Final = b"\x03ip6\x04arpa\x00"
"""ip6.arpa"""

_OCTETS: Final = {b"%d" % octet: octet for octet in range(256)}
"Decimal labels without leading zeros (rule F10)."

_NIBBLES: Final = {b"%x" % nibble: nibble for nibble in range(16)}


def address_of(name: bytes) -> str | None:
    """Read the address that a reverse name stands for.

    Exactly four octets or 32 nibbles.  CoreDNS takes up to three labels more in front of 32
    nibbles (rule F8, register K12); those names stand for nothing here.

    Args:
        name: Lower-case wire name.

    Returns:
        Canonical text (``10.96.0.10``, ``fd00:96::b``; an IPv4-mapped address as IPv4, as Go
        prints it), or ``None`` for any other name.
    """
    if name.endswith(IN_ADDR):
        parts = labels(name)[:-2]
        octets = [_OCTETS.get(part, -1) for part in parts]
        if len(octets) != 4 or -1 in octets:
            return None
        return str(IPv4Address(bytes(reversed(octets))))
    if name.endswith(IP6):
        parts = labels(name)[:-2]
        nibbles = [_NIBBLES.get(part, -1) for part in parts]
        if len(nibbles) != 32 or -1 in nibbles:
            return None
        address = IPv6Address(int(b"".join(reversed(parts)), 16))
        return str(address.ipv4_mapped or address)
    return None


def name_of(address: str | IPv4Address | IPv6Address) -> bytes:
    """Give the reverse name of an address.

    Raises:
        ValueError: The text is no address.
    """
    parsed = ip_address(address)
    if isinstance(parsed, IPv4Address):
        return _arpa4(parsed.packed)
    return _arpa6(parsed.packed.hex())


def zones_of(network: str | IPv4Network | IPv6Network) -> list[bytes]:
    """Cover an address block with reverse zones, cut at whole octets or nibbles (rule F12).

    ``10.0.0.0/15`` gives ``0.10.in-addr.arpa`` and ``1.10.in-addr.arpa``.  Host bits are ignored,
    as in Go's ``net.ParseCIDR``.

    Returns:
        1 to 128 zones for IPv4, 1 to 8 for IPv6, in the order of addresses.

    Raises:
        ValueError: The text is no block.
    """
    block = _network(network)
    step = 8 if isinstance(block, IPv4Network) else 4
    aligned = -(-block.prefixlen // step) * step
    zones = []
    for part in block.subnets(new_prefix=aligned):
        packed = part.network_address.packed
        if isinstance(block, IPv4Network):
            zones.append(_arpa4(packed[: aligned // 8]))
        else:
            zones.append(_arpa6(packed.hex()[: aligned // 4]))
    return zones


def is_reverse(name: bytes) -> bool:
    """Tell whether a lower-case name is in-addr.arpa, ip6.arpa or below one of them."""
    return is_subdomain(name, IN_ADDR) or is_subdomain(name, IP6)


def _network(network: str | IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    if not isinstance(network, str):
        return network
    # Go's ParseCIDR knows neither a bare address nor 10.0.0.0/255.0.0.0.
    if not network.partition("/")[2].isdecimal():
        raise ValueError(f"{network!r} is no address block: expected ADDRESS/BITS")
    kind = IPv6Network if ":" in network else IPv4Network
    return kind(network, strict=False)


def _arpa4(octets: bytes) -> bytes:
    return join([b"%d" % octet for octet in reversed(octets)], IN_ADDR)


def _arpa6(nibbles: str) -> bytes:
    return join([nibble.encode() for nibble in reversed(nibbles)], IP6)
