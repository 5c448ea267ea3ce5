import argparse

import pytest

from svcdns.cli import COMMANDS, main
from svcdns.cli.parser import Help, Parser


def parser() -> Parser:
    found = Parser(prog="svcdns it", formatter_class=Help, allow_abbrev=False)
    found.add_argument("-conf", "--conf", metavar="FILE", help="a file")
    found.add_argument("-dns.port", "--dns.port", "-p", "--p", type=int, metavar="N")
    found.add_argument("--output", choices=("text", "json"))
    found.add_argument("name", metavar="NAME")
    return found


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["x", "-p", "y"], "-dns.port: invalid int value: 'y'"),
        (["x", "--output", "a:b"], "--output: invalid choice: 'a:b' (choose from 'text', 'json')"),
        (["x", "-conf"], "-conf: expected one argument"),
        (["x", "--nope"], "unrecognized arguments: --nope"),
        ([], "the following arguments are required: NAME"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_way_to_the_flags(
    words: list[str], what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parser().parse_args(words)

    assert caught.value.code == 2
    expected = f"svcdns it: {what}; 'svcdns it --help' lists the flags\n"
    assert capsys.readouterr() == ("", expected)


def test_flags_with_one_dash_and_two_are_shown_once() -> None:
    text = parser().format_help()

    assert "  -conf FILE      " in text
    assert "  -dns.port N, -p N\n" in text
    assert "--conf" not in text


@pytest.mark.parametrize("flag", ["-conf", "--conf"])
def test_and_both_are_taken(flag: str) -> None:
    assert parser().parse_args(["x", flag, "f"]) == argparse.Namespace(
        name="x", conf="f", output=None, **{"dns.port": None}
    )


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("words", [("help", "{}"), ("{}", "--help"), ("{}", "-h")])
def test_every_command_has_help_in_every_usual_way(
    command: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([word.format(command) for word in words])

    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: svcdns {command} ")


def test_help_about_nothing_is_the_list_of_commands(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["help"], ["help", "nothing"], ["--help"]):
        assert main(words) == 0
        assert capsys.readouterr().out.startswith("usage: svcdns COMMAND")
