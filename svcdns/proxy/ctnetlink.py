"""Messages to and from the kernel's connection tracking (ctnetlink), as octets.

A flow is deleted by sending back the part of its own description that names it, so nothing needs
to be understood but what is looked at.

Spec: Linux ``include/uapi/linux/netfilter/nfnetlink_conntrack.h``, ``nfnetlink.h``, ``netlink.h``.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from ipaddress import ip_address

from svcdns.proxy.conntrack import Flow

NETFILTER = 12
"""Number of the netlink protocol."""

UDP = 17


class Kind(IntEnum):
    """Types of messages."""

    ERROR = 2
    DONE = 3
    NEW = 1 << 8
    GET = 1 << 8 | 1
    DELETE = 1 << 8 | 2


_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_MESSAGE = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_NESTED_MASK = 0x3FFF
_ORIGINAL, _REPLY, _ID, _ZONE = 1, 2, 12, 18
_TUPLE_IP, _TUPLE_PROTO = 1, 2
_PROTO_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3
_SOURCES, _DESTINATIONS = (1, 3), (2, 4)
_FAMILIES = {4: 2, 6: 10}


def dump_request(family: int, sequence: int) -> bytes:
    """Ask for all flows of a family (4 or 6)."""
    return _request(Kind.GET, _REQUEST | _DUMP, family, sequence, b"")


def delete_request(family: int, sequence: int, flow: Flow) -> bytes:
    """Ask to forget a flow; the answer is an ERROR message, with 0 when it is done."""
    return _request(Kind.DELETE, _REQUEST | _ACK, family, sequence, flow.handle)


def _request(kind: Kind, flags: int, family: int, sequence: int, body: bytes) -> bytes:
    size = _MESSAGE.size + 4 + len(body)
    head = _MESSAGE.pack(size, kind, flags, sequence, 0)
    return head + bytes((_FAMILIES[family], 0, 0, 0)) + body


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Split what was received into messages: type and content; a torn one ends it."""
    at = 0
    while at + _MESSAGE.size <= len(data):
        size, kind, _, _, _ = _MESSAGE.unpack_from(data, at)
        if size < _MESSAGE.size or at + size > len(data):
            return
        yield kind, data[at + _MESSAGE.size : at + size]
        at += (size + 3) & ~3


def error_code(content: bytes) -> int:
    """Give the errno of an ERROR message; 0: done."""
    return -int.from_bytes(content[:4], "little", signed=True) if len(content) >= 4 else 0


def flow(content: bytes) -> Flow | None:
    """Read a NEW message; ``None`` when it is not about UDP or lacks something."""
    attributes = {number: whole for number, whole in _attributes(content[4:])}
    original, reply = attributes.get(_ORIGINAL), attributes.get(_REPLY)
    if original is None or reply is None:
        return None
    sent, answered = _tuple(original[4:]), _tuple(reply[4:])
    if sent is None or answered is None:
        return None
    handle = b"".join(
        _padded(attributes[number]) for number in (_ORIGINAL, _ID, _ZONE) if number in attributes
    )
    return Flow(sent[2], sent[3], answered[0], answered[1], handle)


def _tuple(content: bytes) -> tuple[str, int, str, int] | None:
    """Read source and destination of one direction of a UDP flow."""
    parts = {number: whole[4:] for number, whole in _attributes(content)}
    proto = {number: whole[4:] for number, whole in _attributes(parts.get(_TUPLE_PROTO, b""))}
    if proto.get(_PROTO_NUMBER) != bytes((UDP,)):
        return None
    ip = {number: whole[4:] for number, whole in _attributes(parts.get(_TUPLE_IP, b""))}
    source = next((ip[number] for number in _SOURCES if number in ip), b"")
    destination = next((ip[number] for number in _DESTINATIONS if number in ip), b"")
    ports = proto.get(_SOURCE_PORT, b""), proto.get(_DESTINATION_PORT, b"")
    if len(source) not in (4, 16) or len(destination) not in (4, 16):
        return None
    return (
        str(ip_address(source)),
        int.from_bytes(ports[0]),
        str(ip_address(destination)),
        int.from_bytes(ports[1]),
    )


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Split attributes: number, and the whole with its header."""
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        size, number = _ATTRIBUTE.unpack_from(data, at)
        if size < _ATTRIBUTE.size or at + size > len(data):
            return
        yield number & _NESTED_MASK, data[at : at + size]
        at += (size + 3) & ~3


def _padded(attribute: bytes) -> bytes:
    return attribute + bytes(-len(attribute) % 4)
