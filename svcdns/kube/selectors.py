"""Label selectors: read from text, and matched.

The API server does the selecting for an :class:`~svcdns.kube.source.ApiSource`; the text is read
here as well, so that a mistake is found at start and not as a watch that never works, and so that
manifests can be selected in the same way.

Spec: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
Parity: apimachinery ``pkg/labels/selector.go`` (``Parse``); rules G2 and G3.
"""

import re
from collections.abc import Mapping
from enum import Enum

from msgspec import Struct

MAX_NAME = 63
"""Characters of the name part of a key, and of a value."""

MAX_PREFIX = 253
"""Characters of the prefix of a key, a DNS subdomain."""

_TOKEN = re.compile(r"\s*(==|!=|=|<|>|!|,|\(|\)|[^\s=!<>,()]+)")
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_SIGNS = frozenset(("==", "!=", "=", "<", ">", "!", ",", "(", ")", ""))


class Operator(Enum):
    """How a requirement compares."""

    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    MISSING = "!"
    GREATER = ">"
    LESS = "<"


class Requirement(Struct, frozen=True):
    """One condition on one label; ``=`` is IN, ``!=`` is NOT_IN."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether *labels* meet this requirement.

        A missing label meets NOT_IN, as in the API.
        """
        value = labels.get(self.key)
        match self.operator:
            case Operator.IN:
                return value in self.values
            case Operator.NOT_IN:
                return value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.MISSING:
                return value is None
            case Operator.GREATER | Operator.LESS:
                return self._compares(value)

    def _compares(self, value: str | None) -> bool:
        if value is None or not _INTEGER.fullmatch(value):
            return False
        (bound,) = self.values
        number, limit = int(value), int(bound)
        return number > limit if self.operator is Operator.GREATER else number < limit


class Selector(Struct, frozen=True):
    """Requirements that all have to be met; none match everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Whether an object with these labels is selected."""
        present = labels or {}
        return all(one.matches(present) for one in self.requirements)


def parse(text: str) -> Selector:
    """Read a selector: ``app=web,tier in (a, b),!canary``.

    Raises:
        ValueError: The text is no selector; the message says what is wrong and where.
    """
    if not text.strip():
        return Selector()
    return Selector(_Parser(text).requirements())


def selects(selector: Mapping[str, str] | None, labels: Mapping[str, str] | None) -> bool:
    """Whether ``Service.spec.selector`` selects an object with these labels.

    A Service without a selector selects nothing: its slices are made by somebody else.
    """
    if not selector:
        return False
    present = labels or {}
    return all(present.get(key) == value for key, value in selector.items())


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._next = 0

    def requirements(self) -> tuple[Requirement, ...]:
        found = [self._requirement()]
        while self._peek():
            self._expect(",")
            found.append(self._requirement())
        return tuple(found)

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._take()
            return Requirement(self._key(), Operator.MISSING)
        key = self._key()
        match self._peek():
            case "" | ",":
                return Requirement(key, Operator.EXISTS)
            case "=" | "==":
                self._take()
                return Requirement(key, Operator.IN, frozenset((self._value(),)))
            case "!=":
                self._take()
                return Requirement(key, Operator.NOT_IN, frozenset((self._value(),)))
            case "in" | "notin" as word:
                self._take()
                return Requirement(key, Operator(word), self._values())
            case ">" | "<" as sign:
                self._take()
                return Requirement(key, Operator(sign), frozenset((self._number(),)))
            case other:
                raise self._error(f"=, !=, in, notin, < or > is expected after {key}, not {other}")

    def _key(self) -> str:
        key = self._take()
        if key in _SIGNS:
            raise self._error(f"a label is expected, not {key or 'the end'}")
        prefix, slash, name = key.rpartition("/")
        if slash and not (len(prefix) <= MAX_PREFIX and _SUBDOMAIN.fullmatch(prefix)):
            raise self._error(f"the prefix of label {key} must be a DNS subdomain")
        if not (len(name) <= MAX_NAME and _NAME.fullmatch(name)):
            raise self._error(
                f"label {key} must be letters, digits, '-', '_' and '.', at most {MAX_NAME},"
                " beginning and ending with a letter or digit"
            )
        return key

    def _value(self) -> str:
        if self._peek() in ("", ",", ")"):
            return ""  # "a=" asks for an empty value, "a in (x,)" for x or an empty one
        value = self._take()
        if value in _SIGNS:
            raise self._error(f"a value is expected, not {value}")
        if not (len(value) <= MAX_NAME and _NAME.fullmatch(value)):
            raise self._error(
                f"value {value} must be letters, digits, '-', '_' and '.', at most {MAX_NAME},"
                " beginning and ending with a letter or digit"
            )
        return value

    def _values(self) -> frozenset[str]:
        self._expect("(")
        values = {self._value()}
        while self._peek() == ",":
            self._take()
            values.add(self._value())
        self._expect(")")
        return frozenset(values)

    def _number(self) -> str:
        value = self._take()
        if not (len(value) <= MAX_NAME and _INTEGER.fullmatch(value)):
            raise self._error(f"an integer is expected, not {value or 'the end'}")
        return value

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self._next += 1
        return token

    def _expect(self, sign: str) -> None:
        found = self._take()
        if found != sign:
            raise self._error(f"{sign} is expected, not {found or 'the end'}")

    def _error(self, problem: str) -> ValueError:
        return ValueError(f"label selector {self._text!r}: {problem}")


def _tokens(text: str) -> list[str]:
    return [match[1] for match in _TOKEN.finditer(text.rstrip())]
