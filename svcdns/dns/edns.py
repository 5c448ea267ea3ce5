"""The OPT record of answers.

Parity: CoreDNS ``request.SizeAndDo`` and ``plugin/pkg/edns`` (rules J5, J8, J9).
"""

from struct import Struct as Layout

from svcdns.dns.constants import DO, EdnsOption, Rcode, RRType
from svcdns.dns.query import Edns, Query

_OPT = Layout("!BHHIH")
_OPTION = Layout("!2H")

ECHOED = frozenset(
    {
        EdnsOption.NSID,
        EdnsOption.EXPIRE,
        EdnsOption.COOKIE,
        EdnsOption.TCP_KEEPALIVE,
        EdnsOption.PADDING,
    }
)
"""Options that come back as they were sent (rule J8); all others are left out."""


def answer_opt(
    query: Query,
    rcode: int,
    *,
    nsid: bytes | None = None,
    options: tuple[tuple[int, bytes], ...] = (),
) -> bytes:
    """Make the OPT record that goes with an answer; empty when the query had none.

    Args:
        query: Its size and DO bit come back.
        rcode: The upper eight bits go here (RFC 6891 §6.1.3).
        nsid: Data for the NSID option, if the client asked for it.
        options: Further options of ours.
    """
    edns = query.edns
    if edns is None:
        return b""
    if rcode == Rcode.BADVERS:
        return _record(0, edns, rcode, b"")
    if not edns.options and not options:
        return _record(edns.size, edns, rcode, b"")
    parts = []
    for code, data in edns.options:
        if code == EdnsOption.NSID and nsid is not None:
            parts.append(_option(code, nsid))
        elif code in ECHOED:
            parts.append(_option(code, data))
    for code, data in options:
        parts.append(_option(code, data))
    return _record(edns.size, edns, rcode, b"".join(parts))


def _record(size: int, edns: Edns, rcode: int, data: bytes) -> bytes:
    ttl = (rcode >> 4) << 24 | (DO if edns.do else 0)
    return _OPT.pack(0, RRType.OPT, size, ttl, len(data)) + data


def _option(code: int, data: bytes) -> bytes:
    return _OPTION.pack(code, len(data)) + data
