import dns.message
import pytest

from svcdns.corefile.parser import parse
from svcdns.dns.response import Record, Response
from svcdns.errors import CorefileError
from svcdns.metrics import Registry
from svcdns.plugins import acl, view
from svcdns.plugins.base import Client, Rendered, Reply, Storable
from svcdns.plugins.commands import Transport
from svcdns.plugins.server import Server
from tests.support.corefile import Outside, directives, set_up
from tests.support.records import wire_name
from tests.support.serving import CLIENT, always, answer, question, rows, server_of

RECORD = Record(wire_name("a.test"), 1, 5, bytes((10, 0, 0, 1)))


def serving(text: str, registry: Registry | None = None, zones: tuple[str, ...] = (".",)) -> Server:
    outside = Outside(registry=registry or Registry(), zones=zones)
    plugin = acl.setup(directives(text), outside.context())
    reply = Reply(Response(answer=(RECORD,)), "forward", Storable())
    return server_of([plugin, always(reply)], registry=outside.registry)


def verdict(server: Server, asked: str, address: str) -> str:
    outcome = server.respond(question(asked), Client(address, 40000), 0.0)
    assert isinstance(outcome, Rendered)
    messages = [dns.message.from_wire(wire) for wire in outcome.wires]
    if not messages:
        return "drop"
    rcode, _, found, _, _ = rows(messages[0])
    return {("NOERROR", 1): "allow", ("NOERROR", 0): "filter", ("REFUSED", 0): "block"}[
        rcode, len(found)
    ]


VERDICTS = [
    ("nothing fits", "acl", "a.test A", "192.0.2.1", "allow"),
    ("a bare action", "acl {\nblock\n}", "a.test A", "192.0.2.1", "block"),
    ("a bare action, IPv6", "acl {\nblock\n}", "a.test A", "2001:db8::1", "block"),
    ("filter", "acl {\nfilter\n}", "a.test A", "192.0.2.1", "filter"),
    ("drop", "acl {\ndrop\n}", "a.test A", "192.0.2.1", "drop"),
    ("any case", "acl {\nBLOCK TYPE A NET *\n}", "a.test A", "192.0.2.1", "block"),
    ("type", "acl {\nblock type A\n}", "a.test A", "192.0.2.1", "block"),
    ("other type", "acl {\nblock type A AAAA\n}", "a.test MX", "192.0.2.1", "allow"),
    ("type ANY is a type (185)", "acl {\nblock type ANY net *\n}", "a.test A", "192.0.2.1", "allow"),
    ("type ANY (185)", "acl {\nblock type ANY net *\n}", "a.test ANY", "192.0.2.1", "block"),
    ("all types", "acl {\nblock type A *\n}", "a.test MX", "192.0.2.1", "block"),
    ("net", "acl {\nblock net 192.0.2.0/24\n}", "a.test A", "192.0.2.255", "block"),
    ("other net", "acl {\nblock net 192.0.2.0/24\n}", "a.test A", "192.0.3.0", "allow"),
    ("host bits", "acl {\nblock net 192.0.2.77/24\n}", "a.test A", "192.0.2.1", "block"),
    ("one address", "acl {\nblock net 192.0.2.1\n}", "a.test A", "192.0.2.1", "block"),
    ("IPv6 net", "acl {\nblock net 2001:db8::/32\n}", "a.test A", "2001:db8::1", "block"),
    ("IPv6 is not IPv4", "acl {\nblock net 0.0.0.0/0\n}", "a.test A", "::1", "allow"),
    ("mapped IPv4", "acl {\nblock net 192.0.2.0/24\n}", "a.test A", "::ffff:192.0.2.1", "block"),
    ("IPv6 with a zone", "acl {\nblock net fe80::/10\n}", "a.test A", "fe80::1%eth0", "block"),
    ("type and net", "acl {\nblock type A net 192.0.2.0/24\n}", "a.test MX", "192.0.2.1", "allow"),
    ("net before type", "acl {\nblock net 192.0.2.0/24 type A\n}", "a.test A", "192.0.2.1", "block"),
    ("the first line decides", "acl {\nallow net 192.0.2.0/28\nblock net 192.0.2.0/24\n}",
     "a.test A", "192.0.2.1", "allow"),
    ("the second line", "acl {\nallow net 192.0.2.0/28\nblock net 192.0.2.0/24\n}",
     "a.test A", "192.0.2.99", "block"),
    ("a zone", "acl example.net {\nblock\n}", "A.Example.NET A", "192.0.2.1", "block"),
    ("another zone", "acl example.net {\nblock\n}", "a.test A", "192.0.2.1", "allow"),
    ("the next directive", "acl example.net {\nblock\n}\nacl {\nfilter\n}", "a.test A", "192.0.2.1", "filter"),
    ("allow ends it", "acl test {\nallow\n}\nacl {\nblock\n}", "a.test A", "192.0.2.1", "allow"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "text", "asked", "address", "found"), VERDICTS)
def test_the_first_line_that_fits_decides(
    rule: str, text: str, asked: str, address: str, found: str
) -> None:
    assert verdict(serving(text), asked, address) == found, rule


def test_the_zones_of_the_block_are_the_default() -> None:
    server = serving("acl {\nblock\n}", zones=("example.net",))

    assert verdict(server, "a.test A", "192.0.2.1") == "allow"
    assert verdict(server, "a.example.net A", "192.0.2.1") == "block"


@pytest.mark.parametrize(("action", "code"), [("block", 15), ("filter", 17)])
def test_who_speaks_edns_is_told_why(action: str, code: int) -> None:
    """RFC 8914."""
    server = serving(f"acl {{\n{action}\n}}")
    told = answer(server, "a.test A", use_edns=0)

    assert [(option.otype, int(option.code)) for option in told.options] == [(15, code)]
    assert answer(server, "a.test A").edns == -1


def test_nothing_is_stored_because_the_next_client_may_not_be_allowed() -> None:
    server = serving("acl {\nblock net 192.0.2.0/24\n}")

    assert verdict(server, "a.test A", "198.51.100.1") == "allow"
    assert verdict(server, "a.test A", "192.0.2.1") == "block"
    assert not server.table(Transport.UDP, "1").entries


def test_verdicts_are_counted_under_coredns_names() -> None:
    registry = Registry()
    text = "acl example.net a.example.net {\nblock type A\nfilter type MX\ndrop type TXT\n}"
    server = serving(text, registry)
    for asked in (
        "b.a.example.net A",
        "x.example.net MX",
        "example.net TXT",
        "a.test A",
        "a.test A",
    ):
        verdict(server, asked, "192.0.2.1")

    assert {
        name: {labels: cell.value for labels, cell in family.cells.items()}
        for name, family in registry.families.items()
        if name.startswith("coredns_acl_")
    } == {
        "coredns_acl_blocked_requests_total": {("dns://:53", "a.example.net.", ""): 1},
        "coredns_acl_filtered_requests_total": {("dns://:53", "example.net.", ""): 1},
        "coredns_acl_dropped_requests_total": {("dns://:53", "example.net.", ""): 1},
        "coredns_acl_allowed_requests_total": {("dns://:53", ""): 2},
    }


def test_the_view_of_the_block_is_a_label() -> None:
    outside = Outside()
    plugin = acl.setup(directives("acl"), outside.context())
    plugin.meet([view.setup(directives("view internal"), outside.context()), plugin])
    answer(server_of([plugin, always(Reply(Response()))]), "a.test A", CLIENT)

    family = outside.registry.families["coredns_acl_allowed_requests_total"]
    assert list(family.cells) == [("dns://:53", "internal")]


def test_the_corpus_directives_are_read() -> None:
    """Corpus 185."""
    text = ". {\nacl {\nallow\n}\nacl a {\nblock type ANY net *\n}\n}"
    (block,) = parse(text, "Corefile", {}, lambda *_: None, print)

    acl.setup(block.directives, Outside().context())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("acl {\ndeny\n}", "unexpected token 'deny'; expect one of allow, block, filter, drop"),
        ("acl {\nblock A\n}", "unexpected token 'A'; expect 'type | net'"),
        ("acl {\nblock type\n}", "no token specified in 'type' section"),
        ("acl {\nblock type A net\n}", "no token specified in 'net' section"),
        ("acl {\nblock type NOPE\n}", "unexpected token 'NOPE'; expect legal QTYPE"),
        ("acl {\nblock net 300.0.0.1\n}", "illegal CIDR notation '300.0.0.1'"),
        ("acl {\nblock net 10.0.0.0/33\n}", "illegal CIDR notation"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(CorefileError) as caught:
        set_up(acl.setup, text)
    assert message in str(caught.value)
