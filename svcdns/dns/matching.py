"""Does this message answer that query?

Anyone may send a datagram with a forged source address, so an answer counts only when it carries
the query's ID and repeats its question; the address is matched by the socket.

Spec: RFC 5452 §9.1 and §4.2; RFC 1035 §7.3.
"""

from svcdns.dns.constants import Rcode

HEADER = 12
"""Octets of a header (RFC 1035 §4.1.1)."""

_NO_QUESTION = b"\x00\x00"
_QR = 0x80
_RCODE = 0x0F


def question_end(query: bytes) -> int:
    """Give the offset behind the first question of a query of our own making.

    Args:
        query: Well formed, one question, its name not compressed.
    """
    at = HEADER
    while size := query[at]:
        at += 1 + size
    return at + 5


def answers(query: bytes, end: int, message: bytes) -> bool:
    """Tell whether *message* answers *query*; the name's case may differ (RFC 4343).

    An error without a question is an answer too: servers that do not understand a query may
    leave it out (RFC 1035 §4.1.1, ``FORMERR``).

    Args:
        query: As it was sent, with its ID.
        end: From :func:`question_end`.
        message: What came back; any bytes.
    """
    if len(message) < HEADER or message[:2] != query[:2] or not message[2] & _QR:
        return False
    if message[4:6] == _NO_QUESTION:
        return (message[3] & _RCODE) != Rcode.NOERROR
    if message[4:6] != query[4:6] or len(message) < end:
        return False
    name_end = end - 4
    # The type is compared as it is: 65 (HTTPS) is 'A' and would be lower-cased into 97.
    return (
        message[name_end:end] == query[name_end:end]
        and message[HEADER:name_end].lower() == query[HEADER:name_end].lower()
    )
