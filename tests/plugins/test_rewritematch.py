"""Matching names, and renaming them."""

import pytest

from svcdns.plugins.rewritematch import back, read, renaming

ROWS = [
    ("exact", "a.example", "b.example.", "a.example.", "b.example."),
    ("exact", "a.example", "b.example.", "x.a.example.", None),
    ("prefix", "a.example", "b.example.", "a.example.net.", "b.example.net."),
    ("prefix", "a.exam", "b.", "a.example.net.", None),
    ("suffix", "example.org", "example.net.", "www.example.org.", "www.example.net."),
    ("suffix", ".example.org", ".x.", "example.org.", None),
    ("substring", "us.example", "eu.", "a.us.example.b.us.example.", "a.eu.b.eu."),
    ("regex", r"(.*)\.us\.$", "{1}.eu.", "a.us.", "a.eu."),
    ("regex", r"(.*)\.us$", "{1}.eu.", "a.us.", None),
]


@pytest.mark.parametrize(("kind", "text", "to", "name", "found"), ROWS)
def test_names_are_renamed(kind: str, text: str, to: str, name: str, found: str | None) -> None:
    assert renaming(read(kind, text, to), to)(name) == found


@pytest.mark.parametrize(
    ("kind", "text", "to", "message"),
    [
        ("regex", "a", "{1}", "uses more subexpressions"),
        ("regex", "(a", "b", "error parsing regexp"),
        ("glob", "a", "b", "only exact, prefix"),
    ],
)
def test_what_cannot_work_is_refused(kind: str, text: str, to: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(kind, text, to)


def test_the_way_back_takes_names_below_along_and_no_others() -> None:
    change = back("b.example.", "a.org.")

    assert [change(name) for name in ("b.example.", "x.b.example.", "xb.example.")] == [
        "a.org.",
        "x.a.org.",
        None,
    ]
