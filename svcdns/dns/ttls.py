"""TTLs in a message that is written already.

A cached answer says another TTL each second and is the same otherwise, so its octets are changed in
place of writing it anew.  Only messages that we wrote ourselves come here.

Spec: RFC 1035 §4.1.3.  Answers are without their ID, as answer tables hold them.
"""

import struct
from typing import Final

from svcdns.dns.alike import BEHIND_NAME, NAME_AT
from svcdns.dns.constants import RRType

_COUNTS_AT: Final = 4
_counts = struct.Struct("!3H").unpack_from
_POINTER: Final = 0xC0
_record = struct.Struct("!HHIH").unpack_from
_ttl = struct.Struct("!I").pack_into
_TTL_AT: Final = 4
_RDATA_AT: Final = 10
_OPT: Final = RRType.OPT


def with_ttl(answer: bytes, ttl: int) -> bytes:
    """Give an answer all of whose records have a TTL; what OPT has there is none.

    Args:
        answer: Well formed, with its question.
        ttl: Seconds.
    """
    out = bytearray(answer)
    at = _name_end(out, NAME_AT) - 1 + BEHIND_NAME
    for _ in range(sum(_counts(out, _COUNTS_AT))):
        at = _name_end(out, at)
        rrtype, _, _, rdlength = _record(out, at)
        if rrtype != _OPT:
            _ttl(out, at + _TTL_AT, ttl)
        at += _RDATA_AT + rdlength
    return bytes(out)


def _name_end(message: bytearray, at: int) -> int:
    while size := message[at]:
        if size >= _POINTER:
            return at + 2
        at += 1 + size
    return at + 1
