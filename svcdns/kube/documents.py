"""YAML and JSON text as documents of plain values that know their lines.

Built from libyaml's events with a stack of our own: the depth is bounded, an alias cannot blow the
result up, and every mapping key and list item keeps its line, so that a message can name it.

Scalars mean what they mean to kubectl (YAML 1.1 as go-yaml reads it): ``yes``, ``on`` and ``no``
are booleans, ``0777`` is octal, ``12:30:45`` and timestamps are text.  A field of the wrong type
is reported by whoever decodes it; :meth:`Document.plain_text` tells how it was written.

Spec: YAML 1.1 (https://yaml.org/type/), RFC 8259 (JSON is read as YAML).
Parity: sigs.k8s.io/yaml ``goyaml.v2/resolve.go``.
"""

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

import yaml
from msgspec import Struct

from svcdns.errors import ManifestError

Plain: TypeAlias = bool | int | float | str | list[Any] | dict[str, Any] | None
Path: TypeAlias = tuple[str | int, ...]
"""Keys and indexes from the root of a document."""

MAX_OCTETS = 16 << 20
"""Octets of one manifest; etcd stores objects of up to 1.5 MiB."""

MAX_DEPTH = 100
"""Nesting of one document; a Pod needs a dozen levels, go-yaml stops at 10,000."""

MAX_VALUES = 1_000_000
"""Values of one file with its aliases written out (go-yaml bounds aliases likewise)."""

_BOOLEANS = {
    text: value
    for value, words in ((True, ("true", "yes", "on")), (False, ("false", "no", "off")))
    for word in words
    for text in (word, word.capitalize(), word.upper())
}
_NULLS = {"", "~", "null", "Null", "NULL"}
_INTEGER = re.compile(r"[-+]?(0b[01]+|0x[0-9a-fA-F]+|0o?[0-7]+|[0-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SURROGATES = re.compile(r"\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)
_TAGS = "tag:yaml.org,2002:"


class Document(Struct):
    """One document (or one object in it): its value, and where everything stands."""

    value: Plain
    file: str
    line: int
    "Of the first key, counted from 1."
    lines: dict[Path, int]
    "By path from the root of the file's document."
    texts: dict[Path, str]
    "Unquoted scalars that are not text, as they were written."
    root: Path = ()
    "Where this object stands in the file's document."
    duplicates: tuple[tuple[Path, int], ...] = ()
    "Keys that were given twice, and the line of the later one, which is in force."

    def line_of(self, path: Path) -> int:
        """Find the line of *path* or of the nearest thing around it."""
        whole = self.root + path
        while whole and whole not in self.lines:
            whole = whole[:-1]
        return self.lines.get(whole, self.line) if len(whole) > len(self.root) else self.line

    def plain_text(self, path: Path) -> str | None:
        """Tell how an unquoted scalar was written that was not read as text."""
        return self.texts.get(self.root + path)

    def item(self, path: Path, value: Plain) -> "Document":
        """Take an object inside this one, with its line."""
        whole = self.root + path
        inside = tuple((p, line) for p, line in self.duplicates if p[: len(whole)] == whole)
        return Document(value, self.file, self.line_of(path), self.lines, self.texts, whole, inside)


class _Anchored(Struct):
    """A finished value that aliases may repeat."""

    value: Plain
    size: int = 1
    depth: int = 0


class _Open(Struct):
    """A container whose end has not come yet."""

    value: list[Any] | dict[str, Any]
    path: Path
    anchor: str | None
    line: int
    key: str | None = None
    size: int = 1
    depth: int = 1
    merged: bool = False
    "Whether ``<<`` gave keys, which explicit ones may repeat."


def parse(content: bytes, file: str) -> list[Document]:
    """Read every document of a file; empty documents are left out.

    Args:
        content: UTF-8, with or without a byte order mark.
        file: For messages.

    Raises:
        ManifestError: It is not YAML, or it is larger than the limits above.
    """
    if len(content) > MAX_OCTETS:
        raise ManifestError(file, 1, f"larger than {MAX_OCTETS >> 20} MiB: split it")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ManifestError(file, line, "not UTF-8 text") from error
    if file.endswith(".json"):
        text = _SURROGATES.sub(_join_surrogates, text)
    return [document for document in _Reader(text, file) if document.value is not None]


def _join_surrogates(match: re.Match[str]) -> str:
    """Write a pair of JSON escapes (RFC 8259 §7) as the character; YAML has no pairs."""
    high, low = int(match[1], 16), int(match[2], 16)
    return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))


class _Reader:
    """From events to documents."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.values = 0

    def __iter__(self) -> Iterator[Document]:
        try:
            for event in yaml.parse(self.text, Loader=yaml.CSafeLoader):
                match event:
                    case yaml.DocumentStartEvent():
                        self._begin(event)
                    case yaml.DocumentEndEvent():
                        yield self._document
                    case yaml.NodeEvent():
                        self._node(event)
                    case yaml.CollectionEndEvent():
                        self._close()
        except yaml.YAMLError as error:
            raise self._error(error) from error

    def _error(self, error: yaml.YAMLError) -> ManifestError:
        if isinstance(error, yaml.MarkedYAMLError):
            mark = error.problem_mark or error.context_mark
            reason = ", ".join(part for part in (error.context, error.problem) if part)
            begun = error.context_mark
            if mark and begun and begun.line != mark.line:
                reason += f" (it begins in line {begun.line + 1})"
            return ManifestError(self.file, mark.line + 1 if mark else 1, f"not YAML: {reason}")
        if isinstance(error, yaml.reader.ReaderError):
            line = self.text.count("\n", 0, error.position) + 1
            return ManifestError(self.file, line, f"not YAML: {error.reason}")
        return ManifestError(self.file, 1, f"not YAML: {error}")

    def _begin(self, event: yaml.Event) -> None:
        self._document = Document(None, self.file, _line(event), {}, {})
        self._stack: list[_Open] = []
        self._anchors: dict[str, _Anchored] = {}

    def _node(self, event: yaml.NodeEvent) -> None:
        line = _line(event)
        top = self._stack[-1] if self._stack else None
        if top and isinstance(top.value, dict) and top.key is None:
            self._key(top, event, line)
            return
        path: Path = ()
        if top:
            step = top.key if isinstance(top.value, dict) else len(top.value)
            assert step is not None
            path = (*top.path, step)
        self._document.lines.setdefault(path, line)
        if not top:
            self._document.line = line
        match event:
            case yaml.AliasEvent():
                self._add(self._aliased(event.anchor, line), line)
            case yaml.ScalarEvent():
                scalar = _Anchored(self._scalar(event, path, line))
                if event.anchor:
                    self._anchors[event.anchor] = scalar
                self._add(scalar, line)
            case yaml.CollectionStartEvent():
                if len(self._stack) >= MAX_DEPTH:
                    raise ManifestError(self.file, line, f"nested deeper than {MAX_DEPTH} levels")
                empty: list[Any] | dict[str, Any] = (
                    {} if isinstance(event, yaml.MappingStartEvent) else []
                )
                self._stack.append(_Open(empty, path, event.anchor, line))

    def _key(self, top: _Open, event: yaml.NodeEvent, line: int) -> None:
        match event:
            case yaml.ScalarEvent():
                key = event.value
            case yaml.AliasEvent():
                value = self._aliased(event.anchor, line).value
                key = value if isinstance(value, str) else ""
            case _:
                raise ManifestError(self.file, line, "a key must be text, not a list or a mapping")
        path = (*top.path, key)
        if key in top.value and not top.merged:
            self._document.duplicates += ((path, line),)
        top.key = key
        self._document.lines[path] = line

    def _aliased(self, anchor: str | None, line: int) -> _Anchored:
        found = self._anchors.get(anchor or "")
        if found is None:
            inside = any(one.anchor == anchor for one in self._stack)
            reason = "contains itself" if inside else "is not defined"
            raise ManifestError(self.file, line, f"anchor {anchor!r} {reason}")
        return found

    def _add(self, done: _Anchored, line: int) -> None:
        """Put a finished value into the container around it."""
        value = done.value
        self.values += done.size
        if self.values > MAX_VALUES:
            raise ManifestError(self.file, line, f"more than {MAX_VALUES:,} values (aliases?)")
        if len(self._stack) + done.depth > MAX_DEPTH:
            raise ManifestError(self.file, line, f"nested deeper than {MAX_DEPTH} levels")
        if not self._stack:
            self._document.value = value
            return
        top = self._stack[-1]
        top.size += done.size
        top.depth = max(top.depth, done.depth + 1)
        if isinstance(top.value, list):
            top.value.append(value)
            return
        assert top.key is not None
        if top.key == "<<":
            self._merge(top, value, line)
        else:
            top.value[top.key] = value
        top.key = None

    def _merge(self, top: _Open, value: Plain, line: int) -> None:
        assert isinstance(top.value, dict)
        for source in value if isinstance(value, list) else [value]:
            if not isinstance(source, dict):
                raise ManifestError(self.file, line, "'<<' takes a mapping or a list of mappings")
            for key, inherited in source.items():
                top.value.setdefault(key, inherited)
        top.merged = True

    def _close(self) -> None:
        top = self._stack.pop()
        done = _Anchored(top.value, top.size, top.depth)
        if top.anchor:
            self._anchors[top.anchor] = done
        self.values -= top.size - 1  # its parts were counted as they came
        self._add(done, top.line)

    def _scalar(self, event: yaml.ScalarEvent, path: Path, line: int) -> Plain:
        tag = event.tag
        if tag and not tag.startswith(_TAGS) and tag != "!":
            raise ManifestError(self.file, line, f"tag {tag!r} is not known in manifests")
        if tag in ("!", f"{_TAGS}str") or (not tag and not event.implicit[0]):
            return str(event.value)
        value = resolve(event.value)
        if not isinstance(value, str):
            self._document.texts[path] = event.value
        return value


def _line(event: yaml.Event) -> int:
    assert event.start_mark is not None  # libyaml marks every event
    return event.start_mark.line + 1


def resolve(text: str) -> Plain:
    """Tell what an unquoted scalar means."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return _integer(text.replace("_", ""))
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    return text


def _integer(text: str) -> int | float:
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.lstrip("+"))
    octal = len(digits) > 1 and digits[0] == "0" and digits.isdigit()
    if octal and not set(digits) <= set("01234567"):
        return float(digits) * sign  # 089 is no octal number: go-yaml reads a float
    if len(digits) > 20 and digits.isdigit():
        return float(digits) * sign
    return sign * int(f"0o{digits[1:]}" if octal else digits, 0)
