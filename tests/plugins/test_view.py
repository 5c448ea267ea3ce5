"""Views: which block a query goes to."""

import pytest

from svcdns.corefile.parser import parse
from svcdns.dns.query import Query
from svcdns.dns.query import parse as parse_query
from svcdns.errors import CorefileError
from svcdns.metrics import Registry
from svcdns.plugins import view
from svcdns.plugins.base import Client, Failed, Request
from svcdns.plugins.build import Configuration, Environment, build
from svcdns.plugins.clusters import Clusters
from svcdns.plugins.commands import Transport
from svcdns.plugins.view import view_of
from tests.support.corefile import Outside, directives, set_up
from tests.support.serving import answer, question, rows

CLIENT = Client("10.1.2.3", 40000, Transport.UDP, "10.0.0.10", 5353)
IPV6 = Client("2001:db8::1", 40000, Transport.TCP, "2001:db8::53", 53)


def request(text: str = "A.Example.NET A", client: Client = CLIENT, **settings: object) -> Request:
    query = parse_query(question(text, **settings))
    assert isinstance(query, Query)
    return Request(query, client, 0.0, lambda _request: Failed(2))


def admits(expression: str, asked: Request | None = None) -> bool:
    plugin = view.setup(directives(f"view v {{\nexpr {expression}\n}}"), Outside().context())
    return plugin.admits(asked or request())


TRUE = [
    "name() == 'a.example.net.'",
    "type() == 'A' and class() == 'IN'",
    "type() in ['A', 'AAAA']",
    "client_ip() == '10.1.2.3' && port() == '40000'",
    "server_ip() == '10.0.0.10' && server_port() == '5353'",
    "proto() == 'udp'",
    "opcode() == 0",
    "id() >= 0 and id() < 65536",
    "size() == 31",
    "bufsize() == 512",
    "not do()",
    "incidr(client_ip(), '10.0.0.0/8')",
    "!incidr(client_ip(), '192.168.0.0/16')",
    "name() matches '^a\\\\..*\\\\.net\\\\.$'",
    "name() endsWith '.net.'",
    "metadata('a/b') == ''",
    "(type() == 'MX' || name() startsWith 'a.') && true",
]


@pytest.mark.parametrize("expression", TRUE)
def test_expressions_know_the_query(expression: str) -> None:
    assert admits(expression)
    assert not admits(f"not ({expression})")


@pytest.mark.parametrize(
    "expression",
    [
        "client_ip() == '[2001:db8::1]'",
        "server_ip() == '[2001:db8::53]'",
        "incidr(client_ip(), '2001:db8::/32')",
        "incidr('fe80::1%eth0', 'fe80::/10')",
        "proto() == 'tcp'",
        "bufsize() == 65535",
        "do()",
    ],
)
def test_expressions_know_queries_over_tcp_and_ipv6(expression: str) -> None:
    assert admits(expression, request(client=IPV6, use_edns=0, want_dnssec=True))


@pytest.mark.parametrize(
    "expression",
    [
        "incidr(name(), '10.0.0.0/8')",
        "incidr(client_ip(), '10.0.0.0')",
        "incidr(client_ip(), '10.0.0.0/99')",
        "incidr(client_ip(), 'here/8')",
        "1 % 0 == 1",
        "name() matches ('(' + type())",
        "nil",
        "int(name()) == 1",
    ],
)
def test_an_expression_that_fails_is_not_true(expression: str) -> None:
    assert not admits(expression)


def test_all_expressions_must_be_true_and_without_any_they_are() -> None:
    def plugin(*lines: str) -> view.View:
        text = "view v {\n" + "\n".join(f"expr {line}" for line in lines) + "\n}"
        return view.setup(directives(text), Outside().context())

    assert plugin("true", "type() == 'A'").admits(request())
    assert not plugin("true", "type() == 'MX'").admits(request())
    assert plugin().admits(request())


COREFILE = """
. {
    metadata
    view inside {
        expr incidr(client_ip(), '127.0.0.0/8')
    }
    hosts none.hosts {
        10.1.1.1 test
        ttl 5
    }
}
. {
    metadata
    view named {
        expr metadata('view/name') == 'named' and type() in ['A', 'TXT']
        expr not (name() startsWith 'x.')
    }
    hosts none.hosts {
        10.2.2.2 test
        ttl 5
    }
}
. {
    hosts none.hosts {
        10.3.3.3 test x.test
        ttl 5
    }
}
"""


def built(text: str = COREFILE) -> Configuration:
    def read(path: str) -> bytes:
        raise FileNotFoundError(path)

    def panic(asked: str, error: Exception) -> None:
        raise error

    nothing = list[object]().append
    environment = Environment(
        registry=Registry(), clusters=Clusters(lambda: 0.0), read=read, random=lambda: 0.0,
        clock=lambda: 0.0, wall=lambda: 0.0, warn=nothing, write=nothing, panic=panic, spawn=nothing,
    )  # fmt: skip
    return build(parse(text, "Corefile", {}, lambda *_: None, nothing), environment)


def test_the_first_block_whose_view_takes_the_query_answers() -> None:
    """J6."""
    (server,) = built().servers

    def asked(text: str, address: str) -> list[str]:
        return [row.split()[-1] for row in rows(answer(server, text, Client(address, 1)))[2]]

    assert asked("test A", "192.0.2.1") == ["10.2.2.2"]
    assert asked("test A", "127.0.0.1") == ["10.1.1.1"]
    assert asked("test A", "192.0.2.1") == ["10.2.2.2"], "the answer to another client was stored"
    assert asked("x.test A", "192.0.2.1") == ["10.3.3.3"]


def test_the_view_is_a_label_of_metrics_and_no_link_of_the_chain() -> None:
    configuration = built()
    (server,) = configuration.servers
    answer(server, "test A", Client("127.0.0.1", 1))
    configuration.registry.collect()

    family = configuration.registry.families["coredns_dns_requests_total"]
    assert [labels[2] for labels in family.cells] == ["inside"]
    assert [block.view for block in server.blocks] == ["inside", "named", ""]
    assert "view" not in [plugin.name for plugin in server.blocks[0].plugins]
    assert view_of(configuration.plugins) == "inside"
    assert view_of(server.blocks[2].plugins) == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("view", "Wrong argument count"),
        ("view a b", "Wrong argument count"),
        ("view a\nview b", "can only be used once"),
        ("view a {\nexpr\n}", "Wrong argument count"),
        ("view a {\nname b\n}", "unknown property 'name'"),
        ("view a {\nexpr name() ==\n}", "unexpected end of expression at column 10"),
        ("view a {\nexpr nome() == 'a'\n}", "unknown name nome at column 1"),
        ("view a {\nexpr name() == 1\n}", "the types do not fit"),
        ("view a {\nexpr incidr(client_ip())\n}", "expected incidr(string, string)"),
        ("view a {\nexpr name() matches '('\n}", "bad regular expression"),
        ("view a {\nexpr name()\n}", "gives string, expected bool"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(CorefileError) as caught:
        set_up(view.setup, text)
    assert message in str(caught.value)
    assert str(caught.value).startswith("Corefile:")
