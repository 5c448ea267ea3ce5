"""Words of a Corefile, where they begin, and what is no word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.corefile.lexer import SPACE, Token, tokenize
from svcdns.errors import CorefileError

WORDS = [
    ("blanks separate", "a  b\tc", ["a", "b", "c"]),
    ("nothing", "", []),
    ("only blanks", " \t\n\r\n", []),
    ("a byte order mark is skipped", "\ufeff.:53 {", [".:53", "{"]),
    ("a byte order mark elsewhere is text", "a \ufeffb", ["a", "\ufeffb"]),
    ("CRLF reads like LF", "a b\r\nc\r\n", ["a", "b", "c"]),
    ("a carriage return does not separate", "a\rb", ["ab"]),
    ("a comment ends the line", "a # b\nc", ["a", "c"]),
    ("a comment starts in the middle of a word", "foo#bar", ["foo"]),
    (
        "a comment glued to a word ends at the next blank",
        "foo#bar baz#\t#x\nqux#\r\n",
        ["foo", "baz", "qux"],
    ),
    ("a comment in Chinese", "cache 30 # 缓存\nloop", ["cache", "30", "loop"]),
    ("a quoted word", 'log . "{remote} {type}"', ["log", ".", "{remote} {type}"]),
    ("an empty quoted word is a word", 'a "" b', ["a", "", "b"]),
    ("a quote is escaped", r'"a \" b"', ['a " b']),
    ("no other escape", r'"a\.b \n \\ c"', [r"a\.b \n \\ c"]),
    ("a backslash before a backslash keeps both", r'"a\\" b', ["a\\\\", "b"]),
    ("a backslash at the end of the text", '"a\\', ["a"]),
    ("a comment sign in quotes", '"a # b" c', ["a # b", "c"]),
    ("a quote in a word is a character", 'a"b c"', ['a"b', 'c"']),
    ("words touch a closing quote", '"a"b', ["a", "b"]),
    ("a quote that is never closed", '"a b', ["a b"]),
    ("an opening quote alone", 'a "', ["a"]),
    ("no single quotes", "'a b'", ["'a", "b'"]),
    ("no backticks", "`a b`", ["`a", "b`"]),
    ("a glued brace is part of the word", "/24{ {", ["/24{", "{"]),
    ("Unicode white space", "a\u00a0b\u2003c\u3000d\u0085e", ["a", "b", "c", "d", "e"]),
    ("what only Python takes for white space", "a\x1cb", ["a\x1cb"]),
]


@pytest.mark.parametrize(("text", "words"), [row[1:] for row in WORDS], ids=[r[0] for r in WORDS])
def test_a_text_falls_into_words(text: str, words: list[str]) -> None:
    assert [token.text for token in tokenize(text, "Corefile")] == words


def test_lines_are_counted_through_quotes_and_comments() -> None:
    text = 'a "b\nc" d # e\n\n  f'

    assert tokenize(text, "Corefile", ("x",)) == [
        Token("a", "Corefile", 1, True, ("x",)),
        Token("b\nc", "Corefile", 1, False, ("x",)),
        Token("d", "Corefile", 2, False, ("x",)),
        Token("f", "Corefile", 4, True, ("x",)),
    ]


@given(st.text(st.characters(exclude_characters="\0")))
def test_any_text_gives_words_in_order_of_their_lines(text: str) -> None:
    tokens = tokenize(text, "Corefile")

    assert [token.line for token in tokens] == sorted(token.line for token in tokens)
    assert all(1 <= token.line <= 1 + text.count("\n") for token in tokens)
    assert sum(len(token.text) for token in tokens) <= len(text)


@given(st.lists(st.text(st.characters(exclude_characters='\0"\\', codec="utf-8")), max_size=8))
def test_quoted_words_come_back_as_they_were(words: list[str]) -> None:
    quoted = " ".join(f'"{word}"' for word in words)

    assert [token.text for token in tokenize(quoted, "Corefile")] == words


def test_space_is_what_go_calls_space() -> None:
    assert len(SPACE) == 25
    assert "\x1f" not in SPACE


@pytest.mark.parametrize("text", ["a\nb \0", 'a\n"b\0"', "a\n# \0 in a comment"])
def test_what_is_no_text_is_refused_with_its_line(text: str) -> None:
    """A path with a NUL ends whoever opens it in another way than one that is not there."""
    with pytest.raises(CorefileError, match=r"^Corefile:2 - Error during parsing: a NUL octet"):
        tokenize(text, "Corefile")
