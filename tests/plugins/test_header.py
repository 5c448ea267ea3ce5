import pytest

from svcdns.dns.constants import AA, RA, RD
from svcdns.dns.response import Response
from svcdns.errors import CorefileError
from svcdns.plugins import header
from svcdns.plugins.base import Failed, Outcome, Reply, Storable
from svcdns.plugins.commands import Transport
from svcdns.plugins.server import Server
from tests.support.corefile import Outside, directives, set_up
from tests.support.serving import Scripted, always, answer, rows, server_of


def serving(text: str, outcome: Outcome) -> tuple[Server, Scripted]:
    behind = always(outcome)
    plugin = header.setup(directives(f"header {{\n{text}\n}}"), Outside().context())
    return server_of([plugin, behind]), behind


ANSWERS = [
    ("response set aa ra", Response(), "qr aa rd ra"),
    ("response clear aa ra rd", Response(aa=True, ra=True), "qr"),
    ("set aa\nclear ra", Response(ra=True), "qr aa rd"),
    ("Response SET AA", Response(), "qr aa rd"),
    ("response set aa\nresponse clear aa", Response(), "qr rd"),
    ("response clear aa\nresponse set aa", Response(), "qr aa rd"),
    ("query clear rd", Response(), "qr"),
    ("query clear rd\nresponse set rd", Response(), "qr rd"),
    ("query set rd", Response(), "qr rd"),
]


@pytest.mark.parametrize(("text", "response", "flags"), ANSWERS)
def test_flags_of_answers(text: str, response: Response, flags: str) -> None:
    server, _ = serving(text, Reply(response))

    assert rows(answer(server, "a.test A"))[1] == flags


@pytest.mark.parametrize(
    ("text", "rd", "flags"),
    [
        ("query set rd", False, RD),
        ("query clear rd", True, 0),
        ("query set aa ra", False, AA | RA),
        ("response set rd", False, 0),
    ],
)
def test_the_next_plugins_see_another_query(text: str, rd: bool, flags: int) -> None:
    server, behind = serving(text, Reply(Response()))
    answer(server, "a.test A", rd=rd)

    assert behind.asked[0].query.flags == flags


def test_changed_answers_may_be_stored_and_failures_pass() -> None:
    server, _ = serving("set aa", Reply(Response(), store=Storable()))
    answer(server, "a.test A")
    assert len(server.table(Transport.UDP, "1").entries) == 1

    server, _ = serving("set aa", Failed(5))
    assert rows(answer(server, "a.test A"))[:2] == ("REFUSED", "qr rd")


def test_several_directives_add_up() -> None:
    text = "header {\nset aa\n}\nheader {\nset ra\n}"
    server = server_of(
        [header.setup(directives(text), Outside().context()), always(Reply(Response()))]
    )

    assert rows(answer(server, "a.test A"))[1] == "qr aa rd ra"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("header", "Wrong argument count"),
        ("header {\n}", "Wrong argument count"),
        ("header {\nboth set aa\n}", "invalid selector=both should be query or response"),
        ("header {\nresponse\n}", "unknown flag action=, should be set or clear"),
        ("header {\nresponse toggle aa\n}", "unknown flag action=toggle"),
        ("header {\nresponse set\n}", "at least one should be provided"),
        ("header {\nset tc\n}", "unknown/unsupported flag=tc"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(CorefileError, match=message):
        set_up(header.setup, text)
