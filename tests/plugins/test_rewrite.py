"""Questions rewritten and answers put right, as the client sees it."""

import dns.message
import pytest

from svcdns.dns.constants import Rcode
from svcdns.dns.name import to_text
from svcdns.dns.response import Record, Response
from svcdns.plugins.base import Failed, Handler, Outcome, Reply, Request, Storable
from svcdns.plugins.commands import Transport
from svcdns.plugins.rewrite import Rewrite, setup
from tests.support.records import wire_name
from tests.support.serving import (
    CLIENT,
    Scripted,
    always,
    answer,
    asking,
    question,
    rows,
    server_of,
)
from tests.support.setups import context, directives


def rewrite(*rules: str) -> Rewrite:
    return setup(directives("\n".join("rewrite " + rule for rule in rules)), context())


def owner(request: Request, proceed: Handler) -> Outcome:
    """Answer with an address of whatever name is asked, and a mail server below it."""
    query = request.query
    mx = b"\x00\x0a\x04mail" + query.qname
    return Reply(
        Response(
            answer=(
                Record(query.qname, 1, 60, bytes((10, 0, 0, 1))),
                Record(query.qname, 15, 600, mx),
            ),
            aa=True,
        ),
        "file",
        Storable(("owner",)),
    )


def ask(rules: list[str], text: str) -> tuple[str, list[str]]:
    """Give the name that was asked for inside, and the answer."""
    inner = Scripted(owner)
    message = answer(server_of([rewrite(*rules), inner]), text)
    asked = text.split()[0]
    assert message.question[0].name.to_text() == asked + "."
    return to_text(inner.asked[0].query.name), rows(message)[2]


def shown(name: str, mail: str | None = None) -> list[str]:
    return [f"{name} 60 IN A 10.0.0.1", f"{name} 600 IN MX 10 mail.{mail or name}"]


NAMES = [
    ("exact is undone by itself", ["name a.org b.net"], "a.org A", "b.net.", shown("a.org.")),
    ("no match", ["name a.org b.net"], "c.org A", "c.org.", shown("c.org.")),
    ("stop", ["name a.org b.net", "name b.net c.net"], "a.org A", "b.net.", shown("a.org.")),
    ("continue", ["continue name a.org b.net", "name b.net c.net"], "a.org A", "c.net.", shown("a.org.")),
    ("prefix", ["name prefix a.org b"], "a.org.net A", "b.net.", shown("b.net.")),
    ("prefix auto", ["name prefix a.org b answer auto"], "a.org.net A", "b.net.", shown("a.org.net.")),
    ("suffix", ["name suffix .org .net"], "a.org A", "a.net.", shown("a.net.")),
    ("suffix auto", ["name suffix .org .net answer auto"], "a.org A", "a.net.", shown("a.org.")),
    ("substring", ["name substring b.c x"], "a.b.c.d A", "a.x.d.", shown("a.x.d.")),
    ("regex", [r"name regex (.*)-(us)\.org {1}.{2}.net"], "w-us.org A", "w.us.net.", shown("w.us.net.")),
    ("regex answer name", [r"name regex (.*)-(us)\.org {1}.{2}.net answer name (.*)\.(us)\.net {1}-{2}.org"],
     "w-us.org A", "w.us.net.", shown("w-us.org.", "w.us.net.")),
    ("regex answer both", [r"name regex (.*)\.org {1}.net answer name (.*)\.net {1}.org answer value (.*)\.net {1}.org"],
     "w.org A", "w.net.", shown("w.org.")),
    ("block", ["stop {\nname regex (.*)\\.org {1}.net\nanswer auto\n}"], "w.org A", "w.net.", shown("w.org.")),
    ("env beside a group (034)", [r"name regex ^([^.]+)\.corp\.$ {1}.prod.corp."], "a.corp A", "a.prod.corp.", shown("a.prod.corp.")),
    ("ttl range", ["ttl suffix org 100-500"], "a.org A", "a.org.", ["a.org. 100 IN A 10.0.0.1", "a.org. 500 IN MX 10 mail.a.org."]),
    ("ttl one", ["ttl a.org 15"], "a.org A", "a.org.", ["a.org. 15 IN A 10.0.0.1", "a.org. 15 IN MX 10 mail.a.org."]),
    ("0x20", ["name a.org b.net"], "A.oRg A", "b.net.", shown("A.oRg.")),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "rules", "text", "inside", "found"), NAMES)
def test_names(rule: str, rules: list[str], text: str, inside: str, found: list[str]) -> None:
    got, answered = ask(rules, text)

    assert got == inside, rule
    assert [line.lower() for line in answered] == [line.lower() for line in found], rule
    assert answered[0] == found[0], rule


def test_type_is_rewritten_inside_only() -> None:
    inner = always(Reply(Response()))
    message = answer(server_of([rewrite("type ANY HINFO"), inner]), "a.org ANY")

    assert inner.asked[0].query.qtype == 13
    assert message.question[0].to_text() == "a.org. IN ANY"


def test_errors_of_the_chain_get_the_clients_question_and_may_get_another_code() -> None:
    server = server_of(
        [rewrite("continue name a.org b.org", "rcode b.org SERVFAIL NXDOMAIN"), always(Failed(2))]
    )
    message = answer(server, "a.org A")

    assert rows(message)[0] == "NXDOMAIN"
    assert message.question[0].name.to_text() == "a.org."


def test_a_name_that_is_none_is_a_servfail() -> None:
    found = rewrite("name regex ^(a) {1}..b").serve(
        _request("a.org A"), lambda request: pytest.fail("asked on")
    )

    assert found == Failed(
        Rcode.SERVFAIL, "plugin/rewrite: invalid name after rewrite: a..b.", "rewrite"
    )


def _request(text: str) -> Request:
    from tests.support.serving import request

    return request(text)


def test_answers_stay_storable_unless_they_depend_on_the_client() -> None:
    for rule, stored in [
        ("name a.org b.org", 1),
        ("ttl a.org 5", 1),
        ("edns0 local set 0xffee abc", 1),
        ("edns0 local set 0xffee {client_ip}", 0),
        ("edns0 subnet set 24 56", 0),
    ]:
        server = server_of([rewrite(rule), Scripted(owner)])
        server.respond(question("a.org A"), CLIENT, 0.0)
        assert len(server.table(Transport.UDP, "1").entries) == stored, rule


def test_an_answer_that_comes_later_is_put_right_too() -> None:
    reply = Reply(Response(answer=(Record(wire_name("b.org"), 1, 60, bytes(4)),)))
    server = server_of([rewrite("name a.org b.org"), asking(lambda result: reply)])
    ask = server.respond(question("a.org A"), CLIENT, 0.0)
    rendered = ask.resume(None, 1.0)  # type: ignore[union-attr]
    (wire,) = rendered.wires  # type: ignore[union-attr]

    assert rows(dns.message.from_wire(wire))[2] == ["a.org. 60 IN A 0.0.0.0"]


def test_options_are_shown_to_clients_with_edns_unless_reverted() -> None:
    for rule, shown in [
        ("edns0 local set 0xffee abc", [(0xFFEE, b"abc")]),
        ("edns0 local set 0xffee abc revert", []),
        ("edns0 nsid set", []),
    ]:
        server = server_of([rewrite(rule), Scripted(owner)])
        options = answer(server, "a.org A", use_edns=0).options
        assert [(option.otype, option.to_wire()) for option in options] == shown, rule
        assert answer(server, "a.org A").edns == -1
