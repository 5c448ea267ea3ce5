"""Sets of characters."""

import re

from hypothesis import given
from hypothesis import strategies as st

from svcdns.plugins.codepoints import (
    LAST,
    POSIX,
    folded,
    merged,
    negated,
    overlap,
    perl,
    unicode_class,
    union,
)

_SETS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), max_size=6).map(
    lambda pairs: merged([(low, low + more) for low, more in pairs])
)


def members(ranges: tuple[tuple[int, int], ...]) -> set[int]:
    return {code for low, high in ranges for code in range(low, min(high, 99) + 1)}


@given(_SETS, _SETS)
def test_sets_behave_as_sets_do(
    one: tuple[tuple[int, int], ...], two: tuple[tuple[int, int], ...]
) -> None:
    assert members(union(one, two)) == members(one) | members(two)
    assert members(negated(one)) == set(range(100)) - members(one)
    assert overlap(one, two) is bool(members(one) & members(two))
    assert negated(negated(one)) == one


def test_classes_are_those_of_ascii() -> None:
    for letter in "dws":
        expected = {code for code in range(128) if re.match("\\" + letter, chr(code), re.ASCII)}
        found = {code for code in members(perl(letter))} | {
            c for low, high in perl(letter) for c in range(low, high + 1)
        }
        # Go's \s has no vertical tab and no separators that Python counts.
        assert found == expected - ({11, 28, 29, 30, 31} if letter == "s" else set())
        assert negated(perl(letter)) == perl(letter.upper())
    assert POSIX["alnum"] == union(POSIX["alpha"], POSIX["digit"])
    assert negated(()) == ((0, LAST),)


def test_folding_adds_the_other_case_of_ascii_letters() -> None:
    assert folded(((97, 98), (48, 48))) == ((48, 48), (65, 66), (97, 98))
    assert folded(((64, 66),)) == ((64, 66), (97, 98))


def test_unicode_classes_are_general_categories_and_what_scripts_have_of_ascii() -> None:
    letters, upper, lower = unicode_class("L"), unicode_class("Lu"), unicode_class("Ll")

    assert members(letters) == members(POSIX["alpha"]) == members(unicode_class("Latin"))
    assert overlap(letters, ((0x3B1, 0x3B1),))
    assert not overlap(upper, lower)
    assert (
        union(upper, lower, unicode_class("Lt"), unicode_class("Lm"), unicode_class("Lo"))
        == letters
    )
    assert not overlap(unicode_class("C"), ((0x378, 0x378),)), "unassigned ones are in no class"
    assert members(unicode_class("Common")) == set(range(100)) - members(POSIX["alpha"])
    assert unicode_class("Thai") == ()
