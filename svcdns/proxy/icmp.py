"""The kernel's "port unreachable", for a datagram that a relay took and could not deliver.

A client of a dead endpoint would get this error from the endpoint's kernel; with a relay between
only the relay gets it.  Built from the addresses it can be sent on where raw sockets are allowed.

Spec: RFC 792 (destination unreachable), RFC 4443 §3.1.
"""

from ipaddress import ip_address
from struct import pack

Address = tuple[str, int]
"""IP address as text, port number."""

_UDP = 17
_UNREACHABLE = {4: (3, 3), 6: (1, 4)}
"""Type and code of "port unreachable"."""


def port_unreachable(client: Address, frontend: Address, octets: int) -> bytes:
    """Build the ICMP message that tells *client* that nobody is at *frontend*.

    The checksum of ICMPv6 is left to the kernel, which computes it on raw sockets (RFC 3542 §3.1).

    Args:
        client: Where the datagram came from.
        frontend: Where it was sent to.
        octets: Size of its payload.
    """
    source, destination = ip_address(client[0]), ip_address(frontend[0])
    udp = pack("!HHHH", client[1], frontend[1], min(octets + 8, 0xFFFF), 0)
    if source.version == 4:
        total = min(20 + 8 + octets, 0xFFFF)
        header = pack("!BBHHHBBH", 0x45, 0, total, 0, 0x4000, 64, _UDP, 0)
        header += source.packed + destination.packed
        header = header[:10] + checksum(header) + header[12:]
    else:
        header = pack("!IHBB", 6 << 28, 8 + octets & 0xFFFF, _UDP, 64)
        header += source.packed + destination.packed
    kind, code = _UNREACHABLE[source.version]
    message = pack("!BBHI", kind, code, 0, 0) + header + udp
    if source.version == 6:
        return message
    return message[:2] + checksum(message) + message[4:]


def checksum(data: bytes) -> bytes:
    """Compute the Internet checksum of an even number of octets (RFC 1071)."""
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).to_bytes(2, "big")
