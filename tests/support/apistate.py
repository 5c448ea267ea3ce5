"""What a Kubernetes API server knows: objects, versions, and a history that ends somewhere.

Pure, so that scripted tests can use it without HTTP; :mod:`tests.support.apiserver` serves it.
Bodies and refusals are those that a real server was seen to give (1.36.2, etcd 3.6).
"""

import base64
import copy
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from svcdns.kube.objects import Kind
from svcdns.kube.resources import RESOURCES, Resource
from svcdns.kube.selectors import parse

Object = dict[str, Any]
Key = tuple[str, str]
Filter = Callable[[Object], bool]

BY_PATH: dict[str, Resource] = {one.collection: one for one in RESOURCES.values()}
BY_KIND: dict[str, Resource] = {str(one.kind): one for one in RESOURCES.values()}


class Refused(Exception):
    """An HTTP answer that is no success."""

    def __init__(self, status: int, body: bytes, retry_after: int | None = None) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Change:
    version: int
    old: Object | None
    new: Object | None


@dataclass(slots=True)
class Collection:
    resource: Resource
    objects: dict[Key, Object] = field(default_factory=dict)
    history: list[Change] = field(default_factory=list)
    oldest: int = 0
    "Watches may begin at this version, not before."
    snapshots: dict[int, list[Object]] = field(default_factory=dict)


def encode(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def status(code: int, reason: str, message: str, **more: object) -> Object:
    return {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code, **more,
    }  # fmt: skip


def event(type: str, found: Object) -> bytes:
    return encode({"type": type, "object": found}) + b"\n"


class ApiState:
    def __init__(self, window: int = 1000) -> None:
        self.version = 100
        self.window = window
        "Changes that a collection remembers; older watches are answered with 410."
        self.collections = {one.kind: Collection(one, oldest=100) for one in RESOURCES.values()}
        self.changed: Callable[[Kind, Change], None] = lambda kind, change: None

    def put(self, found: Object) -> Object:
        """Create or update; returns what is stored."""
        collection = self.collections[Kind(found["kind"])]
        stored = copy.deepcopy(found)
        stored.setdefault("apiVersion", collection.resource.group)
        self.version += 1
        stored["metadata"]["resourceVersion"] = str(self.version)
        key = _key(stored)
        old = collection.objects.get(key)
        collection.objects[key] = stored
        self._remember(collection, Change(self.version, old, stored))
        return stored

    def delete(self, kind: Kind, namespace: str, name: str) -> None:
        collection = self.collections[kind]
        old = collection.objects.pop((namespace, name))
        self.version += 1
        self._remember(collection, Change(self.version, old, None))

    def compact(self) -> None:
        """Forget history and snapshots: etcd's compaction, or a new watch cache after a restart."""
        for collection in self.collections.values():
            collection.history.clear()
            collection.snapshots.clear()
            collection.oldest = self.version

    def _remember(self, collection: Collection, change: Change) -> None:
        collection.history.append(change)
        if len(collection.history) > self.window:
            collection.oldest = collection.history.pop(0).version
        self.changed(collection.resource.kind, change)

    def page(self, kind: Kind, query: Mapping[str, str]) -> bytes:
        """Answer a list.

        Raises:
            Refused: As a real server would.
        """
        collection = self.collections[kind]
        limit = int(query.get("limit") or 0)
        if query.get("resourceVersion") == "0":
            limit = 0  # the watch cache ignores it
        version, start = self.version, 0
        if token := query.get("continue"):
            version, start = self._position(collection, token)
            found = collection.snapshots[version]
        else:
            found = self._selected(collection, query)
        metadata: Object = {"resourceVersion": str(version)}
        page = found[start : start + limit] if limit else found[start:]
        if limit and start + limit < len(found):
            collection.snapshots[version] = found
            metadata["continue"] = _token(version, start + limit)
            metadata["remainingItemCount"] = len(found) - start - limit
        items = [{k: v for k, v in one.items() if k not in ("kind", "apiVersion")} for one in page]
        return encode({
            "kind": f"{kind}List", "apiVersion": collection.resource.group,
            "metadata": metadata, "items": items,
        })  # fmt: skip

    def _position(self, collection: Collection, token: str) -> tuple[int, int]:
        try:
            version, start = json.loads(base64.urlsafe_b64decode(token))
        except ValueError as error:
            text = f"invalid continue token: {error}"
            raise Refused(400, encode(status(400, "BadRequest", text))) from error
        if version not in collection.snapshots:
            text = "The provided continue parameter is too old to display a consistent list result."
            body = status(410, "Expired", text)
            body["metadata"] = {"continue": _token(self.version, start)}
            raise Refused(410, encode(body))
        return version, start

    def _selected(self, collection: Collection, query: Mapping[str, str]) -> list[Object]:
        wanted = selection(query)
        found = [one for one in collection.objects.values() if wanted(one)]
        return sorted(found, key=_key)

    def initial(self, kind: Kind, query: Mapping[str, str]) -> list[bytes]:
        """Give the synthetic ADDED events, and the bookmark after them."""
        found = self._selected(self.collections[kind], query)
        return [*(event("ADDED", one) for one in found), self.bookmark(kind, end=True)]

    def since(self, kind: Kind, version: int, query: Mapping[str, str]) -> list[bytes] | bytes:
        """Give the events after a version, or the one ERROR event when it is too old."""
        collection = self.collections[kind]
        if version < collection.oldest:
            text = f"too old resource version: {version} ({collection.oldest})"
            return event("ERROR", status(410, "Expired", text))
        wanted = selection(query)
        lines = (change_event(one, wanted) for one in collection.history if one.version > version)
        return [line for line in lines if line]

    def bookmark(self, kind: Kind, *, end: bool = False) -> bytes:
        metadata: Object = {"resourceVersion": str(self.version), "creationTimestamp": None}
        if end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        resource = RESOURCES[kind]
        body: Object = {"kind": str(kind), "apiVersion": resource.group, "metadata": metadata}
        if kind is Kind.SERVICE:
            body |= {"spec": {}, "status": {"loadBalancer": {}}}
        if kind is Kind.ENDPOINT_SLICE:
            body |= {"endpoints": None, "ports": None, "addressType": ""}
        return event("BOOKMARK", body)


def change_event(change: Change, wanted: Filter) -> bytes | None:
    """Give the event as a watch with a selector sees it: leaving the selection is a deletion."""
    old = change.old if change.old and wanted(change.old) else None
    new = change.new if change.new and wanted(change.new) else None
    if new:
        return event("MODIFIED" if old else "ADDED", new)
    if old is None:
        return None
    gone = copy.deepcopy(old)
    gone["metadata"]["resourceVersion"] = str(change.version)
    return event("DELETED", gone)


def selection(query: Mapping[str, str]) -> Filter:
    labels = parse(query.get("labelSelector", ""))
    terms = [_term(one) for one in query.get("fieldSelector", "").split(",") if one]

    def wanted(found: Object) -> bool:
        return labels.matches(found["metadata"].get("labels")) and all(
            (_field(found, path) == value) is equal for path, value, equal in terms
        )

    return wanted


def _term(text: str) -> tuple[str, str, bool]:
    path, sign, value = text.partition("!=")
    if sign:
        return path, value, False
    path, _, value = text.partition("=")
    return path, value.removeprefix("="), True


def _field(found: Object, path: str) -> str:
    value: Any = found
    for step in path.split("."):
        value = (value or {}).get(step)
    return str(value or "")


def _key(found: Object) -> Key:
    return (found["metadata"].get("namespace") or "", found["metadata"]["name"])


def _token(version: int, start: int) -> str:
    return base64.urlsafe_b64encode(encode([version, start])).decode()


def service(key: str, address: str = "10.96.0.1", **metadata: object) -> Object:
    """Make a Service ``ns/name`` as the API stores it."""
    namespace, name = key.split("/")
    return {
        "kind": "Service", "apiVersion": "v1",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {
            "type": "ClusterIP", "clusterIP": address, "clusterIPs": [address],
            "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}],
        },
        "status": {"loadBalancer": {}},
    }  # fmt: skip


def endpoint_slice(key: str, addresses: Iterable[str], **metadata: object) -> Object:
    """Make an EndpointSlice of the Service ``ns/name``."""
    namespace, name = key.split("/")
    return {
        "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "name": f"{name}-abc12", "namespace": namespace,
            "labels": {"kubernetes.io/service-name": name}, **metadata,
        },
        "addressType": "IPv4",
        "endpoints": [
            {
                "addresses": [address],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "nodeName": "node-1", "zone": "zone-a",
                "targetRef": {"kind": "Pod", "namespace": namespace, "name": f"pod-{address}"},
            }
            for address in addresses
        ],
        "ports": [{"name": "http", "protocol": "TCP", "port": 8080}],
    }  # fmt: skip


def namespace(name: str, **labels: str) -> Object:
    return {
        "kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name, "labels": labels},
        "spec": {}, "status": {"phase": "Active"},
    }  # fmt: skip
