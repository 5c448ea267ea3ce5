"""Reverse names and zones, against dnspython and ipaddress."""

import ipaddress
from ipaddress import IPv4Address, IPv6Address

import dns.reversename
import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.dns.reverse import address_of, is_reverse, name_of, zones_of
from tests.support.wire import wire_name

NIBBLES = ".".join("b" + "0" * 31)


def _unmapped(address: IPv4Address | IPv6Address) -> bool:
    return isinstance(address, IPv6Address) and address.ipv4_mapped is None


UNMAPPED = st.ip_addresses(v=6).filter(_unmapped)


@given(st.one_of(st.ip_addresses(v=4), UNMAPPED))
def test_an_address_and_its_name_lead_to_each_other(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    name = name_of(address)
    assert name == dns.reversename.from_address(str(address)).to_wire()
    assert address_of(name) == str(address)


@pytest.mark.parametrize(
    ("rule", "name", "address"),
    [
        ("F4", "10.0.96.10.in-addr.arpa", "10.96.0.10"),
        ("F8", f"{NIBBLES}.ip6.arpa", "::b"),
        ("F10 three octets", "0.96.10.in-addr.arpa", None),
        ("F10 apex", "in-addr.arpa", None),
        ("F10 leading zero", "010.0.96.10.in-addr.arpa", None),
        ("F10 zero", "0.0.0.0.in-addr.arpa", "0.0.0.0"),
        ("F10 double zero", "00.0.96.10.in-addr.arpa", None),
        ("F10 five octets", "1.10.0.96.10.in-addr.arpa", None),
        ("F10 too large", "256.0.96.10.in-addr.arpa", None),
        ("F10 no number", "x.0.96.10.in-addr.arpa", None),
        ("F10 sign", "+1.0.96.10.in-addr.arpa", None),
        ("F10 empty-looking", "\\032.0.96.10.in-addr.arpa", None),
        ("F8 extra label, stricter (K12)", f"0.{NIBBLES}.ip6.arpa", None),
        ("F8 31 nibbles", f"{NIBBLES[2:]}.ip6.arpa", None),
        ("F8 two digits", f"0b{NIBBLES[1:]}.ip6.arpa", None),
        ("F8 no nibble", f"g{NIBBLES[1:]}.ip6.arpa", None),
        ("F8 apex", "ip6.arpa", None),
        ("other tree", "10.0.96.10.arpa", None),
        ("label that ends alike", "10.0.96.10.xin-addr.arpa", None),
    ],
)
def test_only_complete_reverse_names_stand_for_an_address(
    rule: str, name: str, address: str | None
) -> None:
    assert address_of(wire_name(name)) == address


def test_an_ipv4_mapped_address_is_its_ipv4_address() -> None:
    """Go's net.IP prints it so, and it is the text that CoreDNS looks up (F8)."""
    assert address_of(name_of("::ffff:10.96.0.10")) == "10.96.0.10"


def test_a_dot_inside_a_label_is_no_boundary() -> None:
    assert address_of(wire_name("10\\.0.96.10.in-addr.arpa")) is None


@pytest.mark.parametrize(
    ("rule", "block", "count", "first", "last"),
    [
        ("F12 /15", "10.0.0.0/15", 2, "0.10.in-addr.arpa", "1.10.in-addr.arpa"),
        ("F12 /12", "10.96.0.0/12", 16, "96.10.in-addr.arpa", "111.10.in-addr.arpa"),
        ("F12 /27", "10.0.0.32/27", 32, "32.0.0.10.in-addr.arpa", "63.0.0.10.in-addr.arpa"),
        ("F12 /31 v6", "2001:db8::/31", 2, "8.b.d.0.1.0.0.2.ip6.arpa", "9.b.d.0.1.0.0.2.ip6.arpa"),
        ("aligned v4", "10.96.0.0/16", 1, "96.10.in-addr.arpa", "96.10.in-addr.arpa"),
        ("aligned v6", "fd00::/8", 1, "d.f.ip6.arpa", "d.f.ip6.arpa"),
        ("host bits", "10.96.3.4/16", 1, "96.10.in-addr.arpa", "96.10.in-addr.arpa"),
        ("everything", "0.0.0.0/0", 1, "in-addr.arpa", "in-addr.arpa"),
        ("everything v6", "::/0", 1, "ip6.arpa", "ip6.arpa"),
        ("/9", "10.128.0.0/9", 128, "128.10.in-addr.arpa", "255.10.in-addr.arpa"),
        ("host", "10.0.0.1/32", 1, "1.0.0.10.in-addr.arpa", "1.0.0.10.in-addr.arpa"),
    ],
)
def test_a_block_is_covered_by_aligned_zones(
    rule: str, block: str, count: int, first: str, last: str
) -> None:
    zones = zones_of(block)
    assert len(set(zones)) == len(zones) == count
    assert zones[0] == wire_name(first)
    assert zones[-1] == wire_name(last)


@given(st.ip_addresses(), st.integers(0, 128))
def test_the_zones_hold_the_block_and_nothing_else(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, bits: int
) -> None:
    prefix = min(bits, address.max_prefixlen)
    network = ipaddress.ip_network((address, prefix), strict=False)
    zones = zones_of(network)
    for end in (network[0], network[-1]):
        assert any(name_of(end).endswith(zone) for zone in zones)
    for neighbour in (int(network[0]) - 1, int(network[-1]) + 1):
        if 0 <= neighbour < 2**address.max_prefixlen:
            outside = name_of(type(address)(neighbour))
            assert not any(outside.endswith(zone) for zone in zones)


@pytest.mark.parametrize(
    "text", ["10.0.0.1", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/255.0.0.0", "x/8", "::/129", ""]
)
def test_what_is_no_block_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        zones_of(text)


def test_reverse_trees_are_known() -> None:
    assert is_reverse(wire_name("in-addr.arpa"))
    assert is_reverse(wire_name("10.in-addr.arpa"))
    assert is_reverse(wire_name("f.ip6.arpa"))
    assert not is_reverse(wire_name("cluster.local"))
    assert not is_reverse(wire_name("arpa"))
