"""Addresses as names.

Spec: RFC 1035 §3.5, RFC 3596 §2.5.
"""

from ipaddress import IPv4Address, IPv6Address

_IN_ADDR = b"\x07in-addr\x04arpa\x00"
_IP6 = b"\x03ip6\x04arpa\x00"
_NIBBLES = b"0123456789abcdef"


def address_of(name: bytes) -> str | None:
    """Read the address that a lower-case reverse name stands for, as canonical text.

    ``None`` for names with too few or too many labels, leading zeros, or anything else that is
    not an address (rules F8 and F10; stricter than CoreDNS about extra nibbles, register K12).
    """
    if name.endswith(_IN_ADDR):
        return _ipv4(name[: -len(_IN_ADDR)])
    if name.endswith(_IP6):
        return _ipv6(name[: -len(_IP6)])
    return None


def name_of(address: str) -> bytes:
    """Give the reverse name of an address.

    Raises:
        ValueError: The text is no address.
    """
    if ":" in address:
        nibbles = IPv6Address(address).packed.hex().encode()
        return b"".join(b"\x01" + nibbles[at : at + 1] for at in range(31, -1, -1)) + _IP6
    octets = str(IPv4Address(address)).encode().split(b".")
    return b"".join(bytes((len(octet),)) + octet for octet in reversed(octets)) + _IN_ADDR


def _ipv4(prefix: bytes) -> str | None:
    octets = []
    at = 0
    while at < len(prefix):
        octet = prefix[at + 1 : at + 1 + prefix[at]]
        if not octet.isdigit() or int(octet) > 255 or (octet[:1] == b"0" and octet != b"0"):
            return None
        octets.append(octet)
        at += 1 + prefix[at]
    return b".".join(reversed(octets)).decode() if len(octets) == 4 else None


def _ipv6(prefix: bytes) -> str | None:
    nibbles = prefix[1::2]
    if len(prefix) != 64 or prefix[0::2] != b"\x01" * 32 or nibbles.strip(_NIBBLES):
        return None
    return str(IPv6Address(bytes.fromhex(nibbles[::-1].decode())))
