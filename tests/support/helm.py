"""The part of Helm's template language that deploy/chart is written in; nothing else is accepted.

There is no helm in Debian, PyPI or npm, so the chart keeps to what is easily rendered faithfully:
``if``/``else``/``end`` on a value, paths under ``.Values``, ``.Release`` and ``.Chart``, and the
functions below.  Whatever goes beyond raises, so that a chart cannot use what is not tested.

Spec: Go ``text/template`` (trim markers, truth); Helm's ``toYaml``, ``required``; sprig's rest.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_ACTION = re.compile(
    r"(?P<left>\s*\{\{-|\{\{)\s*(?P<body>.*?)\s*(?P<right>-\}\}\s*|\}\})", re.DOTALL
)
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\||\S+')
_PATH = re.compile(r"(\.[A-Za-z][A-Za-z0-9]*)+")


class ChartError(Exception):
    """The chart says no, or says what this renderer does not know."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart on disk."""

    directory: Path

    @property
    def values(self) -> dict[str, Any]:
        return _mapping(self.directory / "values.yaml")

    def render(
        self, values: dict[str, Any] | None = None, *, namespace: str = "kube-system"
    ) -> str:
        """Render all templates with *values* over the chart's own."""
        meta = _mapping(self.directory / "Chart.yaml")
        data = {
            "Values": _over(self.values, values or {}),
            "Release": {"Namespace": namespace, "Name": "svcdns"},
            "Chart": {"Version": meta["version"], "AppVersion": meta["appVersion"]},
        }
        templates = sorted((self.directory / "templates").glob("*.yaml"))
        return "\n---\n".join(_Template(one.read_text(), data).render() for one in templates)


def _mapping(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text())
    assert isinstance(found, dict)
    return found


def _over(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Merge as Helm does: mappings by key, everything else replaced; an unknown key is an error."""
    found = dict(under)
    for key, value in over.items():
        if key not in under:
            raise ChartError(f"values.yaml does not have {key!r}")
        both = isinstance(value, dict) and isinstance(under[key], dict)
        # Below a value that templates print whole, every key is allowed.
        found[key] = _over(under[key], value) if both and key != "resources" else value
    return found


class _Template:
    def __init__(self, text: str, data: dict[str, Any]) -> None:
        self._pieces = list(_pieces(text))
        self._data = data
        self._at = 0

    def render(self) -> str:
        text, stopped = self._until(counts=True)
        if stopped:
            raise ChartError(f"{stopped!r} without if")
        return text

    def _until(self, *, counts: bool) -> tuple[str, str]:
        """Render up to ``else`` or ``end``, which is given back; evaluate only what *counts*."""
        out = []
        while self._at < len(self._pieces):
            text, action = self._pieces[self._at]
            self._at += 1
            out.append(text)
            word = action.split(None, 1)[0] if action else ""
            if word in ("else", "end"):
                return "".join(out), word
            if word == "if":
                out.append(self._if(action.split(None, 1)[1], counts=counts))
            elif counts and action and not action.startswith("/*"):
                out.append(_text(self._pipeline(action)))
        return "".join(out), ""

    def _if(self, condition: str, *, counts: bool) -> str:
        holds = counts and bool(self._pipeline(condition))
        yes, stopped = self._until(counts=holds)
        no = ""
        if stopped == "else":
            no, stopped = self._until(counts=counts and not holds)
        if stopped != "end":
            raise ChartError("if without end")
        return yes if holds else no

    def _pipeline(self, text: str) -> Any:
        words = _WORD.findall(text)
        value: Any = None
        first = True
        while words:
            cut = words.index("|") if "|" in words else len(words)
            command, words = words[:cut], words[cut + 1 :]
            arguments = [self._operand(word) for word in command[1:]]
            if first and len(command) == 1 and command[0] not in FUNCTIONS:
                value = self._operand(command[0])
            elif command[0] in FUNCTIONS:
                value = FUNCTIONS[command[0]](*arguments, *([] if first else [value]))
            else:
                raise ChartError(f"unknown function {command[0]!r}")
            first = False
        return value

    def _operand(self, word: str) -> Any:
        if word.startswith('"'):
            return json.loads(word)
        if word.isdigit():
            return int(word)
        if not _PATH.fullmatch(word):
            raise ChartError(f"cannot read {word!r}")
        found: Any = self._data
        for step in word[1:].split("."):
            if step not in found:
                raise ChartError(f"{word} does not exist")
            found = found[step]
        return found


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """Part the text: what stands before each action, and the action."""
    at = 0
    for match in _ACTION.finditer(text):
        yield text[at : match.start()], match["body"]
        at = match.end()
    yield text[at:], ""


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int):
        raise ChartError(f"{value!r} is no text")
    return str(value)


def _indented(count: int, text: str) -> str:
    return " " * count + text.replace("\n", "\n" + " " * count)


def _required(message: str, value: Any) -> Any:
    if value in (None, ""):
        raise ChartError(message)
    return value


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "quote": lambda value: json.dumps(_text(value)),
    "nindent": lambda count, text: "\n" + _indented(count, text),
    "toYaml": lambda value: yaml.safe_dump(value, default_flow_style=False).rstrip("\n"),
    "required": _required,
}
