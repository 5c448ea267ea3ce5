"""Shares the loop among connections, so that none of them keeps it from the others.

A client that pipelines queries can have work for seconds in one buffer, and hundreds of clients can
do so at once; UDP and everything else waits while they are served.  All connections of a process
together therefore work for a short time only in each round of the loop, and those that have more to
do stand in a queue.
"""

import asyncio
from collections import deque
from collections.abc import Callable

TURN_SECONDS = 0.002
"""Work of all connections between two looks at everything else."""

Worker = Callable[[float], None]
"""Works on until a time of the loop's clock, but does one thing at least."""


class InLine:
    """Lets one of several tasks go on in each round of the loop, in the order they came."""

    def __init__(self) -> None:
        """Begin with nobody in line."""
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._called = False

    async def wait(self) -> None:
        """Return in a later round; the caller does not hold the loop for long then."""
        loop = asyncio.get_running_loop()
        mine = loop.create_future()
        self._waiting.append(mine)
        if not self._called:
            self._called = True
            loop.call_soon(self._next_round, loop)
        await mine

    def _next_round(self, loop: asyncio.AbstractEventLoop) -> None:
        self._called = False
        while self._waiting:
            first = self._waiting.popleft()
            if not first.done():  # who was cancelled
                first.set_result(None)
                break
        if self._waiting:
            self._called = True
            loop.call_soon(self._next_round, loop)


class Turns:
    """Who may work, and until when."""

    def __init__(self, seconds: float = TURN_SECONDS) -> None:
        self.seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._ends = 0.0
        self._begun = False
        self._queue: dict[Worker, None] = {}

    def take(self, worker: Worker) -> None:
        """Have somebody work: at once if this round has time left, when it is its turn if not."""
        if self._queue or (self._begun and self._loop.time() >= self._ends):
            self.queue(worker)
            return
        self._begin()
        worker(self._ends)

    def queue(self, worker: Worker) -> None:
        """Have somebody work who has had his time in this round; asked twice, he works once."""
        self._queue[worker] = None
        if not self._begun:
            self._begin()

    def leave(self, worker: Worker) -> None:
        """Take somebody out of the queue, if he is there."""
        self._queue.pop(worker, None)

    async def wait(self) -> None:
        """Return when the caller may do one thing; who had to wait ends the round he got.

        What he does comes after the round, in a task, so it cannot be measured there: were the next
        one let go on for the time that is left, all who wait would go on at once.
        """
        if not self._queue and not (self._begun and self._loop.time() >= self._ends):
            self._begin()
            return
        mine = self._loop.create_future()

        def begin(_ends: float) -> None:
            if not mine.done():
                mine.set_result(None)
                self._ends = 0.0

        self.queue(begin)
        try:
            await mine
        finally:
            self.leave(begin)

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._ends = self._loop.time() + self.seconds
            self._loop.call_soon(self._next_round)

    def _next_round(self) -> None:
        self._begun = False
        if not self._queue:
            return
        self._begin()
        while self._queue:
            worker = next(iter(self._queue))
            del self._queue[worker]
            worker(self._ends)
            if self._loop.time() >= self._ends:
                return
