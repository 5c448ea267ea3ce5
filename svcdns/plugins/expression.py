"""Expressions about queries: text to a function.

The part of the language of expr-lang/expr that says something about a query: comparisons, logic,
``in``, ``matches``, ``contains``, ``startsWith``, ``endsWith``, each with ``not``; arithmetic, the
choice ``a ? b : c``, lists, and functions.

Operators by how strongly they bind: ``**``; sign; ``* / %``; ``not``; ``+ -``; comparisons, ``in``
and the tests of strings; ``and``; ``or``; the choice.  (``not`` binds more strongly than ``==``.)

Spec: the language definition of expr-lang/expr.  Parity: CoreDNS ``plugin/pkg/expression``.
"""

from collections.abc import Mapping

from svcdns.plugins.expressionlexer import ExpressionError, Sort, Token, tokens
from svcdns.plugins.expressionvalues import (
    BUILTINS,
    CONSTANTS,
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

_BINDING = {
    "or": 10, "||": 10, "and": 15, "&&": 15,
    "==": 20, "!=": 20, "<": 20, ">": 20, "<=": 20, ">=": 20,
    "in": 20, "matches": 20, "contains": 20, "startsWith": 20, "endsWith": 20,
    "+": 30, "-": 30, "*": 60, "/": 60, "%": 60, "**": 100, "^": 100,
}  # fmt: skip
_NEGATABLE = frozenset({"in", "matches", "contains", "startsWith", "endsWith"})
_UNARY = {"not": 50, "!": 50, "-": 90, "+": 90}


def compile_text(text: str, functions: Mapping[str, Function]) -> Compiled:
    """Read an expression.

    Args:
        text: The expression.
        functions: By name; the language's own (``len``, ``lower``, …) are there besides.

    Raises:
        ExpressionError: It is none, or calls what is not there, or with the wrong types.  Its
            ``run`` raises nothing else either.
    """
    parser = _Parser(text, {**BUILTINS, **functions})
    try:
        return parser.whole()
    except RecursionError:
        raise ExpressionError("the expression is nested too deeply") from None


class _Parser:
    """Precedence climbing over tokens."""

    def __init__(self, text: str, functions: Mapping[str, Function]) -> None:
        self._tokens = tokens(text)
        self._at = 0
        self._depth = 0
        self._functions = functions

    def whole(self) -> Compiled:
        found = self._choice()
        if self._next.sort is not Sort.END:
            raise self._unexpected()
        return found

    # -- tokens

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._next
        self._at += 1
        return token

    def _accept(self, text: str) -> bool:
        if self._next.sort is Sort.OPERATOR and self._next.text == text:
            self._at += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise self._unexpected(f", expected {text}")

    def _unexpected(self, wanted: str = "") -> ExpressionError:
        token = self._next
        what = repr(token.text) if token.sort is not Sort.END else str(token.sort)
        return ExpressionError(f"unexpected {what} at column {token.at + 1}{wanted}")

    # -- grammar

    def _choice(self) -> Compiled:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionError("the expression is nested too deeply")
        found = self._binary(0)
        if self._accept("?"):
            yes = self._choice()
            self._expect(":")
            found = choose(found, yes, self._choice())
        self._depth -= 1
        return found

    def _binary(self, least: int) -> Compiled:
        left = self._unary()
        while True:
            negated = self._negated()
            token = self._tokens[self._at + negated]
            binding = _BINDING.get(token.text, 0) if _may_be_operator(token) else 0
            if binding == 0 or binding < least:
                return left
            self._at += 1 + negated
            # Powers group from the right, everything else from the left.
            right = self._binary(binding if token.text in ("**", "^") else binding + 1)
            left = combine(token, left, right)
            if negated:
                left = negate(left)

    def _negated(self) -> bool:
        """Whether ``not in``, ``not matches`` … come next."""
        token = self._next
        if token.sort is not Sort.NAME or token.text != "not":
            return False
        return self._tokens[self._at + 1].text in _NEGATABLE

    def _unary(self) -> Compiled:
        token = self._next
        binding = _UNARY.get(token.text) if token.sort in (Sort.OPERATOR, Sort.NAME) else None
        if binding is None:
            return self._primary()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionError("the expression is nested too deeply")
        self._take()
        operand = self._binary(binding)
        self._depth -= 1
        return negate(operand) if token.text in ("not", "!") else signed(token, operand)

    def _primary(self) -> Compiled:
        token = self._next
        if self._accept("("):
            found = self._choice()
            self._expect(")")
            return found
        if self._accept("["):
            return array(self._arguments("]"))
        match token.sort:
            case Sort.NUMBER:
                self._take()
                return number(token)
            case Sort.STRING:
                self._take()
                return constant(STRING, token.text)
            case Sort.NAME if token.text in CONSTANTS:
                self._take()
                return CONSTANTS[token.text]
            case Sort.NAME if token.text not in _BINDING:
                return self._call()
            case _:
                raise self._unexpected()

    def _call(self) -> Compiled:
        token = self._take()
        function = self._functions.get(token.text)
        if function is None:
            raise ExpressionError(f"unknown name {token.text} at column {token.at + 1}")
        self._expect("(")
        return called(token, function, self._arguments(")"))

    def _arguments(self, end: str) -> list[Compiled]:
        found: list[Compiled] = []
        while not self._accept(end):
            if found:
                self._expect(",")
                if self._accept(end):
                    break
            found.append(self._choice())
        return found


def _may_be_operator(token: Token) -> bool:
    return token.sort in (Sort.OPERATOR, Sort.NAME)
