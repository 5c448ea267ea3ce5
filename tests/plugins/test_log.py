import pytest

from svcdns.dns.constants import RRType
from svcdns.dns.response import Record, Response
from svcdns.errors import CorefileError
from svcdns.plugins import log
from svcdns.plugins.base import Ask, Failed, Outcome, Reply, Storable
from tests.support.corefile import Outside, directives, set_up
from tests.support.records import wire_name
from tests.support.serving import CLIENT, always, answer, asking, question, server_of

SUCCESS = Reply(Response(answer=(Record(wire_name("a.example"), RRType.A, 5, bytes(4)),)))
DENIAL = Reply(
    Response(rcode=3, authority=(Record(wire_name("example"), RRType.SOA, 5, bytes(22)),))
)


def _lines(text: str, outcome: Outcome = SUCCESS, name: str = "a.example.") -> list[str]:
    outside = Outside()
    plugin = log.setup(directives(text), outside.context())
    answer(server_of([plugin, always(outcome)]), f"{name} A")
    return outside.lines


def test_a_line_for_a_query() -> None:
    (line,) = _lines("log")

    assert line.startswith("[INFO] 127.0.0.1:40000 - ")
    assert ' "A IN a.example. udp 27 false 512" NOERROR qr,rd 52 ' in line


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ('log . "{name} {rcode}"', "a.example.", ["[INFO] a.example. NOERROR"]),
        ('log example "{type}"', "a.example.", ["[INFO] A"]),
        ('log example "{type}"', "a.sample.", []),
        ('log example sample "{type}"', "a.sample.", ["[INFO] A"]),
        ('log example "one{type}"\nlog . "two{type}"', "a.example.", ["[INFO] oneA"]),
        ('log example "one{type}"\nlog . "two{type}"', "a.sample.", ["[INFO] twoA"]),
        ('log 192.0.2.0/24 "{type}"', "7.2.0.192.in-addr.arpa.", ["[INFO] A"]),
    ],
)
def test_names_and_formats(text: str, name: str, expected: list[str]) -> None:
    assert _lines(text, name=name) == expected


@pytest.mark.parametrize(
    ("classes", "outcome", "logged"),
    [
        ("all", SUCCESS, True),
        ("success", SUCCESS, True),
        ("success", DENIAL, False),
        ("denial", DENIAL, True),
        ("denial error", SUCCESS, False),
        ("error", Failed(2, "down"), True),
        ("success", Failed(2, "down"), False),
    ],
)
def test_classes(classes: str, outcome: Outcome, logged: bool) -> None:
    lines = _lines(f'log . "{{name}}" {{\nclass {classes}\n}}', outcome)

    assert bool(lines) is logged


def test_classes_on_several_lines_add_up() -> None:
    text = 'log . "{name}" {\nclass denial\nclass success\n}'

    assert _lines(text, SUCCESS) == _lines(text, DENIAL) == ["[INFO] a.example."]


def test_the_duration_is_that_of_the_whole_query() -> None:
    outside = Outside()
    plugin = log.setup(directives('log . "{duration}"'), outside.context())
    ask = server_of([plugin, asking(lambda result: SUCCESS)]).respond(
        question("a.example. A"), CLIENT, 10.0
    )
    assert isinstance(ask, Ask)
    outside.now = 12.5
    ask.resume(None, 12.5)

    assert outside.lines == ["[INFO] 2.5s"]


@pytest.mark.parametrize(("classes", "stored"), [("all", False), ("error", True)])
def test_a_logged_answer_is_not_stored(classes: str, stored: bool) -> None:
    """The next one wants its own line."""
    plugin = log.setup(directives(f"log . {{\nclass {classes}\n}}"), Outside().context())
    answered = Reply(SUCCESS.response, "x", Storable())
    server = server_of([plugin, always(answered)])
    answer(server, "a.example. A")

    assert bool(server.table(CLIENT.transport, CLIENT.family).entries) is stored


@pytest.mark.parametrize("text", ["log {\nclass\n}", "log {\nclass nonsense\n}", "log {\nx\n}"])
def test_what_is_refused(text: str) -> None:
    with pytest.raises(CorefileError):
        set_up(log.setup, text)


def test_a_format_alone_is_a_zone_and_has_a_warning() -> None:
    """CoreDNS's setup.go takes one argument for a zone, whatever it looks like."""
    outside = Outside()
    plugin = log.setup(directives('log "{combined}"'), outside.context())
    answer(server_of([plugin, always(SUCCESS)]), "a.example. A")

    assert outside.lines == []
    assert "write `log . FORMAT`" in outside.warnings[0]


def test_log_stdout_of_old_corefiles_logs_hardly_anything_and_has_a_warning() -> None:
    """Corpus 032: to CoreDNS as well, stdout is the zone whose queries are logged."""
    outside = Outside()
    plugin = log.setup(directives("log stdout"), outside.context())
    answer(server_of([plugin, always(SUCCESS)]), "a.example. A")

    assert outside.lines == []
    assert outside.warnings == [
        "Corefile:2 - log: `stdout` is taken for a zone, as in CoreDNS, so hardly any query is"
        " logged; write `log`, which always means the standard output"
    ]
