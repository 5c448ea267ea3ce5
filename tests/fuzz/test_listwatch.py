"""Whatever happens on the way, the store ends up equal to the server's objects.

A server without HTTP (:class:`ApiState`) and a driver without a loop: hypothesis chooses what
happens to objects, requests and streams, and where chunks are cut.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from svcdns.errors import ApiError, ApiUnavailable
from svcdns.kube.decode import Page, read_event, read_object, read_page, status_error
from svcdns.kube.lines import LineSplitter
from svcdns.kube.objects import Kind
from svcdns.kube.reflector import (
    HEALTHY_SECONDS,
    WATCH_STALL_SECONDS,
    List,
    Reflector,
    ReloadCredentials,
    Wait,
    Watch,
    WatchList,
    backoff,
)
from svcdns.kube.requests import query
from svcdns.kube.source import ApiSource
from svcdns.kube.store import Store
from tests.support.apistate import (
    ApiState,
    Refused,
    change_event,
    event,
    selection,
    service,
    status,
)

PAGE = 2
"Objects per page, so that few objects make many pages."


@dataclass(slots=True)
class Stream:
    splitter: LineSplitter
    pending: bytes


class World:
    def __init__(self, *, watch_list: bool, ends_initial: bool, labels: str) -> None:
        self.state = ApiState(window=4)
        self.store = Store()
        self.now = 0.0
        self.reflector = Reflector(
            Kind.SERVICE, self.store, delay=lambda n: backoff(n, 0.5), now=0.0, watch_list=True
        )
        self.watch_list = watch_list
        self.ends_initial = ends_initial
        self.source = ApiSource(kinds=(Kind.SERVICE,), label_selectors={Kind.SERVICE: labels})
        self.wanted = selection({"labelSelector": labels})
        self.stream: Stream | None = None
        self.refusal: ApiError | None = None
        self.half_open = False
        self.state.changed = lambda kind, change: self._send(change_event(change, self.wanted))

    def _send(self, line: bytes | None) -> None:
        if self.stream and line and not self.half_open:
            self.stream.pending += line

    # What happens to the cluster.

    def put(self, name: str, address: int, kept: bool) -> None:
        labels = {"keep": "yes"} if kept else {}
        self.state.put(service(f"ns/{name}", f"10.0.0.{address}", labels=labels))

    def delete(self, name: str) -> None:
        if ("ns", name) in self.state.collections[Kind.SERVICE].objects:
            self.state.delete(Kind.SERVICE, "ns", name)

    # What happens on the way.

    def step(self) -> None:
        """Let the client do one thing."""
        if self.stream:
            self.deliver(len(self.stream.pending))
            return
        match self.reflector.next_command(self.now):
            case Wait(until=until):
                self.now = until
            case ReloadCredentials():
                pass
            case command:
                self._request(command)

    def _request(self, command: List | Watch | WatchList) -> None:
        refusal, self.refusal = self.refusal, None
        if refusal:
            self.reflector.failed(refusal, self.now)
            return
        self.half_open = False
        parameters = dict(query(self.source, Kind.SERVICE, command, 300))
        try:
            if isinstance(command, List):
                self._list(parameters)
            else:
                self._open(parameters)
        except Refused as refused:
            self.reflector.failed(status_error(refused.body, refused.status), self.now)

    def _list(self, parameters: dict[str, str]) -> None:
        if "limit" in parameters:
            parameters["limit"] = str(PAGE)
        page = read_page(self.state.page(Kind.SERVICE, parameters))
        assert isinstance(page, Page)
        self.reflector.started(self.now)
        self.reflector.received(self.now)
        for raw in page.items:
            self.reflector.item(read_object(Kind.SERVICE, raw))
        self.reflector.page_end(page.resource_version, page.continue_token)

    def _open(self, parameters: dict[str, str]) -> None:
        if parameters.get("sendInitialEvents"):
            if not self.watch_list:
                raise Refused(422, json.dumps(status(422, "Invalid", "no")).encode())
            lines = self.state.initial(Kind.SERVICE, parameters)
            found = lines if self.ends_initial else lines[:-1]
        else:
            since = self.state.since(Kind.SERVICE, int(parameters["resourceVersion"]), parameters)
            found = [since] if isinstance(since, bytes) else since
        self.reflector.started(self.now)
        self.stream = Stream(LineSplitter(), b"".join(found))

    def deliver(self, octets: int) -> None:
        """Let so many octets arrive, wherever that cuts."""
        if not self.stream:
            return
        chunk = self.stream.pending[:octets]
        self.stream.pending = self.stream.pending[octets:]
        if not chunk:
            return
        self.reflector.received(self.now)
        for line in self.stream.splitter.feed(chunk):
            if error := self.reflector.event(read_event(Kind.SERVICE, line)):
                self.stream = None
                self.reflector.failed(error, self.now)
                return

    def break_off(self, how: str) -> None:
        """End the stream; what had not arrived is lost."""
        if not self.stream:
            return
        self.stream = None
        if how == "cut":
            self.reflector.failed(ApiUnavailable(0, "", "connection reset"), self.now)
        elif how == "stall":
            self.now = self.reflector.deadline
            self.reflector.stalled(self.now)
        else:
            self.reflector.closed(self.now)

    def refuse(self, code: int) -> None:
        self.refusal = status_error(b"{}", code) if code else ApiUnavailable(0, "", "refused")

    def freeze(self) -> None:
        """Half-open: the stream is silent from now on, and the client finds out by waiting."""
        if self.stream:
            self.half_open = True
            self.stream.pending = b""

    # The end.

    def settle(self) -> None:
        """Let things go well until the client has heard all there is."""
        for _ in range(60):
            if self.stream and self.half_open:
                self.break_off("stall")
            self.step()
            if self.stream and not self.stream.pending:
                if self.reflector.resource_version:
                    return
                # Initial events that are never ended: the client's patience ends.
                self.break_off("stall")
        raise AssertionError("the client never caught up")

    def check(self) -> None:
        objects = self.state.collections[Kind.SERVICE].objects
        expected = {
            key: read_object(Kind.SERVICE, json.dumps(found).encode())
            for key, found in objects.items()
            if self.wanted(found)
        }
        assert self.store.services == expected
        assert self.store.listed == {Kind.SERVICE}


names = st.sampled_from(("a", "b", "c", "d", "e"))
Action = Callable[[World], None]


def build(action: str, name: str, number: int, flag: bool) -> Action:
    match action:
        case "put":
            return lambda world: world.put(name, number % 4, flag)
        case "delete":
            return lambda world: world.delete(name)
        case "compact":
            return lambda world: world.state.compact()
        case "step":
            return lambda world: world.step()
        case "deliver":
            return lambda world: world.deliver(number)
        case "bookmark":
            return lambda world: world._send(world.state.bookmark(Kind.SERVICE))
        case "cut" | "close" | "stall":
            return lambda world: world.break_off(action)
        case "freeze":
            return lambda world: world.freeze()
        case "gone":
            return lambda world: world._send(event("ERROR", status(410, "Expired", "old")))
        case "garbage":
            # It replaces events that nobody gets to see.
            def garble(world: World) -> None:
                if world.stream:
                    world.put(name, number % 4, flag)
                    world.stream.pending = b'{"type":"ADDED","obj\n'

            return garble
        case "refuse":
            codes = (0, 400, 401, 403, 404, 410, 422, 429, 500, 503, 504)
            return lambda world: world.refuse(codes[number % len(codes)])
        case "time":

            def wait(world: World) -> None:
                world.now += HEALTHY_SECONDS if flag else WATCH_STALL_SECONDS / 10

            return wait
        case _:
            raise AssertionError(action)


# Steps and changes come several times, because most of what is interesting is between them.
kinds = st.sampled_from(
    (
        "put",
        "put",
        "put",
        "delete",
        "delete",
        "compact",
        "step",
        "step",
        "step",
        "deliver",
        "deliver",
        "bookmark",
        "cut",
        "close",
        "stall",
        "freeze",
        "gone",
        "garbage",
        "refuse",
        "time",
    )
)
actions = st.lists(st.builds(build, kinds, names, st.integers(0, 2000), st.booleans()), max_size=60)


@given(
    actions=actions,
    watch_list=st.booleans(),
    ends_initial=st.booleans(),
    labels=st.sampled_from(("", "keep=yes")),
)
@settings(max_examples=400, deadline=None)
def test_any_sequence_of_changes_and_faults_ends_with_the_servers_objects(
    actions: list[Action], watch_list: bool, ends_initial: bool, labels: str
) -> None:
    world = World(watch_list=watch_list, ends_initial=ends_initial, labels=labels)
    for name in "abcde":
        world.put(name, 1, kept=True)
    for action in actions:
        action(world)
    world.refusal = None
    world.settle()
    world.check()
