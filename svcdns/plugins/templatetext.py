"""Carries templates out.

Spec: https://pkg.go.dev/text/template
"""

from collections.abc import Callable, Mapping
from typing import assert_never

from svcdns.plugins.templatefunctions import FUNCTIONS, MISSING, text, truth
from svcdns.plugins.templatesyntax import (
    Branch,
    Call,
    Fields,
    Function,
    Leave,
    Literal,
    Node,
    Operand,
    Pipeline,
    Text,
    parse,
)

ROUNDS = 4096
"""Rounds of all ``range`` in one template: a record has 64 KiB at most."""

DEPTH = 50
"""Named templates within each other; Go allows 100,000, which no record needs."""


class Fieldset(dict[str, object]):
    """A thing with fixed fields, a struct of Go; functions among them are methods."""


class Template:
    """A template that was read."""

    def __init__(self, source: str) -> None:
        """Read *source*.

        Raises:
            ValueError: It is no template, or uses what is not understood.
        """
        self.source = source
        self._parsed = parse(source)
        named = [_names(nodes) for nodes in self._parsed.named.values()]
        self.names = frozenset(_names(self._parsed.nodes).union(*named))
        "Every first field that it asks for, and ``.`` when it asks for everything."

    def render(self, data: Fieldset) -> str:
        """Carry the template out.

        Raises:
            ValueError: Something in it cannot be done with *data*.
        """
        run = _Run(data, self._parsed.named)
        run.nodes(self._parsed.nodes, data)
        return "".join(run.out)


class _Run:
    """One execution."""

    def __init__(self, data: Fieldset, named: Mapping[str, tuple[Node, ...]]) -> None:
        self.out: list[str] = []
        self._named = named
        self._depth = 0
        self._variables: list[tuple[str, object]] = [("$", data)]
        self._rounds = 0

    def nodes(self, nodes: tuple[Node, ...], dot: object) -> str:
        """Carry out nodes in order; give ``break`` or ``continue`` when that ended them early."""
        for node in nodes:
            match node:
                case Text(text=plain):
                    self.out.append(plain)
                case Pipeline():
                    value = self._pipeline(node, dot)
                    self._declare(node, value)
                    if not node.declares:
                        self.out.append(text(value))
                case Branch():
                    if left := self._branch(node, dot):
                        return left
                case Leave(kind=kind):
                    return kind
                case Call():
                    self._template(node, dot)
                case _:
                    assert_never(node)
        return ""

    def _template(self, call: Call, dot: object) -> None:
        nodes = self._named.get(call.name)
        if nodes is None:
            raise ValueError(f'template "{call.name}" not defined')
        if self._depth == DEPTH:
            raise ValueError(f"templates are more than {DEPTH} deep within each other")
        given = None if call.pipeline is None else self._pipeline(call.pipeline, dot)
        outside, self._variables = self._variables, [("$", given)]
        self._depth += 1
        self.nodes(nodes, given)
        self._depth -= 1
        self._variables = outside
        if call.pipeline is not None:
            self._declare(call.pipeline, given)

    def _branch(self, branch: Branch, dot: object) -> str:
        scope = len(self._variables)
        value = self._pipeline(branch.pipeline, dot)
        if branch.kind == "range":
            left = self._range(branch, value, dot)
        else:
            self._declare(branch.pipeline, value)
            if truth(value):
                left = self.nodes(branch.body, value if branch.kind == "with" else dot)
            else:
                left = self.nodes(branch.otherwise, dot)
        del self._variables[scope:]
        return left

    def _range(self, branch: Branch, value: object, dot: object) -> str:
        items: list[tuple[object, object]]
        match value:
            case Mapping():
                items = [(key, value[key]) for key in sorted(value)]
            case tuple():
                items = list(enumerate(value))
            case int() if not isinstance(value, bool):
                items = [(number, number) for number in range(min(value, ROUNDS + 1))]
            case None:
                items = []
            case _:
                raise ValueError(f"range can't iterate over {text(value)}")
        if not items:
            return self.nodes(branch.otherwise, dot)
        scope = len(self._variables)
        for key, item in items:
            self._rounds += 1
            if self._rounds > ROUNDS:
                raise ValueError(f"more than {ROUNDS} rounds of range")
            names = branch.pipeline.declares
            pair = (item,) if len(names) == 1 else (key, item)
            self._variables += zip(names, pair, strict=False)
            left = self.nodes(branch.body, item)
            del self._variables[scope:]
            if left == "break":
                break
        return ""

    def _declare(self, pipeline: Pipeline, value: object) -> None:
        for name in pipeline.declares:
            if pipeline.assigns:
                at = max(i for i, known in enumerate(self._variables) if known[0] == name)
                self._variables[at] = (name, value)
            else:
                self._variables.append((name, value))

    def _pipeline(self, pipeline: Pipeline, dot: object) -> object:
        value: object = None
        for number, command in enumerate(pipeline.commands):
            value = self._command(command, dot, (value,) if number else ())
        return value

    def _command(
        self, command: tuple[Operand, ...], dot: object, last: tuple[object, ...]
    ) -> object:
        first, *rest = command
        if isinstance(first, Function):
            return self._call(first.name, rest, dot, last)
        if isinstance(first, Fields):
            return self._fields(
                first, dot, tuple([self._operand(each, dot) for each in rest]) + last
            )
        if rest or last:
            raise ValueError(f"can't give argument to non-function {text(first.value)}")
        return first.value

    def _call(
        self, name: str, operands: list[Operand], dot: object, last: tuple[object, ...]
    ) -> object:
        if name in ("and", "or"):
            return self._decide(name == "or", operands, dot, last)
        values = [self._operand(each, dot) for each in operands]
        try:
            return FUNCTIONS[name](*values, *last)
        except TypeError as error:
            raise ValueError(f"wrong number of args for {name}") from error

    def _decide(
        self, until: bool, operands: list[Operand], dot: object, last: tuple[object, ...]
    ) -> object:
        """Evaluate ``and`` and ``or`` only as far as the answer is open."""
        value: object = None
        for operand in operands:
            value = self._operand(operand, dot)
            if truth(value) is until:
                return value
        if not operands and not last:
            raise ValueError("wrong number of args for and, or")
        return last[0] if last else value

    def _operand(self, operand: Operand, dot: object) -> object:
        match operand:
            case Literal(value=value):
                return value
            case Fields():
                return self._fields(operand, dot, ())
            case Function(name=name):
                return self._call(name, [], dot, ())
            case _:
                assert_never(operand)

    def _fields(self, fields: Fields, dot: object, arguments: tuple[object, ...]) -> object:
        value: object
        if isinstance(fields.base, Pipeline):
            value = self._pipeline(fields.base, dot)
        elif fields.base == ".":
            value = dot
        else:
            value = next(held for name, held in reversed(self._variables) if name == fields.base)
        for number, name in enumerate(fields.names):
            last = number == len(fields.names) - 1
            value = _field(value, name, arguments if last else ())
        if arguments and not fields.names:
            raise ValueError("can't give argument to non-function")
        return value


def _field(value: object, name: str, arguments: tuple[object, ...]) -> object:
    if isinstance(value, Fieldset):
        if name not in value:
            raise ValueError(f"can't evaluate field {name}")
        found = value[name]
        if callable(found):
            return _method(found, name, arguments)
    elif isinstance(value, Mapping):
        found = value.get(name, MISSING)
    else:
        raise ValueError(f"can't evaluate field {name} in {text(value)}")
    if arguments:
        raise ValueError(f"{name} has arguments but cannot be invoked as function")
    return found


def _method(call: Callable[..., object], name: str, arguments: tuple[object, ...]) -> object:
    try:
        return call(*arguments)
    except TypeError as error:
        raise ValueError(f"wrong number of args for {name}") from error


def _names(nodes: tuple[Node, ...]) -> set[str]:
    found: set[str] = set()
    for node in nodes:
        match node:
            case Pipeline():
                found |= _named(node)
            case Branch():
                found |= _named(node.pipeline) | _names(node.body) | _names(node.otherwise)
            case Call(pipeline=pipeline) if pipeline is not None:
                found |= _named(pipeline)
            case _:
                pass
    return found


def _named(pipeline: Pipeline) -> set[str]:
    found: set[str] = set()
    for command in pipeline.commands:
        for operand in command:
            if isinstance(operand, Fields):
                if isinstance(operand.base, Pipeline):
                    found |= _named(operand.base)
                elif operand.base in (".", "$"):
                    found.add(operand.names[0] if operand.names else ".")
    return found
