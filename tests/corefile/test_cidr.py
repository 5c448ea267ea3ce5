"""Networks as reverse zones (rule F12); expectations by the standard library."""

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.corefile.cidr import parse_network, reverse_zones

ROWS = [
    ("10.0.0.0/8", ["10.in-addr.arpa."]),
    ("10.0.0.0/15", ["0.10.in-addr.arpa.", "1.10.in-addr.arpa."]),
    ("10.98.100.0/22", [f"{n}.98.10.in-addr.arpa." for n in range(100, 104)]),
    ("10.98.96.0/24", ["96.98.10.in-addr.arpa."]),
    ("10.96.0.0/16", ["96.10.in-addr.arpa."]),
    ("192.0.2.1/32", ["1.2.0.192.in-addr.arpa."]),
    ("10.1.2.3/8", ["10.in-addr.arpa."]),
    ("0.0.0.0/0", ["in-addr.arpa."]),
    ("2001:db8::/32", ["8.b.d.0.1.0.0.2.ip6.arpa."]),
    ("2001:db8::/31", ["8.b.d.0.1.0.0.2.ip6.arpa.", "9.b.d.0.1.0.0.2.ip6.arpa."]),
    ("fd00::/8", ["d.f.ip6.arpa."]),
    ("::/0", ["ip6.arpa."]),
]


@pytest.mark.parametrize(("text", "zones"), ROWS)
def test_f12_a_network_falls_into_zones_that_end_at_labels(text: str, zones: list[str]) -> None:
    network = parse_network(text)

    assert network is not None
    assert list(reverse_zones(network)) == zones


@pytest.mark.parametrize(
    ("text", "count"), [("10.0.0.0/12", 16), ("10.0.0.0/27", 32), ("0.0.0.0/1", 128)]
)
def test_f12_the_number_of_zones(text: str, count: int) -> None:
    network = parse_network(text)

    assert network is not None
    assert len(set(reverse_zones(network))) == count


@pytest.mark.parametrize(
    "text",
    ["10.0.0.0/33", "10.0.0/8", "10.0.0.0", "example.org", "10.0.0.0/24{", "010.0.0.0/8", "a/8",
     "2001:db8::/129", "fe80::1%lo/64", "10.0.0.0/255.0.0.0", "/8", "", "10.0.0.0/-1", "10.0.0.0/٣"],
)  # fmt: skip
def test_other_texts_are_no_networks(text: str) -> None:
    assert parse_network(text) is None


@given(
    st.one_of(
        st.tuples(st.ip_addresses(v=4), st.integers(0, 32)),
        st.tuples(st.ip_addresses(v=6), st.integers(0, 128)),
    )
)
def test_every_address_of_the_network_is_in_exactly_one_zone(
    pair: tuple[IPv4Address | IPv6Address, int],
) -> None:
    network = ip_network(pair, strict=False)
    zones = reverse_zones(network)

    for address in (network[0], network[-1]):
        name = address.reverse_pointer + "."
        assert sum(name == zone or name.endswith("." + zone) for zone in zones) == 1
