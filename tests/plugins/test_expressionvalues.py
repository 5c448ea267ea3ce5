"""What may be put together; what comes of it is in test_expression."""

import pytest

from svcdns.plugins.expressionlexer import ExpressionError, tokens
from svcdns.plugins.expressionvalues import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    LIST,
    MAX_DEPTH,
    STRING,
    Compiled,
    combine,
    constant,
    negate,
)

SAMPLES = {BOOL: True, INT: 2, FLOAT: 2.5, STRING: "a", LIST: ["a"], ANY: None}


def combined(operator: str, left: str, right: str) -> Compiled:
    token = tokens(operator)[0]
    return combine(token, constant(left, SAMPLES[left]), constant(right, SAMPLES[right]))


FIT = [
    ("and", BOOL, BOOL, BOOL),
    ("||", BOOL, ANY, BOOL),
    ("==", STRING, STRING, BOOL),
    ("==", INT, FLOAT, BOOL),
    ("==", LIST, ANY, BOOL),
    ("<", INT, FLOAT, BOOL),
    ("<", STRING, STRING, BOOL),
    ("in", INT, LIST, BOOL),
    ("contains", STRING, ANY, BOOL),
    ("+", INT, INT, INT),
    ("+", INT, FLOAT, FLOAT),
    ("+", STRING, STRING, STRING),
    ("+", ANY, INT, ANY),
    ("/", INT, INT, FLOAT),
    ("%", INT, INT, INT),
]


@pytest.mark.parametrize(("operator", "left", "right", "kind"), FIT)
def test_types_that_fit_give_a_type(operator: str, left: str, right: str, kind: str) -> None:
    assert combined(operator, left, right).kind == kind


@pytest.mark.parametrize(
    ("operator", "left", "right"),
    [
        ("and", BOOL, STRING),
        ("or", INT, BOOL),
        ("==", STRING, INT),
        ("!=", BOOL, STRING),
        ("<", STRING, INT),
        ("<", BOOL, BOOL),
        ("<=", LIST, LIST),
        ("in", STRING, STRING),
        ("matches", STRING, INT),
        ("startsWith", LIST, STRING),
        ("+", STRING, INT),
        ("-", STRING, STRING),
        ("*", BOOL, INT),
    ],
)
def test_types_that_do_not_fit_are_named(operator: str, left: str, right: str) -> None:
    with pytest.raises(ExpressionError, match="the types do not fit") as caught:
        combined(operator, left, right)
    assert f"{left} {operator} {right}" in str(caught.value)


def test_parts_inside_parts_are_bounded() -> None:
    found = constant(BOOL, True)
    for _ in range(MAX_DEPTH - 1):
        found = negate(found)
    assert found.run(None) is False

    with pytest.raises(ExpressionError, match="nested too deeply"):
        negate(found)
