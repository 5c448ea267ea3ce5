"""The few records that cluster names hold.

Names inside them end in the zone as the client wrote it, so that 0x20 case survives (rule A7).
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from svcdns.dns import rdata
from svcdns.dns.constants import RRType
from svcdns.dns.name import join
from svcdns.dns.response import Record

REFRESH, RETRY, EXPIRE = 7200, 1800, 86400
"""Seconds in every SOA (rule A3)."""

SOA_TTL_LIMIT = 300
"""Seconds: a negative answer's SOA lives no longer, whatever the ``ttl`` option (rule A3)."""


@lru_cache(maxsize=4096)
def packed(text: str) -> tuple[int, bytes] | None:
    """Read an address: A or AAAA and its rdata, or ``None`` when the text is a name.

    An IPv4-mapped IPv6 address counts as IPv4, and leading zeros make a name of it
    (Go ``net.ParseIP``, which decides this in CoreDNS).
    """
    # Usual addresses are the ones that come out again as they went in; ipaddress takes 3 us.
    try:
        four = bytes(map(int, text.split(".")))
        if len(four) == 4 and ".".join(map(str, four)) == text:
            return RRType.A, four
    except ValueError:
        pass
    try:
        address = ip_address(text)
    except ValueError:
        return None
    match address:
        case IPv4Address():
            return RRType.A, address.packed
        case IPv6Address(ipv4_mapped=IPv4Address() as mapped):
            return RRType.A, mapped.packed
        case _:
            # A zone (fe80::1%eth0) is no address to Go.
            return None if address.scope_id else (RRType.AAAA, address.packed)


def soa(zone: bytes, *, ttl: int, serial: int) -> Record:
    """Make the SOA of a zone.

    Args:
        zone: Wire name, in the client's case.
        ttl: The plugin's ``ttl`` option: the minimum, and the TTL up to 300 s (rule A3).
        serial: Seconds since the epoch of the last change.
    """
    mname, rname = join((b"ns", b"dns"), zone), join((b"hostmaster",), zone)
    data = rdata.soa(mname, rname, serial, REFRESH, RETRY, EXPIRE, ttl)
    return Record(zone, RRType.SOA, min(ttl, SOA_TTL_LIMIT), data)


def srv(owner: bytes, ttl: int, *, weight: int, port: int, target: bytes) -> Record:
    """Make an SRV record of priority 0 (rules C6, C7)."""
    return Record(owner, RRType.SRV, ttl, rdata.srv(0, weight, port, target))


def txt(owner: bytes, ttl: int, text: bytes) -> Record:
    """Make a TXT record of one text."""
    return Record(owner, RRType.TXT, ttl, rdata.txt(text))
