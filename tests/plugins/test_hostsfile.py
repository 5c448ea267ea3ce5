"""Hosts files line by line."""

import dns.name
import dns.reversename
import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.dns.constants import RRType
from svcdns.plugins.hostsfile import Hosts, parse
from tests.support.records import wire_name

ROOT = (b"\0",)


def addresses(hosts: Hosts, name: str) -> list[str] | None:
    found = hosts.find(wire_name(name))
    if found is None:
        return None
    return [
        ".".join(map(str, rdata)) if rrtype == RRType.A else rdata.hex(":", 2)
        for rrtype, rdatas in sorted(found.items())
        for rdata in rdatas
    ]


def pointers(hosts: Hosts, address: str) -> list[str]:
    name = dns.reversename.from_address(address).to_wire()
    assert name is not None
    return [str(dns.name.from_wire(found, 0)[0]) for found in hosts.pointers(name)]


LINES = [
    ("one name", "10.0.0.1 a.test", "a.test", ["10.0.0.1"]),
    ("several names", "10.0.0.1 b.test a.test c.test", "a.test", ["10.0.0.1"]),
    ("tabs and blanks", "\t 10.0.0.1\t\ta.test \r", "a.test", ["10.0.0.1"]),
    ("several lines", "10.0.0.2 a.test\n10.0.0.1 a.test", "a.test", ["10.0.0.2", "10.0.0.1"]),
    ("the same line twice", "10.0.0.1 a.test\n10.0.0.1 a.test a.test", "a.test", ["10.0.0.1"]),
    ("a final dot", "10.0.0.1 a.test.", "a.test", ["10.0.0.1"]),
    ("upper case", "10.0.0.1 A.Test", "a.test", ["10.0.0.1"]),
    ("a comment behind", "10.0.0.1 a.test # b.test", "a.test", ["10.0.0.1"]),
    ("a comment glued on", "10.0.0.1 a.test#b", "a.test", ["10.0.0.1"]),
    ("in a comment", "10.0.0.1 b.test # a.test", "a.test", None),
    ("a comment", "#10.0.0.1 a.test", "a.test", None),
    ("IPv6", "fd00::1 a.test", "a.test", ["fd00:0000:0000:0000:0000:0000:0000:0001"]),
    ("both", "fd00::1 a.test\n10.0.0.1 a.test", "a.test",
     ["10.0.0.1", "fd00:0000:0000:0000:0000:0000:0000:0001"]),
    ("IPv4 as IPv6", "::FFFF:10.0.0.2 a.test", "a.test", ["10.0.0.2"]),
    ("a zone is cut off", "fe80::1%eth0 a.test", "a.test",
     ["fe80:0000:0000:0000:0000:0000:0000:0001"]),
    ("no address", "no_recursive a.test", "a.test", None),
    ("leading zeros", "010.0.0.1 a.test", "a.test", None),
    ("a short address", "10.1 a.test", "a.test", None),
    ("no name", "10.0.0.1", "a.test", None),
    ("a bad name among good ones", "10.0.0.1 a..b a.test", "a.test", ["10.0.0.1"]),
    ("a label too long", "10.0.0.1 " + "x" * 64 + " a.test", "a.test", ["10.0.0.1"]),
    ("bytes that are no text", b"\xff\xfe 10.0.0.1\n10.0.0.1 \xff a.test", "a.test", ["10.0.0.1"]),
    ("an exact name and a wildcard", "10.0.0.1 *.test\n10.0.0.2 a.test", "a.test", ["10.0.0.2"]),
    ("one label for a wildcard", "10.0.0.1 *.test", "a.test", ["10.0.0.1"]),
    ("two labels for a wildcard", "10.0.0.1 *.test", "b.a.test", None),
    ("the parent of a wildcard", "10.0.0.1 *.a.test", "a.test", None),
    ("the root", "10.0.0.1 *.test", ".", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "name", "found"), [row[1:] for row in LINES], ids=[row[0] for row in LINES]
)
def test_lines_are_read_as_coredns_reads_them(
    text: str | bytes, name: str, found: list[str] | None
) -> None:
    """J20."""
    hosts = parse(text.encode() if isinstance(text, str) else text, ROOT)

    assert addresses(hosts, name) == found


def test_addresses_point_back_at_all_their_names_but_wildcards() -> None:
    """J20."""
    hosts = parse(
        b"127.0.0.1 localhost localhost.domain\n::1 localhost\n10.0.0.2 *.test\n"
        b"::ffff:10.0.0.3 mapped",
        ROOT,
    )

    assert pointers(hosts, "127.0.0.1") == ["localhost.", "localhost.domain."]
    assert pointers(hosts, "::1") == ["localhost."]
    assert pointers(hosts, "10.0.0.3") == ["mapped."]
    assert pointers(hosts, "10.0.0.2") == []
    assert hosts.pointers(wire_name("localhost")) == ()


def test_reverse_entries_can_be_left_out() -> None:
    hosts = parse(b"10.0.0.1 a.test", ROOT, reverse=False)

    assert pointers(hosts, "10.0.0.1") == []
    assert hosts.entries == 1


def test_names_outside_the_zones_are_left_out() -> None:
    hosts = parse(b"10.0.0.1 a.test b.example xtest", (wire_name("test"),))

    assert addresses(hosts, "b.example") is None
    assert addresses(hosts, "xtest") is None
    assert pointers(hosts, "10.0.0.1") == ["a.test."]


def test_entries_are_counted_both_ways() -> None:
    assert parse(b"10.0.0.1 a b\nfd00::1 a\n10.0.0.2 *.test", ROOT).entries == 7


@given(st.binary(max_size=400), st.booleans())
def test_no_file_is_too_broken_to_be_read(text: bytes, reverse: bool) -> None:
    hosts = parse(text, ROOT, reverse=reverse)

    for name in hosts.addresses:
        assert dns.name.from_wire(name, 0)[1] == len(name)


@given(
    st.lists(st.tuples(st.ip_addresses(), st.from_regex(r"[a-z0-9*-]{1,8}", fullmatch=True)), max_size=8)
)  # fmt: skip
def test_every_entry_is_found_again(entries: list[tuple[object, str]]) -> None:
    text = "\n".join(f"{address} {name}.test" for address, name in entries)
    hosts = parse(text.encode(), ROOT)

    for _address, name in entries:
        assert addresses(hosts, f"{name}.test")
