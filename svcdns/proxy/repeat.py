"""What a TCP client has said first and may be said again, to another endpoint.

A process that dies takes the requests with it that it has read or that wait in its queue, and
nobody can tell which of them it has acted on.  So they are only repeated where acting twice is the
same as acting once: a request with a safe method (RFC 9110 §9.2.2 lets a proxy repeat it, and only
such), and the beginning of a TLS handshake (RFC 8446 §4.1.2), which asks for nothing yet.  Whatever
else a Service's clients say is known to the Service, which has an annotation for it.

Precedent: HAProxy's ``retry-on empty-response`` with ``http-request disable-l7-retry`` for other
methods.
"""

from collections.abc import Callable
from typing import TypeAlias

EMPTY_RESPONSE = "empty-response"
"""Value of the ``svcdns.io/retry`` annotation: everything may be said again (HAProxy's word)."""

NEVER = "never"
"""Value of the annotation: nothing may."""

REPEATS = 3
"""Times that the same words are said again (HAProxy's ``retries``): a request that ends the process
which reads it must not go round all of them."""

Repeatable: TypeAlias = Callable[[bytes], bool]
"""Tells of a client's first words, all that it has said, whether they may be said again."""

_SAFE = (b"GET ", b"HEAD ", b"OPTIONS ", b"TRACE ")
"""Methods of RFC 9110 §9.2.1."""

_HEAD_END = b"\r\n\r\n"
_HANDSHAKE = 22
_RECORD_HEADER = 5


def harmless(words: bytes) -> bool:
    """Whether *words* are one HTTP request that changes nothing, or ask for TLS."""
    if words.startswith(_SAFE):
        end = words.find(_HEAD_END)
        # What follows the head is a body or another request; so it may be after bare line feeds.
        return (end < 0 or end == len(words) - len(_HEAD_END)) and b"\n\n" not in words
    # One record of the handshake and nothing else: no early data (RFC 8446 §5.1).
    return (
        len(words) > _RECORD_HEADER
        and words[0] == _HANDSHAKE
        and int.from_bytes(words[3:_RECORD_HEADER], "big") == len(words) - _RECORD_HEADER
    )


def anything(words: bytes) -> bool:
    """Whether *words* may be said again where everything may, silence included."""
    return True


def repeatable(text: str) -> Repeatable | None:
    """Read the annotation's value; None: nothing is repeated.

    Empty is the default, and so is what means nothing.
    """
    return {EMPTY_RESPONSE: anything, NEVER: None}.get(text, harmless)
