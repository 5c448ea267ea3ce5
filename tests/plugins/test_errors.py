import pytest

from svcdns.dns.response import Response
from svcdns.errors import CorefileError
from svcdns.plugins import errors
from svcdns.plugins.base import Failed, Outcome, Periodic, Reply
from tests.support.corefile import Outside, directives, set_up
from tests.support.serving import CLIENT, always, answer, asking, server_of

TIMEOUT = Failed(2, "read udp 10.1.0.2:40000->10.0.0.2:53: i/o timeout", "forward")


def _lines(text: str, *outcomes: Outcome) -> tuple[list[str], errors.Errors]:
    outside = Outside()
    plugin = errors.setup(directives(text), outside.context())
    for outcome in outcomes:
        answer(server_of([plugin, always(outcome)]), "Example.org. A")
    return outside.lines, plugin


def test_a_failure_is_written_as_coredns_does() -> None:
    """Corefile-features f."""
    lines, plugin = _lines("errors", TIMEOUT)

    assert lines == [
        "[ERROR] plugin/errors: 2 Example.org. A: read udp 10.1.0.2:40000->10.0.0.2:53: i/o timeout"
    ]
    assert plugin.needs == ()


def test_a_failure_that_comes_later_is_written_too() -> None:
    outside = Outside()
    plugin = errors.setup(directives("errors"), outside.context())
    ask = server_of([plugin, asking(lambda result: TIMEOUT)]).respond(
        b"\0\1\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1", CLIENT, 0.0
    )
    ask.resume(None, 1.0)  # type: ignore[union-attr]

    assert outside.lines[0].startswith("[ERROR] plugin/errors: 2 a. A: ")


@pytest.mark.parametrize("outcome", [Failed(5), Reply(Response(rcode=2)), Reply(Response(rcode=3))])
def test_answers_and_plain_codes_are_no_errors(outcome: Outcome) -> None:
    assert _lines("errors", outcome)[0] == []


def test_consolidated_lines_are_summed_up_when_their_time_is_over() -> None:
    text = 'errors {\nconsolidate 5m ".* i/o timeout$" warning\n}'
    lines, plugin = _lines(text, TIMEOUT, TIMEOUT, Failed(2, "other"))
    assert lines == ["[ERROR] plugin/errors: 2 Example.org. A: other"]
    (need,) = plugin.needs
    assert isinstance(need, Periodic)
    need.run(299.0)
    assert len(lines) == 1
    need.run(300.0)
    need.run(700.0)

    assert lines[1:] == [
        "[WARNING] plugin/errors: 2 errors like '.* i/o timeout$' occurred in last 5m"
    ]


def test_show_first_writes_the_first_of_a_period() -> None:
    text = 'errors {\nconsolidate 30s "timeout" show_first\n}'
    lines, plugin = _lines(text, TIMEOUT, TIMEOUT)

    assert len(lines) == 1
    plugin.look(30.0)
    assert lines[1] == "[ERROR] plugin/errors: 2 errors like 'timeout' occurred in last 30s"


@pytest.mark.parametrize("text", ["errors stdout", "errors {\nstacktrace\n}"])
def test_what_is_accepted(text: str) -> None:
    assert _lines(text, TIMEOUT)[0] != []


@pytest.mark.parametrize(
    "text",
    [
        "errors stderr",
        "errors\nerrors",
        "errors {\nx\n}",
        "errors {\nconsolidate\n}",
        "errors {\nconsolidate 5m\n}",
        "errors {\nconsolidate 0s x\n}",
        'errors {\nconsolidate 1s "("\n}',
        "errors {\nconsolidate 1s x loud\n}",
        "errors {\nconsolidate 1s x error first\n}",
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(CorefileError):
        set_up(errors.setup, text)


def test_patterns_of_consolidate_are_those_of_go() -> None:
    text = 'errors {\nconsolidate 30s "^[[:alpha:]]+ .*\\ztimeout|i/o timeout\\z" \n}'
    lines, plugin = _lines(text, TIMEOUT, TIMEOUT)
    plugin.look(30.0)

    assert len(lines) == 1
    assert "2 errors like" in lines[0]
