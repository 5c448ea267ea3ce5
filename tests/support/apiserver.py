"""A Kubernetes API server for tests: list and watch as a real one does it, and faults on demand.

By hand: ``python -m tests.support.apiserver OBJECTS.yaml [PORT]`` serves a file of objects (YAML
documents, a List, or JSON) until it is interrupted.
"""

import asyncio
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml
from aiohttp import web

from svcdns.kube.objects import Kind
from tests.support.apistate import (
    BY_PATH,
    ApiState,
    Change,
    Filter,
    Object,
    Refused,
    change_event,
    encode,
    event,
    selection,
    status,
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request that arrived."""

    verb: str
    "``list`` or ``watch``, as RBAC calls it."
    kind: Kind
    query: dict[str, str]
    headers: dict[str, str]


@dataclass(slots=True)
class Refusal:
    """An answer that comes instead of the right one, a number of times."""

    refused: Refused
    times: int
    wanted: Callable[[Recorded], bool]


@dataclass(eq=False, slots=True)
class Stream:
    """A watch that somebody reads."""

    kind: Kind
    wanted: Filter
    response: web.StreamResponse
    request: web.Request
    queue: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    "``None`` ends the stream cleanly."


class FakeApiServer:
    """``async with FakeApiServer() as server``; the state is :attr:`state`."""

    def __init__(
        self, state: ApiState | None = None, *, context: ssl.SSLContext | None = None
    ) -> None:
        self.state = state or ApiState()
        self.state.changed = self._changed
        self.requests: list[Recorded] = []
        self.streams: set[Stream] = set()
        self.tokens: set[str] | None = None
        "Bearer tokens that are known; ``None``: everybody is."
        self.watch_list = "on"
        "``on``; ``ignored`` (no bookmark at the end), ``invalid`` (422), ``etcd-3.4`` (500 in the stream)."
        self.installed: set[Kind] = set(Kind)
        "Kinds that exist; the others are answered as an unknown group is."
        self.frozen = False
        "Half-open: nothing is sent any more, nothing is closed."
        self.octets_per_write = 0
        "Cuts streams into pieces of this size, wherever that is; 0: as they come."
        self.end_at_once = False
        "Ends every watch as soon as it is opened."
        self.port = 0
        self._context = context
        self._refusals: list[Refusal] = []
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; after :meth:`stop` on the same port again."""
        application = web.Application()
        application.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True
        )
        await self._runner.setup()
        site = web.TCPSite(
            self._runner, "127.0.0.1", self.port, ssl_context=self._context, reuse_address=True
        )
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Go away, cutting all connections."""
        self.drop()
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    def refuse(
        self,
        code: int,
        reason: str = "",
        *,
        times: int = 1_000_000,
        retry_after: int | None = None,
        wanted: Callable[[Recorded], bool] = lambda request: True,
        body: bytes | None = None,
    ) -> Refusal:
        """Answer requests with an error; set ``times`` of the result to 0 to stop that."""
        found = encode(status(code, reason, f"refused by the test with {code}"))
        refusal = Refusal(Refused(code, body or found, retry_after), times, wanted)
        self._refusals.append(refusal)
        return refusal

    def bookmark(self) -> None:
        """Send a bookmark on every stream."""
        for stream in self.streams:
            stream.queue.put_nowait(self.state.bookmark(stream.kind))

    def gone(self) -> None:
        """End every stream with 410, as after a compaction."""
        self.send(event("ERROR", status(410, "Expired", "too old resource version: 1 (2)")))
        self.end()

    def send(self, octets: bytes) -> None:
        """Send anything at all on every stream."""
        for stream in self.streams:
            stream.queue.put_nowait(octets)

    def end(self) -> None:
        """End every stream cleanly, as when ``timeoutSeconds`` are over."""
        for stream in self.streams:
            stream.queue.put_nowait(None)

    def drop(self) -> None:
        """Cut the connection of every stream."""
        for stream in self.streams:
            if transport := stream.request.transport:
                transport.abort()

    def asked(self, verb: str, kind: Kind | None = None) -> list[Recorded]:
        """Give the requests of a verb."""
        return [
            one for one in self.requests if one.verb == verb and (kind is None or one.kind is kind)
        ]

    def rights(self) -> set[tuple[str, str, str]]:
        """Give (verb, group, resource) of all requests, as RBAC rules name them."""
        found = set()
        for one in self.requests:
            resource = self.state.collections[one.kind].resource
            group = resource.group.rpartition("/")[0]
            found.add((one.verb, group, resource.plural))
        return found

    def _changed(self, kind: Kind, change: Change) -> None:
        for stream in self.streams:
            if stream.kind is kind and (line := change_event(change, stream.wanted)):
                stream.queue.put_nowait(line)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        resource = BY_PATH.get(request.path)
        if resource is None or resource.kind not in self.installed:
            return web.Response(status=404, text="404 page not found\n")
        query = dict(request.query)
        verb = "watch" if query.get("watch") in ("1", "true") else "list"
        recorded = Recorded(verb, resource.kind, query, dict(request.headers))
        self.requests.append(recorded)
        try:
            self._check(recorded)
            if verb == "watch":
                return await self._watch(request, recorded)
            body = self.state.page(resource.kind, query)
        except Refused as refused:
            headers = (
                {} if refused.retry_after is None else {"Retry-After": str(refused.retry_after)}
            )
            return web.Response(
                status=refused.status,
                body=refused.body,
                headers=headers,
                content_type="application/json",
            )
        if self.frozen:
            await asyncio.Event().wait()
        return web.Response(body=body, content_type="application/json")

    def _check(self, recorded: Recorded) -> None:
        for one in self._refusals:
            if one.times > 0 and one.wanted(recorded):
                one.times -= 1
                raise one.refused
        scheme, _, token = recorded.headers.get("Authorization", "").partition(" ")
        if self.tokens is not None and (scheme != "Bearer" or token not in self.tokens):
            raise Refused(401, encode(status(401, "Unauthorized", "Unauthorized")))
        query = recorded.query
        if query.get("sendInitialEvents") == "true" and (
            self.watch_list == "invalid" or query.get("resourceVersionMatch") != "NotOlderThan"
        ):
            text = (
                "ListOptions.meta.k8s.io is invalid: resourceVersionMatch: Forbidden:"
                " sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
            )
            raise Refused(422, encode(status(422, "Invalid", text)))

    async def _watch(self, request: web.Request, recorded: Recorded) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        stream = Stream(recorded.kind, selection(recorded.query), response, request)
        for line in self._beginning(recorded):
            stream.queue.put_nowait(line)
        self.streams.add(stream)
        try:
            async with asyncio.timeout(float(recorded.query.get("timeoutSeconds") or 600)):
                await self._send(stream)
        except (TimeoutError, ConnectionError):
            pass
        finally:
            self.streams.discard(stream)
        return response

    def _beginning(self, recorded: Recorded) -> list[bytes | None]:
        kind, query = recorded.kind, recorded.query
        if self.end_at_once:
            return [None]
        if query.get("sendInitialEvents") == "true" and self.watch_list == "etcd-3.4":
            text = "a watch stream was requested by the client but the required storage feature RequestWatchProgress is disabled"
            return [event("ERROR", status(500, "InternalError", text)), None]
        version = query.get("resourceVersion", "")
        if not version:
            lines = self.state.initial(kind, query)
            ended = self.watch_list == "on" and query.get("allowWatchBookmarks") == "true"
            return [*(lines if ended else lines[:-1])]
        found = self.state.since(kind, int(version), query)
        return [found, None] if isinstance(found, bytes) else [*found]

    async def _send(self, stream: Stream) -> None:
        while (line := await stream.queue.get()) is not None:
            if self.frozen:
                await asyncio.Event().wait()
            while not stream.queue.empty() and len(line) < 1 << 18:
                following = stream.queue.get_nowait()
                if following is None:
                    stream.queue.put_nowait(None)
                    break
                line += following
            size = self.octets_per_write or len(line)
            for start in range(0, len(line), size):
                await stream.response.write(line[start : start + size])


def read_objects(path: Path) -> list[Object]:
    """Read objects from a file of YAML documents or Lists."""
    found: list[Object] = []
    for document in yaml.safe_load_all(path.read_text()):
        found += document.get("items", [document])
    return found


async def _serve(path: Path, port: int) -> None:
    server = FakeApiServer()
    server.port = port
    for one in read_objects(path):
        if one["kind"] in set(Kind):
            server.state.put(one)
    async with server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        while True:
            await asyncio.sleep(60)
            server.bookmark()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
