"""Reading arguments: values, and the words for what is wrong with them."""

from collections.abc import Callable
from typing import Any

import pytest

from svcdns.corefile.fallthrough import Fallthrough
from svcdns.corefile.options import Line, each, first, last, once
from svcdns.corefile.parser import parse
from svcdns.corefile.syntax import Directive
from svcdns.dns.name import from_text
from svcdns.errors import CorefileError


def _directives(text: str) -> tuple[Directive, ...]:
    (block,) = parse(". {\n" + text + "\n}", "Corefile", {}, lambda *_: None, lambda _: None)
    return block.directives


def _line(text: str) -> Line:
    return once(_directives(text))


def _names(*texts: str) -> tuple[bytes, ...]:
    return tuple(from_text(text) for text in texts)


VALUES: list[tuple[str, Callable[[Line], Any], Any]] = [
    ("p a", lambda line: line.word(), "a"),
    ("p a", lambda line: line.word("a", "b"), "a"),
    ("p", lambda line: line.word("a", "b", default="b"), "b"),
    ("p a b", lambda line: line.rest(), ("a", "b")),
    ("p", lambda line: line.rest(), ()),
    ("p a", lambda line: line.rest(at_least=1), ("a",)),
    ("p 30", lambda line: line.integer(0, 3600), 30),
    ("p -1", lambda line: line.integer(), -1),
    ("p", lambda line: line.integer(default=0), 0),
    ("p 1h30m", lambda line: line.duration(), 5400.0),
    ("p", lambda line: line.duration(default=2.5), 2.5),
    ("p 10", lambda line: line.seconds(1, 60), 10.0),
    ("p 1m", lambda line: line.seconds(), 60.0),
    ("p 10%", lambda line: line.percent(10, 90), 10),
    ("p", lambda line: line.percent(default=10), 10),
    ("p Example.ORG a.", lambda line: line.zones(), _names("example.org", "a")),
    ("p", lambda line: line.zones(_names("x")), _names("x")),
    ("p a a. b", lambda line: line.zones(), _names("a", "b")),
    ("p dns://a:53", lambda line: line.zones(), _names("a")),
    ("p 10.98.100.0/23", lambda line: line.zones(), _names("100.98.10.in-addr.arpa", "101.98.10.in-addr.arpa")),
    ("p a", lambda line: line.zone(), _names("a")),
    ("p", lambda line: line.fallthrough(), Fallthrough(_names("."))),
    ("p ip6.arpa", lambda line: line.fallthrough(), Fallthrough(_names("ip6.arpa"))),
    ("p [fd00::1]:5353", lambda line: line.address(53), ("fd00::1", 5353)),
    ("p fd00::1", lambda line: line.address(53), ("fd00::1", 53)),
    ("p :8080", lambda line: line.listen(":1"), ":8080"),
    ("p", lambda line: line.listen(":8181"), ":8181"),
    ("p :", lambda line: line.listen(":8181"), ":0"),
    ('p "" a..b a', lambda line: line.zones(_names("x")), _names("a")),
    ('p ""', lambda line: line.zones(_names("x")), ()),
    ('p ""', lambda line: line.fallthrough(), Fallthrough(())),
    ("p 10.1.2.3/8", lambda line: str(line.network()), "10.0.0.0/8"),
    ("p 1F", lambda line: line.read(lambda text: int(text, 16)), 31),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "read", "value"), VALUES, ids=[f"{n}: {r[0]}" for n, r in enumerate(VALUES)]
)
def test_an_argument_is_read(text: str, read: Callable[[Line], Any], value: Any) -> None:
    line = _line(text)

    assert read(line) == value
    line.end()


ARITY = "Wrong argument count or unexpected line ending after"


def _one_word(line: Line) -> None:
    line.word()
    line.end()


ERRORS: list[tuple[str, Callable[[Line], Any], str]] = [
    ("p", lambda line: line.word(), f"{ARITY} 'p'"),
    ("p c", lambda line: line.word("a", "b"), "unknown value 'c', expecting one of a, b"),
    ("p a", lambda line: line.rest(at_least=2), f"{ARITY} 'a'"),
    ("p x", lambda line: line.integer(), "invalid number 'x'"),
    ("p 1e3", lambda line: line.integer(), "invalid number '1e3'"),
    ("p ٣", lambda line: line.integer(), "invalid number '٣'"),
    ("p " + "9" * 5000, lambda line: line.integer(), "invalid number '" + "9" * 40 + "'"),
    ("p 3601", lambda line: line.integer(0, 3600), "p must be between 0 and 3600, not 3601"),
    ("p 0", lambda line: line.integer(1), "p must be at least 1, not 0"),
    ("p 5", lambda line: line.integer(high=4), "p must be at most 4, not 5"),
    ("p 5", lambda line: line.duration(), 'time: missing unit in duration "5"'),
    ("p 1s", lambda line: line.duration(low=2), "p must be at least 2s, not 1s"),
    ("p 61", lambda line: line.seconds(1, 60), "p must be between 1s and 1m0s, not 1m1s"),
    (
        "p 10",
        lambda line: line.percent(),
        "last character of percentage should be '%', but is: '0'",
    ),
    ("p 5%", lambda line: line.percent(10, 90), "p must be between 10 and 90 percent, not 5"),
    (
        "p a..b",
        lambda line: line.zone(),
        "zone is not a valid domain name: a..b (empty label in 'a..b')",
    ),
    ("p a", lambda line: line.listen(":1"), "address a: missing port in address"),
    ("p a:b:c", lambda line: line.address(53), "address a:b:c: too many colons in address"),
    ("p 10.0.0.0/33", lambda line: line.network(), "illegal CIDR notation '10.0.0.0/33'"),
    ("p a b", _one_word, f"{ARITY} 'b'"),
    ("p {\na\n}", lambda line: line.end(), "'p' takes no block"),
    ("p a {\nb\n}", lambda line: list(line.options()), f"{ARITY} 'a'"),
    ("p", lambda line: line.read(int), f"{ARITY} 'p'"),
]


@pytest.mark.parametrize(
    ("text", "read", "message"), ERRORS, ids=[f"{n}" for n in range(len(ERRORS))]
)
def test_a_wrong_argument_is_an_error_with_a_place(
    text: str, read: Callable[[Line], Any], message: str
) -> None:
    with pytest.raises(CorefileError) as caught:
        read(_line(text))

    assert str(caught.value) == f"Corefile:2 - Error during parsing: plugin/p: {message}"


def _read(directives: tuple[Directive, ...]) -> tuple[int, Fallthrough]:
    """A set-up as plugins write them."""
    line = once(directives)
    ttl, through = 5, Fallthrough()
    for option in line.options():
        match option.name:
            case "ttl":
                ttl = option.integer(0, 3600)
            case "fallthrough":
                through = option.fallthrough()
            case _:
                raise option.unknown()
    return ttl, through


def test_options_are_read_line_by_line() -> None:
    assert _read(_directives("p {\nttl 30\nfallthrough a\n}")) == (30, Fallthrough(_names("a")))
    assert _read(_directives("p {\n}")) == (5, Fallthrough())
    assert _read(_directives("p")) == (5, Fallthrough())


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("p {\nttl 30\nupstream\n}", 4, "unknown property 'upstream'"),
        ("p {\nttl 30 40\n}", 3, f"{ARITY} '40'"),
        ("p {\nttl\n}", 3, f"{ARITY} 'ttl'"),
        ("p {\nttl 30 {\na\n}\n}", 3, "'ttl' takes no block"),
        ("p\np", 3, "this plugin can only be used once per Server Block"),
    ],
)
def test_a_wrong_option_is_an_error_at_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(CorefileError) as caught:
        _read(_directives(text))

    assert str(caught.value) == f"Corefile:{line} - Error during parsing: plugin/p: {message}"


def test_arguments_can_be_looked_at_before_they_are_taken() -> None:
    line = _line("p 30 a")

    assert (line.more, line.next) == (True, "30")
    assert line.integer() == 30
    assert line.next == "a"
    line.rest()
    assert (line.more, line.next) == (False, "")


def test_some_plugins_stand_several_times() -> None:
    assert [line.word() for line in each(_directives("log a\nlog b"))] == ["a", "b"]


def test_words_that_are_no_zones_are_passed_over_with_a_warning() -> None:
    said: list[str] = []
    (line,) = each(_directives('p {\nthrough "" example.org a..b\n}'), said.append)
    for option in line.options():
        assert option.zones() == _names("example.org")

    assert [text.partition(": ")[0] for text in said] == ["Corefile:3 - through"] * 2
    assert "'a..b' is no zone and is ignored" in said[1]


def test_the_last_of_several_counts_and_the_others_are_named() -> None:
    said: list[str] = []
    line = last(_directives("p 1\np 2\np 3"), said.append)

    assert line.integer() == 3
    assert said == [
        f"Corefile:{number} - p is there again on line 4 of Corefile, and only that one counts"
        for number in (2, 3)
    ]


def test_the_first_of_several_counts_where_coredns_looks_at_no_other() -> None:
    said: list[str] = []
    line = first(_directives("p 1\np 2"), said.append)

    assert line.integer() == 1
    assert said == ["Corefile:3 - p is there again on line 2 of Corefile, and only that one counts"]
