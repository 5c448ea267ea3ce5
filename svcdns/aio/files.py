"""Watching files by looking at them from time to time.

Polling, because it sees what kubelet does to a mounted ConfigMap (a symlink changes, the file that
is watched does not), and because CoreDNS polls too, with the intervals that the plugins say.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from svcdns.aio.slices import in_turns
from svcdns.plugins.base import WatchFile
from svcdns.plugins.slices import Slices

Mark = tuple[int, int, int, int]
"""Device, inode, time of modification in nanoseconds, size in octets."""


class FileWatcher:
    """One file; calls back when its content differs from last time."""

    def __init__(self, need: WatchFile, failed: Callable[[str, Exception], None]) -> None:
        """Watch *need*'s file.

        Args:
            need: Path, interval and whom to tell.
            failed: Told the path and the exception when the callback raises.
        """
        self._need = need
        self._failed = failed
        self._mark: Mark | None = None
        self._content: bytes | None = None
        self._looked = False

    async def look(self) -> bool:
        """Look once; tell whether the content was new, when it has been taken."""
        new, work = self._look()
        # A file of a hundred thousand lines must not keep queries waiting.
        await in_turns(work)
        return new

    def _look(self) -> tuple[bool, Slices[None]]:
        """Look once; give whether the content was new, and what its reader still has to do."""
        mark, content = self._mark, self._content
        try:
            mark = mark_of(self._need.path)
            if self._looked and mark == self._mark:
                return False, _nothing()
            content = Path(self._need.path).read_bytes()
        except OSError:
            mark, content = None, None
        if self._looked and content == self._content:
            self._mark = mark
            return False, _nothing()
        self._looked, self._mark, self._content = True, mark, content
        return True, self._work(content)

    def _work(self, content: bytes | None) -> Slices[None]:
        try:
            yield from self._need.changed(content) or ()
        except Exception as error:  # noqa: BLE001 - a bad file must not end the watching
            self._failed(self._need.path, error)

    async def run(self) -> None:
        """Look now and every interval; returns at once for an interval of 0."""
        await self.look()
        while self._need.interval > 0:
            await asyncio.sleep(self._need.interval)
            await self.look()


def _nothing() -> Slices[None]:
    yield from ()


def mark_of(path: str) -> Mark:
    """Give what changes when a file is written, replaced, or its symlink swapped."""
    status = os.stat(path)
    return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
