"""Networks to reverse zones: ``10.0.0.0/15`` to ``0.10.in-addr.arpa.`` and ``1.10.in-addr.arpa.``.

A zone can end only at a label, so a mask is rounded up to the next octet (IPv4) or nibble (IPv6)
and the network falls into as many zones as that needs, at most 128.

Spec: RFC 1035 §3.5, RFC 3596 §2.5.  Parity: ``plugin/pkg/cidr`` (rule F12).
"""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network

from svcdns.dns.name import to_text
from svcdns.dns.reverse import zones_of

_CIDR = re.compile(r"[0-9A-Fa-f.:]+/[0-9]{1,3}")


def parse_network(text: str) -> IPv4Network | IPv6Network | None:
    """Read ADDRESS/LENGTH, bits behind the mask ignored; ``None`` when it is something else."""
    if not _CIDR.fullmatch(text):
        return None
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def reverse_zones(network: IPv4Network | IPv6Network) -> tuple[str, ...]:
    """Give the zones, lower-case with a final dot, that make up *network*, in order of address."""
    return tuple(to_text(zone) for zone in zones_of(network))
