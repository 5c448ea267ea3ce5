"""Watching directories by looking at them from time to time (``auto``).

Polling, for the reasons of :mod:`svcdns.aio.files`; a file is read only when what the file system
says about it has changed.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from svcdns.aio.files import Mark, mark_of
from svcdns.plugins.base import WatchDirectory

MAX_FILES = 10_000
"""Files of one directory; more are a mistake in its path."""


class DirectoryWatcher:
    """One directory with all below it; calls back when the wanted files differ from last time."""

    def __init__(self, need: WatchDirectory, failed: Callable[[str, Exception], None]) -> None:
        """Watch *need*'s directory.

        Args:
            need: Path, interval, which files, and whom to tell.
            failed: Told the path and the exception when a file cannot be read, or the callback
                raises.
        """
        self._need = need
        self._failed = failed
        self._known: dict[str, tuple[Mark, bytes]] = {}
        self._looked = False

    async def look(self) -> bool:
        """Look once; tell whether anything was new, when it has been taken."""
        found: dict[str, tuple[Mark, bytes]] = {}
        for path in self._paths():
            try:
                mark = mark_of(path)
                known = self._known.get(path)
                if known is None or known[0] != mark:
                    known = (mark, _read(path))
                found[path] = known
            except OSError as error:
                self._failed(path, error)
        before = {path: content for path, (_, content) in self._known.items()}
        contents = {path: content for path, (_, content) in found.items()}
        self._known = found
        if self._looked and contents == before:
            return False
        self._looked = True
        try:
            for _ in self._need.changed(contents) or ():
                # A zone of a hundred thousand records must not keep queries waiting.
                await asyncio.sleep(0)
        except Exception as error:  # noqa: BLE001 - a bad file must not end the watching
            self._failed(self._need.path, error)
        return True

    def _paths(self) -> Iterator[str]:
        count = 0
        for folder, folders, files in os.walk(self._need.path):
            folders.sort()
            for name in sorted(files):
                path = os.path.join(folder, name)
                if self._need.wanted(path):
                    count += 1
                    if count > MAX_FILES:
                        return
                    yield path

    async def run(self) -> None:
        """Look every interval, the first time after one."""
        while True:
            await asyncio.sleep(self._need.interval)
            await self.look()


def _read(path: str) -> bytes:
    return Path(path).read_bytes()
