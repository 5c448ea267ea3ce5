import pytest

from svcdns.dns.constants import RRType
from svcdns.dns.query import Edns, Query
from svcdns.dns.response import Record, Response
from svcdns.plugins.base import Client, Request
from svcdns.plugins.commands import Transport
from svcdns.plugins.logformat import COMBINED, COMMON, Entry, classify, compile_format
from tests.support.records import wire_name

NAME = wire_name("Web.prod.svc.cluster.local")
SOA = Record(wire_name("cluster.local"), RRType.SOA, 5, b"x" * 30)
ADDRESS = Record(NAME, RRType.A, 5, bytes(4))


def request(
    *,
    flags: int = 0x0100,
    edns: Edns | None = None,
    transport: Transport = Transport.UDP,
    address: str = "10.1.0.7",
    qtype: int = 1,
    qclass: int = 1,
    metadata: dict[str, str] | None = None,
) -> Request:
    query = Query(4711, flags, NAME, qtype, qclass, edns, NAME.lower(), 54)
    client = Client(address, 41234, transport, "10.96.0.10")
    return Request(query, client, 0.0, lambda _request: Response(), b"\0", metadata)  # type: ignore[arg-type,return-value]


def line(text: str, asked: Request, response: Response | None, seconds: float = 0.000132) -> str:
    return compile_format(text)(Entry(asked, response, seconds))


def test_the_common_format() -> None:
    """Corefile-features f: the example."""
    response = Response(answer=(ADDRESS,), aa=True)

    assert line(COMMON, request(), response) == (
        '10.1.0.7:41234 - 4711 "A IN web.prod.svc.cluster.local. udp 54 false 512"'
        " NOERROR qr,aa,rd 86 0.000132s"
    )


def test_a_query_that_nobody_answered() -> None:
    assert line(COMMON, request(), None, 2.0) == (
        '10.1.0.7:41234 - 4711 "A IN web.prod.svc.cluster.local. udp 54 false 512" - - 0 2s'
    )


@pytest.mark.parametrize(
    ("text", "asked", "expected"),
    [
        ("{remote}", request(address="fd00::7"), "[fd00::7]"),
        ("{local}", request(), "10.96.0.10"),
        ("{proto} {>bufsize}", request(transport=Transport.TCP), "tcp 65535"),
        ("{proto} {>bufsize}", request(transport=Transport.TLS), "tcp 65535"),
        ("{>bufsize} {>do}", request(edns=Edns(1232, do=True)), "1232 true"),
        ("{>bufsize}", request(edns=Edns(100)), "512"),
        ("{type} {class}", request(qtype=65535, qclass=3), "TYPE65535 CH"),
        ("{>opcode}", request(flags=0x2000), "4"),
        ("{nothing} {} {>x}", request(), "{nothing} {} {>x}"),
        ("{/kubernetes/namespace}", request(), "-"),
        (
            "{/kubernetes/namespace}",
            request(metadata={"kubernetes/namespace": "prod"}),
            "prod",
        ),
        ("{combined}", request(), None),
        ("no placeholder", request(), "no placeholder"),
        ("{{name}}", request(), "{web.prod.svc.cluster.local.}"),
    ],
)
def test_placeholders(text: str, asked: Request, expected: str | None) -> None:
    if expected is None:
        expected = line(COMBINED, asked, Response())
    assert line(text, asked, Response()) == expected


@pytest.mark.parametrize(
    ("response", "flags", "expected"),
    [
        (Response(), 0x0100, "qr,rd"),
        (Response(aa=True, tc=True, ra=True, ad=True), 0x0110, "qr,aa,tc,rd,ra,ad,cd"),
        (Response(), 0x0000, "qr"),
        (Response(), 0x2100, "qr"),
        (Response(rd=False, cd=True), 0x0100, "qr,cd"),
        (Response(rd=True, cd=False), 0x0010, "qr,rd"),
    ],
)
def test_flags(response: Response, flags: int, expected: str) -> None:
    assert line("{>rflags}", request(flags=flags), response) == expected


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0s"),
        (1e-9, "0.000000001s"),
        (2.5, "2.5s"),
        (-1.0, "0s"),
        (0.000132436, "0.000132436s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert line("{duration}", request(), Response(), seconds) == text


def test_an_rcode_without_a_name_is_a_number() -> None:
    assert line("{rcode}", request(), Response(rcode=13)) == "13"


@pytest.mark.parametrize(
    ("why", "response", "expected"),
    [
        ("records", Response(answer=(ADDRESS,)), "success"),
        ("a delegation", Response(authority=(Record(NAME, RRType.NS, 5, NAME),)), "success"),
        ("nothing at all", Response(), "success"),
        ("NODATA", Response(authority=(SOA,)), "denial"),
        ("NXDOMAIN", Response(rcode=3, authority=(SOA,)), "denial"),
        ("NXDOMAIN without SOA", Response(rcode=3), "error"),
        ("SERVFAIL", Response(rcode=2), "error"),
        ("REFUSED with SOA", Response(rcode=5, authority=(SOA,)), "error"),
        ("nobody answered", None, "error"),
    ],
)
def test_classes(why: str, response: Response | None, expected: str) -> None:
    assert classify(request(), response) == expected


def test_transfers_and_notifies_are_of_no_class_but_error() -> None:
    assert classify(request(qtype=RRType.AXFR), Response(answer=(ADDRESS,))) == "error"
    assert classify(request(flags=0x2000), Response(answer=(ADDRESS,))) == "error"
