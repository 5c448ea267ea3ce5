"""Queries that are the same question to everybody but their sender.

Some clients never send the same packet twice: they put random case into the name
(draft-vixie-dnsext-dns0x20) or a cookie behind it (RFC 7873), and look for them in the answer.
:func:`common` takes both out of a packet, so that one stored answer serves all of them, and
:func:`adapt` puts them into that answer.  Both cut and join octets; nothing is parsed again.

Where an SRV points repeats the spelling of the question's zone, and compression depends on which
labels are alike.  The answer to the question in :func:`capitals` stands for all other spellings of
those, and :func:`respell` puts the zone in.

Packets and answers are without their ID here, as answer tables hold them.
"""

import struct
from functools import lru_cache
from typing import Final, TypeAlias

from svcdns.dns.constants import EdnsOption, RRType
from svcdns.dns.name import ROOT, is_subdomain
from svcdns.dns.response import Response

NAME_AT: Final = 10
"""Where the question's name starts, in queries and answers both."""

BEHIND_NAME: Final = 5
"""Octets of the question from its root label on: that, type and class."""

COOKIE_LIMIT: Final = 40
"""Octets of the longest cookie (RFC 7873 §4)."""

_COOKIE_AT = 15
"""Octets of an OPT record and its first option in front of the option's data."""
_COUNTS = struct.pack("!4H", 1, 0, 0, 1)
_opt = struct.Struct("!BHHIHHH").unpack_from
_OPT_TYPE: Final = RRType.OPT
_COOKIE: Final = EdnsOption.COOKIE
_SOA: Final = RRType.SOA
_SRV: Final = RRType.SRV
_WITHOUT_NAMES = frozenset({RRType.A, RRType.AAAA, RRType.TXT})
"""Types without names but the owner's, which follows the question in front of it."""


Shared: TypeAlias = tuple[bytes, int, int]
"""What :func:`common` gives."""


def common(query: bytes) -> Shared:
    """Give what a query shares with those that mean the same.

    Args:
        query: Any octets.  That two well-formed queries with the same result ask the same holds
            if the name of one of them has no zero octet but its end (:func:`plain_name`): a zero
            octet is taken for the end of the name.

    Returns:
        The packet with its name in lower case and a cookie of zeros.  Then where the name ends, or
        0 if it was in lower case before.  Then the octets of the cookie; 0 if OPT holds none, or
        anything beside it.
    """
    end = query.find(b"\0", NAME_AT)
    if end < 0:
        return query, 0, 0
    size = len(query)
    cookie = 0
    at = end + BEHIND_NAME
    if at + _COOKIE_AT < size <= at + _COOKIE_AT + COOKIE_LIMIT and query[2:NAME_AT] == _COUNTS:
        owner, rrtype, _, _, rdlength, option, octets = _opt(query, at)
        behind = size - at - _COOKIE_AT
        if (owner, rrtype, option, octets, rdlength) == (
            0,
            _OPT_TYPE,
            _COOKIE,
            behind,
            behind + 4,
        ):
            cookie = octets
    name = query[NAME_AT:end]
    lower = name.lower()
    if lower == name:
        return (query[:-cookie] + bytes(cookie) if cookie else query), 0, cookie
    behind_name = query[end:-cookie] + bytes(cookie) if cookie else query[end:]
    return query[:NAME_AT] + lower + behind_name, end, cookie


def adapt(answer: bytes, query: bytes, end: int, cookie: int) -> bytes:
    """Put a query's own name and cookie into an answer to one that means the same.

    Args:
        answer: With the question in front, as always, and with the cookie at its very end.
        query: Whose name and cookie to take.
        end: Of the name; 0 leaves it as it is.
        cookie: Octets; 0 for none.
    """
    if not cookie:
        return answer[:NAME_AT] + query[NAME_AT:end] + answer[end:]
    if not end:
        return answer[:-cookie] + query[-cookie:]
    return b"".join((answer[:NAME_AT], query[NAME_AT:end], answer[end:-cookie], query[-cookie:]))


def capitals(query: bytes, end: int) -> bytes:
    """Write a query's name, which ends at *end*, in capitals."""
    return query[:NAME_AT] + query[NAME_AT:end].upper() + query[end:]


def respell(answer: bytes, query: bytes, end: int, repeats: int) -> bytes | None:
    """Put a query's zone into the names of an answer to the same question in another spelling.

    Args:
        answer: With the question in front; its names end in the question's last *repeats* octets,
            of which the first label is in lower case and the others as in the question.
        query: Whose zone to take.
        end: Of the name in both.
        repeats: Octets, the root label's included.

    Returns:
        The answer; its own question, which :func:`adapt` replaces, stays as it was.  ``None`` when
        the first label is in lower case in one of the questions: then more is compressed.
    """
    label = end + 1 - repeats
    zone = label + 1 + query[label]
    if any([one[label:zone] == one[label:zone].lower() for one in (query, answer)]):
        return None
    behind = end + 1
    return answer[:behind] + answer[behind:].replace(answer[zone:behind], query[zone:behind])


def repeats_zone(name: bytes, response: Response, repeats: int) -> bool:
    """Whether :func:`respell` finds a zone where names end in it, and nowhere else.

    Args:
        name: Of the question, in lower case.
        response: Holds SRV records of that name, and addresses of where they point.
        repeats: As for :func:`respell`; 0 if nobody knows.
    """
    if not repeats or any([record.rrtype != _SRV for record in response.answer]):
        return False
    below = name[-repeats:]
    zone = below[1 + below[0] :]
    behind = (*response.authority, *response.additional)
    return all([one.rrtype in _WITHOUT_NAMES and zone not in one.rdata.lower() for one in behind])


def plain_name(qname: bytes) -> bool:
    """Whether the end of a wire name is its only zero octet."""
    return qname.find(b"\0") == len(qname) - 1


def case_free(name: bytes, response: Response) -> bool:
    """Whether the answer to a lower-case name is right in every spelling of the question (A7)."""
    for section in (response.answer, response.authority, response.additional):
        for record in section:
            if record.rrtype in _WITHOUT_NAMES:
                continue
            if record.rrtype != _SOA:
                return False
            zone, below = _spelt(record.owner, record.rdata)
            if name.endswith(below) or not is_subdomain(name, zone):
                return False
    return True


@lru_cache(maxsize=256)
def _spelt(owner: bytes, rdata: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """Say for which names below a zone its SOA shares more with the question than the zone.

    The zone is spelled as in the question everywhere; but the name server is ``ns.dns`` in lower
    case, also in the denial for a name below it.

    Returns:
        The zone, and what names end with that are to be told from others; all in lower case.
    """
    zone = owner.lower()
    below = []
    at = 0
    for _ in range(2):
        label = b""
        while size := rdata[at]:
            if label and rdata[at : at + len(zone)].lower() == zone:
                below.append(label + zone)
            label = rdata[at : at + 1 + size].lower()
            at += 1 + size
        if label and zone == ROOT:
            below.append(label + zone)
        at += 1
    return zone, tuple(below)
