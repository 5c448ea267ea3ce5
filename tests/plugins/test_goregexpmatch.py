"""The matcher that takes linear time, beside Python's, which must find the same."""

import re
from itertools import product

import pytest

from svcdns.plugins.goregexp import GoRegexp
from svcdns.plugins.goregexpmatch import Program
from svcdns.plugins.goregexpnodes import Choice, Group, OneOf, Place, Repeat, Row

A, B, ANY = OneOf(((97, 97),)), OneOf(((98, 98),)), OneOf(((0, 0x10FFFF),))
TEXTS = ["".join(letters) for size in range(6) for letters in product("ab.", repeat=size)]

# Each of them goes to this matcher, because Python might take exponential time.
PATTERNS = [
    r"(.*\.)*a",
    r"^(.+\.)*b$",
    r"^(.*\.)*a\.b\.$",
    r"((a|b)+)*\.",
    r"(a|ab)+b",
    r"(a*?b?)+?\.",
    r"(?:(a+)|(b+))*\.",
    r"(\w+\.?)+a",
    r"(a+b?){2,}",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_it_finds_what_python_finds(pattern: str) -> None:
    regexp = GoRegexp(pattern)
    for text in TEXTS:
        expected = re.search(pattern.replace("$", r"\Z"), text)
        found = regexp.search(text)
        assert (found and found[0]) == (expected and expected[0]), text


def test_groups_hold_what_the_last_round_took() -> None:
    found = GoRegexp(r"^((.+)\.)*(doubleclick)\.net\.$").search("a.b.doubleclick.net.")

    assert found == ("a.b.doubleclick.net.", "a.b.", "a.b", "doubleclick")


def test_a_group_that_took_no_part_is_empty() -> None:
    assert GoRegexp(r"(?:(x+)|(a+))+$").search("aa") == ("aa", "", "aa")


@pytest.mark.parametrize(
    ("code", "text", "found"),
    [
        (Row(), "b", ""),
        (Choice((Row((A, B)), A)), "ab", "ab"),
        (Choice((A, Row((A, B)))), "ab", "a"),
        (Repeat(A, 0, None, True), "aab", "aa"),
        (Repeat(A, 0, None, False), "aab", ""),
        (Repeat(A, 1, 2, True), "aaa", "aa"),
        (Repeat(A, 2, 2, True), "baaa", "aa"),
        (Repeat(Row(), 0, None, True), "a", ""),
        (Row((Place("start"), B)), "ab", None),
        (Row((B, Place("end"))), "bab", "b"),
        (Row((Place("bol"), B)), "a\nb", "b"),
        (Row((A, Place("eol"))), "ab\na\n", "a"),
        (Row((Place("edge"), ANY, Place("edge"))), "..a.", "a"),
        (Row((Place("inside"), ANY)), "ab", "b"),
        (OneOf(()), "a", None),
    ],
)
def test_each_kind_of_part(code: Row, text: str, found: str | None) -> None:
    groups = Program(Group(1, code), 1).search(text)

    assert (groups and groups[0]) == found
    assert (groups and groups[1]) == found


def test_time_is_bounded_where_python_would_take_for_ever() -> None:
    assert GoRegexp(r"^(.*\.)*(.*\.)*(a|a.)*x$").search("a." * 120) is None


def test_a_pattern_that_grows_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="expression too large"):
        GoRegexp(r"((a+){1000}){1000}")
