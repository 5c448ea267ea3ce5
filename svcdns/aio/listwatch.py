"""Carries out the commands of one reflector.

Decoding takes turns with the rest of the process: nothing here holds the loop for longer than
:data:`TURN_SECONDS` and one object, however large a list or a burst of events is.  Of all that read
from one server, one does so in each round of the loop.
"""

import asyncio
import contextlib
import gc
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, assert_never

from svcdns.aio.apiserver import Deadline, Stalled
from svcdns.aio.turns import InLine
from svcdns.errors import ApiError, ApiUnavailable
from svcdns.kube.decode import Garbage, Malformed, read_event, read_object, read_page
from svcdns.kube.lines import LineSplitter, LineTooLong
from svcdns.kube.reflector import List, Reflector, ReloadCredentials, Wait, Watch, WatchList
from svcdns.kube.requests import Query, path, query
from svcdns.kube.source import ApiSource

TURN_SECONDS = 0.0001
"""Work between two looks at the loop: a query waits for a few of these at most."""

TIDY_OBJECTS = 32
"""Objects from the API between two looks of the garbage collector at new ones: 1 ms of work."""

WATCH_SECONDS = (300, 600)
"""Range of the life that we ask for; client-go asks for 5 to 10 minutes."""

MAX_PAGE_OCTETS = 1 << 30
"""Octets of a page; everything at once (``limit=0``) of a large cluster is 134 MB."""


class Connection(Protocol):
    """What sends the requests: an API server, under credentials that can be read again."""

    def get(
        self, path: str, query: Query, deadline: Deadline
    ) -> AbstractAsyncContextManager["Chunks"]:
        """Send a request and give the chunks of the answer."""
        ...

    async def reload(self) -> None:
        """Read the credentials again."""
        ...


class Chunks(Protocol):
    """An answer, in pieces."""

    def __aiter__(self) -> "Chunks":
        """Iterate."""
        ...

    def __anext__(self) -> Awaitable[bytes]:
        """Give the next piece."""
        ...


class Report(Protocol):
    """Who is told what happens."""

    def failed(self, reflector: Reflector, problem: str) -> None:
        """Say that a request failed."""
        ...

    def working(self, reflector: Reflector) -> None:
        """Say that the server answers."""
        ...

    def malformed(self, found: Malformed) -> None:
        """Say that an object was skipped."""
        ...


class ListWatch:
    """Runs one reflector until it is cancelled."""

    def __init__(
        self,
        reflector: Reflector,
        source: ApiSource,
        connection: Connection,
        report: Report,
        clock: Callable[[], float],
        line: InLine | None = None,
    ) -> None:
        """Begin with nothing.

        Args:
            reflector: What is to be done.
            source: Of what to ask for.
            connection: To the server.
            report: Who is told.
            clock: Gives monotonic seconds.
            line: Of all that read from this server, one of whom works in a round of the loop.
        """
        self._reflector = reflector
        self._source = source
        self._connection = connection
        self._report = report
        self._clock = clock
        self._path = path(reflector.kind)
        self._line = line or InLine()
        self._turn_over = 0.0
        self._handled = 0
        self._sooner = asyncio.Event()
        self.others: Sequence[ListWatch] = ()
        "Those that ask the same server; told when an outage is over."

    async def run(self) -> None:
        """List and watch, for ever."""
        while True:
            command = self._reflector.next_command(self._clock())
            match command:
                case Wait(until=until):
                    await self._wait(until)
                case ReloadCredentials():
                    await self._connection.reload()
                case List() | WatchList() | Watch():
                    await self._attempt(command)
                case _:
                    assert_never(command)

    def reachable(self) -> None:
        """Ask again soon: the server has answered somebody else."""
        if self._reflector.reachable(self._clock()):
            self._sooner.set()

    async def _wait(self, until: float) -> None:
        self._sooner.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, until - self._clock())):
                await self._sooner.wait()

    async def _attempt(self, command: List | WatchList | Watch) -> None:
        reflector = self._reflector
        seconds = random.randint(*WATCH_SECONDS)
        parameters = query(self._source, reflector.kind, command, seconds)
        deadline = lambda: reflector.deadline  # noqa: E731 - it moves with every chunk
        try:
            async with self._connection.get(self._path, parameters, deadline) as chunks:
                if reflector.started(self._clock()):
                    for other in self.others:
                        other.reachable()
                if isinstance(command, List):
                    await self._list(chunks)
                else:
                    await self._watch(chunks)
        except Stalled:
            reflector.stalled(self._clock())
            self._report.failed(reflector, "nothing was heard for too long")
        except ApiError as error:
            reflector.failed(error, self._clock())
            # Without an answer there is no status to tell.
            problem = str(error) if error.status else error.message
            self._report.failed(reflector, problem)

    async def _list(self, chunks: Chunks) -> None:
        reflector = self._reflector
        pieces: list[bytes] = []
        size = 0
        async for chunk in chunks:
            reflector.received(self._clock())
            pieces.append(chunk)
            size += len(chunk)
            if size > MAX_PAGE_OCTETS:
                raise ApiUnavailable(0, "", f"a page of more than {MAX_PAGE_OCTETS} octets")
        page = read_page(b"".join(pieces))
        pieces.clear()
        if isinstance(page, Garbage):
            raise ApiUnavailable(0, "", page.problem)
        for raw in page.items:
            found = read_object(reflector.kind, raw)
            if isinstance(found, Malformed):
                self._report.malformed(found)
            reflector.item(found)
            self._tidy()
            if self._clock() >= self._turn_over:
                await self._yield()
        reflector.page_end(page.resource_version, page.continue_token)
        if not page.continue_token:
            self._report.working(reflector)

    async def _watch(self, chunks: Chunks) -> None:
        reflector = self._reflector
        splitter = LineSplitter()
        working = bool(reflector.resource_version)
        if working:
            self._report.working(reflector)
        async for chunk in chunks:
            reflector.received(self._clock())
            try:
                lines = splitter.feed(chunk)
            except LineTooLong as error:
                raise ApiUnavailable(0, "", str(error)) from error
            for line in lines:
                event = read_event(reflector.kind, line)
                if isinstance(event, Malformed):
                    self._report.malformed(event)
                if ended := reflector.event(event):
                    raise ended
                self._tidy()
                if self._clock() >= self._turn_over:
                    await self._yield()
            if not working and reflector.resource_version:
                working = True
                self._report.working(reflector)
        reflector.closed(self._clock())
        if reflector.not_before > self._clock():
            self._report.failed(reflector, "the server ended the watch at once")

    def _tidy(self) -> None:
        """Have the garbage collector look at what is new, before there is much of it.

        It counts objects made less objects freed.  Where events replace objects by as many others
        that stays at nothing while all of the cluster becomes new to it; then it looks at
        everything at once, for 100 ms.
        """
        self._handled += 1
        if self._handled % TIDY_OBJECTS == 0:
            gc.collect(0 if self._handled % (8 * TIDY_OBJECTS) else 1)

    async def _yield(self) -> None:
        await self._line.wait()
        self._turn_over = self._clock() + TURN_SECONDS
