import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from svcdns.aio.needs import spawn_all
from svcdns.aio.upstream import Upstreams
from svcdns.plugins.base import Ask, Drop, LameDuck, Outcome, Periodic, WatchFile
from svcdns.plugins.commands import Delay, Result
from tests.support.waiting import until


@pytest_asyncio.fixture
async def upstreams() -> AsyncIterator[Upstreams]:
    made = Upstreams()
    yield made
    await made.close()


async def test_files_are_read_before_anything_is_served(
    upstreams: Upstreams, tmp_path: Path
) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(b"one")
    seen: list[bytes | None] = []

    work = await spawn_all([WatchFile(str(path), 0.0, seen.append), LameDuck(5.0)], upstreams)

    assert (seen, work) == ([b"one"], [])


async def test_a_watched_file_is_looked_at_again(upstreams: Upstreams, tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    seen: list[bytes | None] = []
    (work,) = await spawn_all([WatchFile(str(path), 0.005, seen.append)], upstreams)
    task = asyncio.ensure_future(work)
    path.write_bytes(b"one")
    await until(lambda: len(seen) == 2)
    task.cancel()

    assert seen == [None, b"one"]


async def test_periodic_work_is_carried_out_and_its_bugs_end_nothing(
    upstreams: Upstreams, caplog: pytest.LogCaptureFixture
) -> None:
    turns: list[float] = []
    results: list[Result] = []

    def resume(result: Result, _now: float) -> Outcome:
        results.append(result)
        return Drop()

    def run(now: float) -> tuple[Ask, ...]:
        turns.append(now)
        if len(turns) == 2:
            raise KeyError("a bug")
        return (Ask(Delay(0.0), resume),)

    (work,) = await spawn_all([Periodic("loop", 0.002, run)], upstreams)
    task = asyncio.ensure_future(work)
    await until(lambda: len(results) == 3)
    task.cancel()

    assert "plugin/loop: a bug in its periodic work" in caplog.text


async def test_a_file_that_its_plugin_cannot_read_is_told(
    upstreams: Upstreams, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def changed(content: bytes | None) -> None:
        raise ValueError("line 3: no address")

    await spawn_all([WatchFile(str(tmp_path / "x"), 0.0, changed)], upstreams)

    assert f"{tmp_path}/x: line 3: no address" in caplog.text
