r"""Reads templates of Go's text/template, as far as records need it.

Understood are text, ``{{ pipeline }}``, ``if``, ``else if``, ``else``, ``range``, ``with``,
``end``, ``break``, ``continue``, named templates (``define``, ``template``, ``block``), variables,
comments, trim markers, all literals, parentheses and the functions of
:mod:`svcdns.plugins.templatefunctions`.

Spec: https://pkg.go.dev/text/template
"""

import re
from collections.abc import Iterator
from typing import TypeAlias

from msgspec import Struct

from svcdns.plugins.templatefunctions import FUNCTIONS


class Text(Struct, frozen=True):
    """Text as it stands."""

    text: str


class Literal(Struct, frozen=True):
    """A constant."""

    value: object


class Fields(Struct, frozen=True):
    """``.A.B``, ``$x.A`` or ``(pipeline).A``: fields of something; none: the thing itself."""

    base: "Pipeline | str"
    "A pipeline in parentheses, ``.`` or a variable with its dollar sign."
    names: tuple[str, ...]


class Function(Struct, frozen=True):
    """The name of a function."""

    name: str


Operand: TypeAlias = Literal | Fields | Function


class Pipeline(Struct, frozen=True):
    """Commands, each of which gets the value of the one before as its last argument."""

    commands: tuple[tuple[Operand, ...], ...]
    declares: tuple[str, ...] = ()
    "Variables that take the value; two for ``range``."
    assigns: bool = False
    "Whether the variable is there already."


class Branch(Struct, frozen=True):
    """``if``, ``range`` and ``with``."""

    kind: str
    pipeline: Pipeline
    body: tuple["Node", ...]
    otherwise: tuple["Node", ...] = ()


class Leave(Struct, frozen=True):
    """``break`` and ``continue``."""

    kind: str


class Call(Struct, frozen=True):
    """``template "name" pipeline``."""

    name: str
    pipeline: Pipeline | None
    "Gives the dot; ``None``: there is none."


Node: TypeAlias = Text | Pipeline | Branch | Leave | Call


class Source(Struct, frozen=True):
    """A template, and those that it defines."""

    nodes: tuple[Node, ...]
    named: dict[str, tuple[Node, ...]]


_ACTION = re.compile(
    r"\{\{(?P<left>-(?=\s))?\s*(?P<body>(?:/\*.*?\*/|\"(?:\\.|[^\"\\])*\"|`[^`]*`|'(?:\\.|[^'\\])*'|(?!\}\}).)*?)"
    r"(?P<right>(?<=\s)-)?\}\}",
    re.DOTALL,
)
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<string>"(?:\\.|[^"\\\n])*") | (?P<raw>`[^`]*`) | (?P<char>'(?:\\.|[^'\\])+')
    | (?P<number>[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+
      |[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?))(?![\w.])
    | (?P<field>\.[A-Za-z_]\w*) | (?P<dot>\.) | (?P<variable>\$\w*)
    | (?P<word>[A-Za-z_]\w*) | (?P<mark>:=|=|\||\(|\)|,)
    )""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_CONSTANTS = {"true": True, "false": False, "nil": None}
_BRANCHES = ("if", "range", "with")


def parse(source: str) -> Source:
    """Read a template.

    Raises:
        ValueError: It is none.
    """
    reader = _Reader(source)
    nodes, end = reader.body(top=True)
    if end:
        raise ValueError(f"unexpected {{{{{end}}}}}")
    return Source(nodes, reader.named)


class _Reader:
    """Reads actions one after the other, and knows which variables there are."""

    def __init__(self, source: str) -> None:
        self._pieces = list(_pieces(source))[::-1]
        self._variables = ["$"]
        self._ranges = 0
        self.named: dict[str, tuple[Node, ...]] = {}

    def body(self, *, top: bool = False) -> tuple[tuple[Node, ...], str]:
        """Read up to ``end`` or ``else`` (given with what follows it), or to the end."""
        nodes: list[Node] = []
        scope = len(self._variables)
        while self._pieces:
            piece = self._pieces.pop()
            if isinstance(piece, Text):
                nodes.append(piece)
                continue
            tokens = _Tokens(piece)
            word = tokens.word()
            if word in ("end", "else"):
                del self._variables[scope:]
                rest = piece.strip()
                if word == "end" and rest != "end":
                    raise ValueError(f"unexpected {rest[3:].strip()!r} in end")
                return tuple(nodes), rest
            if word == "define":
                self._define(tokens, top=top)
            else:
                nodes.append(self._action(word, tokens))
        return tuple(nodes), ""

    def _action(self, word: str, tokens: "_Tokens") -> Node:
        if word in _BRANCHES:
            tokens.pop()
            return self._branch(word, tokens)
        match word:
            case "break" | "continue":
                if len(tokens.left) > 1:
                    raise ValueError(f"unexpected {tokens.left[-2][1]!r} in {word}")
                if not self._ranges:
                    raise ValueError(f"{{{{{word}}}}} outside {{{{range}}}}")
                return Leave(word)
            case "template" | "block":
                name = _name(tokens)
                given = word == "block" or tokens.left
                call = Call(name, self._pipeline(tokens, word) if given else None)
                if word == "block":
                    self._named_body(name)
                return call
            case _:
                return self._pipeline(tokens, "command")

    def _define(self, tokens: "_Tokens", *, top: bool) -> None:
        name = _name(tokens)
        if tokens.left or not top:
            raise ValueError("unexpected " + (repr(tokens.left[-1][1]) if top else "{{define}}"))
        self._named_body(name)

    def _named_body(self, name: str) -> None:
        """Read the body of a named template, which sees no variables and is in no ``range``."""
        outside, self._variables = self._variables, ["$"]
        ranges, self._ranges = self._ranges, 0
        nodes, end = self.body()
        if end != "end":
            raise ValueError(f"unexpected {{{{{end or 'EOF'}}}}} in template {name!r}")
        self._variables, self._ranges = outside, ranges
        self.named[name] = nodes

    def _branch(self, kind: str, tokens: "_Tokens") -> Branch:
        scope = len(self._variables)
        pipeline = self._pipeline(tokens, kind)
        self._ranges += kind == "range"
        body, end = self.body()
        self._ranges -= kind == "range"
        otherwise: tuple[Node, ...] = ()
        if end.startswith("else"):
            more = _Tokens(end.removeprefix("else"))
            if more.word() == kind and kind != "range":
                more.pop()
                otherwise, end = (self._branch(kind, more),), "end"
            elif more.left:
                raise ValueError(f"unexpected {end!r}")
            else:
                otherwise, end = self.body()
        if end != "end":
            raise ValueError(f"unexpected EOF: {{{{{kind}}}}} without {{{{end}}}}")
        del self._variables[scope:]
        return Branch(kind, pipeline, body, otherwise)

    def _pipeline(self, tokens: "_Tokens", where: str, *, nested: bool = False) -> Pipeline:
        names, assigns = ((), False) if nested else self._declaration(tokens, where)
        commands: list[tuple[Operand, ...]] = []
        while True:
            command = self._command(tokens)
            if not command:
                raise ValueError(f"missing value for {where}")
            if commands and not isinstance(command[0], Function | Fields):
                raise ValueError("a constant cannot take the value of a pipeline")
            commands.append(command)
            if not tokens.skip("|"):
                break
        if nested and not tokens.skip(")"):
            raise ValueError("unclosed left parenthesis")
        if not nested and tokens.left:
            raise ValueError(f"unexpected {tokens.left[-1][1]!r} in {where}")
        if not assigns:
            self._variables += names
        return Pipeline(tuple(commands), names, assigns)

    def _declaration(self, tokens: "_Tokens", where: str) -> tuple[tuple[str, ...], bool]:
        match tokens.left[::-1]:
            case [("variable", name), ("mark", ":="), *_]:
                tokens.pop(2)
                return (name,), False
            case [("variable", name), ("mark", "="), *_]:
                tokens.pop(2)
                self._known(name)
                return (name,), True
            case [("variable", one), ("mark", ","), ("variable", two), ("mark", ":="), *_] if (
                where == "range"
            ):
                tokens.pop(4)
                return (one, two), False
            case _:
                return (), False

    def _known(self, name: str) -> None:
        if name not in self._variables:
            raise ValueError(f'undefined variable "{name}"')

    def _command(self, tokens: "_Tokens") -> tuple[Operand, ...]:
        found: list[Operand] = []
        while tokens.left and tokens.left[-1] not in (("mark", "|"), ("mark", ")")):
            found.append(self._operand(tokens))
        return tuple(found)

    def _operand(self, tokens: "_Tokens") -> Operand:
        kind, text = tokens.pop()
        match kind:
            case "string" | "char":
                value = _unquoted(text)
                return Literal(value if kind == "string" else ord(value))
            case "raw":
                return Literal(text[1:-1])
            case "number":
                return Literal(_number(text))
            case "word" if text in _CONSTANTS:
                return Literal(_CONSTANTS[text])
            case "word" if text in FUNCTIONS:
                return Function(text)
            case "word":
                raise ValueError(f'function "{text}" not defined')
            case "field":
                return Fields(".", (text[1:], *tokens.fields()))
            case "dot":
                return Fields(".", ())
            case "variable":
                self._known(text)
                return Fields(text, tokens.fields())
            case "mark" if text == "(":
                inner = self._pipeline(tokens, "parenthesized pipeline", nested=True)
                return Fields(inner, tokens.fields())
            case _:
                raise ValueError(f"unexpected {text!r}")


class _Tokens:
    """The words of one action, the next one last."""

    def __init__(self, source: str) -> None:
        self.left: list[tuple[str, str]] = []
        self._glued: list[bool] = []
        at = 0
        source = source.rstrip()
        while at < len(source):
            found = _TOKEN.match(source, at)
            if found is None or found.lastgroup is None:
                raise ValueError(f"unexpected {source[at:].strip()[:20]!r}")
            self.left.append((found.lastgroup, found[found.lastgroup]))
            self._glued.append(found.start(found.lastgroup) == at)
            at = found.end()
        self.left.reverse()
        self._glued.reverse()

    def word(self) -> str:
        """Give the next token if it is a word."""
        return self.left[-1][1] if self.left and self.left[-1][0] == "word" else ""

    def pop(self, count: int = 1) -> tuple[str, str]:
        """Take tokens and give the last one taken."""
        for _ in range(count):
            self._glued.pop()
            found = self.left.pop()
        return found

    def skip(self, mark: str) -> bool:
        """Take a mark if it comes next."""
        if self.left and self.left[-1] == ("mark", mark):
            self.pop()
            return True
        return False

    def fields(self) -> tuple[str, ...]:
        """Take the fields that follow without a blank between."""
        names = []
        while self.left and self.left[-1][0] == "field" and self._glued[-1]:
            names.append(self.pop()[1][1:])
        return tuple(names)


def _name(tokens: _Tokens) -> str:
    """Take ``define``, ``template`` or ``block`` and the name behind it."""
    word = tokens.pop()[1]
    kind, text = tokens.pop() if tokens.left else ("", "")
    if kind not in ("string", "raw"):
        raise ValueError(f"missing name in {word}")
    return _unquoted(text) if kind == "string" else text[1:-1]


def _pieces(source: str) -> Iterator[Text | str]:
    """Give text, and the inside of actions; trim markers have done their work, comments are out."""
    at, trim = 0, False
    while (start := source.find("{{", at)) >= 0:
        action = _ACTION.match(source, start)
        if action is None:
            raise ValueError("unclosed action")
        text = source[at:start]
        text = text.lstrip() if trim else text
        text = text.rstrip() if action["left"] else text
        if text:
            yield Text(text)
        at, trim = action.end(), bool(action["right"])
        body = action["body"].strip()
        if not body.startswith("/*"):
            if not body:
                raise ValueError("missing value for command")
            yield body
    text = source[at:]
    text = text.lstrip() if trim else text
    if text:
        yield Text(text)


def _unquoted(text: str) -> str:
    """Read a quoted string or character (Go's strconv.Unquote)."""

    def read(found: re.Match[str]) -> str:
        escape = found[1]
        if escape in _ESCAPES:
            return _ESCAPES[escape]
        if escape in "\\\"'":
            return escape
        try:
            return chr(int(escape, 8) if escape[0] in "01234567" else int(escape[1:], 16))
        except ValueError:
            raise ValueError(f"bad escape \\{escape}") from None

    value = re.sub(
        r"\\([0-7]{3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", read, text[1:-1]
    )
    if text[0] == "'" and len(value) != 1:
        raise ValueError(f"malformed character constant: {text}")
    return value


def _number(text: str) -> int | float:
    if re.fullmatch(r"[-+]?0[0-7]+", text):
        return int(text, 8)
    try:
        return int(text, 0)
    except ValueError:
        return float(text)
