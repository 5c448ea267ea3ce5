"""The OPT record: options in, and what an answer's OPT says.

OPT belongs to one hop: what a client sent is echoed as CoreDNS does it, what an upstream sent
ends here.

Spec: RFC 6891; RFC 5001 (NSID).  Parity: CoreDNS ``request/request.go`` SizeAndDo and
``plugin/pkg/edns`` (rules J5, J8, J9).
"""

import struct
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from svcdns.dns.constants import DO, EdnsOption, Rcode, RRType

Options = tuple[tuple[int, bytes], ...]
"""Option code and data, in order."""

ECHOED: Final = frozenset(
    {
        EdnsOption.NSID,
        EdnsOption.EXPIRE,
        EdnsOption.COOKIE,
        EdnsOption.TCP_KEEPALIVE,
        EdnsOption.PADDING,
    }
)
"""Options of a query that come back as they were sent; all others are left out (rule J8)."""

_OPT = struct.Struct("!BHHBBHH")
_OPTION = struct.Struct("!HH")
_OPT_TYPE: Final = RRType.OPT

OPT_OCTETS: Final = _OPT.size
"""Octets of an OPT record without options."""


class Edns(Struct, frozen=True, gc=False):
    """The OPT record of a message (RFC 6891 §6.1.2)."""

    size: int
    "The sender's UDP payload size in octets, as sent."
    version: int = 0
    do: bool = False
    options: Options = ()
    "Option code and data, in the order received."


def read_options(data: bytes) -> Options:
    """Take the rdata of OPT apart (RFC 6891 §6.1.2).

    Raises:
        ValueError: An option runs out of the record, or octets are left over.
    """
    found = []
    at, end = 0, len(data)
    while at < end:
        if end - at < _OPTION.size:
            raise ValueError(f"{end - at} octets behind the last EDNS option")
        code, size = _OPTION.unpack_from(data, at)
        at += _OPTION.size
        if size > end - at:
            raise ValueError(f"EDNS option {code} runs out of its record")
        found.append((code, data[at : at + size]))
        at += size
    return tuple(found)


def opt_record(
    size: int, *, rcode: int = 0, version: int = 0, do: bool = False, options: Options = ()
) -> bytes:
    """Make an OPT record.

    Args:
        size: UDP payload size in octets.
        rcode: The whole response code; its upper eight bits go here (RFC 6891 §6.1.3).
        version: Of EDNS.
        do: DNSSEC OK (RFC 3225).
        options: Code and data; together under 64 KiB.
    """
    data = b"".join([_OPTION.pack(code, len(value)) + value for code, value in options])
    flags = DO if do else 0
    return _OPT.pack(0, RRType.OPT, size, rcode >> 4, version, flags, len(data)) + data


def answer_opt(
    edns: Edns | None,
    rcode: int,
    *,
    nsid: bytes | None = None,
    options: Options = (),
    room: int = 0xFFFF,
) -> bytes:
    """Make the OPT record of an answer; empty when the query had none (RFC 6891 §7).

    Args:
        edns: The query's; its size and DO come back (rule J8).
        rcode: The answer's response code.  BADVERS gets a bare OPT of size 0 (rule J5).
        nsid: What the server is called, if a plugin gives it; only told to who asks (rule J9).
        options: Options of ours; they replace echoed ones of the same code.
        room: Octets there are.  When the options do not fit they are left out: an OPT without
            options still says that we speak EDNS.
    """
    if edns is None:
        return b""
    if not edns.options and not options and rcode <= 0xF:
        return _OPT.pack(0, _OPT_TYPE, edns.size, 0, 0, DO if edns.do else 0, 0)
    if rcode == Rcode.BADVERS:
        return opt_record(0, rcode=rcode)
    chosen = edns.options
    if chosen or options:
        chosen = tuple(_chosen(chosen, nsid, options))
    record = opt_record(edns.size, rcode=rcode, do=edns.do, options=chosen)
    if len(record) > room:
        return opt_record(edns.size, rcode=rcode, do=edns.do)
    return record


def _chosen(asked: Options, nsid: bytes | None, ours: Options) -> Iterable[tuple[int, bytes]]:
    replaced = {code for code, _ in ours}
    for code, data in asked:
        if code in replaced or code not in ECHOED:
            continue
        yield code, nsid if code == EdnsOption.NSID and nsid is not None else data
    yield from ours
