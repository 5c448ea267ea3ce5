"""Zone text in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.dns.tokens import Token, octets, quoted, split


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  \t\n", []),
        ("a  b\tc", ["a", "b", "c"]),
        ("a ; comment", ["a"]),
        ("a;comment\nb", ["a", "b"]),
        ("a ( b ; c\n d ) e", ["a", "b", "d", "e"]),
        ("a(1", None),
        ("a)", None),
        ("((a))", None),
        ("a\\;b", ["a\\;b"]),
        ("a\\ b", ["a\\ b"]),
        ("a\\", None),
        ('"a b', None),
        ('"a\\"', None),
        ('"a"b', [Token("a", quoted=True), "b"]),
        ('a"b"c', ["a", Token("b", quoted=True), "c"]),
        ('a""', ["a", Token("", quoted=True)]),
        ('a=""b', ["a=", "b"]),
        ('""', [Token("", quoted=True)]),
        ('"a;b(c)"', [Token("a;b(c)", quoted=True)]),
        ('"a\nb"', [Token("a\nb", quoted=True)]),
        ('key="x y" z', ["key=x y", "z"]),
        ('"a\\"b"', [Token('a\\"b', quoted=True)]),
    ],
)
def test_text_is_split(text: str, expected: list[str | Token] | None) -> None:
    """RFC 1035 §5.1, RFC 9460 appendix A."""
    if expected is None:
        with pytest.raises(ValueError):
            split(text)
        return
    assert split(text) == [Token(word) if isinstance(word, str) else word for word in expected]


@given(st.binary(max_size=40))
def test_a_quoted_string_reads_back(data: bytes) -> None:
    text = quoted(data)
    assert text.isascii()
    assert text.isprintable()
    [token] = split(text)
    assert token.quoted
    assert octets(token.text) == data


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", b"a"), ("é", b"\xc3\xa9"), ('\\"', b'"'), ("\\195\\169", b"\xc3\xa9"), ("\\\\", b"\\")],
)
def test_escapes_are_undone(text: str, expected: bytes) -> None:
    assert octets(text) == expected


@pytest.mark.parametrize("text", ["\\256", "\\1", "\\12x", "a\\"])
def test_a_bad_escape_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        octets(text)


@given(st.text(alphabet=st.sampled_from('a1 \\";()\n'), max_size=12))
def test_any_text_is_split_or_refused(text: str) -> None:
    try:
        split(text)
    except ValueError:
        return
