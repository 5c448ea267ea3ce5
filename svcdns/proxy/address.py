"""Addresses and address ranges as text, in the one spelling that plans and nft use.

Objects carry addresses in any spelling that old API servers let through: leading zeros
(``172.30.0.041``, rule R16), upper-case and uncompressed IPv6, IPv4 mapped into IPv6.  Two
spellings of one address must be one key, and ``nft`` reads a leading zero as octal.
"""

import re
from ipaddress import IPv6Address, ip_network

_PLAIN = re.compile(
    r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}", re.ASCII
)
"An IPv4 address in canonical spelling: nearly all of them, and worth a fast path."

_QUAD = re.compile(r"\d+\.\d+\.\d+\.\d+", re.ASCII)


def normalise(text: str) -> tuple[int, str] | None:
    """Give family (4 or 6) and canonical text of an address; ``None`` when it is none.

    Octets with leading zeros are decimal (rule R16; Go's ``ParseIPSloppy``).  An IPv4-mapped IPv6
    address is the IPv4 address, as in Go's ``net.IP``.
    """
    if _PLAIN.fullmatch(text):
        return 4, text
    if _QUAD.fullmatch(text):
        octets = [int(octet) for octet in text.split(".")]
        return (4, ".".join(map(str, octets))) if max(octets) < 256 else None
    if "%" in text:  # a zone id is meaningful on one host only
        return None
    try:
        address = IPv6Address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped
    return (4, str(mapped)) if mapped else (6, str(address))


def normalise_range(text: str) -> tuple[int, str] | None:
    """Give family and canonical text of a CIDR, host bits cleared; ``None`` when it is none.

    Surrounding white space is dropped (rule R44).
    """
    address, slash, length = text.strip().partition("/")
    found = normalise(address)
    if found is None or not slash or not length.isascii() or not length.isdecimal():
        return None
    try:
        return found[0], str(ip_network(f"{found[1]}/{int(length)}", strict=False))
    except ValueError:
        return None


def is_loopback(address: str) -> bool:
    """Whether a canonical *address* is in 127.0.0.0/8 or is ::1 (rule R31)."""
    return address.startswith("127.") or address == "::1"
