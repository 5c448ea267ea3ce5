import pytest

from svcdns.proxy.icmp import checksum, port_unreachable


def test_port_unreachable_over_ipv4_rfc_792() -> None:
    message = port_unreachable(("192.0.2.1", 4000), ("10.96.0.10", 53), octets=29)
    assert message[:2] == b"\x03\x03"
    assert message[4:8] == bytes(4)
    inner = message[8:]
    assert inner[0] == 0x45
    assert int.from_bytes(inner[2:4], "big") == 20 + 8 + 29
    assert inner[9] == 17
    assert inner[12:20] == bytes((192, 0, 2, 1, 10, 96, 0, 10))
    assert inner[20:] == bytes.fromhex("0fa0 0035 0025 0000")


def test_both_checksums_verify() -> None:
    message = port_unreachable(("192.0.2.1", 4000), ("10.96.0.10", 53), octets=29)
    assert checksum(message) == b"\x00\x00"
    assert checksum(message[8:28]) == b"\x00\x00"


def test_port_unreachable_over_ipv6_rfc_4443() -> None:
    message = port_unreachable(("2001:db8::1", 4000), ("fd00::a", 53), octets=29)
    assert message[:8] == b"\x01\x04" + bytes(6)
    inner = message[8:]
    assert inner[0] >> 4 == 6
    assert int.from_bytes(inner[4:6], "big") == 8 + 29
    assert inner[6] == 17
    assert inner[8:24] == bytes.fromhex("20010db8000000000000000000000001")
    assert inner[24:40] == bytes.fromhex("fd00000000000000000000000000000a")
    assert inner[40:] == bytes.fromhex("0fa0 0035 0025 0000")


@pytest.mark.parametrize(
    ("rule", "data", "expected"),
    [
        ("RFC 1071 §3", "0001 f203 f4f5 f6f7", "220d"),
        ("zeros", "0000", "ffff"),
        ("ones", "ffff", "0000"),
    ],
)
def test_checksums(rule: str, data: str, expected: str) -> None:
    assert checksum(bytes.fromhex(data)) == bytes.fromhex(expected)


@pytest.mark.parametrize("size", [0, 65_507])
def test_every_size_of_datagram_has_a_message(size: int) -> None:
    assert len(port_unreachable(("192.0.2.1", 1), ("192.0.2.2", 2), size)) == 8 + 20 + 8
