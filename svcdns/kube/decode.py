"""What an API server sends, to objects: pages of a list, and lines of a watch.

A page is taken apart first and its items are decoded one by one: the caller may do something else
in between, and one object that cannot be read costs only itself.  What cannot be read comes back
as :class:`Malformed`, never as an exception.

Spec: https://kubernetes.io/docs/reference/using-api/api-concepts/ (chunks; watch; bookmarks).
Items of a list carry no ``kind`` and no ``apiVersion``.
"""

from typing import TypeAlias

from msgspec import DecodeError, Raw, Struct, ValidationError, field
from msgspec.json import Decoder

from svcdns.errors import ApiError, ApiUnavailable, ResourceExpired
from svcdns.kube.metadata import ObjectKey
from svcdns.kube.objects import Kind, KubeObject
from svcdns.kube.resources import RESOURCES
from svcdns.kube.sharing import share

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
"""Annotation of the bookmark that ends the initial events of a WatchList (KEP-3157)."""


class Malformed(Struct, frozen=True):
    """Something that cannot be read, and why."""

    kind: Kind
    problem: str
    "With the path: ``Expected `int`, got `str` - at `$.spec.ports[0].port```."
    key: ObjectKey | None = None
    "Whose object it is, when that much can be read."
    resource_version: str = ""

    def __str__(self) -> str:
        """Say what was skipped, for the log."""
        name = "/".join(part for part in self.key if part) if self.key else "(unnamed)"
        return f"{self.kind} {name}: {self.problem}"


class Applied(Struct, frozen=True, gc=False):
    """ADDED or MODIFIED; both say that the object is so now."""

    object: KubeObject


class Deleted(Struct, frozen=True, gc=False):
    """DELETED: only the identity matters."""

    key: ObjectKey
    resource_version: str


class Bookmark(Struct, frozen=True, gc=False):
    """Everything up to this version has been sent."""

    resource_version: str
    initial_events_end: bool = False


class Failed(Struct, frozen=True):
    """ERROR: the stream is over."""

    error: ApiError


class Garbage(Struct, frozen=True):
    """A line that is no event: what it would have said is lost."""

    problem: str


Event: TypeAlias = Applied | Deleted | Bookmark | Failed | Malformed | Garbage


class Page(Struct, frozen=True):
    """One page of a list; its items are not decoded yet."""

    items: list[Raw]
    resource_version: str
    continue_token: str
    "Empty on the last page."


class _ListMeta(Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    continue_: str | None = field(default=None, name="continue")


class _List(Struct, frozen=True):
    metadata: _ListMeta
    items: list[Raw] | None = None


class _Identity(Struct, frozen=True, gc=False, rename="camel"):
    name: str = ""
    namespace: str | None = None
    resource_version: str = ""
    annotations: dict[str, str] | None = None


class _Bare(Struct, frozen=True, gc=False):
    """Any object, as far as its identity."""

    metadata: _Identity


class _WatchEvent(Struct, frozen=True, gc=False):
    type: str
    object: Raw


class _Details(Struct, frozen=True, rename="camel"):
    retry_after_seconds: float | None = None


class _Status(Struct, frozen=True):
    code: int = 0
    reason: str | None = None
    message: str | None = None
    details: _Details | None = None


_DECODERS: dict[Kind, Decoder[KubeObject]] = {
    kind: Decoder(resource.type) for kind, resource in RESOURCES.items()
}
_decode_list = Decoder(_List).decode
_decode_bare = Decoder(_Bare).decode
_decode_event = Decoder(_WatchEvent).decode
_decode_status = Decoder(_Status).decode

# msgspec reports bad UTF-8 as UnicodeDecodeError and deep nesting as RecursionError.
_UNREADABLE = (DecodeError, UnicodeDecodeError, RecursionError)


def read_page(body: bytes) -> Page | Garbage:
    """Take a page of a list apart, without looking into its items."""
    try:
        found = _decode_list(body)
    except _UNREADABLE as error:
        return Garbage(f"not a list: {error}")
    if not found.metadata.resource_version:
        return Garbage("not a list: it has no resourceVersion")
    return Page(found.items or [], found.metadata.resource_version, found.metadata.continue_ or "")


def read_object(kind: Kind, raw: bytes | Raw) -> KubeObject | Malformed:
    """Decode one object, an item of a list or the object of an event."""
    try:
        found = _DECODERS[kind].decode(raw)
    except _UNREADABLE as error:
        return _malformed(kind, raw, error)
    if not found.metadata.name:
        return Malformed(kind, "it has an empty name")
    share(found)
    return found


def read_event(kind: Kind, line: bytes) -> Event:
    """Decode one line of a watch stream."""
    try:
        event = _decode_event(line)
    except _UNREADABLE as error:
        return Garbage(f"not a watch event: {error}")
    match event.type:
        case "ADDED" | "MODIFIED":
            found = read_object(kind, event.object)
            return found if isinstance(found, Malformed) else Applied(found)
        case "DELETED" | "BOOKMARK":
            return _bare(event.type, event.object)
        case "ERROR":
            return Failed(status_error(event.object))
        case other:
            return Garbage(f"not a watch event: type {other[:32]!r}")


def _bare(type: str, raw: Raw) -> Event:
    """Read what needs no more than an identity; a deletion counts whatever else is in it."""
    try:
        metadata = _decode_bare(raw).metadata
    except _UNREADABLE as error:
        return Garbage(f"{type} without readable metadata: {error}")
    if type == "BOOKMARK":
        end = (metadata.annotations or {}).get(INITIAL_EVENTS_END) == "true"
        return Bookmark(metadata.resource_version, end)
    if not metadata.name:
        return Garbage("DELETED without a name")
    return Deleted((metadata.namespace or "", metadata.name), metadata.resource_version)


def status_error(
    body: bytes | Raw, code: int = 0, retry_after: float | None = None
) -> ApiUnavailable | ResourceExpired | ApiError:
    """Turn a Status object, of an ERROR event or of an HTTP answer, into an error.

    Args:
        body: The Status; anything else (``404 page not found``) becomes the message.
        code: The HTTP status, which is more certain than the body's; 0 for an event.
        retry_after: Seconds of the ``Retry-After`` header.
    """
    try:
        status = _decode_status(body)
    except _UNREADABLE:
        status = _Status(message=bytes(body).decode(errors="replace").strip())
    code = code or status.code
    reason, message = status.reason or "", status.message or "no message"
    if retry_after is None and status.details:
        retry_after = status.details.retry_after_seconds
    if code == 410 or reason == "Expired":
        return ResourceExpired(code, reason, message)
    if code == 429 or code >= 500 or code == 0:
        return ApiUnavailable(code, reason, message, retry_after=retry_after)
    return ApiError(code, reason, message)


def _malformed(kind: Kind, raw: bytes | Raw, error: Exception) -> Malformed:
    problem = str(error) if isinstance(error, ValidationError) else f"not JSON: {error}"
    try:
        metadata = _decode_bare(raw).metadata
    except _UNREADABLE:
        return Malformed(kind, problem)
    key = (metadata.namespace or "", metadata.name) if metadata.name else None
    return Malformed(kind, problem, key, metadata.resource_version)
