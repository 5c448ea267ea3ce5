"""Parts of patterns: what puts them together."""

import re

import pytest

from svcdns.plugins.codepoints import LAST, Ranges
from svcdns.plugins.goregexpnodes import (
    Choice,
    OneOf,
    Row,
    chars,
    either,
    enclosed,
    fenced,
    sequence,
)

A, B, DOT = ((97, 97),), ((98, 98),), ((46, 46),)


def test_a_row_knows_what_it_may_begin_with_and_hold() -> None:
    row = sequence([chars(A), chars(B)])

    assert (row.text, row.first, row.empty) == ("[a][b]", A, False)
    assert row.chars == ((97, 98),)
    assert row.code == Row((OneOf(A), OneOf(B)))


def test_branches_that_begin_alike_are_two_ways_through_a_text() -> None:
    assert either([chars(A), chars(B)]).loop == ()
    assert either([chars(A), chars(A)]).loop == A
    assert either([chars(A), chars(B)]).code == Choice((OneOf(A), OneOf(B)))


def test_a_mark_between_rounds_leaves_one_way() -> None:
    label = enclosed(chars(A), "a", OneOf(A))

    assert fenced(sequence([label, chars(DOT)]))
    assert not fenced(sequence([]))


def test_a_class_of_nothing_matches_nothing() -> None:
    assert (chars(()).text, chars(()).empty) == ("(?!)", False)


@pytest.mark.parametrize(
    "ranges",
    [
        ((0, LAST),),
        ((0, 9), (11, LAST)),
        ((11, LAST),),
        ((0, 96), (98, 98), (100, LAST)),
        ((LAST, LAST),),
        ((0, 93), (95, LAST)),
        ((93, 94),),
    ],
)
def test_a_class_holds_what_is_in_it_and_nothing_else(ranges: Ranges) -> None:
    """Those that go up to the last code point are written upside down."""
    pattern = re.compile(chars(ranges).text)
    edges = {code + by for pair in ranges for code in pair for by in (-1, 0, 1)} | {0, 10, LAST}

    for code in edges & set(range(LAST + 1)):
        inside = any(low <= code <= high for low, high in ranges)
        assert bool(pattern.fullmatch(chr(code))) is inside, code


def test_a_dot_is_written_as_what_it_is_not() -> None:
    """Python takes 7 ms to compile each class that is spelled out to its end."""
    assert chars(((0, 9), (11, LAST))).text == "[^\\U0000000a]"
