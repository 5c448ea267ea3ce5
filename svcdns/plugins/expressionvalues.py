"""What the parts of an expression mean: values, operators, functions.

Types are checked when parts are put together, as expr does it, so that ``name() == 1`` stops the
start and not the thousandth query.  Only what depends on the query can fail later.

Spec: the language definition of expr-lang/expr; regular expressions are Go's.
"""

import operator
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct

from svcdns.plugins.expressionlexer import ExpressionError, Token
from svcdns.plugins.goregexp import GoRegexp

BOOL: Final = "bool"
INT: Final = "int"
FLOAT: Final = "float"
STRING: Final = "string"
LIST: Final = "array"
ANY: Final = "any"
"""Types of values; what is ANY is known only when there is a query."""

MAX_DEPTH = 100
"""Parts inside parts, which bounds the stack; longer alternatives are written with ``in``."""

_NUMBERS = frozenset({INT, FLOAT, ANY})

Subject = Any
"""What an expression is about; only the functions know."""


class Function(Struct, frozen=True):
    """A function that expressions may call."""

    takes: tuple[str, ...]
    "Types of the arguments."
    gives: str
    call: Callable[..., Any]
    "With the subject and the arguments; raises ExpressionError."


class Compiled(Struct, frozen=True):
    """An expression, or a part of one, ready to be evaluated."""

    kind: str
    run: Callable[[Subject], Any]
    "Raises ExpressionError."
    constant: bool = False
    "Whether it is the same for every subject."
    depth: int = 1


def _of(kind: str, run: Callable[[Subject], Any], *parts: Compiled) -> Compiled:
    depth = 1 + max((part.depth for part in parts), default=0)
    if depth > MAX_DEPTH:
        raise ExpressionError("the expression is nested too deeply")
    return Compiled(kind, run, depth=depth)


def constant(kind: str, value: object) -> Compiled:
    """Make a value that is the same for every subject."""
    return Compiled(kind, lambda _subject: value, constant=True)


CONSTANTS: Final = {
    "true": constant(BOOL, True),
    "false": constant(BOOL, False),
    "nil": constant(ANY, None),
}


def number(token: Token) -> Compiled:
    """Read a number: ``10``, ``0x1F``, ``1_000``, ``2.5``, ``1e3``."""
    text = token.text.replace("_", "")
    try:
        if text[:2] in ("0x", "0X"):
            return constant(INT, int(text, 16))
        if text.isdigit():
            return constant(INT, int(text))
        return constant(FLOAT, float(text))
    except ValueError as error:
        raise ExpressionError(f"bad number {token.text[:20]!r}: column {token.at + 1}") from error


def array(parts: Sequence[Compiled]) -> Compiled:
    """Make a list of parts."""
    runs = [part.run for part in parts]
    if all(part.constant for part in parts):
        return constant(LIST, [run(None) for run in runs])
    return _of(LIST, lambda subject: [run(subject) for run in runs], *parts)


def choose(condition: Compiled, yes: Compiled, no: Compiled) -> Compiled:
    """Make ``condition ? yes : no``."""
    if condition.kind not in (BOOL, ANY):
        raise ExpressionError(f"a choice by {condition.kind}, expected {BOOL}")

    def run(subject: Subject) -> Any:
        return (yes if _truth(condition, subject) else no).run(subject)

    return _of(yes.kind if yes.kind == no.kind else ANY, run, condition, yes, no)


def _truth(part: Compiled, subject: Subject) -> bool:
    value = part.run(subject)
    if isinstance(value, bool):
        return value
    raise ExpressionError(f"{value!r} is neither true nor false")


def negate(operand: Compiled) -> Compiled:
    """Make ``not operand``."""
    if operand.kind not in (BOOL, ANY):
        raise ExpressionError(f"not {operand.kind}, expected {BOOL}")
    return _of(BOOL, lambda subject: not _truth(operand, subject), operand)


def signed(token: Token, operand: Compiled) -> Compiled:
    """Make a number with a sign in front."""
    if operand.kind not in _NUMBERS:
        raise ExpressionError(f"{token.text} of {operand.kind} at column {token.at + 1}")
    if token.text == "+":
        return operand
    return _of(operand.kind, lambda subject: -_numeric(operand.run(subject)), operand)


def _numeric(value: object) -> int | float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise ExpressionError(f"{value!r} is no number")


def combine(token: Token, left: Compiled, right: Compiled) -> Compiled:
    """Make the operation of a token on two parts whose types fit."""
    name = token.text
    if not _fits(name, left.kind, right.kind):
        place = f"at column {token.at + 1}"
        raise ExpressionError(f"{left.kind} {name} {right.kind} {place}: the types do not fit")
    if name in ("and", "&&", "or", "||"):
        return _logic(left, right, stops_at=name in ("or", "||"))
    if name == "matches":
        return _matches(left, right)
    if name in _TESTS:
        test = _TESTS[name]
        return _of(BOOL, lambda subject: test(left.run(subject), right.run(subject)), left, right)
    compute = _ARITHMETIC[name]
    kind = _kind_of(name, left.kind, right.kind)
    return _of(kind, lambda subject: compute(left.run(subject), right.run(subject)), left, right)


def _logic(left: Compiled, right: Compiled, *, stops_at: bool) -> Compiled:
    def run(subject: Subject) -> bool:
        first = _truth(left, subject)
        return first if first is stops_at else _truth(right, subject)

    return _of(BOOL, run, left, right)


def _kind_of(name: str, left: str, right: str) -> str:
    """Give the type of a sum, product, …."""
    if ANY in (left, right):
        return ANY
    if name in ("/", "**", "^"):
        return FLOAT
    return left if left == right else FLOAT


def _fits(name: str, left: str, right: str) -> bool:
    """Whether an operation has a meaning for these types."""
    kinds = {left, right} - {ANY}
    if name == "in":
        return right in (LIST, ANY)
    if name in ("==", "!="):
        return len(kinds) < 2 or kinds <= _NUMBERS
    if name in ("<", ">", "<=", ">=", "+"):
        return kinds <= _NUMBERS or kinds <= {STRING}
    if name in ("and", "&&", "or", "||"):
        return kinds <= {BOOL}
    return kinds <= ({STRING} if name in _TESTS or name == "matches" else _NUMBERS)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def test(left: object, right: object) -> bool:
        if isinstance(left, str) and isinstance(right, str):
            return compare(left, right)
        return compare(_numeric(left), _numeric(right))

    return test


def _textual(test: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    def checked(left: object, right: object) -> bool:
        return test(_string(left), _string(right))

    return checked


def _string(value: object) -> str:
    if isinstance(value, str):
        return value
    raise ExpressionError(f"{value!r} is no string")


def _same(left: object, right: object) -> bool:
    # In Python true is 1; in the language it is not.
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def _member(value: object, values: object) -> bool:
    if not isinstance(values, list):
        raise ExpressionError(f"{values!r} is no list")
    return any(_same(value, each) for each in values)


_TESTS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": _same,
    "!=": lambda left, right: not _same(left, right),
    "<": _ordered(operator.lt),
    ">": _ordered(operator.gt),
    "<=": _ordered(operator.le),
    ">=": _ordered(operator.ge),
    "in": _member,
    "contains": _textual(lambda text, part: part in text),
    "startsWith": _textual(str.startswith),
    "endsWith": _textual(str.endswith),
}


def _computed(compute: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def checked(left: object, right: object) -> int | float:
        try:
            found = compute(_numeric(left), _numeric(right))
        except ArithmeticError as error:
            raise ExpressionError(str(error)) from error
        return _numeric(found)

    return checked


def _plus(left: object, right: object) -> object:
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    return _sum(left, right)


def _power(base: float, exponent: float) -> object:
    # In Go this is a float; an integer could grow without limit.
    return float(base) ** float(exponent)


_sum = _computed(operator.add)

_ARITHMETIC: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": _plus,
    "-": _computed(operator.sub),
    "*": _computed(operator.mul),
    "/": _computed(operator.truediv),
    "%": _computed(operator.mod),
    "**": _computed(_power),
    "^": _computed(_power),
}


def _matches(left: Compiled, right: Compiled) -> Compiled:
    known = _pattern(right.run(None)) if right.constant else None

    def run(subject: Subject) -> bool:
        pattern = known or _pattern(right.run(subject))
        return pattern.search(_string(left.run(subject))) is not None

    return _of(BOOL, run, left, right)


@lru_cache(maxsize=256)
def _compiled(text: str) -> GoRegexp:
    return GoRegexp(text)


def _pattern(text: object) -> GoRegexp:
    try:
        return _compiled(_string(text))
    except (ValueError, OverflowError, RecursionError) as error:
        raise ExpressionError(f"bad regular expression {text!r}: {error}") from error


def called(token: Token, function: Function, arguments: Sequence[Compiled]) -> Compiled:
    """Make a call of a function whose arguments fit."""
    kinds = tuple(argument.kind for argument in arguments)
    if len(kinds) != len(function.takes) or any(
        ANY not in (given, wanted) and given != wanted
        for given, wanted in zip(kinds, function.takes, strict=True)
    ):
        place = f"{token.text}({', '.join(kinds)}) at column {token.at + 1}"
        raise ExpressionError(f"{place}: expected {token.text}({', '.join(function.takes)})")
    call, runs = function.call, [argument.run for argument in arguments]

    def run(subject: Subject) -> Any:
        return call(subject, *[each(subject) for each in runs])

    return _of(function.gives, run, *arguments)


def _length(_subject: Subject, value: object) -> int:
    if isinstance(value, str | list):
        return len(value)
    raise ExpressionError(f"{value!r} has no length")


def _integer(_subject: Subject, value: object) -> int:
    try:
        return int(value) if isinstance(value, str) else int(_numeric(value))
    except (ValueError, OverflowError) as error:
        raise ExpressionError(f"{value!r} is no whole number") from error


BUILTINS: Final = {
    "len": Function((ANY,), INT, _length),
    "lower": Function((STRING,), STRING, lambda _subject, text: _string(text).lower()),
    "upper": Function((STRING,), STRING, lambda _subject, text: _string(text).upper()),
    "trim": Function((STRING,), STRING, lambda _subject, text: _string(text).strip()),
    "hasPrefix": Function(
        (STRING, STRING), BOOL, lambda _subject, text, part: _TESTS["startsWith"](text, part)
    ),
    "hasSuffix": Function(
        (STRING, STRING), BOOL, lambda _subject, text, part: _TESTS["endsWith"](text, part)
    ),
    "int": Function((ANY,), INT, _integer),
}
"""Functions of the language itself."""
