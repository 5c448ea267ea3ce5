"""The shell of one reflector, against a connection that plays a script."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from svcdns.aio import listwatch
from svcdns.aio.apiserver import Deadline, Stalled
from svcdns.aio.listwatch import ListWatch
from svcdns.aio.turns import InLine
from svcdns.errors import ApiError, ApiUnavailable
from svcdns.kube.decode import Malformed
from svcdns.kube.lines import LineSplitter
from svcdns.kube.objects import Kind
from svcdns.kube.reflector import Reflector
from svcdns.kube.requests import Query
from svcdns.kube.source import ApiSource
from svcdns.kube.store import Store
from tests.support import apistate
from tests.support.waiting import until

Script = list[list[bytes | Exception]]


class Played:
    """Answers each request with the next part of a script, then waits for ever."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[dict[str, str]] = []
        self.reloads = 0

    @asynccontextmanager
    async def get(
        self, path: str, query: Query, deadline: Deadline
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        assert path == "/api/v1/services"
        self.asked.append(dict(query))
        if not self.script:
            await asyncio.Event().wait()
        answer = self.script.pop(0)
        if answer and isinstance(answer[0], Exception) and not isinstance(answer[0], Stalled):
            raise answer[0]
        yield self._chunks(answer)

    async def _chunks(self, answer: list[bytes | Exception]) -> AsyncIterator[bytes]:
        for one in answer:
            if isinstance(one, Exception):
                raise one
            yield one

    async def reload(self) -> None:
        self.reloads += 1


class Heard:
    def __init__(self) -> None:
        self.problems: list[str] = []
        self.skipped: list[str] = []
        self.worked = 0

    def failed(self, reflector: Reflector, problem: str) -> None:
        self.problems.append(problem)

    def working(self, reflector: Reflector) -> None:
        self.worked += 1

    def malformed(self, found: Malformed) -> None:
        self.skipped.append(str(found))


async def play(script: Script, *, watch_list: bool = False) -> tuple[Store, Played, Heard]:
    """Run until the script is over."""
    store, connection, heard = Store(), Played(script), Heard()
    store.wanted = {Kind.SERVICE}
    reflector = Reflector(
        Kind.SERVICE, store, delay=lambda n: 0.0, now=time.monotonic(), watch_list=watch_list
    )
    source = ApiSource(kinds=(Kind.SERVICE,))
    work = ListWatch(reflector, source, connection, heard, time.monotonic)
    requests = len(script) + 1
    task = asyncio.create_task(work.run())
    try:
        await until(lambda: len(connection.asked) == requests or task.done())
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.wait([task])
    return store, connection, heard


def state(*names: str) -> apistate.ApiState:
    made = apistate.ApiState()
    for name in names:
        made.put(apistate.service(f"ns/{name}"))
    return made


def page(*names: str) -> bytes:
    return state(*names).page(Kind.SERVICE, {})


def added(name: str) -> bytes:
    return apistate.event("ADDED", apistate.service(f"ns/{name}", resourceVersion="500"))


async def test_a_page_may_come_in_pieces() -> None:
    whole = page("a", "b")
    store, _, heard = await play([[whole[:10], whole[10:11], whole[11:]]])

    assert {name for _, name in store.services} == {"a", "b"}
    assert heard.worked == 1


@pytest.mark.parametrize(
    "answer", [[], [b"nonsense"], [page("a")[:-5]], [b"<html>proxy error</html>"]]
)
async def test_what_is_no_list_is_a_failure_and_tried_again(
    answer: list[bytes | Exception],
) -> None:
    store, _, heard = await play([answer, [page("a")]])

    assert store.synced
    assert heard.problems[0].startswith("not a list")


async def test_a_list_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listwatch, "MAX_PAGE_OCTETS", 100)
    _, _, heard = await play([[b"x" * 60, b"x" * 60]])

    assert heard.problems == ["a page of more than 100 octets"]


async def test_a_line_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listwatch, "LineSplitter", lambda: LineSplitter(100))
    store, played, heard = await play([[page("a")], [added("b")[:50], b"x" * 60]])

    assert heard.problems == ["a line of more than 100 octets"]
    assert "resourceVersion" in played.asked[-1]
    assert store.synced


async def test_an_event_cut_by_the_end_of_a_stream_is_not_applied() -> None:
    store, _, _ = await play([[page("a")], [added("b"), added("c")[:-3]]])

    assert {name for _, name in store.services} == {"a", "b"}


async def test_a_failure_in_the_middle_keeps_what_came_before() -> None:
    broken = ApiUnavailable(0, "", "the server cut the connection")
    store, played, heard = await play([[page("a")], [added("b"), broken]])

    assert {name for _, name in store.services} == {"a", "b"}
    assert played.asked[-1]["resourceVersion"] == "500"
    assert heard.problems == ["the server cut the connection"]


async def test_silence_is_told_and_tried_again() -> None:
    _, played, heard = await play([[page("a")], [Stalled()]])

    assert heard.problems == ["nothing was heard for too long"]
    assert len(played.asked) == 3


async def test_strangers_reload_their_credentials() -> None:
    _, played, heard = await play([[ApiError(401, "Unauthorized", "who")], [page("a")]])

    assert played.reloads == 1
    assert heard.problems == ["401 Unauthorized: who"]


async def test_the_life_that_is_asked_for_differs_from_watch_to_watch() -> None:
    many: Script = [[added("b")]] * 20
    _, played, _ = await play([[page("a")], *many])
    lives = {int(one["timeoutSeconds"]) for one in played.asked[1:]}

    assert len(lives) > 5
    assert all(300 <= life <= 600 for life in lives)


async def test_a_watch_list_works_from_its_last_initial_event_on() -> None:
    lines = state("a", "b").initial(Kind.SERVICE, {})
    store, _, heard = await play([[b"".join(lines[:1]), b"".join(lines[1:])]], watch_list=True)

    assert store.synced
    assert heard.worked == 1


async def test_malformed_objects_are_reported_in_lists_and_watches() -> None:
    odd = apistate.service("ns/odd")
    odd["spec"] = 7
    made = state("a")
    made.put(odd)
    _, _, heard = await play([[made.page(Kind.SERVICE, {})], [apistate.event("ADDED", odd)]])

    assert heard.skipped == ["Service ns/odd: Expected `object`, got `int` - at `$.spec`"] * 2


async def test_others_have_their_turn_while_a_large_list_is_decoded() -> None:
    body = page(*(f"s{number}" for number in range(3000)))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await play([[body]])
    counting.cancel()

    assert turns > 5


async def test_of_those_that_read_from_one_server_one_works_in_a_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listwatch, "TURN_SECONDS", 0.0)
    line, rounds, worked = InLine(), 0, list[tuple[str, int]]()

    async def count() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    def reader(name: str) -> asyncio.Task[None]:
        store = Store()
        store.subscribe(lambda _: worked.append((name, rounds)))
        reflector = Reflector(Kind.SERVICE, store, delay=lambda n: 0.0, now=time.monotonic())
        connection = Played([[b"".join(added(f"s{number}") for number in range(50))]])
        work = ListWatch(reflector, ApiSource(kinds=()), connection, Heard(), time.monotonic, line)
        return asyncio.create_task(work.run())

    tasks = [asyncio.create_task(count()), reader("a"), reader("b")]
    try:
        await until(lambda: len(worked) == 100)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    # The first object of each comes with its octets, whoever else works.
    later = [at for name in "ab" for at in [at for who, at in worked if who == name][1:]]
    assert len(set(later)) == len(later)


async def test_the_garbage_collector_never_has_the_whole_cluster_to_look_through_at_once() -> None:
    events = [added(f"s{number}") for number in range(2000)]
    young: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            young.append(len(gc.get_objects(generation=0)))

    gc.collect()
    gc.disable()  # by itself it would not count objects that replace others
    gc.callbacks.append(note)
    try:
        await play([[page("a")], [b"".join(events)]])
    finally:
        gc.callbacks.remove(note)
        gc.enable()

    assert len(young) >= 2000 // listwatch.TIDY_OBJECTS
    assert max(young) < 2000


async def test_a_bug_in_a_subscriber_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(kind: Kind, raw: bytes) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(listwatch, "read_object", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        await play([[page("a")]])
