"""Expressions as words: the tokens of :mod:`svcdns.plugins.expression`.

Spec: the language definition of expr-lang/expr (strings, numbers, operators).
"""

import re
from enum import StrEnum

from msgspec import Struct


class ExpressionError(ValueError):
    """An expression that makes no sense, at set-up or for a query; says where and why."""


class Sort(StrEnum):
    """What a token is."""

    NUMBER = "number"
    STRING = "string"
    NAME = "name"
    OPERATOR = "operator"
    END = "end of expression"


class Token(Struct, frozen=True):
    """One word."""

    sort: Sort
    text: str
    "As written; of a string, what it stands for."
    at: int
    "Offset in the expression."


_TOKEN = re.compile(
    r"""
    (?P<blank>\s+)
  | (?P<number>0[xX][0-9a-fA-F_]+ | \d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?)
  | (?P<string>"(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | `[^`]*`)
  | (?P<name>[A-Za-z_$][\w$]*)
  | (?P<operator>==|!=|<=|>=|&&|\|\||\*\*|[-<>!+*/%?:()\[\],^])
    """,
    re.VERBOSE | re.ASCII | re.DOTALL,
)

_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_ESCAPED = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "`": "`",
}  # fmt: skip


def tokens(text: str) -> list[Token]:
    """Split an expression; the last token is the end.

    Raises:
        ExpressionError: A character or an escape that the language does not have.
    """
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ExpressionError(f"unexpected {text[at]!r} at column {at + 1}")
        sort = match.lastgroup
        if sort == "string":
            found.append(Token(Sort.STRING, _unquote(match[0], at), at))
        elif sort not in (None, "blank"):
            found.append(Token(Sort(str(sort)), match[0], at))
        at = match.end()
    found.append(Token(Sort.END, "", at))
    return found


def _unquote(quoted: str, at: int) -> str:
    if quoted.startswith("`"):
        return quoted[1:-1]

    def plain(match: re.Match[str]) -> str:
        code = match[1]
        if len(code) == 1:
            if code in _ESCAPED:
                return _ESCAPED[code]
            raise ExpressionError(f"unknown escape \\{code} in the string at column {at + 1}")
        number = int(code, 8) if code.isdigit() else int(code[1:], 16)
        if number > 0x10FFFF or 0xD800 <= number < 0xE000:
            raise ExpressionError(f"no such character: \\{code} at column {at + 1}")
        return chr(number)

    return _ESCAPE.sub(plain, quoted[1:-1])
