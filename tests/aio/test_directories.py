"""Directories that change."""

from collections.abc import Mapping
from pathlib import Path

from svcdns.aio.directories import DirectoryWatcher
from svcdns.plugins.base import WatchDirectory


def watcher(path: Path, seen: list[dict[str, bytes]], failed: list[str]) -> DirectoryWatcher:
    def changed(files: Mapping[str, bytes]) -> None:
        seen.append({Path(path).name: content for path, content in files.items()})
        if b"bad" in files.values():
            raise ValueError("no zone")

    need = WatchDirectory(str(path), 1.0, lambda path: "db." in path, changed)
    return DirectoryWatcher(need, lambda path, error: failed.append(str(error)))


async def test_files_come_change_and_go(tmp_path: Path) -> None:
    seen: list[dict[str, bytes]] = []
    watch = watcher(tmp_path / "zones", seen, [])

    assert await watch.look()
    assert not await watch.look()
    (tmp_path / "zones" / "sub").mkdir(parents=True)
    (tmp_path / "zones" / "sub" / "db.a").write_bytes(b"1")
    (tmp_path / "zones" / "readme").write_bytes(b"1")
    assert await watch.look()
    (tmp_path / "zones" / "sub" / "db.a").write_bytes(b"12")
    assert await watch.look()
    (tmp_path / "zones" / "db.b").write_bytes(b"2")
    assert await watch.look()
    (tmp_path / "zones" / "sub" / "db.a").unlink()
    assert await watch.look()
    assert not await watch.look()
    assert seen == [
        {},
        {"db.a": b"1"},
        {"db.a": b"12"},
        {"db.a": b"12", "db.b": b"2"},
        {"db.b": b"2"},
    ]


async def test_a_swapped_symlink_is_seen_and_a_dangling_one_is_told(tmp_path: Path) -> None:
    seen: list[dict[str, bytes]] = []
    failed: list[str] = []
    (tmp_path / "one").write_bytes(b"1")
    (tmp_path / "two").write_bytes(b"2")
    link = tmp_path / "db.a"
    link.symlink_to(tmp_path / "one")
    watch = watcher(tmp_path, seen, failed)
    await watch.look()
    link.unlink()
    link.symlink_to(tmp_path / "two")
    await watch.look()
    link.unlink()
    link.symlink_to(tmp_path / "gone")
    await watch.look()

    assert seen == [{"db.a": b"1"}, {"db.a": b"2"}, {}]
    assert "No such file" in failed[0]


async def test_a_callback_that_fails_does_not_end_the_watching(tmp_path: Path) -> None:
    seen: list[dict[str, bytes]] = []
    failed: list[str] = []
    watch = watcher(tmp_path, seen, failed)
    (tmp_path / "db.a").write_bytes(b"bad")
    await watch.look()
    (tmp_path / "db.a").write_bytes(b"good")
    await watch.look()

    assert failed == ["no zone"]
    assert seen[-1] == {"db.a": b"good"}
