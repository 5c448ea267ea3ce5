"""Weight files and what they do to an answer (CoreDNS plugin/loadbalance/weighted.go)."""

from collections import Counter
from ipaddress import ip_address, ip_network

import pytest

from svcdns.dns.constants import RRType
from svcdns.dns.response import Record
from svcdns.plugins.loadbalanceweights import arrange, parse, prefer
from tests.support.records import wire_name

NAME = wire_name("WWW.example")
FILE = """
# the web
www.Example
  192.0.2.1 3
  192.0.2.2 1
2001:db8::1 255
ftp.example.
192.0.2.1 7
"""


def address(text: str) -> Record:
    packed = ip_address(text).packed
    return Record(NAME, RRType.A if len(packed) == 4 else RRType.AAAA, 5, packed)


def test_a_file_gives_weights_by_name_and_address() -> None:
    found = parse(FILE, "weights")

    assert found == {
        wire_name("www.example"): {
            bytes((192, 0, 2, 1)): 3,
            bytes((192, 0, 2, 2)): 1,
            ip_address("2001:db8::1").packed: 255,
        },
        wire_name("ftp.example"): {bytes((192, 0, 2, 1)): 7},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("192.0.2.1", r'wrong domain name:"192.0.2.1" in weight file w. \(Maybe a missing weight'),
        ("192.0.2.1 3", "missing domain name in weight file w"),
        ("a\nb 3", 'wrong IP address:"b" in weight file w'),
        ("a\n192.0.2.1 0", 'wrong weight value:"0" in weight file w'),
        ("a\n192.0.2.1 256", 'wrong weight value:"256" in weight file w'),
        ("a\n192.0.2.1 -1", 'wrong weight value:"-1" in weight file w'),
        ("a\n192.0.2.1 ٣", "wrong weight value"),
        ("a\n192.0.2.1 1 x", 'could not parse weight line:"192.0.2.1 1 x" in weight file w'),
        ("a..b", "label"),
    ],
)
def test_what_is_no_weight_file_is_told_in_corednss_words(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text, "w")


def test_each_address_comes_first_as_often_as_its_weight_says() -> None:
    records = [address("192.0.2.1"), address("192.0.2.2"), address("192.0.2.3")]
    weights = parse(FILE, "w")
    firsts = Counter(
        arrange(records, weights, lambda draw=draw: draw / 5)[0].rdata[-1]  # type: ignore[misc]
        for draw in range(5)
    )

    assert firsts == {1: 3, 2: 1, 3: 1}  # one without a weight has 1


def test_no_draw_is_out_of_range() -> None:
    records = [address("192.0.2.1"), address("192.0.2.2")]

    assert len(arrange(records, {}, lambda: 0.9999999999999999)) == 2


def test_other_types_keep_their_places_around_the_addresses() -> None:
    mx = Record(NAME, RRType.MX, 5, b"\0\1\0")
    srv = Record(NAME, RRType.SRV, 5, b"\0\1\0\1\0\1\0")
    alias = Record(NAME, RRType.CNAME, 5, NAME)
    one = address("192.0.2.1")

    assert arrange([mx, one, srv, alias], {}, lambda: 0.0) == (alias, srv, one, mx)
    assert arrange([mx, srv, alias], {}, lambda: 0.0) == (mx, srv, alias)


def test_preferred_networks_come_first_in_their_order() -> None:
    alias = Record(NAME, RRType.CNAME, 5, NAME)
    texts = ["192.0.2.1", "10.0.0.1", "2001:db8::1", "10.1.0.1"]
    networks = [ip_network("10.1.0.0/16"), ip_network("2001:db8::/32"), ip_network("10.0.0.0/8")]
    found = prefer([alias, *map(address, texts)], networks)

    assert found == (alias, *map(address, ["10.1.0.1", "2001:db8::1", "10.0.0.1", "192.0.2.1"]))
