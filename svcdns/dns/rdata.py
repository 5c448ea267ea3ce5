"""Record data in uncompressed wire form: builders, and the names inside.

The builders are for records of our own making; their arguments are trusted to be in range.
:func:`names_in`, :func:`map_names` and :func:`expand` know where each type keeps its names.

Spec: RFC 1035 §3.3 and §3.4, RFC 3596 (AAAA), RFC 2782 (SRV), RFC 3597 §4 (which types may hold
compressed names).
"""

import struct
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from svcdns.dns.constants import RRClass, RRType
from svcdns.dns.name import from_wire

_U16 = struct.Struct("!H")
_SRV = struct.Struct("!3H")
_SOA = struct.Struct("!5I")

MAX_STRING: Final = 255
"""Octets of a character-string (RFC 1035 §3.3)."""


def a(address: str | IPv4Address) -> bytes:
    """Make an A record's data from an address or its text.

    Raises:
        ValueError: The text is no IPv4 address.
    """
    return IPv4Address(address).packed


def aaaa(address: str | IPv6Address) -> bytes:
    """Make an AAAA record's data from an address or its text.

    Raises:
        ValueError: The text is no IPv6 address.
    """
    return IPv6Address(address).packed


def cname(target: bytes) -> bytes:
    """Make a CNAME record's data from a wire name."""
    return target


def ns(target: bytes) -> bytes:
    """Make an NS record's data from a wire name."""
    return target


def ptr(target: bytes) -> bytes:
    """Make a PTR record's data from a wire name."""
    return target


def mx(preference: int, exchange: bytes) -> bytes:
    """Make an MX record's data; *exchange* is a wire name."""
    return _U16.pack(preference) + exchange


def srv(priority: int, weight: int, port: int, target: bytes) -> bytes:
    """Make an SRV record's data; *target* is a wire name (RFC 2782)."""
    return _SRV.pack(priority, weight, port) + target


def soa(
    mname: bytes, rname: bytes, serial: int, refresh: int, retry: int, expire: int, minimum: int
) -> bytes:
    """Make a SOA record's data.

    Args:
        mname: Wire name of the primary server.
        rname: Wire name of the mailbox.
        serial: Of the zone, modulo 2**32.
        refresh: Seconds.
        retry: Seconds.
        expire: Seconds.
        minimum: Seconds that a negative answer may be kept (RFC 2308 §4).
    """
    return mname + rname + _SOA.pack(serial & 0xFFFFFFFF, refresh, retry, expire, minimum)


def txt(*strings: bytes) -> bytes:
    """Make a TXT record's data; a string over 255 octets becomes several (RFC 1035 §3.3.14)."""
    out = bytearray()
    for string in strings or (b"",):
        for at in range(0, max(len(string), 1), MAX_STRING):
            part = string[at : at + MAX_STRING]
            out.append(len(part))
            out += part
    return bytes(out)


def hinfo(cpu: bytes, system: bytes) -> bytes:
    """Make a HINFO record's data from two strings of at most 255 octets (RFC 8482 §4.2)."""
    return bytes((len(cpu),)) + cpu + bytes((len(system),)) + system


class Layout(NamedTuple):
    """Where a type keeps its names: octets, then strings, then the names, then the rest."""

    octets: int
    "Octets of fixed size in front."
    strings: int
    "Character-strings behind them."
    names: int
    rest: int | None = 0
    "Octets behind the names; ``None``: any number."


LAYOUTS: Final[dict[int, Layout]] = {
    **dict.fromkeys(
        (RRType.NS, RRType.MD, RRType.MF, RRType.CNAME, RRType.MB, RRType.MG, RRType.MR),
        Layout(0, 0, 1),
    ),
    RRType.SOA: Layout(0, 0, 2, 20),
    RRType.PTR: Layout(0, 0, 1),
    RRType.MINFO: Layout(0, 0, 2),
    RRType.MX: Layout(2, 0, 1),
    RRType.RP: Layout(0, 0, 2),
    RRType.AFSDB: Layout(2, 0, 1),
    RRType.RT: Layout(2, 0, 1),
    RRType.SIG: Layout(18, 0, 1, None),
    RRType.PX: Layout(2, 0, 2),
    RRType.NXT: Layout(0, 0, 1, None),
    RRType.SRV: Layout(6, 0, 1),
    RRType.NAPTR: Layout(4, 3, 1),
    RRType.KX: Layout(2, 0, 1),
    RRType.DNAME: Layout(0, 0, 1),
    RRType.RRSIG: Layout(18, 0, 1, None),
    RRType.NSEC: Layout(0, 0, 1, None),
    RRType.SVCB: Layout(2, 0, 1, None),
    RRType.HTTPS: Layout(2, 0, 1, None),
}
"""Types that hold names.

Up to DNAME those whose names may arrive compressed (RFC 3597 §4); the others have names that a
rewrite has to know.
"""

_OF_CLASS_IN: Final = frozenset(
    {
        RRType.A,
        RRType.AAAA,
        RRType.SRV,
        RRType.NAPTR,
        RRType.KX,
        RRType.PX,
        RRType.SVCB,
        RRType.HTTPS,
    }
)
"""Types that mean something else, or nothing, in other classes."""

_SIZES: Final[dict[int, int]] = {RRType.A: 4, RRType.AAAA: 16}


def expand(
    rrtype: int, rrclass: int, wire: bytes, at: int, end: int, known: dict[int, bytes]
) -> bytes:
    """Copy rdata out of a message from anyone, its names written out.

    Args:
        rrtype: Decides where names are; of other types the octets are taken as they are.
        rrclass: Decides whether the type means here what it means in class IN.
        wire: The message.
        at: Offset of the rdata.
        end: Offset behind it, within the message.
        known: As for :func:`svcdns.dns.name.from_wire`.

    Raises:
        ValueError: An address, a name or the fixed part does not fill the rdata exactly.
    """
    if rrclass != RRClass.IN and rrtype in _OF_CLASS_IN:
        return wire[at:end]
    layout = LAYOUTS.get(rrtype)
    if layout is None:
        if end - at != _SIZES.get(rrtype, end - at):
            raise ValueError(f"{end - at} octets in an address record")
        return wire[at:end]
    first, names, rest = _locate(layout, wire, at, end, known)
    return wire[at:first] + b"".join(names) + wire[rest:end]


def _locate(
    layout: Layout, wire: bytes, at: int, end: int, known: dict[int, bytes]
) -> tuple[int, list[bytes], int]:
    """Find the offset of the first name, the names, and the offset behind the last one."""
    at += layout.octets
    for _ in range(layout.strings):
        if at >= end:
            raise ValueError("a string runs out of its record")
        at += 1 + wire[at]
    first, names = at, []
    for _ in range(layout.names):
        found, at = from_wire(wire, at, known)
        names.append(found)
    if at > end or (layout.rest is not None and end - at != layout.rest):
        raise ValueError("names and fixed fields do not fill the record")
    return first, names, at


def names_in(rrtype: int, rdata: bytes) -> tuple[bytes, ...]:
    """Give the names inside rdata of our own, in order; empty for types without.

    Raises:
        ValueError: The rdata does not fit its type.
    """
    layout = LAYOUTS.get(rrtype)
    if layout is None:
        return ()
    return tuple(_locate(layout, rdata, 0, len(rdata), {})[1])


def map_names(rrtype: int, rdata: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Put every name inside uncompressed rdata through *change* (``rewrite``).

    Raises:
        ValueError: The rdata does not fit its type.
    """
    layout = LAYOUTS.get(rrtype)
    if layout is None:
        return rdata
    first, names, rest = _locate(layout, rdata, 0, len(rdata), {})
    changed: Iterable[bytes] = [change(name) for name in names]
    return rdata[:first] + b"".join(changed) + rdata[rest:]
