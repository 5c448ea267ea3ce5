"""A configuration file that is replaced, broken and mended."""

import argparse
import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from svcdns.aio.configwatch import ConfigWatch
from svcdns.cli.proxy import add_arguments, options_of
from svcdns.proxy.config import ProxyOptions
from tests.support.waiting import until

HEAD = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"
FILE = f"{HEAD}mode: nftables\n"


class Setting:
    """A file, and how it is read."""

    def __init__(self, path: Path, text: str = FILE) -> None:
        self.path = path
        if text:
            path.write_text(text)
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        self.args = parser.parse_args(["--config", str(path)])

    def read(self) -> ProxyOptions:
        return options_of(self.args)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator["asyncio.Task[None]"]:
        watch = ConfigWatch(str(self.path), self.read(), self.read, 0.005)
        task = asyncio.create_task(watch.different())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait({task})


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path / "config.yaml")


async def test_another_wish_is_noticed(setting: Setting) -> None:
    async with setting.watched() as task, asyncio.timeout(30):
        setting.path.write_text(f"{HEAD}mode: userspace\n")
        await task


async def test_a_mount_that_is_exchanged_as_kubelet_does_it_is_noticed(tmp_path: Path) -> None:
    for name, text in (("old", FILE), ("new", f"{FILE}hostnameOverride: other\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(text)
    (tmp_path / "data").symlink_to("old")
    (tmp_path / "config.yaml").symlink_to("data/config.yaml")
    setting = Setting(tmp_path / "config.yaml", "")
    async with setting.watched() as task, asyncio.timeout(30):
        (tmp_path / "data.tmp").symlink_to("new")
        (tmp_path / "data.tmp").rename(tmp_path / "data")
        await task


async def test_a_file_that_cannot_be_used_changes_nothing_until_it_is_mended(
    setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with setting.watched() as task:
        setting.path.write_text(f"{HEAD}mode: ebpf\n")
        await until(lambda: "going on as before" in caplog.text)
        assert "'ebpf' is none of iptables, ipvs, nftables, userspace" in caplog.text
        caplog.clear()
        setting.path.unlink()
        await until(lambda: "cannot be read; going on as before" in caplog.text)
        assert not task.done()
        async with asyncio.timeout(30):
            setting.path.write_text(f"{HEAD}mode: userspace\n")
            await task


async def test_the_same_in_other_words_changes_nothing(setting: Setting) -> None:
    reads = []
    read = setting.read

    def counted() -> ProxyOptions:
        reads.append(1)
        return read()

    setting.read = counted  # type: ignore[method-assign]  # counts
    async with setting.watched() as task:
        await until(lambda: len(reads) == 2)
        setting.path.write_text(f"# Mode of the data path\n{FILE}")
        await until(lambda: len(reads) == 3)
        assert not task.done()


async def test_without_a_file_nothing_ever_changes() -> None:
    watch = ConfigWatch("", ProxyOptions(), ProxyOptions)
    task = asyncio.create_task(watch.different())
    await asyncio.wait({task}, timeout=0.01)
    assert not task.done()
    task.cancel()
    await asyncio.wait({task})
