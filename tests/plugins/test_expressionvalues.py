"""What may be put together; what comes of it is in test_expression."""

from collections.abc import Callable

import pytest

from svcdns.plugins.expressionlexer import ExpressionError, Token, tokens
from svcdns.plugins.expressionvalues import (
    ANY,
    BOOL,
    BUILTINS,
    FLOAT,
    INT,
    LIST,
    MAX_DEPTH,
    STRING,
    Compiled,
    Function,
    array,
    called,
    choose,
    combine,
    constant,
    negate,
    number,
    signed,
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


def token(text: str) -> Token:
    return tokens(text)[0]


def known(value: object, kind: str = ANY) -> Compiled:
    """Make a value that shows only when it is used."""
    return Compiled(kind, lambda _subject: value)


OPERATIONS: list[tuple[object, str, object, object]] = [
    (True, "and", False, False),
    (False, "or", True, True),
    (1, "==", 1.0, True),
    (1, "==", True, False),
    ("a", "!=", "b", True),
    ("a", "<", "b", True),
    (2, ">=", 2.5, False),
    (1, "in", [True, 1], True),
    ("abc", "contains", "b", True),
    ("abc", "startsWith", "b", False),
    ("abc", "endsWith", "c", True),
    ("abc", "matches", "^a.c$", True),
    ("a", "+", "b", "ab"),
    (1, "+", 2.5, 3.5),
    (5, "-", 3, 2),
    (5, "*", 3, 15),
    (1, "/", 4, 0.25),
    (7, "%", 4, 3),
    (2, "**", 3, 8.0),
]


@pytest.mark.parametrize(("left", "name", "right", "found"), OPERATIONS)
def test_operations_on_values_of_unknown_type(
    left: object, name: str, right: object, found: object
) -> None:
    assert combine(token(name), known(left), known(right)).run(None) == found


@pytest.mark.parametrize(
    ("left", "name", "right"),
    [
        (1, "and", True),
        (False, "or", "a"),
        ("a", "<", 1),
        (True, "<", 2),
        (1, "in", "1"),
        ("a", "contains", 1),
        ("a", "matches", "("),
        ("a", "+", 1),
        (1, "/", 0),
        (1, "%", 0),
        (10**400, "*", 1.5),
        (10**400, "+", 1.5),
        (-8, "**", 0.5),
    ],
)
def test_operations_that_fail_say_so(left: object, name: str, right: object) -> None:
    found = combine(token(name), known(left), known(right))

    with pytest.raises(ExpressionError):
        found.run(None)


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("10", INT, 10),
        ("1_0", INT, 10),
        ("0x1f", INT, 31),
        ("2.5", FLOAT, 2.5),
        ("1e3", FLOAT, 1e3),
    ],
)
def test_numbers_are_whole_or_not(text: str, kind: str, found: object) -> None:
    made = number(token(text))

    assert (made.kind, made.run(None)) == (kind, found)


def test_a_list_is_constant_when_its_parts_are() -> None:
    subject = Compiled(ANY, lambda subject: subject)

    one = constant(INT, 1)

    assert array([one, one]).constant
    assert not array([one, subject]).constant
    assert array([one, subject]).run(7) == [1, 7]


def test_choices_signs_and_calls() -> None:
    subject = Compiled(ANY, lambda subject: subject)
    choice = choose(subject, known("a", STRING), known("b", STRING))
    assert (choice.kind, choice.run(True), choice.run(False)) == (STRING, "a", "b")
    assert signed(token("-"), subject).run(5) == -5
    assert signed(token("+"), subject) is subject
    assert negate(subject).run(False) is True
    join = Function((STRING, ANY), STRING, lambda subject, one, two: f"{subject}{one}{two}")
    assert called(token("join"), join, [known("a", STRING), subject]).run(1) == "1a1"
    mistakes: tuple[Callable[[], object], ...] = (
        lambda: choose(known(1, INT), subject, subject),
        lambda: signed(token("-"), known("a", STRING)),
        lambda: negate(known(1, INT)),
        lambda: called(token("join"), join, [subject]),
        lambda: called(token("join"), join, [known(1, INT), subject]),
    )
    for make in mistakes:
        with pytest.raises(ExpressionError):
            make()
    for part in (choice, signed(token("-"), subject), negate(subject)):
        with pytest.raises(ExpressionError):
            part.run("text")


@pytest.mark.parametrize(
    ("name", "arguments", "found"),
    [
        ("len", ["abc"], 3),
        ("len", [[1, 2]], 2),
        ("lower", ["AbC"], "abc"),
        ("upper", ["AbC"], "ABC"),
        ("trim", [" a\t"], "a"),
        ("hasPrefix", ["abc", "a"], True),
        ("hasSuffix", ["abc", "a"], False),
        ("int", ["12"], 12),
        ("int", [2.9], 2),
    ],
)
def test_functions_of_the_language(name: str, arguments: list[object], found: object) -> None:
    assert BUILTINS[name].call(None, *arguments) == found


@pytest.mark.parametrize(
    ("name", "argument"),
    [("len", 1), ("lower", 1), ("int", "x"), ("int", None), ("int", float("inf")), ("int", True)],
)
def test_functions_refuse_what_they_cannot_take(name: str, argument: object) -> None:
    with pytest.raises(ExpressionError):
        BUILTINS[name].call(None, argument)
