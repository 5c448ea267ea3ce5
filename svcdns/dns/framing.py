"""Messages in a TCP stream: two octets of length, then the message.

A push parser: bytes in as they arrive, whole messages out.

Spec: RFC 1035 §4.2.2, RFC 7766 §8 (the length and the message go out in one write).
"""

from typing import Final

from svcdns.dns.constants import MAX_MESSAGE

_PREFIX: Final = 2


def frame(wire: bytes) -> bytes:
    """Put the length in front of a message.

    Raises:
        ValueError: The message is over 65,535 octets.
    """
    if len(wire) > MAX_MESSAGE:
        raise ValueError(f"a message of {len(wire)} octets does not fit TCP's length field")
    return len(wire).to_bytes(_PREFIX, "big") + wire


class Deframer:
    """The receiving half of one connection; holds at most one incomplete message."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def pending(self) -> int:
        """Octets of an incomplete message; not 0 at the end of the stream: it was cut off."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Take what arrived and give the messages that are complete now, in order.

        A length of 0 gives an empty message, which no parser takes (rule J26: silence, and the
        connection is kept).
        """
        source: bytes | bytearray = data
        if self._buffer:
            # In place: a message that comes octet by octet is not copied once for each.
            self._buffer += data
            source = self._buffer
        messages = []
        at, end = 0, len(source)
        while end - at >= _PREFIX:
            size = source[at] << 8 | source[at + 1]
            if end - at - _PREFIX < size:
                break
            at += _PREFIX
            messages.append(bytes(source[at : at + size]))
            at += size
        if source is self._buffer:
            del self._buffer[:at]
        elif at < end:
            self._buffer += data[at:]
        return messages
