"""Patterns of Go, read as Go reads them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.plugins.goregexp import GoRegexp, expand

MATCHES = [
    (r"(.*)-(us-west-1)\.example\.org", "ftp-us-west-1.example.org.", ("ftp-us-west-1.example.org", "ftp", "us-west-1")),
    (r"^([^.]+)\.corp\.$", "a.corp.", ("a.corp.", "a")),
    (r"^([^.]+)\.corp\.$", "a.b.corp.", None),
    ("a$", "a\n", None),
    ("(?m)a$", "a\nb", ("a",)),
    ("(?s)a.b", "a\nb", ("a\nb",)),
    ("a.b", "a\nb", None),
    (r"\d", "٣", None),
    (r"\bweb\b", "a.web.b", ("web",)),
    (r"\Bweb", "a.web.b", None),
    (r"(?i)AbC", "aBc", ("aBc",)),
    ("a(?i)b|C", "aB", ("aB",)),
    ("(?i:a)b", "Ab", ("Ab",)),
    ("(?i:a)b", "AB", None),
    (r"[[:alpha:]]+[[:^alpha:]]", "ab1", ("ab1",)),
    ("[]a]+", "]a", ("]a",)),
    ("[^]a]", "]ab", ("b",)),
    (r"[\d-]+", "1-2", ("1-2",)),
    (r"\x41\x{42}\103", "ABC", ("ABC",)),
    (r"\Qa.b\E+", "a.bb", ("a.bb",)),
    ("x{2,3}?", "xxx", ("xx",)),
    ("(?U)x+", "xxx", ("x",)),
    ("x{2", "x{2", ("x{2",)),
    ("(a)|(b)", "b", ("b", "", "b")),
    ("(?P<one>a)(?<two>b)", "ab", ("ab", "a", "b")),
    (r"\pL+", "-ab1", ("ab",)),
    (r"\p{Lu}\P{Lu}", "abCd", ("Cd",)),
    (r"\p{^L}+", "ab-1c", ("-1",)),
    (r"\P{^L}+", "-ab1", ("ab",)),
    (r"[\p{Nd}x.]+", "a1x.b", ("1x.",)),
    (r"[^\PL]+", "-ab1", ("ab",)),
    (r"(?i)\p{Lu}+", "-aB1", ("aB",)),
    (r"\p{Latin}+", "-ab1", ("ab",)),
    (r"\p{Greek}", "abc", None),
    (r"\P{Greek}+", "a-c", ("a-c",)),
    (r"\p{Common}", "a-c", ("-",)),
    (r"\p{Any}+", "a-c", ("a-c",)),
    (r"\pL+", "aéß", ("aéß",)),
    ("", "abc", ("",)),
    (r"^([a-z0-9-]+\.)+svc\.$", "a.b.svc.", ("a.b.svc.", "b.")),
    (r"^(\d{1,3}\.){3}\d{1,3}$", "10.0.0.1", ("10.0.0.1", "0.")),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "text", "groups"), MATCHES)
def test_patterns_match_as_in_go(pattern: str, text: str, groups: tuple[str, ...] | None) -> None:
    assert GoRegexp(pattern).search(text) == groups


@pytest.mark.parametrize(
    "pattern",
    [
        "(", ")", "a)", "[", "[a", "[b-a]", "*", "a**", "a+*", "a{2}{3}", "(?=a)", "(?!a)", "(?<=a)b",
        r"(a)\1", r"\pX", r"\p{Klingon}", r"\p{}", r"\p{L", r"\p", r"[\pX]", r"\Z", r"\8", "a{1001}", "a{3,2}", "(?P<a>x)(?P<a>y)", "(?P<1>x)", "(?P=a)",
        "[[:nope:]]", r"\x{110000}", "a\\", "(?i", "(?>a)", "a++",
    ],
)  # fmt: skip
def test_what_go_refuses_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="error parsing regexp"):
        GoRegexp(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+", "(a*)*b", r"(.*\.)*x", "(a|a)*", "(a|ab?)+c", r"([a-z]+-?)*\.", "(a?b?)*x", "((a{0,50}){1,50})x"],
)  # fmt: skip
def test_patterns_that_could_take_exponential_time_are_searched_for_in_linear_time(
    pattern: str,
) -> None:
    regexp = GoRegexp(pattern)
    regexp.search("ab" * 50 + "a" * 100 + "!")  # in Python: for ever
    for text in ("ababab!", "aab.x", "abc", "x"):
        found, expected = regexp.search(text), re.search(pattern, text)
        assert (found and found[0]) == (expected and expected[0])


@pytest.mark.parametrize(
    "pattern",
    [r"([a-z]+\.)+", "(foo|bar)+", "(?:[0-9]+,)*", r"(\.|[a-z])*", "(?:a|b)+c", "(a+)?", "(a+){2}"],
)
def test_repetitions_with_a_mark_between_stay(pattern: str) -> None:
    assert GoRegexp(pattern)


@given(
    st.text(alphabet="ab().*+?|[]^$\\{}1,-dwsxQEP<i:", max_size=14), st.text("ab1.\n", max_size=8)
)
def test_any_pattern_is_compiled_or_refused(pattern: str, text: str) -> None:
    try:
        found = GoRegexp(pattern)
    except ValueError:
        return
    groups = found.search(text)
    assert groups is None or len(groups) == found.groups + 1


def test_groups_are_put_where_they_belong() -> None:
    assert expand("{1}.{2}.{0}.{9}", ("x", "a", "b")) == "a.b.x.{9}"
    assert GoRegexp("(a)(?P<n>b)").names == ("", "n")
