import pytest

from svcdns.proxy.proxyprotocol import header

CASES = [
    (
        "§2.1 TCP4",
        "v1",
        ("192.0.2.1", 56324),
        ("10.96.0.1", 443),
        b"PROXY TCP4 192.0.2.1 10.96.0.1 56324 443\r\n",
    ),
    (
        "§2.1 TCP6",
        "v1",
        ("2001:db8::1", 1),
        ("fd00::1", 65535),
        b"PROXY TCP6 2001:db8::1 fd00::1 1 65535\r\n",
    ),
    (
        "§2.2 TCP over IPv4",
        "v2",
        ("192.0.2.1", 56324),
        ("10.96.0.1", 443),
        bytes.fromhex("0d0a0d0a000d0a515549540a 21 11 000c c0000201 0a600001 dc04 01bb"),
    ),
    (
        "§2.2 TCP over IPv6",
        "v2",
        ("::1", 1),
        ("fd00::2", 2),
        bytes.fromhex(
            "0d0a0d0a000d0a515549540a 21 21 0024 00000000000000000000000000000001"
            "fd000000000000000000000000000002 0001 0002"
        ),
    ),
]


@pytest.mark.parametrize(("clause", "version", "source", "to", "octets"), CASES)
def test_headers(
    clause: str, version: str, source: tuple[str, int], to: tuple[str, int], octets: bytes
) -> None:
    assert header(version, source, to) == octets


def test_version_1_never_exceeds_107_octets() -> None:
    longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
    assert len(header("v1", (longest, 65535), (longest, 65535))) <= 107


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(ValueError, match="v3"):
        header("v3", ("192.0.2.1", 1), ("192.0.2.2", 2))


def test_mixed_families_are_refused() -> None:
    with pytest.raises(ValueError, match="different families"):
        header("v2", ("192.0.2.1", 1), ("::1", 2))
