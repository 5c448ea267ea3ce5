"""A further process of a server with ``multisocket``: answers, and follows the first one.

It begins as a copy of the first process, cluster and all, builds the same configuration anew (so
that nothing is half done in it) and reads sockets that the first process opened.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import msgspec
from msgspec import Struct

from svcdns.aio.environment import environment
from svcdns.aio.listeners import Listeners, Sockets
from svcdns.aio.logs import LineWriter
from svcdns.aio.needs import spawn_all
from svcdns.aio.upstream import Upstreams
from svcdns.corefile.syntax import ServerBlock
from svcdns.kube.replication import Changed, Marked, apply
from svcdns.metrics import Registry
from svcdns.plugins.base import Ask
from svcdns.plugins.build import build
from svcdns.plugins.clusters import Cluster, Clusters
from svcdns.plugins.figures import Usage, figures
from svcdns.plugins.multisocket import work_of_worker
from svcdns.plugins.secondary import Secondary, secondaries
from svcdns.plugins.server import Listen
from svcdns.plugins.workers import (
    Beat,
    BrokenStreamError,
    Drain,
    Notified,
    Report,
    Said,
    Serving,
    ToFirst,
    Told,
    ToWorker,
    frame,
    to_worker,
)

log = logging.getLogger(__name__)

LEFT_BEHIND = 1
"""Exit status of a worker that cannot follow any more."""

SMAPS = Path("/proc/self/smaps_rollup")


class Assignment(Struct, frozen=True):
    """What a worker is to do."""

    blocks: tuple[ServerBlock, ...]
    clusters: Clusters
    copies: tuple[Cluster, ...]
    "Of *clusters*, those that change."
    sockets: Mapping[Listen, Sockets]
    writer: LineWriter
    kin: str = ""
    "What the processes of this server know each other by."


class Worker(asyncio.Protocol):
    """One worker, in its own process."""

    def __init__(
        self,
        assignment: Assignment,
        leave: Callable[[int], NoReturn] | Callable[[int], None] = os._exit,
    ) -> None:
        """Prepare.

        Args:
            assignment: What to do.
            leave: Ends the process at once with a status.
        """
        self._assignment = assignment
        self._leave = leave
        self._copies = {one.source.identity: one for one in assignment.copies}
        self._stores = {identity: one.store for identity, one in self._copies.items()}
        self._registry = Registry()
        self._frames = to_worker()
        self._status: asyncio.Future[int]
        self._secondaries: tuple[Secondary, ...] = ()
        self._hanging_up = False
        self._lost = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self._unsaid = bytearray()
        "What there was to say before there was a way to the first process."

    async def run(self, channel: socket.socket) -> int:
        """Serve until told to end, or until the first process is no more; give the exit status.

        Raises:
            ConfigError: The configuration cannot be used any more, though the first process could.
        """
        loop = asyncio.get_running_loop()
        self._status = loop.create_future()
        upstreams = Upstreams()

        def spawn(ask: Ask) -> None:
            upstreams.carry_out(ask, lambda _outcome: None)

        lent = environment(
            self._registry,
            self._assignment.clusters,
            write=self._assignment.writer.write,
            spawn=spawn,
            kin=self._assignment.kin,
            warn=lambda _said_before: None,
            alike=lambda line: self._say(Said(line)),
        )
        configuration = build(self._assignment.blocks, lent)
        works = await spawn_all(work_of_worker(configuration.needs), upstreams)
        tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(one) for one in works]
        listeners = Listeners(upstreams.settle)
        await listeners.adopt(configuration.servers, self._assignment.sockets)
        await loop.create_connection(lambda: self, sock=channel)
        self._secondaries = secondaries(configuration.plugins)
        for plugin in self._secondaries:
            plugin.pass_on = self._notified
        self._say(Serving())
        try:
            await asyncio.wait([self._status, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()  # such work never ends; a bug in it ends the process
            if self._status.result() == 0:
                await listeners.stop()
                self._tell(0)
        finally:
            for task in tasks:
                task.cancel()
            listeners.close()
            await upstreams.close()
            await self._hang_up()
        return self._status.result()

    async def _hang_up(self) -> None:
        """End when the last words have left."""
        self._hanging_up = True
        assert self._transport is not None
        self._transport.close()
        await self._lost.wait()
        self._assignment.writer.flush()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the way to the first process."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(bytes(self._unsaid))

    def data_received(self, data: bytes) -> None:
        """Do what the first process says."""
        try:
            for message in self._frames.feed(data):
                self._heed(message)
        except (BrokenStreamError, msgspec.DecodeError) as error:
            log.error("worker %d lost the thread of changes: %s", os.getpid(), error)
            self._end(LEFT_BEHIND)

    def connection_lost(self, error: Exception | None) -> None:
        """End with the first process: its successor will want the ports."""
        self._lost.set()
        if not self._hanging_up:
            self._assignment.writer.flush()
            self._leave(LEFT_BEHIND)
            self._end(LEFT_BEHIND)

    def _heed(self, message: ToWorker) -> None:
        match message:
            case Changed():
                apply(message, self._stores)
            case Marked(identity, listed, serial, multicluster_serial):
                if copy := self._copies.get(identity):
                    copy.store.listed.update(listed)
                    copy.index.serial = serial
                    copy.index.multicluster_serial = multicluster_serial
            case Beat():
                self._say(message)
            case Report(number):
                self._tell(number)
            case Drain():
                self._end(0)
            case Notified(zone):
                for plugin in self._secondaries:
                    plugin.hear(zone)

    def _notified(self, zone: bytes) -> None:
        self._say(Notified(zone))

    def _end(self, status: int) -> None:
        if not self._status.done():
            self._status.set_result(status)

    def _tell(self, number: int) -> None:
        self._say(Told(number, figures(self._registry.collect()), usage()))

    def _say(self, message: ToFirst) -> None:
        if self._transport is None:
            self._unsaid += frame(message)
        else:
            self._transport.write(frame(message))


def usage(smaps: Path = SMAPS) -> Usage:
    """Measure this process; shared memory is left out (0 where the kernel does not tell)."""
    own = 0
    try:
        for line in smaps.read_text().splitlines():
            if line.startswith(("Private_Clean:", "Private_Dirty:")):
                own += int(line.split()[1]) * 1024
    except (OSError, ValueError):
        own = 0
    return Usage(time.process_time(), own, len(os.listdir("/proc/self/fd")))
