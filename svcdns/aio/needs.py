"""Carry out what plugins need beside queries: files watched, things done from time to time."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from typing import Any

from svcdns.aio.directories import DirectoryWatcher
from svcdns.aio.files import FileWatcher
from svcdns.aio.upstream import Upstreams
from svcdns.plugins.base import Need, Periodic, WatchDirectory, WatchFile

log = logging.getLogger(__name__)


def _nothing(_outcome: object) -> None:
    """Take the end of what nobody waits for."""


async def spawn_all(needs: Iterable[Need], upstreams: Upstreams) -> list[Coroutine[Any, Any, None]]:
    """Read the files, and give the work to be done while a configuration is in force."""
    work: list[Coroutine[Any, Any, None]] = []
    for need in needs:
        match need:
            case WatchFile():
                watcher = FileWatcher(need, _complain)
                await watcher.look()
                if need.interval > 0:
                    work.append(watcher.run())
            case WatchDirectory():
                directory = DirectoryWatcher(need, _complain)
                await directory.look()
                if need.interval > 0:
                    work.append(directory.run())
            case Periodic():
                work.append(repeat(need, upstreams))
    return work


def _complain(path: str, error: Exception) -> None:
    log.error("%s: %s", path, error)


async def repeat(need: Periodic, upstreams: Upstreams) -> None:
    """Do it now and every interval; a bug in it is logged and does not end it."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            for ask in need.run(loop.time()):
                upstreams.carry_out(ask, _nothing)
        except Exception:
            log.exception("plugin/%s: a bug in its periodic work", need.name)
        await asyncio.sleep(need.interval)
