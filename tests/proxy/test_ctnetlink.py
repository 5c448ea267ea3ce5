"""Messages of a Linux 6.18 kernel about its flows."""

import struct

import pytest

from svcdns.proxy import ctnetlink
from svcdns.proxy.conntrack import Flow
from svcdns.proxy.ctnetlink import Kind


def _attribute(number: int, content: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(content), number) + content + bytes(-len(content) % 4)


def _tuple(
    number: int, source: bytes, destination: bytes, ports: tuple[int, int], proto: int = 17
) -> bytes:
    first = 1 if len(source) == 4 else 3
    ip = _attribute(first, source) + _attribute(first + 1, destination)
    transport = (
        _attribute(1, bytes((proto,)))
        + _attribute(2, struct.pack(">H", ports[0]))
        + _attribute(3, struct.pack(">H", ports[1]))
    )
    return _attribute(number | 0x8000, _attribute(0x8001, ip) + _attribute(0x8002, transport))


CLIENT, SERVICE, POD = bytes((10, 244, 1, 9)), bytes((10, 96, 0, 10)), bytes((10, 244, 2, 2))
ORIGINAL = _tuple(1, CLIENT, SERVICE, (40000, 53))
REPLY = _tuple(2, POD, CLIENT, (5353, 40000))
ID = _attribute(12, b"\x01\x02\x03\x04")
STATUS = _attribute(3, b"\0\0\0\x0e")
CONTENT = b"\x02\0\0\0" + ORIGINAL + REPLY + STATUS + ID


def test_a_flow_is_read() -> None:
    found = ctnetlink.flow(CONTENT)
    assert found == Flow("10.96.0.10", 53, "10.244.2.2", 5353, ORIGINAL + ID)


def test_a_flow_of_ipv6_is_read() -> None:
    client, service = bytes(15) + b"\1", b"\xfd" + bytes(14) + b"\2"
    content = (
        b"\x0a\0\0\0" + _tuple(1, client, service, (1, 53)) + _tuple(2, service, client, (53, 1))
    )
    found = ctnetlink.flow(content)
    assert found
    assert (found.destination, found.endpoint) == ("fd00::2", "fd00::2")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x02\0\0\0",
        b"\x02\0\0\0" + ORIGINAL,
        b"\x02\0\0\0" + _tuple(1, CLIENT, SERVICE, (1, 2), 6) + _tuple(2, POD, CLIENT, (2, 1), 6),
    ],
)
def test_what_is_not_a_udp_flow_is_passed_over(content: bytes) -> None:
    assert ctnetlink.flow(content) is None


@pytest.mark.parametrize("end", range(len(CONTENT)))
def test_a_torn_message_is_no_other_flow(end: int) -> None:
    found = ctnetlink.flow(CONTENT[:end])
    assert found is None or found.destination == "10.96.0.10"


def test_requests_have_the_kernels_form() -> None:
    request = ctnetlink.dump_request(4, 7)
    assert struct.unpack("=IHHIIBBH", request) == (20, 0x101, 0x301, 7, 0, 2, 0, 0)
    flow = ctnetlink.flow(CONTENT)
    assert flow
    request = ctnetlink.delete_request(6, 8, flow)
    size, kind, flags, number, _ = struct.unpack_from("=IHHII", request)
    assert (size, kind, flags, number) == (len(request), 0x102, 0x5, 8)
    assert request[16:] == b"\x0a\0\0\0" + ORIGINAL + ID


def test_what_was_received_is_split_and_torn_ends_are_dropped() -> None:
    def message(kind: int, content: bytes) -> bytes:
        return struct.pack("=IHHII", 16 + len(content), kind, 0, 1, 0) + content

    data = message(Kind.NEW, b"abcd") + message(Kind.ERROR, struct.pack("=i", -2)) + message(3, b"")
    assert list(ctnetlink.messages(data)) == [
        (Kind.NEW, b"abcd"),
        (Kind.ERROR, struct.pack("=i", -2)),
        (Kind.DONE, b""),
    ]
    assert ctnetlink.error_code(struct.pack("=i", -2)) == 2
    for end in range(len(data)):
        assert len(list(ctnetlink.messages(data[:end]))) < 3
