"""Parts of patterns: what puts them together."""

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
