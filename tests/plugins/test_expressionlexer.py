import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.plugins.expressionlexer import ExpressionError, Sort, tokens

WORDS = [
    ("name() == 'a.b.'", ["name", "(", ")", "==", "a.b."]),
    ("a!=b<=c>=d", ["a", "!=", "b", "<=", "c", ">=", "d"]),
    ("!a && b||c", ["!", "a", "&&", "b", "||", "c"]),
    ("[1, 2]", ["[", "1", ",", "2", "]"]),
    ("1_000 2.5 1e3 0xFF", ["1_000", "2.5", "1e3", "0xFF"]),
    ('"it\'s" \'say "x"\'', ["it's", 'say "x"']),
    (r"'\\. \' \t \x41 é \101'", [r"\. ' " + "\t A é A"]),
    (r"`\d+`", [r"\d+"]),
    ("a\n\t b", ["a", "b"]),
    ("", []),
]


@pytest.mark.parametrize(("text", "words"), WORDS)
def test_expressions_are_split_into_words(text: str, words: list[str]) -> None:
    found = tokens(text)

    assert [token.text for token in found[:-1]] == words
    assert found[-1].sort is Sort.END


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a # b", "unexpected '#' at column 3"),
        ("'open", 'unexpected "\'" at column 1'),
        ("'a\nb'", "unexpected"),
        (r"'\q'", r"unknown escape \q in the string at column 1"),
        (r"x '\ud800'", r"no such character: \ud800 at column 3"),
        (r"'\U00110000'", "no such character"),
        ("a = b", "unexpected '=' at column 3"),
        ("a & b", "unexpected '&' at column 3"),
        ("é", "unexpected 'é' at column 1"),
    ],
)
def test_what_is_no_word_is_named_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        tokens(text)
    assert message in str(caught.value)


@given(st.text(max_size=40))
def test_a_string_with_escapes_stands_for_what_was_quoted(text: str) -> None:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    (token, _end) = tokens(f"'{escaped}'")

    assert (token.sort, token.text) == (Sort.STRING, text)
