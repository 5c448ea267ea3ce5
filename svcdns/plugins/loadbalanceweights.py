"""The weight file of ``loadbalance weighted``: names, and how often each address comes first.

::

    www.example.org
    192.0.2.1 3
    192.0.2.2 1

Parity: CoreDNS ``plugin/loadbalance/weighted.go``.
"""

from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

from svcdns.dns.constants import RRType
from svcdns.dns.name import from_text
from svcdns.dns.response import Record

Weights: TypeAlias = Mapping[bytes, Mapping[bytes, int]]
"""By lower-case wire name, then by address in octets."""

Network: TypeAlias = IPv4Network | IPv6Network

MAX_WEIGHT = 255

_ADDRESS = frozenset({RRType.A, RRType.AAAA})


def parse(text: str, file: str) -> Weights:
    """Read a weight file.

    Args:
        text: Its content.
        file: Its name, for messages.

    Raises:
        ValueError: A line is neither a name nor an address with its weight; in CoreDNS's words.
    """
    found: dict[bytes, dict[bytes, int]] = {}
    current: dict[bytes, int] | None = None
    for line in text.splitlines():
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        if len(fields) == 1:
            if _address(fields[0]) is not None:
                hint = "(Maybe a missing weight value?)"
                raise ValueError(f'wrong domain name:"{fields[0]}" in weight file {file}. {hint}')
            current = found.setdefault(from_text(fields[0]).lower(), {})
        elif len(fields) == 2:
            address, weight = _weight(fields, file)
            if current is None:
                raise ValueError(f"missing domain name in weight file {file}")
            current.setdefault(address, weight)
        else:
            raise ValueError(f'could not parse weight line:"{line.strip()}" in weight file {file}')
    return found


def _weight(fields: Sequence[str], file: str) -> tuple[bytes, int]:
    address = _address(fields[0])
    if address is None:
        raise ValueError(f'wrong IP address:"{fields[0]}" in weight file {file}')
    digits = fields[1]
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 3) or not (
        0 < int(digits) <= MAX_WEIGHT
    ):
        raise ValueError(f'wrong weight value:"{digits}" in weight file {file}')
    return address.packed, int(digits)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def arrange(
    records: Sequence[Record], weights: Weights, random: Callable[[], float]
) -> tuple[Record, ...]:
    """Put the records of a section in order: aliases, others, addresses, MX.

    One address is drawn to be the first, by the weights; an address without one has 1.
    """
    addresses = [record for record in records if record.rrtype in _ADDRESS]
    if not addresses:
        return tuple(records)
    shares = [weights.get(one.owner.lower(), {}).get(one.rdata, 1) for one in addresses]
    drawn = int(random() * sum(shares))
    at = 0
    while drawn >= shares[at]:
        drawn -= shares[at]
        at += 1
    addresses[0], addresses[at] = addresses[at], addresses[0]
    groups: dict[int, list[Record]] = {RRType.CNAME: [], 0: [], RRType.MX: []}
    for record in records:
        if record.rrtype not in _ADDRESS:
            groups.get(record.rrtype, groups[0]).append(record)
    return (*groups[RRType.CNAME], *groups[0], *addresses, *groups[RRType.MX])


def prefer(records: Sequence[Record], networks: Sequence[Network]) -> tuple[Record, ...]:
    """Put addresses in preferred networks before the others, network by network."""
    slots = [at for at, record in enumerate(records) if record.rrtype in _ADDRESS]
    waiting = [records[at] for at in slots]
    ordered: list[Record] = []
    for network in networks:
        ordered += [record for record in waiting if ip_address(record.rdata) in network]
        waiting = [record for record in waiting if ip_address(record.rdata) not in network]
    found = list(records)
    for at, record in zip(slots, ordered + waiting, strict=True):
        found[at] = record
    return tuple(found)
