"""What queries have in common; dnspython says what they mean."""

import dns.edns
import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.dns import rdata
from svcdns.dns.alike import (
    adapt,
    capitals,
    case_free,
    common,
    plain_name,
    repeats_zone,
    respell,
)
from svcdns.dns.response import Record, Response
from tests.support.records import wire_name
from tests.support.serving import question
from tests.support.wire import edns_option

NAME = "web.prod.svc.cluster.local."
COOKIE = b"\1\2\3\4\5\6\7\x08"


def option(code: int, data: bytes) -> dns.edns.Option:
    return edns_option(code, data)


def packet(name: str = NAME, *options: dns.edns.Option, **settings: object) -> bytes:
    """A query without its ID."""
    if options:
        settings |= {"use_edns": 0, "options": list(options)}
    return question(f"{name} A", **settings)[2:]


PLAIN = packet()
WITH_ZEROS = packet(NAME, option(10, bytes(8)))

SAME = [
    ("nothing of its own", PLAIN, PLAIN, 0),
    ("0x20", packet("wEb.PROD.svc.cluster.Local."), PLAIN, 0),
    ("RFC 7873 a cookie", packet(NAME, option(10, COOKIE)), WITH_ZEROS, 8),
    ("0x20 and a cookie", packet(NAME.upper(), option(10, COOKIE)), WITH_ZEROS, 8),
    (
        "RFC 7873 §4: the server's cookie, too",
        packet(NAME, option(10, COOKIE * 5)),
        packet(NAME, option(10, bytes(40))),
        40,
    ),
]


@pytest.mark.parametrize(("rule", "query", "key", "cookie"), SAME)
def test_queries_share_what_is_left_without_spelling_and_cookie(
    rule: str, query: bytes, key: bytes, cookie: int
) -> None:
    found, end, octets = common(query)

    assert (found, octets) == (key, cookie), rule
    assert bool(end) is (query[10:37] != query[10:37].lower())
    if end:
        assert query[end] == 0
    assert common(found) == (found, 0, cookie)


KEPT = [
    ("other flags", packet(rd=False)),
    ("DO", packet(want_dnssec=True)),
    ("another size", packet(use_edns=0, payload=512)),
    ("RFC 7873 §4: longer than any cookie", packet(NAME, option(10, bytes(41)))),
    ("a cookie of no octets", packet(NAME, option(10, b""))),
    ("an option beside the cookie", packet(NAME, option(10, COOKIE), option(3, b""))),
    ("a cookie behind another option", packet(NAME, option(12, b"\0"), option(10, COOKIE))),
    ("another option", packet(NAME, option(8, b"\0\1\x18\0\n\0\0"))),
    ("octets behind the last record", packet(NAME, option(10, COOKIE)) + b"\1"),
    ("the header counts no OPT", b"\1\0\0\1\0\0\0\0\0\0" + packet(NAME, option(10, COOKIE))[10:]),
    ("the header counts two", b"\1\0\0\1\0\0\0\0\0\2" + packet(NAME, option(10, COOKIE))[10:]),
]


@pytest.mark.parametrize(("rule", "query"), KEPT)
def test_what_makes_another_question_is_kept(rule: str, query: bytes) -> None:
    assert common(query) == (query, 0, 0), rule
    assert query not in (PLAIN, WITH_ZEROS)


def test_a_packet_cut_at_any_octet_is_left_alone() -> None:
    whole = packet(NAME.upper(), option(10, COOKIE))
    for size in range(len(whole)):
        key, _end, cookie = common(whole[:size])
        assert key.lower() == whole[:size].lower()
        assert not cookie


@given(st.binary(max_size=120))
def test_no_packet_of_any_content_fails(query: bytes) -> None:
    key, end, cookie = common(query)

    assert len(key) == len(query)
    assert end <= len(query)
    assert cookie <= 40


@pytest.mark.parametrize("name", [NAME, "WEB.prod.svc.cluster.LOCAL."])
@pytest.mark.parametrize("options", [(), (option(10, COOKIE),)])
def test_an_answer_gets_the_name_and_the_cookie_of_its_query(
    name: str, options: tuple[dns.edns.Option, ...]
) -> None:
    query = packet(name, *options)
    key, end, cookie = common(query)
    asked = dns.message.from_wire(b"\0\7" + key)
    made = dns.message.make_response(asked)
    if cookie:
        made.use_edns(0, options=[option(10, bytes(cookie))])
    made.answer.append(dns.rrset.from_text(asked.question[0].name, 5, "IN", "A", "10.0.0.1"))

    answer = made.to_wire()[2:]
    found = dns.message.from_wire(
        b"\0\7" + (adapt(answer, query, end, cookie) if end or cookie else answer)
    )

    assert found.question[0].name.to_text() == name
    assert found.answer[0].to_text() == f"{name} 5 IN A 10.0.0.1"
    assert [one.to_wire() for one in found.options] == [COOKIE] * len(options)


def test_a_zero_octet_inside_a_name_is_told() -> None:
    assert plain_name(wire_name(NAME))
    assert plain_name(b"\0")
    assert not plain_name(b"\3a\0b\0")


BELOW = wire_name("svc.cluster.local")


@pytest.mark.parametrize(
    ("rule", "spelt", "asked", "found"),
    [
        ("A7", "WEB.SVC.CLUSTER.LOCAL", "wEb.SvC.cLuster.local", "a.svc.cLuster.local"),
        ("A7 back", "web.sVc.cluster.locaL", "WEB.SVC.CLUSTER.LOCAL", "a.svc.CLUSTER.LOCAL"),
        ("RFC 1035 §4.1.4 more is alike", "WEB.SVC.cluster.local", "Web.svc.cluster.local", None),
        ("RFC 1035 §4.1.4 more was alike", "Web.svc.cluster.local", "WEB.SVC.cluster.local", None),
    ],
)
def test_names_in_an_answer_get_the_zone_of_the_question(
    rule: str, spelt: str, asked: str, found: str | None
) -> None:
    zone = wire_name(spelt)[-len(wire_name("cluster.local")) :]
    first, second = packet(spelt), packet(asked)
    behind = b"<" + wire_name("a.svc")[:-1] + zone + b"|" + zone + b">"
    got = respell(first + behind, second, common(first)[1], len(BELOW))
    if found is None:
        assert got is None, rule
    else:
        name = wire_name(found)
        assert got == first + b"<" + name + b"|" + name[len(b"\1a\3svc") :] + b">", rule


def test_capitals_are_for_the_name_alone() -> None:
    asked = packet("wEb.prod.svc.cluster.local", option(10, b"cookiesa"))
    end = common(asked)[1]
    assert capitals(asked, end) == packet(NAME.upper(), option(10, b"cookiesa"))


SRV_NAME = wire_name("_http._tcp.web.prod.svc.cluster.local")
SRV = Record(SRV_NAME, 33, 5, rdata.srv(0, 1, 80, wire_name("web.prod.svc.cluster.local")))
GLUE = Record(wire_name("web.prod.svc.cluster.local"), 1, 5, bytes(4))
ODD = wire_name("CLUSTER.local") + b"\1"


@pytest.mark.parametrize(
    ("rule", "response", "repeats", "found"),
    [
        ("C6", Response(answer=(SRV, SRV), additional=(GLUE,)), len(BELOW), True),
        ("C6 nobody said so", Response(answer=(SRV,), additional=(GLUE,)), 0, False),
        (
            "E1 an alias points where it wants",
            Response(answer=(Record(SRV_NAME, 5, 5, SRV_NAME), SRV)),
            len(BELOW),
            False,
        ),
        ("A3", Response(authority=(Record(b"\0", 6, 5, b""),)), len(BELOW), False),
        (
            "an address that reads like the zone",
            Response(answer=(SRV,), additional=(Record(GLUE.owner, 28, 5, ODD),)),
            len(BELOW),
            False,
        ),
    ],
)
def test_a_zone_is_found_only_where_names_end(
    rule: str, response: Response, repeats: int, found: bool
) -> None:
    assert repeats_zone(SRV_NAME, response, repeats) is found, rule


def denial(zone: str, server: str = "ns.dns.", contact: str = "hostmaster.") -> Response:
    names = (wire_name(f"{server}{zone}"), wire_name(f"{contact}{zone}"))
    soa = Record(wire_name(zone), 6, 30, rdata.soa(*names, 1, 7200, 1800, 86400, 30))
    return Response(3, authority=(soa,))


SPELLINGS = [
    (
        "A7 an address",
        "web.prod.svc.cluster.local.",
        Response(answer=(Record(b"", 1, 5, b""),)),
        True,
    ),
    (
        "A7 a target",
        "web.prod.svc.cluster.local.",
        Response(answer=(Record(b"", 33, 5, b""),)),
        False,
    ),
    ("A3 a denial", "web.prod.svc.cluster.local.", denial("cluster.local."), True),
    ("A3 at the apex", "cluster.local.", denial("Cluster.Local."), True),
    ("F14 below the name server", "x.dns.cluster.local.", denial("cluster.local."), False),
    ("F14 the name server", "ns.dns.cluster.local.", denial("CLUSTER.local."), False),
    ("below the contact", "hostmaster.cluster.local.", denial("cluster.local."), False),
    ("below the root's server", "www.net.", denial(".", "a.root.net", "x.com"), False),
    ("the root's denial", "www.org.", denial(".", "a.root.net", "x.com"), True),
    ("a zone that is no zone of the name", "web.test.", denial("example."), False),
]


@pytest.mark.parametrize(("rule", "name", "response", "free"), SPELLINGS)
def test_an_answer_serves_every_spelling_if_it_shares_only_the_zone_with_the_question(
    rule: str, name: str, response: Response, free: bool
) -> None:
    assert case_free(wire_name(name), response) is free, rule
