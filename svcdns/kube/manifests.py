"""From the text of a manifest to objects with file and line, and what has to be said about it.

One document, many of them, ``kind: List``, typed lists (``ServiceList``) and JSON are read.  A
file that is not YAML raises; one object that is wrong is reported and left out, the others count.
Kinds that svcdns has no use for are named once per file.  What the API server would fill in is
filled in (:mod:`svcdns.kube.defaults`), what it would refuse is refused
(:mod:`svcdns.kube.validation`).

Parity: kubectl ``apply -f``.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from svcdns.kube.defaults import fill_in
from svcdns.kube.documents import Document, Path, Plain
from svcdns.kube.documents import parse as parse_documents
from svcdns.kube.metadata import ObjectKey
from svcdns.kube.mirroring import Endpoints
from svcdns.kube.objects import KubeObject
from svcdns.kube.resources import RESOURCES
from svcdns.kube.validation import faults

ENDPOINTS = "Endpoints"

DEFAULT_NAMESPACE = "default"
"""Of namespaced objects that name none, as with ``kubectl apply`` without ``-n``."""

READ = "Namespace, Service, Pod, EndpointSlice, Endpoints, Node, ServiceCIDR, ServiceImport"
"""The kinds that count, for messages."""

TEMPLATED = frozenset(
    {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"},
)
"""Kinds whose Pods a controller makes, which is not there."""

_TYPES: dict[str, type[KubeObject] | type[Endpoints]] = {
    **{resource.kind.value: resource.type for resource in RESOURCES.values()},
    ENDPOINTS: Endpoints,
}
_GROUPS = {kind.value: resource.group.rpartition("/")[0] for kind, resource in RESOURCES.items()}
_CLUSTER_WIDE = {kind.value for kind, resource in RESOURCES.items() if not resource.namespaced}
_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[(\.\.\.)\]")


class Notice(Struct, frozen=True, order=True):
    """Something a person should know about a manifest."""

    file: str
    line: int
    subject: str
    "``Service default/web``, or empty when it is about the file."
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return (
            f"{where}: {self.subject}: {self.message}"
            if self.subject
            else (f"{where}: {self.message}")
        )


class Located(Struct, frozen=True):
    """An object, and where it stands."""

    object: KubeObject | Endpoints
    file: str
    line: int

    @property
    def kind(self) -> str:
        """The API's kind."""
        return type(self.object).__name__

    @property
    def key(self) -> ObjectKey:
        """Namespace and name."""
        return self.object.key


class Manifest(Struct):
    """What one file amounts to."""

    file: str
    objects: list[Located] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


class _Refused(Exception):
    """This object is left out."""

    def __init__(self, line: int, subject: str, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.subject = subject
        self.message = message


def parse(content: bytes, file: str) -> Manifest:
    """Read a manifest.

    Args:
        content: What the file holds.
        file: Its name, for messages; ``.json`` reads JSON's escapes.

    Raises:
        ManifestError: Nothing of it can be read: not YAML, not UTF-8, too large.
    """
    manifest = Manifest(file)
    ignored: dict[str, list[tuple[int, str]]] = {}
    for document in parse_documents(content, file):
        for one, kind in _objects(document):
            try:
                found = _object(one, kind)
            except _Refused as error:
                notice = Notice(file, error.line, error.subject, f"left out: {error.message}")
                manifest.notices.append(notice)
                continue
            if found is None:
                ignored.setdefault(kind, []).append((one.line, _subject(one.value, kind)))
                continue
            manifest.objects.append(Located(found, file, one.line))
            manifest.notices += _duplicate_keys(one, _subject(one.value, kind))
    for kind, places in ignored.items():
        line, subject = places[0]
        more = f" and {len(places) - 1} more of its kind" if len(places) > 1 else ""
        manifest.notices.append(Notice(file, line, subject, f"ignored{more}: {_why(kind)}"))
    return manifest


def subject_of(found: KubeObject | Endpoints) -> str:
    """Name an object for people: ``Service default/web``."""
    namespace, name = found.key
    return (
        f"{type(found).__name__} {namespace}/{name}"
        if namespace
        else (f"{type(found).__name__} {name}")
    )


def _why(kind: str) -> str:
    if kind in TEMPLATED:
        return "no controller makes its Pods here: write them as Pods"
    return f"only {READ} are read"


def _objects(document: Document, depth: int = 0) -> Iterator[tuple[Document, str]]:
    """Iterate over a document, or over the objects of a list, each with its kind."""
    value = document.value
    kind = value.get("kind") if isinstance(value, dict) else None
    kind = kind if isinstance(kind, str) else ""
    listed = kind.endswith("List") and isinstance(value, dict) and "items" in value
    if not listed or depth > 2:
        yield document, kind
        return
    assert isinstance(value, dict)
    items = value["items"]
    for number, item in enumerate(items if isinstance(items, list) else []):
        if isinstance(item, dict) and kind != "List":
            # typed lists leave kind and apiVersion to the list
            defaults = {"kind": kind.removesuffix("List"), "apiVersion": value.get("apiVersion")}
            item = defaults | item
        yield from _objects(document.item(("items", number), item), depth + 1)


def _object(document: Document, kind: str) -> KubeObject | Endpoints | None:
    """Decode, fill in and check one object; ``None`` when its kind does not count.

    Raises:
        _Refused: With the line and the reason.
    """
    value = document.value
    if not isinstance(value, dict):
        raise _Refused(document.line, "", f"an object must be a mapping, not {_name(value)}")
    subject = _subject(value, kind)
    if not kind:
        raise _Refused(document.line, subject, "kind: is missing or not text")
    if kind not in _TYPES or not _same_group(kind, value, document, subject):
        return None
    try:
        found = msgspec.convert(_without_nulls(value), _TYPES[kind])
    except msgspec.ValidationError as error:
        raise _refused(error, document, subject) from error
    found = _complete(found, kind) if not (wrong := list(faults(found))) else found
    if wrong:
        path, message = wrong[0]
        raise _Refused(document.line_of(_steps(path)), subject, f"{path}: {message}")
    return found


def _complete(found: KubeObject | Endpoints, kind: str) -> KubeObject | Endpoints:
    """Give a namespace where the kind has one, then what the API server defaults."""
    namespace = None if kind in _CLUSTER_WIDE else found.metadata.namespace or DEFAULT_NAMESPACE
    metadata = replace(found.metadata, namespace=namespace)
    return fill_in(replace(found, metadata=metadata))


def _same_group(kind: str, value: dict[str, Any], document: Document, subject: str) -> bool:
    """Tell whether the kind is Kubernetes's own and not a namesake (Knative's Service)."""
    version = value.get("apiVersion")
    if not isinstance(version, str) or not version:
        line = document.line_of(("apiVersion",))
        raise _Refused(line, subject, "apiVersion: is missing or not text")
    return version.rpartition("/")[0] == _GROUPS.get(kind, "")


def _refused(error: msgspec.ValidationError, document: Document, subject: str) -> _Refused:
    """Say which field has the wrong type, and how it was written where that explains it."""
    match = _AT.match(str(error))
    assert match is not None
    path = (match["path"] or "").removeprefix(".")
    steps = _steps(path)
    what = match["what"].replace("`", "").replace(" | null", "")
    what = what[:1].lower() + what[1:]
    what = what.replace("array", "list").replace("object", "mapping")
    if path.endswith("[...]") and (found := _misfit(document, steps)):
        steps, path = found, ".".join(str(step) for step in found)
    written = document.plain_text(steps)
    if written is not None and "expected str" in what:
        what += f": unquoted {written} is no text in YAML, write '{written}'"
    return _Refused(document.line_of(steps), subject, f"{path}: {what}" if path else what)


def _misfit(document: Document, steps: Path) -> Path | None:
    """Find the value that is no text in a mapping of texts (labels, a selector)."""
    inside: Plain = document.value
    for step in steps:
        if isinstance(inside, dict) and isinstance(step, str):
            inside = inside.get(step)
    if isinstance(inside, dict):
        for key, value in inside.items():
            if value is not None and not isinstance(value, str):
                return (*steps, key)
    return None


def _steps(path: str) -> Path:
    """Take ``spec.ports[0].port`` apart."""
    found: list[str | int] = []
    for key, index, anything in _STEP.findall(f".{path}"):
        if anything:
            break
        found.append(key or int(index))
    return tuple(found)


def _without_nulls(value: Any) -> Any:
    """Drop fields that are null: to the API they are absent."""
    if isinstance(value, dict):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_without_nulls(one) for one in value]
    return value


def _duplicate_keys(document: Document, subject: str) -> list[Notice]:
    return [
        Notice(document.file, line, subject, f"key {path[-1]!r} is given twice: the later counts")
        for path, line in document.duplicates
    ]


def _subject(value: Plain, kind: str) -> str:
    meta = value.get("metadata") if isinstance(value, dict) else None
    meta = meta if isinstance(meta, dict) else {}
    name, namespace = _printable(meta.get("name")), _printable(meta.get("namespace"))
    words = [_printable(kind)] if kind else []
    if name:
        words.append(name if kind in _CLUSTER_WIDE else f"{namespace or 'default'}/{name}")
    return " ".join(words)


def _printable(value: object) -> str:
    """Give a text for a message; one with control characters is quoted, anything else empty."""
    if not isinstance(value, str):
        return ""
    return value if value.isprintable() else repr(value)


def _name(value: Plain) -> str:
    return "a list" if isinstance(value, list) else "a single value"
