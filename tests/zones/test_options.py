"""Zones of the plugin."""

from svcdns.zones.options import ZoneOptions
from tests.support.records import wire_name


def test_pointers_lead_into_the_first_forward_zone() -> None:
    """F6."""
    zones = tuple(map(wire_name, ("10.in-addr.arpa", "cluster.local", "other.local")))

    assert ZoneOptions(zones=zones).primary == wire_name("cluster.local")
