"""Expressions evaluated."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.plugins.expression import compile_text
from svcdns.plugins.expressionlexer import ExpressionError
from svcdns.plugins.expressionvalues import BOOL, INT, STRING, Function

FUNCTIONS = {
    "name": Function((), STRING, lambda subject: subject["name"]),
    "size": Function((), INT, lambda subject: subject["size"]),
    "yes": Function((), BOOL, lambda subject: True),
    "same": Function((STRING, STRING), BOOL, lambda subject, one, two: one == two),
}
SUBJECT = {"name": "www.example.net.", "size": 40}


def value(text: str) -> object:
    return compile_text(text, FUNCTIONS).run(SUBJECT)


VALUES: list[tuple[str, object]] = [
    ("true", True),
    ("not true", False),
    ("!!true", True),
    ("true and false or true", True),
    ("true or false and false", True),
    ("(true or false) and false", False),
    ("false && (1 % 0 == 1)", False),
    ("true || (1 % 0 == 1)", True),
    ("not yes() == false", True),
    ("1 == 1.0", True),
    ("true == false", False),
    ("nil == nil", True),
    ("[1, 'a'] == [1, 'a']", True),
    ("1 < 2 and 2 <= 2 and 3 > 2 and 3 >= 3", True),
    ("'a' < 'b'", True),
    ("1 != 2", True),
    ("2 in [1, 2, 3]", True),
    ("true in [1]", False),
    ("4 not in [1, 2, 3]", True),
    ("not (4 in [4])", False),
    ("'a' in ['a', 'b',]", True),
    ("1 in []", False),
    ("name() in [name(), 'x']", True),
    ("name() matches '^www[.]'", True),
    ("name() matches 'example'", True),
    ("name() not matches 'example'", False),
    ("name() matches '^' + 'www'", True),
    ("name() matches name()", True),
    (r"name() matches `^\w+\.`", True),
    ("name() matches '(?i)EXAMPLE'", True),
    ("name() contains 'example'", True),
    ("name() startsWith 'www.'", True),
    ("name() endsWith 'net'", False),
    ("name() not endsWith 'net'", True),
    ("1 + 2 * 3", 7),
    ("(1 + 2) * 3", 9),
    ("10 - 4 - 3", 3),
    ("7 % 4", 3),
    ("1 / 2", 0.5),
    ("2 ** 3 ** 2", 512.0),
    ("2 ^ 3", 8.0),
    ("-2 + +3", 1),
    ("-size() * 2", -80),
    ("'a' + 'b'", "ab"),
    ("0x1F + 1_000", 1031),
    ("1.5 + 1", 2.5),
    ("yes() ? 'a' : 'b'", "a"),
    ("not yes() ? 'a' : size() > 30 ? 'b' : 'c'", "b"),
    ("same(name(), 'www.example.net.')", True),
    ("len(name()) == 16 and len([1, 2]) == 2", True),
    ("upper('a') + lower('B') + trim(' c ')", "Abc"),
    ("hasPrefix(name(), 'www') && hasSuffix(name(), 'net.')", True),
    ("int('42') + int(1.9)", 43),
]


@pytest.mark.parametrize(("text", "found"), VALUES)
def test_expressions_mean_what_they_mean_in_expr(text: str, found: object) -> None:
    result = value(text)

    assert result == found
    assert type(result) is type(found)


BROKEN = [
    ("", "unexpected end of expression at column 1"),
    ("1 +", "unexpected end of expression at column 4"),
    ("(1", "unexpected end of expression at column 3, expected )"),
    ("1)", "unexpected ')' at column 2"),
    ("1 2", "unexpected '2' at column 3"),
    ("[1 2]", "unexpected '2' at column 4, expected ,"),
    ("name", "unexpected end of expression at column 5, expected ("),
    ("name('a')", "name(string) at column 1: expected name()"),
    ("same('a', 1)", "same(string, int) at column 1: expected same(string, string)"),
    ("other()", "unknown name other at column 1"),
    ("and true", "unexpected 'and' at column 1"),
    ("true not false", "unexpected 'not' at column 6"),
    ("'in' == in", "unexpected 'in' at column 9"),
    ("not 1", "not int, expected bool"),
    ("-'a'", "- of string at column 1"),
    ("1 ? 2 : 3", "a choice by int, expected bool"),
    ("true ? 1", "expected :"),
    ("'a' 'b'", "unexpected 'b' at column 5"),
    ("name() matches '['", "bad regular expression"),
    ("name() matches '" + "(" * 2000 + ")" * 2000 + "'", "bad regular expression"),
    ("0x_", "bad number"),
    ("(" * 120 + "1" + ")" * 120, "nested too deeply"),
    ("!" * 120 + "true", "nested too deeply"),
    ("1" + " + 1" * 200, "nested too deeply"),
    ("1" + " ** 1" * 5000, "nested too deeply"),
    ("9" * 5000, "bad number"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN, ids=[row[0][:20] for row in BROKEN])
def test_broken_expressions_are_refused_when_they_are_read(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_text(text, FUNCTIONS)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "1 % 0",
        "1 / 0",
        "0 ** -1",
        "(-8) ** 0.5",
        "9e300 ** 9",
        "1.0 + int('1' + '" + "0" * 400 + "')",
        "nil ? 1 : 2",
        "not nil",
        "-nil",
        "nil + 1",
        "nil < 1",
        "nil contains 'a'",
        "1 in nil",
        "len(1)",
        "int('a')",
        "int(nil)",
        "int(9e999)",
        "'a' matches ('(' + name())",
    ],
)
def test_what_fails_for_a_query_raises_nothing_else(text: str) -> None:
    found = compile_text(text, FUNCTIONS)

    with pytest.raises(ExpressionError):
        found.run(SUBJECT)


WORDS = [
    "name()", "size()", "yes()", "same(", "'a'", "`[`", "1", "0x1", "2.5", "true", "nil", "[", "]",
    "(", ")", ",", "and", "or", "not", "!", "&&", "||", "==", "<", "in", "matches", "contains", "+",
    "-", "*", "/", "%", "**", "?", ":", "len(", "int(", "lower(",
]  # fmt: skip


def _try(text: str) -> None:
    with suppress(ExpressionError):
        compile_text(text, FUNCTIONS).run(SUBJECT)


@given(st.text(max_size=60))
def test_no_text_raises_anything_else(text: str) -> None:
    _try(text)


@given(st.lists(st.sampled_from(WORDS), max_size=14))
def test_no_row_of_words_raises_anything_else(words: list[str]) -> None:
    _try(" ".join(words))


_BOOLEANS = st.recursive(
    st.sampled_from(["True", "False", "1 < 2", "'a' in ['b', 'a']", "2 * 3 == 6"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({' '.join(t)})"),
        inner.map(lambda text: f"(not ({text}))"),
    ),
    max_leaves=8,
)


@given(_BOOLEANS)
def test_logic_agrees_with_python(text: str) -> None:
    """Python is the oracle for what both languages have."""
    ours = text.replace("True", "true").replace("False", "false")

    assert value(ours) == eval(text)
