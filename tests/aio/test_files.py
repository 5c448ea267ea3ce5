import asyncio
from collections.abc import Iterator
from pathlib import Path

from svcdns.aio.files import FileWatcher
from svcdns.plugins.base import WatchFile
from tests.support.waiting import until


class Seen:
    """Collects contents and complaints."""

    def __init__(self) -> None:
        self.contents: list[bytes | None] = []
        self.complaints: list[tuple[str, Exception]] = []

    def watcher(self, path: Path, interval: float = 0.0) -> FileWatcher:
        need = WatchFile(str(path), interval, self.contents.append)
        return FileWatcher(need, lambda name, error: self.complaints.append((name, error)))


async def test_the_content_comes_at_start_and_when_it_differs(tmp_path: Path) -> None:
    path, seen = tmp_path / "hosts", Seen()
    path.write_bytes(b"one")
    watcher = seen.watcher(path)

    looks = [await watcher.look(), await watcher.look()]
    path.write_bytes(b"two!")
    looks += [await watcher.look(), await watcher.look()]

    assert looks == [True, False, True, False]
    assert seen.contents == [b"one", b"two!"]


async def test_a_file_that_is_touched_is_not_told_again(tmp_path: Path) -> None:
    path, seen = tmp_path / "hosts", Seen()
    path.write_bytes(b"one")
    watcher = seen.watcher(path)
    await watcher.look()
    path.unlink()
    path.write_bytes(b"one")

    assert not await watcher.look()


async def test_a_configmap_swap_is_seen(tmp_path: Path) -> None:
    """kubelet: Corefile -> ..data/Corefile, and ..data changes its target."""
    seen = Seen()
    for name in ("one", "two"):
        (tmp_path / f"..{name}").mkdir()
        (tmp_path / f"..{name}" / "hosts").write_bytes(name.encode())
    (tmp_path / "..data").symlink_to("..one")
    (tmp_path / "hosts").symlink_to("..data/hosts")
    watcher = seen.watcher(tmp_path / "hosts")
    await watcher.look()

    (tmp_path / "..tmp").symlink_to("..two")
    (tmp_path / "..tmp").replace(tmp_path / "..data")
    await watcher.look()

    assert seen.contents == [b"one", b"two"]


async def test_a_file_that_goes_and_comes_back(tmp_path: Path) -> None:
    path, seen = tmp_path / "hosts", Seen()
    watcher = seen.watcher(path)
    await watcher.look()
    await watcher.look()
    path.write_bytes(b"here")
    await watcher.look()
    path.unlink()
    await watcher.look()

    assert seen.contents == [None, b"here", None]


async def test_a_directory_in_its_place_is_a_missing_file(tmp_path: Path) -> None:
    seen = Seen()
    await seen.watcher(tmp_path).look()

    assert seen.contents == [None]


async def test_a_callback_that_raises_is_reported_and_watching_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(b"bad")
    complaints: list[str] = []

    def changed(content: bytes | None) -> None:
        if content == b"bad":
            raise ValueError("bad line")

    watcher = FileWatcher(
        WatchFile(str(path), 0.0, changed),
        lambda name, error: complaints.append(f"{name}: {error}"),
    )
    await watcher.look()
    path.write_bytes(b"good")

    assert await watcher.look()
    assert complaints == [f"{path}: bad line"]


async def test_running_looks_until_it_is_cancelled(tmp_path: Path) -> None:
    path, seen = tmp_path / "hosts", Seen()
    path.write_bytes(b"one")
    task = asyncio.ensure_future(seen.watcher(path, 0.005).run())
    await until(lambda: seen.contents)
    path.write_bytes(b"two!")
    await until(lambda: len(seen.contents) == 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_without_an_interval_the_file_is_read_once(tmp_path: Path) -> None:
    seen = Seen()

    await asyncio.wait_for(seen.watcher(tmp_path / "missing").run(), 30)

    assert seen.contents == [None]


async def test_others_run_between_the_slices_of_a_callback(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(b"one")
    order: list[str] = []

    def take(content: bytes | None) -> Iterator[None]:
        for number in range(3):
            order.append(f"{content!r} {number}")
            yield

    async def other() -> None:
        while True:
            order.append("other")
            await asyncio.sleep(0)

    watcher = FileWatcher(WatchFile(str(path), 0.01, take), lambda name, error: None)
    tasks = [asyncio.create_task(watcher.run())]
    await until(lambda: "b'one' 2" in order)
    assert order == ["b'one' 0", "b'one' 1", "b'one' 2"]
    path.write_bytes(b"two!")
    tasks.append(asyncio.create_task(other()))
    await until(lambda: "b'two!' 2" in order)
    for task in tasks:
        task.cancel()

    first, last = order.index("b'two!' 0"), order.index("b'two!' 2")
    assert order[first:last].count("other") >= 2


async def test_an_error_between_slices_is_told_and_ends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(b"one")
    complaints: list[Exception] = []

    def take(_content: bytes | None) -> Iterator[None]:
        yield
        raise ValueError("bad file")

    watcher = FileWatcher(
        WatchFile(str(path), 1.0, take), lambda _, error: complaints.append(error)
    )

    assert await watcher.look()
    assert [str(error) for error in complaints] == ["bad file"]
