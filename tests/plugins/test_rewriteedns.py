"""EDNS options of a query, before and after a rule."""

import dns.edns
import pytest

from svcdns.dns.query import Query, parse
from svcdns.plugins.base import Client, Failed, Request
from svcdns.plugins.commands import Transport
from svcdns.plugins.rewriteedns import EdnsRule
from tests.support.serving import question
from tests.support.wire import edns_option

CLIENT = Client("192.0.2.77", 4000, Transport.TCP, "192.0.2.1", 53)
CLIENT6 = Client("2001:db8::ffff:77", 4000, Transport.UDP, "2001:db8::1", 53)


def request(client: Client = CLIENT, options: list[dns.edns.Option] | None = None) -> Request:
    settings = {"use_edns": 0, "options": options} if options is not None else {}
    query = parse(question("A.example AAAA", **settings))
    assert isinstance(query, Query)
    return Request(query, client, 0.0, lambda request: Failed(2), metadata={"p/label": "x"})


def options(rule: EdnsRule, asked: Request) -> tuple[tuple[int, bytes], ...] | None:
    applied = rule.apply(asked)
    if applied is None:
        return None
    assert applied.query.edns is not None
    return applied.query.edns.options


OLD = [edns_option(0xFFEE, b"old"), edns_option(0xFFEF, b"other")]
OTHER = (0xFFEF, b"other")

ROWS = [
    ("set", [], ((0xFFEE, b"new"),)),
    ("set", OLD, ((0xFFEE, b"new"), OTHER)),
    ("append", [], ((0xFFEE, b"new"),)),
    ("append", OLD, None),
    ("replace", [], None),
    ("replace", OLD, ((0xFFEE, b"new"), OTHER)),
    ("unset", [], None),
    ("unset", OLD, (OTHER,)),
]


@pytest.mark.parametrize(("action", "before", "after"), ROWS)
def test_actions(action: str, before: list[dns.edns.Option], after: object) -> None:
    assert options(EdnsRule(action, 0xFFEE, b"new"), request(options=before)) == after


def test_a_query_without_edns_gets_it() -> None:
    applied = EdnsRule("set", 0xFFEE, b"new").apply(request())

    assert applied is not None
    assert applied.query.edns is not None
    assert applied.query.edns.size == 4096


@pytest.mark.parametrize(
    ("variable", "data"),
    [
        ("qname", b"A.example."),
        ("qtype", b"\x00\x1c"),
        ("client_ip", bytes((192, 0, 2, 77))),
        ("server_ip", bytes((192, 0, 2, 1))),
        ("client_port", b"\x0f\xa0"),
        ("server_port", b"\x00\x35"),
        ("protocol", b"tcp"),
        ("p/label", b"x"),
    ],
)
def test_variables(variable: str, data: bytes) -> None:
    assert options(EdnsRule("set", 0xFFEE, variable=variable), request()) == ((0xFFEE, data),)


def test_a_label_that_nobody_gave_leaves_the_query_alone() -> None:
    assert EdnsRule("set", 0xFFEE, variable="p/none").apply(request()) is None


@pytest.mark.parametrize(
    ("client", "data"),
    [
        (CLIENT, bytes((0, 1, 24, 0, 192, 0, 2))),
        (CLIENT6, bytes((0, 2, 56, 0, 0x20, 1, 0x0D, 0xB8, 0, 0, 0))),
    ],
)
def test_the_subnet_is_the_clients(client: Client, data: bytes) -> None:
    rule = EdnsRule("set", 8, subnet=(24, 56))
    applied = rule.apply(request(client))

    assert options(rule, request(client)) == ((8, data),)
    assert applied is not None
    assert applied.per_client
    # read back by somebody else
    ecs = dns.edns.ECSOption.from_wire_parser(dns.edns.OptionType.ECS, dns.wire.Parser(data))
    assert isinstance(ecs, dns.edns.ECSOption)
    assert ecs.srclen in (24, 56)
