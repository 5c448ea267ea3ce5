"""What single rules make of a question."""

import pytest

from svcdns.plugins.rewritematch import read
from svcdns.plugins.rewriterules import ClassRule, NameRule, TypeRule
from tests.support.records import wire_name
from tests.support.serving import request


def test_type_and_class_are_changed_when_they_match() -> None:
    asked = request("a.example ANY")
    typed = TypeRule(255, 13).apply(asked)
    classed = ClassRule(1, 3).apply(asked)

    assert typed is not None
    assert typed.query.qtype == 13
    assert classed is not None
    assert classed.query.qclass == 3
    assert TypeRule(1, 28).apply(asked) is None
    assert ClassRule(3, 1).apply(asked) is None


def test_a_name_is_matched_in_any_case_and_asked_for_in_lower_case() -> None:
    applied = NameRule(read("exact", "a.example"), "B.example.", auto=True).apply(
        request("A.Example A")
    )

    assert applied is not None
    assert applied.query.name == wire_name("b.example")
    assert len(applied.undo) == 2


def test_a_name_that_is_none_is_an_error() -> None:
    rule = NameRule(read("regex", "^a"), "a..b.", auto=False)

    with pytest.raises(ValueError, match=r"invalid name after rewrite: a\.\.b\."):
        rule.apply(request("a.example A"))
