"""Record data: built by us, read by dnspython; names inside found for every type that has them."""

import dns.rdata
import dns.rdatatype
import pytest
from dns.rdatatype import RdataType

from svcdns.dns import rdata
from svcdns.dns.constants import RRType
from tests.support.wire import wire_name

TARGET = wire_name("Target.example")
OTHER = wire_name("other.example")


def text(rrtype: int, wire: bytes) -> str:
    return dns.rdata.from_wire("IN", RdataType.make(rrtype), wire, 0, len(wire)).to_text()


@pytest.mark.parametrize(
    ("rrtype", "wire", "expected"),
    [
        (RRType.A, rdata.a("10.96.0.10"), "10.96.0.10"),
        (RRType.AAAA, rdata.aaaa("fd00:96::b"), "fd00:96::b"),
        (RRType.CNAME, rdata.cname(TARGET), "Target.example."),
        (RRType.NS, rdata.ns(TARGET), "Target.example."),
        (RRType.PTR, rdata.ptr(TARGET), "Target.example."),
        (RRType.MX, rdata.mx(10, TARGET), "10 Target.example."),
        (RRType.SRV, rdata.srv(0, 100, 80, TARGET), "0 100 80 Target.example."),
        (
            RRType.SOA,
            rdata.soa(TARGET, OTHER, 2**32 + 7, 7200, 1800, 86400, 5),
            "Target.example. other.example. 7 7200 1800 86400 5",
        ),
        (RRType.TXT, rdata.txt(b"1.1.0"), '"1.1.0"'),
        (RRType.TXT, rdata.txt(b"a", b"", b"c d"), '"a" "" "c d"'),
        (RRType.TXT, rdata.txt(), '""'),
        (RRType.TXT, rdata.txt(b"x" * 256), f'"{"x" * 255}" "x"'),
        (
            RRType.HINFO,
            rdata.hinfo(b"ANY obsoleted", b"See RFC 8482"),
            '"ANY obsoleted" "See RFC 8482"',
        ),
    ],
)
def test_built_data_is_read_by_dnspython(rrtype: int, wire: bytes, expected: str) -> None:
    assert text(rrtype, wire) == expected


@pytest.mark.parametrize("address", ["1.2.3", "01.2.3.4", "::1", ""])
def test_an_ipv4_address_is_checked(address: str) -> None:
    with pytest.raises(ValueError):
        rdata.a(address)


@pytest.mark.parametrize("address", ["1.2.3.4", "fe80::1%eth0x%", ":::", ""])
def test_an_ipv6_address_is_checked(address: str) -> None:
    with pytest.raises(ValueError):
        rdata.aaaa(address)


WITH_NAMES = {
    RRType.NS: "a.b.",
    RRType.CNAME: "a.b.",
    RRType.SOA: "a.b. c.d. 1 2 3 4 5",
    RRType.PTR: "a.b.",
    RRType.MX: "10 a.b.",
    RRType.RP: "a.b. c.d.",
    RRType.AFSDB: "1 a.b.",
    RRType.RT: "1 a.b.",
    RRType.PX: "1 a.b. c.d.",
    RRType.SRV: "1 2 3 a.b.",
    RRType.NAPTR: '100 50 "s" "http+I2L+I2C+I2R" "" a.b.',
    RRType.KX: "1 a.b.",
    RRType.DNAME: "a.b.",
    RRType.RRSIG: "A 5 3 86400 20200101000000 20200101000000 2642 a.b. AAAA",
    RRType.NSEC: "a.b. A MX",
    RRType.SVCB: '1 a.b. alpn="h2"',
    RRType.HTTPS: "0 a.b.",
}


@pytest.mark.parametrize(("rrtype", "zone_text"), WITH_NAMES.items())
def test_names_inside_are_found_and_mapped(rrtype: int, zone_text: str) -> None:
    """RFC 3597 §4 and later types: a rewrite must not miss a name."""
    wire = dns.rdata.from_text("IN", RdataType.make(rrtype), zone_text, relativize=False).to_wire()
    assert wire is not None
    expected = [wire_name("a.b")] + ([wire_name("c.d")] if "c.d." in zone_text else [])
    assert list(rdata.names_in(rrtype, wire)) == expected

    longer = rdata.map_names(rrtype, wire, lambda name: b"\x04more" + name)
    mapped = zone_text.replace("a.b.", "more.a.b.").replace("c.d.", "more.c.d.")
    assert (
        longer
        == dns.rdata.from_text("IN", RdataType.make(rrtype), mapped, relativize=False).to_wire()
    )


@pytest.mark.parametrize("rrtype", [RRType.A, RRType.AAAA, RRType.TXT, RRType.CAA, 65280])
def test_types_without_names_stay_as_they_are(rrtype: int) -> None:
    assert rdata.names_in(rrtype, b"\x01a\x00") == ()
    assert rdata.map_names(rrtype, b"\x01a\x00", lambda _: b"changed") == b"\x01a\x00"


@pytest.mark.parametrize(("rrtype", "zone_text"), WITH_NAMES.items())
def test_data_cut_off_is_refused(rrtype: int, zone_text: str) -> None:
    wire = dns.rdata.from_text("IN", RdataType.make(rrtype), zone_text, relativize=False).to_wire()
    assert wire is not None
    names_end = len(wire) if rdata.LAYOUTS[rrtype].rest == 0 else wire.rindex(wire_name("b")) + 3
    for size in range(names_end):
        with pytest.raises(ValueError):
            rdata.expand(rrtype, 1, wire[:size], 0, size, {})


@pytest.mark.parametrize(("rrtype", "size"), [(RRType.A, 3), (RRType.A, 5), (RRType.AAAA, 4)])
def test_an_address_of_the_wrong_size_is_refused(rrtype: int, size: int) -> None:
    with pytest.raises(ValueError):
        rdata.expand(rrtype, 1, bytes(16), 0, size, {})


def test_octets_behind_the_last_field_are_refused() -> None:
    with pytest.raises(ValueError):
        rdata.names_in(RRType.CNAME, wire_name("a") + b"x")
    with pytest.raises(ValueError):
        rdata.names_in(RRType.SOA, wire_name("a") * 2 + bytes(21))
