"""The PROXY protocol's headers: tell an endpoint who the client is.

Spec: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt §2.1 (v1) and §2.2 (v2).
"""

from ipaddress import ip_address

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
"""First 12 octets of version 2 (§2.2)."""

VERSIONS = ("v1", "v2")
"""Values of the ``svcdns.io/proxy-protocol`` annotation."""

_VERSION_2_PROXY = 0x21
_STREAM = {4: 0x11, 6: 0x21}

Address = tuple[str, int]
"""IP address as text, port number."""


def header(version: str, source: Address, destination: Address) -> bytes:
    """Build the header that goes before the first octet of a TCP connection.

    Args:
        version: ``v1`` or ``v2``.
        source: The client.
        destination: The frontend the client asked for, of the same family.

    Raises:
        ValueError: There is no such version, or the families differ.
    """
    from_ip, to_ip = ip_address(source[0]), ip_address(destination[0])
    if from_ip.version != to_ip.version:
        raise ValueError(f"{source[0]} and {destination[0]} are of different families")
    match version:
        case "v1":
            family = f"TCP{from_ip.version}"
            return f"PROXY {family} {from_ip} {to_ip} {source[1]} {destination[1]}\r\n".encode()
        case "v2":
            ports = source[1].to_bytes(2, "big") + destination[1].to_bytes(2, "big")
            body = from_ip.packed + to_ip.packed + ports
            kind = bytes((_VERSION_2_PROXY, _STREAM[from_ip.version]))
            return SIGNATURE + kind + len(body).to_bytes(2, "big") + body
        case _:
            raise ValueError(f"there is no PROXY protocol {version!r}: expected v1 or v2")
