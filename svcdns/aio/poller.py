"""An epoll instance inside the event loop's: one callback of the loop serves a batch of sockets.

``loop.add_reader`` costs a handle, a context switch of ``contextvars`` and an ``epoll_ctl`` for
every change of interest.  A relay has thousands of sockets and a few microseconds for each event,
so its sockets are registered once, edge-triggered, here, and the loop watches this epoll's
descriptor.

Within a batch sockets are closed at its end (:meth:`Poller.close`): were the number of a closed one
given out again before, an old event would reach a new connection.
"""

import asyncio
import select
from collections.abc import Callable
from socket import SocketType
from typing import Protocol

EDGE = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLPRI | select.EPOLLET
"""Everything, reported once when it becomes true: for sockets that are read until empty."""

EDGE_IN = EDGE & ~select.EPOLLOUT
"""The same without writability: saves the event that every fresh socket begins with."""

LEVEL = select.EPOLLIN
"""Readable, reported as long as it is true: for listeners."""

BATCH = 256
"""Events fetched at once."""

ROUNDS = 8
"""Batches served before the loop gets its turn (DNS may live in the same loop)."""


class Ready(Protocol):
    """Something that serves the events of its socket."""

    def ready(self, events: int) -> None:
        """Serve the *events* (bits of ``select.EPOLL*``) without blocking."""


class Again(Protocol):
    """Something that has used up its turn and wants another one."""

    def again(self) -> None:
        """Go on."""


class Poller:
    """Dispatches events of many sockets; starts and stops as one."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        outer: "Poller | None" = None,
        rounds: int = ROUNDS,
        before: Callable[[], None] | None = None,
        after: Callable[[], None] | None = None,
    ) -> None:
        """Watch nothing yet.

        Args:
            loop: Serves the events.
            outer: Watches this epoll's descriptor instead of *loop*, with fewer steps between.
            rounds: Batches served before others get their turn, while there are any.
            before: Called before each batch of events.
            after: Called after it, while the batch's sockets are all still open.
        """
        self._before = before
        self._after = after
        self._loop = loop
        self._outer = outer
        self._rounds = rounds
        self._epoll = select.epoll()
        self._ready: dict[int, Callable[[int], None]] = {}
        self._again: list[Again] = []
        self._closing: list[SocketType] = []
        self._watching = False
        self._serving = False
        self._scheduled = False

    def __len__(self) -> int:
        return len(self._ready)

    def start(self) -> None:
        """Serve events from now on."""
        if not self._watching:
            self._watching = True
            if self._outer is None:
                self._loop.add_reader(self._epoll.fileno(), self.ready, LEVEL)
            else:
                self._outer.add(self._epoll.fileno(), self, LEVEL)

    def pause(self) -> None:
        """Leave events where they are until :meth:`start`."""
        if self._watching:
            self._watching = False
            if self._outer is None:
                self._loop.remove_reader(self._epoll.fileno())
            else:
                self._outer.forget(self._epoll.fileno())

    def stop(self) -> None:
        """Give up the epoll instance; the sockets are the owners' to close."""
        self.pause()
        self._ready.clear()
        self._again.clear()
        self._sweep()
        self._epoll.close()

    def add(self, descriptor: int, target: Ready, events: int = EDGE) -> None:
        """Serve *descriptor* through *target*.

        Raises:
            OSError: The kernel is out of memory or watches.
        """
        self._epoll.register(descriptor, events)
        self._ready[descriptor] = target.ready

    def retarget(self, descriptor: int, target: Ready) -> None:
        """Serve *descriptor*, which is registered, through another *target*."""
        self._ready[descriptor] = target.ready

    def modify(self, descriptor: int, events: int) -> None:
        """Serve other *events* of *descriptor*; those that are true already are reported again."""
        self._epoll.modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """Stop serving *descriptor*, which stays open; nothing happens if it is not served."""
        if self._ready.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def close(self, sock: SocketType) -> None:
        """Stop serving *sock* now and close it, at the latest when this batch is through."""
        self._ready.pop(sock.fileno(), None)
        if self._serving:
            self._closing.append(sock)
        else:
            sock.close()

    def again(self, target: Again) -> None:
        """Call *target* once more after everybody else had a turn."""
        self._again.append(target)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        waiting, self._again = self._again, []
        for target in waiting:
            try:
                target.again()
            except Exception as error:  # noqa: BLE001 (a bug costs one connection, not all)
                self._report(error, target)

    def _sweep(self) -> None:
        closing, self._closing = self._closing, []
        for sock in closing:
            sock.close()

    def ready(self, events: int) -> None:
        """Serve the events there are, within bounds: this poller is what has become ready."""
        for _ in range(self._rounds):
            if not self.wait(0):
                return

    def wait(self, timeout: float | None) -> bool:
        """Wait *timeout* seconds at most (None: for ever) and serve one batch; tell if any came."""
        batch = self._epoll.poll(timeout, BATCH)
        if not batch:
            return False
        ready = self._ready
        self._serving = True
        if self._before is not None:
            self._before()
        for descriptor, events in batch:
            target = ready.get(descriptor)
            if target is None:
                continue
            try:
                target(events)
            except Exception as error:  # noqa: BLE001 (a bug costs one connection, not all)
                self._report(error, target)
        if self._after is not None:
            self._after()
        self._serving = False
        if self._closing:
            self._sweep()
        return True

    def _report(self, error: Exception, target: object) -> None:
        self._loop.call_exception_handler(
            {"message": f"relaying: {target!r}: {error}", "exception": error}
        )
