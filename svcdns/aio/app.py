"""The life of ``svcdns dns``: start, reload, stop.

Start: sockets are tried, probes are up, files are read, the API is waited for, queries are taken
(rule I1).  Reload: the new configuration is made and filled while the old one answers, then takes
over its sockets; when anything fails, the old one stays.  Stop: watches end, ``/ready`` closes, the
lame duck period passes with everything answering, then the rest closes (rule I7).

Parity: CoreDNS (caddy ``caddy.go``, ``sigtrap*.go``; ``coremain/run.go``; ``plugin/reload``;
corefile-features e and g).
"""

import asyncio
import logging
import os
import random
import time
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from msgspec import Struct

from svcdns.aio import exposition, logs
from svcdns.aio.banner import banner, version_lines
from svcdns.aio.corefilesource import CorefileSource, Loaded
from svcdns.aio.environment import environment
from svcdns.aio.http import Site, Sites, sites
from svcdns.aio.listeners import Listeners
from svcdns.aio.logs import LineWriter
from svcdns.aio.needs import spawn_all
from svcdns.aio.pidfile import PidFile
from svcdns.aio.signals import Signals, Wish
from svcdns.aio.slices import StoppedError, in_turns
from svcdns.aio.upstream import Upstreams
from svcdns.corefile.durations import format_duration
from svcdns.errors import ConfigError, fault_of
from svcdns.kube.source import ApiSource
from svcdns.kube.store import Store
from svcdns.metrics import Registry
from svcdns.plugins.base import LameDuck, Reload
from svcdns.plugins.build import Configuration, build_slices
from svcdns.plugins.chorus import FIRST, Chorus
from svcdns.plugins.clusters import Cluster, Clusters
from svcdns.plugins.slices import Slices, finish

if TYPE_CHECKING:
    from svcdns.aio.workers import Workers

log = logging.getLogger(__name__)

Feed = Callable[[ApiSource, Store, Registry], Coroutine[Any, Any, None]]
"""Keeps a store filled from an API server until it is cancelled."""

LOOK_FOR_SYNC = 0.1
"""Seconds between looks whether the API has been listed (rule I1)."""

SAY_WAITING = 0.5
"""Seconds between lines that say we are waiting (rule I1)."""

LOGIN_AGAIN = 10.0
"""Seconds until an API server that there was no way to is tried again, once we answer."""

CRASHED = 1
"""Exit status when a part of the server has died."""


class Settings(Struct, frozen=True):
    """What the command line says."""

    corefile: CorefileSource
    feed: Feed
    quiet: bool = False
    pidfile: str = ""


class _Generation(Struct):
    """A configuration in force."""

    loaded: Loaded
    configuration: Configuration
    tasks: list[asyncio.Task[None]]


class App:
    """One process."""

    def __init__(self, settings: Settings, writer: LineWriter) -> None:
        self._settings = settings
        self._writer = writer
        self._chorus = Chorus(writer.write, time.monotonic)
        self._registry = Registry()
        self._clusters = Clusters(time.time)
        self._sites = Sites()
        self._pidfile = PidFile(settings.pidfile)
        self._signals = Signals(self._leave)
        self._tasks: set[asyncio.Task[None]] = set()
        self._feeds: dict[str, asyncio.Task[None]] = {}
        self._waiting: list[Cluster] = []
        "Those whose first lists a start or a reload waits for."
        self._unusable: dict[str, ConfigError] = {}
        "Sources of those of them that there is no way to."
        self._workers: Workers | None = None
        self._kin = os.urandom(8).hex()
        self._listening = False
        "Whether queries are taken; on reload the old listeners take them until the end."
        self._complaint = ""
        "What was wrong with the Corefile at the last look."
        self._tried = ""
        "Fingerprint of the Corefile that was last tried."
        self._failures = self._registry.counter(
            "coredns_reload_failed_total", "Reloads that failed."
        ).cell()
        self._version = self._registry.gauge(
            "coredns_reload_version_info", "The Corefile in force.", ("hash", "value")
        )

    async def run(self) -> int:
        """Serve until a signal ends it.

        Returns:
            The exit status.

        Raises:
            ConfigError: The Corefile cannot be used.
        """
        self._signals.catch()
        self._upstreams = Upstreams()
        self._listeners = Listeners(self._upstreams.settle)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                try:
                    return await self._live()
                finally:
                    for task in self._tasks:
                        task.cancel()
        except BaseExceptionGroup as errors:
            if fault := fault_of(errors):
                raise fault from None
            log.critical("a part of the server has died", exc_info=errors)
            return CRASHED
        finally:
            if self._workers:
                self._workers.close()
            self._listeners.close()
            await self._sites.close()
            await self._upstreams.close()
            self._signals.release()
            self._pidfile.remove()
            self._writer.flush()

    async def _live(self) -> int:
        generation = await self._start()
        if generation is None:
            return 0
        while True:
            wish = await self._next_wish(generation)
            if wish in (None, Wish.RELOAD):
                generation = await self._reload(generation, asked=wish is Wish.RELOAD)
            else:
                await self._stop(generation, gracefully=wish is Wish.TERMINATE)
                return 0

    # -- start

    async def _start(self) -> _Generation | None:
        loaded = self._settings.corefile.read()
        _speak(loaded)
        configuration = finish(self._build(loaded))
        self._listeners.check(configuration.servers)
        await self._sites.change(self._wanted_sites(configuration))
        generation = await self._take_up(loaded, configuration)
        if not await self._synced(configuration.clusters):
            return None
        await self._listeners.change(configuration.servers)
        await self._staff(generation)
        self._listening = True
        self._tried = loaded.fingerprint
        self._pidfile.write()
        if not self._settings.quiet:
            for line in banner(configuration.servers):
                self._writer.write(line)
        self._announce(generation)
        if not self._settings.quiet:
            for line in version_lines():
                self._writer.write(line)
        return generation

    def _build(self, loaded: Loaded) -> Slices[Configuration]:
        lent = environment(
            self._registry,
            self._clusters,
            write=self._writer.write,
            spawn=lambda ask: self._upstreams.carry_out(ask, lambda _outcome: None),
            kin=self._kin,
            alike=partial(self._chorus.say, FIRST),
        )
        for text in loaded.warnings:
            log.warning("%s", text)
        return build_slices(loaded.blocks, lent)

    def _wanted_sites(self, configuration: Configuration) -> dict[str, Site]:
        return sites(
            configuration.needs, self._registry, lambda: self._listening, expose=self._expose
        )

    async def _expose(self) -> bytes:
        if self._workers:
            return await self._workers.expose()
        return await exposition.text(self._registry)

    async def _take_up(self, loaded: Loaded, configuration: Configuration) -> _Generation:
        """Start what the configuration needs beside its servers."""
        needed = await spawn_all(configuration.needs, self._upstreams)
        tasks = [self._run(work) for work in needed]
        for cluster in configuration.clusters:
            key = cluster.source.identity
            if key not in self._feeds:
                self._feeds[key] = self._run(self._feed(cluster))
        return _Generation(loaded, configuration, tasks)

    async def _feed(self, cluster: Cluster) -> None:
        """Keep a copy filled; what the operator got wrong ends a start or a reload that waits."""
        while True:
            try:
                return await self._settings.feed(cluster.source, cluster.store, self._registry)
            except (ConfigError, BaseExceptionGroup) as error:
                fault = fault_of(error)
                if fault is None:
                    raise
            if cluster in self._waiting:
                self._unusable[cluster.source.identity] = fault
                return
            # A login command may fail after the start has gone on without it.
            log.error("plugin/kubernetes: %s; trying again in %g s", fault, LOGIN_AGAIN)
            await asyncio.sleep(LOGIN_AGAIN)

    async def _synced(self, clusters: Iterable[Cluster]) -> bool:
        """Wait for the first lists, each as long as its source says; tell whether to go on.

        Raises:
            ConfigError: There is no way to an API server.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        self._waiting = [cluster for cluster in clusters if not cluster.store.synced]
        said = started
        while self._waiting:
            if await self._signals.stopping(LOOK_FOR_SYNC):
                return False
            for cluster in self._waiting:
                error = self._unusable.pop(cluster.source.identity, None)
                if error is not None:
                    del self._feeds[cluster.source.identity]
                    self._waiting = []
                    raise error
            now = loop.time()
            waiting = [cluster for cluster in self._waiting if not cluster.store.synced]
            late = [one for one in waiting if now - started >= one.source.startup_timeout]
            if late:
                log.warning("plugin/kubernetes: starting server with unsynced Kubernetes API")
            self._waiting = [one for one in waiting if one not in late]
            if self._waiting and not late and now - said >= SAY_WAITING:
                said = now
                log.info("plugin/kubernetes: waiting for Kubernetes API before starting server")
        return True

    async def _staff(self, generation: _Generation) -> None:
        """Have as many workers as the listeners have sockets for (``multisocket``)."""
        if self._workers is None and self._listeners.places > 1:
            # Imported late: most servers are one process.
            from svcdns.aio.workers import Workers

            self._workers = Workers(
                self._listeners, self._upstreams.settle, self._registry, self._clusters,
                self._writer, self._kin, self._run, self._chorus.say,
            )  # fmt: skip
        if self._workers:
            await self._workers.change(generation.loaded.blocks, generation.configuration)

    def _announce(self, generation: _Generation) -> None:
        value = generation.loaded.fingerprint
        self._version.cells.clear()
        self._version.cell("sha512", value).value = 1
        if _reload_of(generation.configuration):
            log.info("plugin/reload: Running configuration SHA512 = %s", value)

    # -- reload

    async def _next_wish(self, generation: _Generation) -> Wish | None:
        """Wait for a signal, or until it is time to look at the Corefile (``None``)."""
        reload = _reload_of(generation.configuration)
        if reload is None:
            return await self._signals.next()
        wait = reload.interval + random.uniform(-reload.jitter, reload.jitter)
        try:
            return await asyncio.wait_for(self._signals.next(), wait)
        except TimeoutError:
            return None

    async def _reload(self, old: _Generation, *, asked: bool) -> _Generation:
        """Take a changed Corefile into use, or leave everything as it is."""
        if asked:
            log.info("SIGUSR1: Reloading")
        try:
            loaded = self._settings.corefile.read()
        except ConfigError as error:
            if asked or str(error) != self._complaint:
                self._complaint = str(error)
                log.warning("plugin/reload: Corefile parse failed: %s", error)
                self._failures.value += asked
            return old
        self._complaint = ""
        if not asked and loaded.fingerprint == self._tried:
            return old
        self._tried = loaded.fingerprint
        log.info("Reloading")
        try:
            new = await self._replace(old, loaded)
        except ConfigError as error:
            self._failures.value += 1
            log.error("plugin/reload: Corefile changed but reload failed: %s", error)
            return old
        except StoppedError:
            return old
        self._announce(new)
        log.info("Reloading complete")
        return new

    async def _replace(self, old: _Generation, loaded: Loaded) -> _Generation:
        configuration = await in_turns(self._build(loaded), lambda: self._signals.stopped)
        new: _Generation | None = None
        try:
            self._listeners.check(configuration.servers)
            new = await self._take_up(loaded, configuration)
            await self._synced(configuration.clusters)
            await self._sites.change(self._wanted_sites(configuration))
            await self._listeners.change(configuration.servers)
        except ConfigError:
            self._let_go(new or _Generation(loaded, configuration, []), old.configuration.clusters)
            await self._sites.change(self._wanted_sites(old.configuration))
            raise
        self._let_go(old, configuration.clusters)
        _speak(loaded)
        await self._staff(new)
        return new

    def _let_go(self, generation: _Generation, kept: Iterable[Cluster]) -> None:
        """End what only this configuration needed."""
        for task in generation.tasks:
            task.cancel()
        generation.configuration.close()
        for cluster in self._clusters.retain(kept):
            feed = self._feeds.pop(cluster.source.identity, None)
            if feed:
                feed.cancel()

    # -- stop

    async def _stop(self, generation: _Generation, *, gracefully: bool) -> None:
        if gracefully:
            log.info("SIGTERM: Shutting down servers then terminating")
        else:
            log.info("SIGINT: Shutting down")
        for feed in self._feeds.values():
            feed.cancel()
        await self._sites.close(first_only=True)
        ducks = [need for need in generation.configuration.needs if isinstance(need, LameDuck)]
        seconds = max((duck.seconds for duck in ducks), default=0.0)
        if seconds:
            log.info("plugin/health: Going into lameduck mode for %s", format_duration(seconds))
            await asyncio.sleep(seconds)
        await self._sites.close()
        if gracefully:
            await asyncio.gather(
                self._listeners.stop(), *([self._workers.stop()] if self._workers else [])
            )
        generation.configuration.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _leave(self, status: int) -> NoReturn:
        """End at once (SIGQUIT, a second SIGINT)."""
        self._pidfile.remove()
        os._exit(status)


def _speak(loaded: Loaded) -> None:
    """Have debug lines in the log from now on, or none, as the Corefile in force says."""
    logs.set_level(debug=any(block.named("debug") for block in loaded.blocks))


def _reload_of(configuration: Configuration) -> Reload | None:
    return next((need for need in configuration.needs if isinstance(need, Reload)), None)
