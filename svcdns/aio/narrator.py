"""Tells an operator how the copy of a cluster is doing: log lines and metrics.

A line says what is missing, why, and when it is tried again; the same line is not repeated at
every attempt.
"""

import asyncio
import gc
import logging
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from svcdns.kube.decode import Malformed
from svcdns.kube.objects import Kind
from svcdns.kube.reflector import Reflector
from svcdns.kube.resources import RESOURCES
from svcdns.kube.store import Store
from svcdns.metrics import Registry

SAME_LINE_SECONDS = 60.0
"""A complaint about one kind is repeated after this time at the earliest."""

STALE_SECONDS = 120.0
"""Silence of a kind that an operator is told about: two bookmarks are missing then."""

LOOK_SECONDS = 15.0
"""Between two looks at the ages."""

MAX_REMEMBERED = 256
"""Malformed objects that are remembered, so that each is logged once and not at every update."""

_Complaint = tuple[str, float, float]


class Narrator:
    """The report of all reflectors of one source."""

    def __init__(
        self,
        store: Store,
        url: str,
        reflectors: Iterable[Reflector],
        log: logging.Logger,
        registry: Registry,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._url = url
        self._host = urlsplit(url).netloc
        self._reflectors = tuple(reflectors)
        self._log = log
        self._clock = clock
        self._started = clock()
        self._complaints: dict[Kind, _Complaint] = {}
        self._malformed: set[str] = set()
        self._stale: set[Kind] = set()
        self._synced = store.synced
        self._open = True
        labels = ("kind", "host")
        self._ages = registry.gauge(
            "svcdns_kubernetes_watch_age_seconds",
            "Seconds since the API server last sent anything about a kind.",
            labels,
        )
        self._lists = registry.counter(
            "svcdns_kubernetes_lists_total",
            "Counter of full lists begun; all but the first of a kind are relists.",
            labels,
        )
        self._skipped = registry.counter(
            "svcdns_kubernetes_malformed_objects_total",
            "Counter of objects that could not be read and were skipped.",
            labels,
        )
        self._counted = dict.fromkeys((one.kind for one in self._reflectors), 0)
        registry.before_scrape(self.measure)

    def failed(self, reflector: Reflector, problem: str) -> None:
        """Log why a kind has to wait; what is tried again at once is only worth a debug line."""
        now = self._clock()
        kind, delay = reflector.kind, reflector.not_before - now
        if delay <= 0:
            self._log.debug("%s: %s", _plural(kind), problem)
            return
        text, since, last = self._complaints.get(kind, ("", now, 0.0))
        if text == problem and now - last < SAME_LINE_SECONDS:
            return
        self._complaints[kind] = (problem, since, now)
        state = (
            "going on with the last known state"
            if self._store.synced
            else "waiting for the Kubernetes API"
        )
        self._log.warning(
            "%s at %s: %s: %s; trying again in %.1f s",
            state, self._url, _plural(kind), problem, delay,
        )  # fmt: skip

    def working(self, reflector: Reflector) -> None:
        """Log that a kind works again, and the moment when everything was listed."""
        complaint = self._complaints.pop(reflector.kind, None)
        if complaint:
            seconds = self._clock() - complaint[1]
            self._log.info(
                "the Kubernetes API at %s answers again: %s, after %.1f s",
                self._url, _plural(reflector.kind), seconds,
            )  # fmt: skip
        if self._store.synced and not self._synced:
            self._synced = True
            seconds = self._clock() - self._started
            counts = ", ".join(
                f"{self._store.count(one.kind)} {_plural(one.kind)}" for one in self._reflectors
            )
            self._log.info(
                "synced with the Kubernetes API at %s in %.1f s: %s", self._url, seconds, counts
            )
            # What has been loaded stays: the collector need not look at it again and again.
            gc.freeze()

    def malformed(self, found: Malformed) -> None:
        """Log an object that is skipped, once."""
        self._skipped.cell(found.kind, self._host).value += 1
        text = str(found)
        if text in self._malformed:
            return
        if len(self._malformed) >= MAX_REMEMBERED:
            self._malformed.clear()
        self._malformed.add(text)
        self._log.warning("object skipped, it keeps the state it had: %s", text)

    def measure(self) -> None:
        """Bring the metrics up to date."""
        if not self._open:
            return
        now = self._clock()
        for one in self._reflectors:
            self._ages.cell(one.kind, self._host).value = max(0.0, now - one.heard)
            self._lists.cell(one.kind, self._host).value += one.lists - self._counted[one.kind]
            self._counted[one.kind] = one.lists

    async def watch_ages(self) -> None:
        """Log when a copy grows old, and when it is young again; runs until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Compare the ages with :data:`STALE_SECONDS` once."""
        now = self._clock()
        for one in self._reflectors:
            age = now - one.heard
            if age > STALE_SECONDS and one.kind not in self._stale:
                self._stale.add(one.kind)
                self._log.warning(
                    "%s may be out of date: nothing was heard from %s for %.0f s",
                    _plural(one.kind), self._url, age,
                )  # fmt: skip
            elif age <= STALE_SECONDS and one.kind in self._stale:
                self._stale.discard(one.kind)
                self._log.info("%s are up to date again", _plural(one.kind))

    def close(self) -> None:
        """Take the ages out of the metrics; the counters stay."""
        self.measure()
        self._open = False
        for one in self._reflectors:
            self._ages.cells.pop((one.kind, self._host), None)


def _plural(kind: Kind) -> str:
    return RESOURCES[kind].plural
