"""The workers of a server with ``multisocket``, seen from the first process.

The first process watches the cluster and answers as well; each worker is forked from it, gets every
later change, and reads sockets that stay open here.  A worker that dies, hangs or falls behind is
replaced by a new fork; until that one serves, the first process reads the orphaned sockets itself.
On reload all workers are replaced: the new ones serve before the old ones end.
"""

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from svcdns.aio import exposition
from svcdns.aio.broadcast import Broadcast
from svcdns.aio.forking import fork, reap
from svcdns.aio.listeners import Listeners, Settle, Sockets
from svcdns.aio.logs import LineWriter
from svcdns.aio.worker import Assignment, Worker
from svcdns.aio.workerlink import WorkerLink
from svcdns.corefile.syntax import ServerBlock
from svcdns.errors import ConfigError
from svcdns.metrics import Family, Registry
from svcdns.plugins.build import Configuration
from svcdns.plugins.clusters import Clusters
from svcdns.plugins.figures import Figure, Usage, added, figures, inherited, requests
from svcdns.plugins.secondary import secondaries
from svcdns.plugins.server import Listen
from svcdns.plugins.workers import (
    BEAT_SECONDS,
    MAX_BEHIND,
    MAX_MISSED,
    Beat,
    Drain,
    Notified,
    Report,
    Restarts,
    frame,
)

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 60.0
"""How long a worker may take until it answers."""

REPORT_BEATS = 10
"""Beats between two reports: what a worker that is killed has counted since is lost."""

START_SECONDS = 10.0
"""How long a reload waits for the new workers before it lets the old ones go."""

DRAIN_SECONDS = 15.0
"""How long a worker may take to end: twice five seconds for answers, and some."""

TELL_SECONDS = 2.0
"""How long a scrape waits for a worker; then its last figures are shown."""

Run = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class Workers:
    """All workers of this process."""

    def __init__(
        self,
        listeners: Listeners,
        settle: Settle,
        registry: Registry,
        clusters: Clusters,
        writer: LineWriter,
        kin: str,
        run: Run,
        say: Callable[[int, str], None],
    ) -> None:
        """Prepare, without workers yet.

        Args:
            listeners: Have the sockets.
            settle: For queries that this process takes in a worker's place.
            registry: Of this process.
            clusters: Workers inherit them.
            writer: Of the log, which workers inherit too.
            kin: What workers know this server's processes by.
            run: Starts a task that ends with the process.
            say: Takes a worker's place and lines that others may have to say as well.
        """
        self._listeners = listeners
        self._settle = settle
        self._registry = registry
        self._clusters = clusters
        self._writer = writer
        self._kin = kin
        self._run = run
        self._say = say
        self._blocks: tuple[ServerBlock, ...] = ()
        self._configuration: Configuration
        self._broadcast: Broadcast | None = None
        self._keepers: dict[int, asyncio.Task[None]] = {}
        self._links: dict[int, WorkerLink] = {}
        "By place, counted from 1; those that are to stay."
        self._leaving: set[WorkerLink] = set()
        self._beats = 0
        self._reports = 0
        self._beating: asyncio.Task[None] | None = None
        self._left: tuple[Figure, ...] = ()
        "Counters of workers that have ended."
        self._left_requests: dict[int, float] = {}
        self._left_cpu = 0.0
        self._serving = registry.gauge("svcdns_workers", "Workers that answer.").cell()
        self._restarts = registry.counter(
            "svcdns_worker_restarts_total", "Workers that were started in place of a dead one."
        ).cell()
        writer.whole = True

    async def change(self, blocks: tuple[ServerBlock, ...], configuration: Configuration) -> None:
        """Have workers for a configuration that is in force here already."""
        self._blocks, self._configuration = blocks, configuration
        if self._broadcast:
            self._broadcast.flush()
            self._broadcast.close()
        self._broadcast = Broadcast(configuration.clusters, self._send)
        for plugin in secondaries(configuration.plugins):
            plugin.pass_on = partial(self._notified, None)
        keepers, links = self._keepers, self._links
        self._leaving.update(links.values())
        self._links = {}
        self._keepers = {
            place: self._run(self._keep(place)) for place in range(1, self._listeners.places)
        }
        if self._beating is None:
            # The collector writes to what it looks at, and each page it writes to is there twice
            # from then on: it looks once more, and then no more at what is there now.
            gc.collect()
            gc.freeze()
            self._beating = self._run(self._beat())
        await self._all_serve()
        for place, keeper in keepers.items():
            if place in links:
                self._drain(links[place])
            else:
                keeper.cancel()  # it waits to try again

    async def stop(self) -> None:
        """Let the workers answer what is under way, and end."""
        keepers = list(self._keepers.values())
        for place, keeper in self._keepers.items():
            if place in self._links:
                self._drain(self._links[place])
            else:
                keeper.cancel()
        if keepers:
            await asyncio.wait(keepers, timeout=DRAIN_SECONDS)

    def close(self) -> None:
        """End all workers at once."""
        for link in (*self._links.values(), *self._leaving):
            link.kill()
        if self._broadcast:
            self._broadcast.close()

    @property
    def links(self) -> tuple[WorkerLink, ...]:
        """Those that are to stay, whether they answer yet or not."""
        return tuple(self._links.values())

    async def expose(self) -> bytes:
        """Write the metrics of all processes as those of one."""
        asked = self._ask_for_figures()
        if asked:
            await asyncio.wait(asked, timeout=TELL_SECONDS)
        told = {link: link.told for link in self._everybody() if link.told is not None}
        first = self._registry.collect()
        families = added(first, [self._left, *(one.figures for one in told.values())])
        shares = dict(self._left_requests)
        for link, one in told.items():
            shares[link.place] = shares.get(link.place, 0.0) + requests(one.figures)
        families.append(_shares(first, shares))
        usage = [Usage(cpu=self._left_cpu), *(one.usage for one in told.values())]
        return await exposition.text_of(families, usage)

    def _ask_for_figures(self) -> "list[asyncio.Future[None]]":
        self._reports += 1
        asked = [link for link in self._everybody() if link.serving]
        for link in asked:
            link.send(frame(Report(self._reports)))
        return [link.told_of(self._reports) for link in asked]

    # -- one place

    async def _keep(self, place: int) -> None:
        """Have a worker in a place, until one is told to leave."""
        restarts = Restarts()
        delay = 0.0
        while True:
            began = time.monotonic() + delay
            link = await self._start(place, delay)
            reason = "could not be forked"
            if link:
                await link.ended()
                reason = await self._bury(link)
                if link.leaving:
                    return
            delay = restarts.died(time.monotonic() - began)
            self._restarts.value += 1
            log.error(
                "plugin/multisocket: worker %d %s;"
                " the first process answers until another one starts in %.1f s",
                place,
                reason,
                delay,
            )

    async def _start(self, place: int, delay: float) -> WorkerLink | None:
        """Answer for a worker until there is one."""
        standing = await self._stand_in(place)
        try:
            await asyncio.sleep(delay)
            link = self._fork(place)
            if link and not await link.served(PATIENCE_SECONDS):
                link.give_up("did not begin to answer")
        except BaseException:
            standing.close()
            raise
        if link:
            link.heard = self._beats
        self._count()
        self._run(standing.stop())
        return link

    async def _stand_in(self, place: int) -> Listeners:
        """Read a worker's sockets here."""
        standing = Listeners(self._settle)
        own: dict[Listen, Sockets] = {}
        try:
            for listen, (datagram, stream) in self._listeners.sockets_at(place).items():
                own[listen] = (None if datagram is None else datagram.dup(), stream.dup())
            await standing.adopt(self._configuration.servers, own)
        except (ConfigError, OSError) as error:  # no descriptors: the socket keeps its queries
            log.warning("plugin/multisocket: nobody answers for worker %d: %s", place, error)
        return standing

    def _fork(self, place: int) -> WorkerLink | None:
        """Start a worker; it knows everything up to now, and is sent what follows."""
        assert self._broadcast is not None
        self._broadcast.flush()
        self._writer.flush()
        sockets = self._listeners.sockets_at(place)
        assignment = Assignment(
            self._blocks,
            self._clusters,
            self._configuration.clusters,
            sockets,
            self._writer,
            self._kin,
        )
        try:
            child = fork(partial(self._work, assignment), _descriptors(sockets))
        except OSError as error:
            log.error("plugin/multisocket: no further process can be had: %s", error)
            return None
        link = self._links[place] = WorkerLink(
            child, place, asyncio.get_running_loop(), self._notified, self._say
        )
        return link

    async def _work(self, assignment: Assignment, channel: Any) -> int:
        """Be a worker; runs in the child."""
        assert self._broadcast is not None
        self._broadcast.close()
        self._configuration.close()
        self._writer.restart()
        return await Worker(assignment).run(channel)

    async def _bury(self, link: WorkerLink) -> str:
        """Take a worker off the books; say what became of it."""
        place = link.place
        status = await reap(link.pid)
        self._leaving.discard(link)
        if self._links.get(place) is link:
            del self._links[place]
        if link.told:
            self._left = inherited(self._left, link.told.figures)
            self._left_cpu += link.told.usage.cpu
            before = self._left_requests.get(place, 0.0)
            self._left_requests[place] = before + requests(link.told.figures)
        self._count()
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        return f"(process {link.pid}) {link.reproach or 'has ended ' + how}"

    def _drain(self, link: WorkerLink) -> None:
        link.leaving = True
        self._leaving.add(link)
        link.send(frame(Drain()))
        asyncio.get_running_loop().call_later(DRAIN_SECONDS - 1, link.kill)

    # -- all of them

    async def _all_serve(self) -> None:
        """Wait for the new workers, for some time."""
        deadline = time.monotonic() + START_SECONDS
        places = self._keepers.keys()
        while time.monotonic() < deadline:
            if all(place in self._links and self._links[place].serving for place in places):
                return
            await asyncio.sleep(0.005)

    async def _beat(self) -> None:
        """Look after the workers."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self._beats += 1
            if self._broadcast:
                self._broadcast.mark()
            for link in self._links.values():
                if not link.serving:
                    continue
                link.send(frame(Beat(self._beats)))
                if link.heard < self._beats - MAX_MISSED:
                    link.give_up("does not answer any more")
            if self._beats % REPORT_BEATS == 0:
                self._ask_for_figures()

    def _notified(self, told: WorkerLink | None, zone: bytes) -> None:
        """Tell all processes but the one that was told, by a primary, that a zone has changed."""
        if told:
            for plugin in secondaries(self._configuration.plugins):
                plugin.hear(zone)
        for link in self._links.values():
            if link is not told:
                link.send(frame(Notified(zone)))

    def _send(self, data: bytes) -> None:
        for link in self._everybody():
            link.send(data)
            if link.behind > MAX_BEHIND:
                link.give_up("has fallen behind")

    def _everybody(self) -> Iterator[WorkerLink]:
        yield from self._links.values()
        yield from self._leaving

    def _count(self) -> None:
        self._serving.value = sum(link.serving for link in self._links.values())


def _descriptors(sockets: dict[Listen, Sockets]) -> list[int]:
    return [sock.fileno() for pair in sockets.values() for sock in pair if sock is not None]


def _shares(first: Iterable[Family], shares: Mapping[int, float]) -> Family:
    family = Family(
        "svcdns_worker_requests_total",
        "counter",
        "DNS requests by the process that took them; the first one is 0.",
        ("worker",),
    )
    family.cell("0").value = requests(figures(first))
    for place, taken in sorted(shares.items()):
        family.cell(str(place)).value = taken
    return family
