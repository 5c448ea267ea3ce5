"""What a zone says about names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from svcdns.dns.constants import type_number
from svcdns.dns.response import Record
from svcdns.plugins.slices import finish
from svcdns.plugins.zonedata import Alias, Answer, NoData, NoName, Referral, Zone
from svcdns.plugins.zonefile import parse
from tests.support.examplezone import ORIGIN, TEXT, ZONE, zone_of
from tests.support.records import wire_name, zone_texts

ROWS = [
    ("exact", "web A", Answer, ["web. 60 A 10.0.0.3"]),
    ("case", "WEB A", Answer, ["WEB. 60 A 10.0.0.3"]),
    ("no such type", "web AAAA", NoData, []),
    ("no such name", "nope A", NoName, []),
    ("below a name", "x.web A", NoName, []),
    ("an empty non-terminal", "deep A", NoData, []),
    ("another", "b.deep A", NoData, []),
    ("not below it", "x.deep A", NoName, []),
    ("a CNAME", "www A", Answer, ["web. 60 A 10.0.0.3", "www. 60 CNAME web."]),
    ("a CNAME itself", "www CNAME", Answer, ["www. 60 CNAME web."]),
    ("a chain", "chain A", Answer, ["chain. 60 CNAME www.", "web. 60 A 10.0.0.3", "www. 60 CNAME web."]),
    ("a CNAME to no such type", "www MX", NoData, ["www. 60 CNAME web."]),
    ("a CNAME out", "out A", Alias, ["out. 60 CNAME www.example.net"]),
    ("a CNAME to nothing", "gone A", Alias, ["gone. 60 CNAME nowhere."]),
    ("a loop", "loop A", Answer, ["loop. 60 CNAME pool.", "pool. 60 CNAME loop."]),
    ("RFC 4592: a wildcard", "x.wild A", Answer, ["x.wild. 60 A 10.0.0.5"]),
    ("RFC 4592: deeper", "x.y.wild A", Answer, ["x.y.wild. 60 A 10.0.0.5"]),
    ("RFC 4592: no such type", "x.wild AAAA", NoData, []),
    ("RFC 4592: an existing name is none", "sub.wild A", NoData, []),
    ("RFC 4592: nor what is below it", "x.sub.wild A", NoName, []),
    ("RFC 4592: the encloser is none", "wild A", NoData, []),
    ("RFC 4592: the asterisk itself", "*.wild A", Answer, ["*.wild. 60 A 10.0.0.5"]),
    ("a wildcard CNAME", "x.alias A", Answer, ["web. 60 A 10.0.0.3", "x.alias. 60 CNAME web."]),
    ("a delegation", "cut A", Referral, []),
    ("below a delegation", "hidden.cut A", Referral, []),
    ("a missing name below", "nope.cut A", Referral, []),
    ("NS at the cut", "cut NS", Referral, []),
    ("DS is the parent's", "cut DS", Answer, ["cut. 60 DS 1 13 2 " + "a" * 64]),
    ("a CNAME below a cut", "tocut A", Alias, ["tocut. 60 CNAME x.cut."]),
    ("RFC 6672: DNAME", "x.old A", Answer, ["old. 60 DNAME new.", "x.new. 60 A 10.0.0.8", "x.old. 60 CNAME x.new."]),
    ("RFC 6672: the owner", "old A", NoData, []),
    ("the top", " SOA", Answer, [". 60 SOA ns. hostmaster. 7 7200 1800 86400 60"]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "text", "kind", "found"), ROWS)
def test_names(rule: str, text: str, kind: type, found: list[str]) -> None:
    name, rrtype = text.split(" ")
    number = type_number(rrtype)
    assert number is not None
    got = ZONE.lookup(wire_name(f"{name}.example.org" if name else "example.org"), number)

    assert type(got) is kind, rule
    records: tuple[Record, ...] = getattr(got, "records", ())
    short = [
        line.replace("example.org.", "").replace(
            " 60 CNAME www.example.net.", " 60 CNAME www.example.net"
        )
        for line in zone_texts(records)
    ]
    assert sorted(line.lstrip(".") for line in short) == sorted(
        line.lstrip(".") for line in found
    ), rule


def test_addresses_of_name_servers_mail_and_services_go_along() -> None:
    def additional(name: str, rrtype: int) -> list[str]:
        found = ZONE.lookup(wire_name(name), rrtype)
        return zone_texts(found.glue if isinstance(found, Referral) else found.additional)  # type: ignore[union-attr]

    assert additional("example.org", 2) == ["ns.example.org. 60 A 10.0.0.1"]
    assert additional("example.org", 15) == [
        "mail.example.org. 60 A 10.0.0.2",
        "mail.example.org. 60 AAAA fd00::2",
    ]
    assert additional("_srv.example.org", 33) == ["web.example.org. 60 A 10.0.0.3"]
    assert additional("x.cut.example.org", 1) == [
        "ns.cut.example.org. 60 A 10.0.0.6",
        "ns.example.org. 60 A 10.0.0.1",
    ]


def test_a_transfer_has_every_record_once_and_the_soa_first() -> None:
    records = ZONE.records()

    assert records[0].rrtype == 6
    assert sorted(zone_texts(records)) == sorted(
        zone_texts(set(finish(parse(TEXT, ORIGIN, "db", lambda path: b"")).records))
    )
    assert ZONE.serial == 7


def test_a_zone_has_one_soa() -> None:
    with pytest.raises(ValueError, match="0 SOA records at the top"):
        zone_of(b"$TTL 1\na A 10.0.0.1\n")
    with pytest.raises(ValueError, match="2 SOA records at the top"):
        Zone(ORIGIN, [ZONE.soa, replace(ZONE.soa, ttl=1)])


def test_an_soa_of_another_name_makes_a_zone_as_well() -> None:
    """``. { file db.example.org }`` is common, and CoreDNS looks at no owner (file.go Parse)."""
    zone = zone_of(b"$TTL 60\n$ORIGIN sub.example.org.\n@ SOA ns h 9 1 1 1 1\nwww A 10.0.0.1\n")

    assert zone.serial == 9
    assert isinstance(zone.lookup(wire_name("www.sub.example.org"), 1), Answer)
    assert isinstance(zone.lookup(wire_name("nope.example.org"), 1), NoName)
    assert zone_texts(zone.records()[:1]) == [
        "sub.example.org. 60 SOA ns.sub.example.org. h.sub.example.org. 9 1 1 1 1"
    ]


def test_the_top_of_a_zone_is_there_without_any_record() -> None:
    """``10.0.0.1:53 { file db.example.org }``: nothing in the file belongs to the zone."""
    soa = Record(wire_name("example.net"), 6, 5, ZONE.soa.rdata)
    zone = Zone(ORIGIN, [], soa)

    assert isinstance(zone.lookup(wire_name("www.example.org"), 1), NoName)
    assert isinstance(zone.lookup(ORIGIN, 1), NoData)
    assert zone.records() == [soa]


def test_records_beside_a_cname_are_not_seen_but_at_the_top() -> None:
    """CoreDNS plugin/file/lookup.go asks for the CNAME first; dnspython would refuse the file."""
    zone = zone_of(
        b"$TTL 60\n@ SOA ns h 9 1 1 1 1\n@ NS ns\n@ CNAME a\nb A 10.0.0.1\nb CNAME a\na A 10.0.0.2\n"
    )

    def found(name: str, rrtype: int) -> list[str]:
        return zone_texts(getattr(zone.lookup(wire_name(name), rrtype), "records", ()))

    assert found("b.example.org", 1) == [
        "a.example.org. 60 A 10.0.0.2",
        "b.example.org. 60 CNAME a.example.org.",
    ]
    assert found("example.org", 1)[1] == "example.org. 60 CNAME a.example.org."
    assert found("example.org", 2) == ["example.org. 60 NS ns.example.org."]
    assert found("example.org", 6)[0].startswith("example.org. 60 SOA ")


def test_a_zone_of_many_records_of_one_name_is_made_in_one_pass() -> None:
    """Copying the set for each of them would take hours: a primary could stop the server so."""
    many = 100_000
    records = [Record(ORIGIN, 1, 5, number.to_bytes(4, "big")) for number in range(many)]
    found = Zone(ORIGIN, [ZONE.soa, *records]).lookup(ORIGIN, 1)

    assert isinstance(found, Answer)
    assert len(found.records) == many


_NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(".".join)


@given(st.lists(_NAMES, max_size=8), _NAMES)
def test_names_exist_when_they_or_names_below_them_have_records(
    owners: list[str], asked: str
) -> None:
    soa = ZONE.soa
    records = [Record(wire_name(f"{owner}.example.org"), 1, 5, bytes(4)) for owner in owners]
    found = Zone(ORIGIN, [soa, *records]).lookup(wire_name(f"{asked}.example.org"), 1)

    if asked in owners:
        assert isinstance(found, Answer)
    elif any(owner.endswith("." + asked) for owner in owners):
        assert isinstance(found, NoData)
    else:
        assert isinstance(found, NoName)
