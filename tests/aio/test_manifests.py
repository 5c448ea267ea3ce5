"""A directory of manifests as a source: every way in which files change."""

import asyncio
import logging
import os
from pathlib import Path

import pytest

from svcdns.aio import manifests
from svcdns.aio.manifests import ManifestDirectory
from svcdns.errors import ConfigError
from svcdns.kube.inventory import Inventory
from svcdns.kube.store import Store
from tests.support.manifests import pod, service, write

WEB = write(service("web", clusterIP="127.1.1.1"))
API = write(service("api", clusterIP="127.1.1.2"))


class Watched:
    """A directory, its store, and the lines that were logged."""

    def __init__(self, path: Path, caplog: pytest.LogCaptureFixture) -> None:
        self.store = Store()
        self.source = ManifestDirectory(path, Inventory(self.store))
        self._caplog = caplog
        caplog.set_level(logging.INFO)
        self.source.load()

    async def settle(self) -> bool:
        """Look until nothing moves: twice, because a change must be seen twice."""
        await self.source.look()
        return await self.source.look()

    @property
    def services(self) -> set[str]:
        return {name for _, name in self.store.services}

    def said(self) -> list[str]:
        found = [record.getMessage() for record in self._caplog.records]
        self._caplog.clear()
        return found


@pytest.fixture
def watched(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Watched:
    (tmp_path / "web.yaml").write_bytes(WEB)
    return Watched(tmp_path, caplog)


def test_everything_is_there_before_anything_is_served(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "a.yaml").write_bytes(WEB)
    (tmp_path / "deep" / "er" / "b.yml").write_bytes(API)
    (tmp_path / "c.json").write_text(
        '{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}'
    )
    (tmp_path / "readme.md").write_text("kind: Nonsense")
    (tmp_path / ".hidden.yaml").write_text("][")

    watched = Watched(tmp_path, caplog)

    assert watched.services == {"web", "api"}
    assert ("", "x") in watched.store.namespaces
    assert watched.store.synced
    assert watched.said() == []


def test_an_empty_directory_is_synced_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert Watched(tmp_path, caplog).store.synced


def test_one_file_may_be_named_instead(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cluster.txt").write_bytes(WEB)
    (tmp_path / "other.yaml").write_bytes(API)

    assert Watched(tmp_path / "cluster.txt", caplog).services == {"web"}


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such directory"):
        ManifestDirectory(tmp_path / "nowhere", Inventory(Store())).load()


async def test_nothing_is_done_when_nothing_changed(watched: Watched) -> None:
    assert not await watched.settle()
    assert watched.said() == []


async def test_an_edit_in_place_is_taken_up(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_bytes(WEB.replace(b"port: 80", b"port: 81"))

    assert await watched.settle()
    assert watched.said() == ["web.yaml: changed: Service default/web (ports)"]


async def test_an_edit_that_changes_no_object_says_so(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_bytes(b"# note\n" + WEB)

    assert await watched.settle()
    assert watched.said() == ["web.yaml: read again, nothing changed"]


async def test_touching_a_file_changes_nothing(watched: Watched, tmp_path: Path) -> None:
    os.utime(tmp_path / "web.yaml", (1, 1))

    assert not await watched.settle()
    assert watched.said() == []


async def test_an_editors_atomic_rename_is_taken_up(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / ".web.yaml.swp").write_bytes(API)
    os.rename(tmp_path / ".web.yaml.swp", tmp_path / "web.yaml")

    assert await watched.settle()
    assert watched.services == {"api"}


async def test_a_change_within_one_clock_tick_is_found_by_content(
    watched: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what a coarse file system reports: every mark is that of now
    monkeypatch.setattr(manifests, "RACY_NANOSECONDS", 10**18)
    path = tmp_path / "web.yaml"
    path.write_bytes(WEB.replace(b"port: 80", b"port: 82"))
    watched.source._taken = dict(watched.source._look().marks)

    assert await watched.settle()
    (port,) = watched.store.services["default", "web"].ports
    assert port.port == 82


async def test_a_swapped_symlink_is_taken_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A ConfigMap as kubelet mounts it."""
    for name, content in (("..1", WEB), ("..2", API)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.yaml").write_bytes(content)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "x.yaml").symlink_to("..data/x.yaml")
    watched = Watched(tmp_path, caplog)
    assert watched.services == {"web"}

    (tmp_path / "..data_tmp").symlink_to("..2")
    os.rename(tmp_path / "..data_tmp", tmp_path / "..data")

    assert await watched.settle()
    assert watched.services == {"api"}


async def test_a_symlink_that_leads_back_is_followed_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.yaml").write_bytes(WEB)
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "nowhere.yaml").symlink_to("missing")

    assert Watched(tmp_path, caplog).services == {"web"}


async def test_files_come_and_go(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "api.yaml").write_bytes(API)
    assert await watched.settle()
    assert watched.said() == ["more/api.yaml: added: Service default/api 127.1.1.2"]

    (tmp_path / "web.yaml").unlink()
    assert await watched.settle()
    assert watched.said() == ["web.yaml: removed: Service default/web"]
    assert watched.services == {"api"}


async def test_a_file_that_is_being_written_is_left_alone_until_it_is_quiet(
    watched: Watched, tmp_path: Path
) -> None:
    path = tmp_path / "web.yaml"
    await watched.source.look()
    path.write_bytes(b"")
    assert not await watched.source.look()
    path.write_bytes(WEB[:30])
    assert not await watched.source.look()
    path.write_bytes(WEB.replace(b"port: 80", b"port: 83"))
    assert not await watched.source.look()
    assert await watched.source.look()

    assert watched.said() == ["web.yaml: changed: Service default/web (ports)"]


async def test_a_file_that_never_rests_is_read_all_the_same(
    watched: Watched, tmp_path: Path
) -> None:
    for number in range(manifests.PATIENCE + 2):
        (tmp_path / "busy.yaml").write_bytes(API + b"#" * number)
        await watched.source.look()

    assert watched.services == {"web", "api"}


async def test_a_broken_file_is_reported_once_and_its_last_good_state_stays(
    watched: Watched, tmp_path: Path
) -> None:
    (tmp_path / "web.yaml").write_bytes(WEB + b"  broken: [\n")
    await watched.settle()
    (line,) = watched.said()
    assert line.startswith("web.yaml:13: not YAML: ")
    assert line.endswith("(what it held before stays in force)")
    assert watched.services == {"web"}

    await watched.settle()
    (tmp_path / "api.yaml").write_bytes(API)
    await watched.settle()
    assert watched.said() == ["api.yaml: added: Service default/api 127.1.1.2"]

    (tmp_path / "web.yaml").write_bytes(WEB)
    await watched.settle()
    assert watched.said() == ["web.yaml: read again, nothing changed"]


async def test_a_file_that_is_broken_from_the_start_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "bad.yaml").write_bytes(b"a: b: c\n")
    (tmp_path / "web.yaml").write_bytes(WEB)

    watched = Watched(tmp_path, caplog)

    assert watched.said() == [
        "bad.yaml:1: not YAML: mapping values are not allowed in this context"
    ]
    assert watched.services == {"web"}


async def test_one_wrong_object_is_reported_and_the_others_serve(
    watched: Watched, tmp_path: Path
) -> None:
    wrong = write(service("bad", ports=[{"port": "x"}]), service("api", clusterIP="127.1.1.2"))
    (tmp_path / "more.yaml").write_bytes(wrong)
    await watched.settle()

    assert watched.said() == [
        "more.yaml:8: Service default/bad: left out: spec.ports[0].port: expected int, got str",
        "more.yaml: added: Service default/api 127.1.1.2",
    ]


async def test_a_huge_file_is_refused_without_being_read(watched: Watched, tmp_path: Path) -> None:
    with (tmp_path / "huge.yaml").open("wb") as file:
        file.truncate(17 << 20)
    await watched.settle()

    assert watched.said() == ["huge.yaml:1: larger than 16 MiB: split it"]


async def test_a_pipe_is_not_read(watched: Watched, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")

    assert not await asyncio.wait_for(watched.settle(), 30)


async def test_a_directory_that_vanishes_keeps_its_last_state(
    watched: Watched, tmp_path: Path
) -> None:
    away = tmp_path.with_name("away")
    os.rename(tmp_path, away)
    await watched.settle()
    assert watched.services == {"web"}
    assert len(watched.said()) == 1

    os.rename(away, tmp_path)
    await watched.settle()
    assert watched.services == {"web"}


async def test_too_many_files_are_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifests, "MAX_FILES", 2)
    for number in range(4):
        (tmp_path / f"f{number}.yaml").write_bytes(b"")

    with pytest.raises(ConfigError, match="choose a smaller directory"):
        Watched(tmp_path, caplog)


async def test_run_takes_up_changes_by_itself(watched: Watched, tmp_path: Path) -> None:
    changed = asyncio.Event()
    watched.store.subscribe(lambda _: changed.set())
    watched.source._interval = 0.01
    task = asyncio.create_task(watched.source.run())
    (tmp_path / "web.yaml").write_bytes(WEB + b"---\n" + write(pod("web-0", "web")))
    try:
        await asyncio.wait_for(changed.wait(), 30)
    finally:
        task.cancel()
    assert ("default", "web-0") in watched.store.pods


async def test_a_file_with_an_odd_name_is_served_and_written_in_one_line(
    watched: Watched, tmp_path: Path
) -> None:
    odd = tmp_path / os.fsdecode(b"a\nb\xff.yaml")
    odd.write_bytes(API)
    await watched.settle()
    assert watched.services == {"web", "api"}

    odd.unlink()
    await watched.settle()
    assert watched.services == {"web"}
    assert watched.said() == [
        r"a\x0ab\udcff.yaml: added: Service default/api 127.1.1.2",
        r"a\x0ab\udcff.yaml: removed: Service default/api",
    ]
