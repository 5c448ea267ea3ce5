from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.proxy.address import is_loopback, normalise, normalise_range


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", (4, "10.0.0.1")),
        ("172.30.0.041", (4, "172.30.0.41")),
        ("010.000.000.001", (4, "10.0.0.1")),
        ("0.0.0.0", (4, "0.0.0.0")),
        ("255.255.255.255", (4, "255.255.255.255")),
        ("FD00:0:0:0::0001", (6, "fd00::1")),
        ("::ffff:10.0.0.1", (4, "10.0.0.1")),
        ("::", (6, "::")),
        ("256.0.0.1", None),
        ("1.2.3", None),
        ("1.2.3.4.5", None),
        ("1.2.3.4 ", None),
        ("1.2.3.4\n", None),
        ("٣.2.3.4", None),
        ("fe80::1%eth0", None),
        ("db.example", None),
        ("", None),
        ("9" * 5000, None),
        ("1.2.3." + "9" * 4000, None),
    ],
)
def test_one_spelling_for_an_address_r16(text: str, expected: tuple[int, str] | None) -> None:
    assert normalise(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" 198.51.100.7/24 ", (4, "198.51.100.0/24")),
        ("010.0.0.0/8", (4, "10.0.0.0/8")),
        ("0.0.0.0/0", (4, "0.0.0.0/0")),
        ("FD00::1/64", (6, "fd00::/64")),
        ("10.0.0.1", None),
        ("10.0.0.0/33", None),
        ("10.0.0.0/", None),
        ("10.0.0.0/-1", None),
        ("10.0.0.0/255.0.0.0", None),
        ("10.0.0.0/²", None),
        ("", None),
    ],
)
def test_one_spelling_for_a_range_r44(text: str, expected: tuple[int, str] | None) -> None:
    assert normalise_range(text) == expected


@given(st.text() | st.from_regex(r"[0-9a-f:.%/]{0,40}"))
def test_no_text_raises_and_what_is_given_is_an_address(text: str) -> None:
    found = normalise(text)
    if found:
        assert ip_address(found[1]).version == found[0]
        assert normalise(found[1]) == found
    range_ = normalise_range(text)
    if range_:
        assert ip_network(range_[1]).version == range_[0]


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("10.127.0.1", False)],
)
def test_loopback(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected
