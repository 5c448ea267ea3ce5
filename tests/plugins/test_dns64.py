from ipaddress import ip_address

import pytest

from svcdns.dns.constants import Rcode
from svcdns.dns.response import Record, Response
from svcdns.errors import CorefileError
from svcdns.metrics import Registry
from svcdns.plugins import dns64
from svcdns.plugins.base import (
    Ask,
    Client,
    Failed,
    Handler,
    Outcome,
    Rendered,
    Reply,
    Request,
    Storable,
)
from svcdns.plugins.commands import Delay, Transport
from svcdns.plugins.server import Server
from svcdns.zones.records import soa
from tests.support.corefile import Outside, directives, set_up
from tests.support.records import wire_name
from tests.support.serving import CLIENT, Scripted, answer, question, rows, server_of

IPV6 = Client("2001:db8::1", 40000)
NAME = wire_name("a.test")


def a(number: int = 1, ttl: int = 300) -> Record:
    return Record(NAME, 1, ttl, bytes((192, 0, 2, number)))


def aaaa() -> Record:
    return Record(NAME, 28, 300, bytes.fromhex("20010db8" + "00" * 11 + "99"))


def nodata(ttl: int = 60, rcode: int = Rcode.NOERROR) -> Response:
    return Response(rcode, authority=(soa(wire_name("test"), ttl=ttl, serial=1),), aa=True)


EMPTY = Response()


def serving(
    text: str,
    on_aaaa: Outcome | Response = EMPTY,
    on_a: Outcome | Response | None = None,
    registry: Registry | None = None,
) -> Server:
    outside = Outside(registry=registry or Registry())

    def upstream(request: Request, proceed: Handler) -> Outcome:
        found = on_aaaa if request.query.qtype == 28 else on_a
        if found is None:
            found = Response(answer=(a(),))
        return Reply(found, "forward") if isinstance(found, Response) else found

    plugin = dns64.setup(directives(text), outside.context())
    return server_of([plugin, Scripted(upstream)], registry=outside.registry)


def addresses(server: Server, asked: str = "a.test AAAA", client: Client = IPV6) -> list[str]:
    return [row.split(maxsplit=4)[-1] for row in rows(answer(server, asked, client))[2]]


PREFIXES = [
    ("dns64", "64:ff9b::c000:201"),
    ("dns64 64:1337::/96", "64:1337::c000:201"),
    ("dns64 {\nprefix 64:1337::/96\n}", "64:1337::c000:201"),
    ("dns64 64:1337::/96 {\nallow_ipv4\n}", "64:1337::c000:201"),
    ("dns64 2001:db8::/32", "2001:db8:c000:201::"),
    ("dns64 2001:db8:100::/40", "2001:db8:1c0:2:1::"),
    ("dns64 2001:db8:122::/48", "2001:db8:122:c000:2:100::"),
    ("dns64 2001:db8:122:300::/56", "2001:db8:122:3c0:0:201::"),
    ("dns64 2001:db8:122:344::/64", "2001:db8:122:344:c0:2:100::"),
    ("dns64 2001:db8:122:344::/96", "2001:db8:122:344::c000:201"),
]


@pytest.mark.parametrize(("text", "address"), PREFIXES)
def test_addresses_are_put_behind_the_prefix(text: str, address: str) -> None:
    """RFC 6052 §2.2 and its examples of §2.4, with 192.0.2.1."""
    (found,) = addresses(serving(text))

    assert ip_address(found) == ip_address(address)


CASES = [
    ("RFC 6147 §5.1.1 there is AAAA", "dns64", Response(answer=(aaaa(),)), ["2001:db8::99"]),
    ("translate_all", "dns64 {\ntranslate_all\n}", Response(answer=(aaaa(),)), ["64:ff9b::c000:201"]),
    ("RFC 6147 §5.1.2 no such name", "dns64", nodata(rcode=Rcode.NXDOMAIN), []),
    ("NODATA", "dns64", nodata(), ["64:ff9b::c000:201"]),
    ("an upstream's error", "dns64", Response(Rcode.SERVFAIL), ["64:ff9b::c000:201"]),
    ("nobody answered", "dns64", Failed(Rcode.SERVFAIL), []),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "text", "on_aaaa", "found"), CASES)
def test_only_names_without_addresses_are_translated(
    rule: str, text: str, on_aaaa: Outcome | Response, found: list[str]
) -> None:
    assert addresses(serving(text, on_aaaa)) == found, rule


def test_other_questions_pass() -> None:
    assert addresses(serving("dns64"), "a.test A") == ["192.0.2.1"]
    assert addresses(serving("dns64"), client=CLIENT) == []
    assert addresses(serving("dns64 {\nallow_ipv4\n}"), client=CLIENT) == ["64:ff9b::c000:201"]


@pytest.mark.parametrize(
    ("on_aaaa", "ttl", "found"),
    [(nodata(60), 300, 60), (nodata(60), 30, 30), (EMPTY, 7200, 600), (EMPTY, 5, 5)],
)
def test_made_addresses_live_no_longer_than_the_denial(
    on_aaaa: Response, ttl: int, found: int
) -> None:
    """RFC 6147 §5.1.7."""
    server = serving("dns64", on_aaaa, Response(answer=(a(ttl=ttl),)))

    assert rows(answer(server, "a.test AAAA", IPV6))[2][0].split()[1] == str(found)


def test_aliases_and_additional_records_stay() -> None:
    """RFC 6147 §5.3."""
    cname = Record(wire_name("www.test"), 5, 30, NAME)
    extra = Record(wire_name("b.test"), 1, 30, bytes((192, 0, 2, 9)))
    found = Response(answer=(cname, a(1), a(2)), additional=(extra,), aa=True, ra=True)
    result = rows(answer(serving("dns64", nodata(), found), "www.test AAAA", IPV6))

    assert result[1] == "qr rd"
    assert result[2] == [
        "a.test. 60 IN AAAA 64:ff9b::c000:201",
        "a.test. 60 IN AAAA 64:ff9b::c000:202",
        "www.test. 30 IN CNAME a.test.",
    ]
    assert (result[3], result[4]) == ([], ["b.test. 30 IN A 192.0.2.9"])


@pytest.mark.parametrize("on_a", [nodata(5), Failed(Rcode.SERVFAIL), EMPTY])
def test_without_a_records_the_denial_stands(on_a: Outcome | Response) -> None:
    """RFC 6147 §5.1.6."""
    result = rows(answer(serving("dns64", nodata(60), on_a), "a.test AAAA", IPV6))

    assert result[:3] == ("NOERROR", "qr aa rd", [])
    assert result[3][0].startswith("test. 60 IN SOA")


def test_waiting_for_either_answer_changes_nothing() -> None:
    def late(response: Response) -> Ask:
        return Ask(Delay(1.0), lambda result, now: Reply(response, "forward"))

    server = serving("dns64", late(nodata()), late(Response(answer=(a(),))))
    outcome: object = server.respond(question("a.test AAAA"), IPV6, 0.0)
    for _ in range(2):
        assert isinstance(outcome, Ask)
        outcome = outcome.resume(None, 1.0)

    assert isinstance(outcome, Rendered)
    assert b"\x00\x64\xff\x9b" in next(iter(outcome.wires))


def test_what_depends_on_two_answers_is_stored_until_either_changes() -> None:
    registry = Registry()
    first = Reply(nodata(), "kubernetes", Storable(("one",)))
    second = Reply(Response(answer=(a(),)), "kubernetes", Storable(("two",), until=50.0))
    server = serving("dns64", first, second, registry)
    table = server.table(Transport.UDP, "2")
    for owner in ("one", "two"):
        answer(server, "a.test AAAA", IPV6)
        (entry,) = table.entries.values()
        assert entry.until == 50.0
        entry.tally.hits += 1
        server.drop([owner])
        assert not table.entries

    registry.collect()
    (cell,) = registry.families["coredns_dns64_requests_translated_total"].cells.values()
    assert cell.value == 4


@pytest.mark.parametrize("late", [False, True])
def test_what_may_be_overtaken_or_is_for_one_client_is_not_stored(late: bool) -> None:
    first = Reply(nodata(), "kubernetes", Storable(("one",)))
    second = Reply(Response(answer=(a(),)), "kubernetes", Storable(("two",)) if late else None)
    on_a: Outcome = Ask(Delay(1.0), lambda result, now: second) if late else second
    server = serving("dns64", first, on_a)
    outcome = server.respond(question("a.test AAAA"), IPV6, 0.0)
    if isinstance(outcome, Ask):
        outcome.resume(None, 1.0)

    assert not server.table(Transport.UDP, "2").entries


def test_translations_are_counted() -> None:
    registry = Registry()
    server = serving("dns64", registry=registry)
    answer(server, "a.test AAAA", IPV6)
    answer(server, "a.test A", IPV6)

    family = registry.families["coredns_dns64_requests_translated_total"]
    assert {labels: cell.value for labels, cell in family.cells.items()} == {("dns://:53",): 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dns64 64:ff9b::/96 b", "Wrong argument count"),
        ("dns64 64:ff9b::", "invalid CIDR address: 64:ff9b::"),
        ("dns64 nonsense/96", "invalid CIDR address: nonsense/96"),
        ("dns64 10.0.0.0/8", "invalid netmask 32 IPv6 address"),
        ("dns64 64:ff9b::/97", "invalid prefix length"),
        ("dns64 64:ff9b::/24", "invalid prefix length"),
        ("dns64 64:ff9b::/104", "invalid prefix length"),
        ("dns64 {\nprefix\n}", "Wrong argument count"),
        ("dns64 {\nall\n}", "unknown property 'all'"),
        ("dns64 {\ntranslate_all yes\n}", "Wrong argument count"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(CorefileError) as caught:
        set_up(dns64.setup, text)
    assert message in str(caught.value)
