"""Addresses in Pod names; test_zone shows which of them exist."""

import pytest

from svcdns.zones.pods import address_of


@pytest.mark.parametrize(
    ("label", "address"),
    [
        ("10-1-0-7", "10.1.0.7"),
        ("fd00--5", "fd00::5"),
        ("1-2--3", "1:2::3"),
        ("foo", "foo"),
        ("1-2-3", "1:2:3"),
        ("1-2-3-4-5", "1:2:3:4:5"),
    ],
)
def test_three_dashes_make_ipv4_and_all_else_ipv6(label: str, address: str) -> None:
    """F2."""
    assert address_of(label) == address
