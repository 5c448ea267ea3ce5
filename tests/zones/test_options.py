"""Zones of the plugin."""

import pytest

from svcdns.zones.options import ZoneOptions, is_reverse
from tests.support.records import wire_name


@pytest.mark.parametrize(
    ("name", "reverse"),
    [("in-addr.arpa", True), ("0.10.in-addr.arpa", True), ("ip6.arpa", True), ("arpa", False), ("xin-addr.arpa", False)],
)  # fmt: skip
def test_reverse_names_are_told_apart(name: str, reverse: bool) -> None:
    assert is_reverse(wire_name(name)) is reverse


def test_pointers_lead_into_the_first_forward_zone() -> None:
    """F6."""
    zones = tuple(map(wire_name, ("10.in-addr.arpa", "cluster.local", "other.local")))

    assert ZoneOptions(zones=zones).primary == wire_name("cluster.local")
