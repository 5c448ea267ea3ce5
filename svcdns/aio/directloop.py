"""An event loop that serves relayed sockets by plain calls, without a turn of asyncio for each.

In asyncio an event of a socket costs a key, a handle, a place in a queue and a run in a context;
for sockets behind an epoll instance of their own, a second ``epoll_wait`` as well, and a third that
finds nothing.  A relay with one busy connection does little else.  Here the loop waits on an outer
epoll instance instead, which holds the relayed sockets beside asyncio's own epoll: relayed sockets
are served as soon as the wait is over, and asyncio's are asked for only if there are any.

Nobody else waits for more than one batch of relayed events: asyncio goes on as soon as a socket of
its own is ready, a timer is due, or something was scheduled meanwhile.
A loop of another kind works as well, and is slower: :func:`hub` then has nothing to offer.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from contextvars import Context
from time import monotonic
from typing import Any, TypeVar, TypeVarTuple

from svcdns.aio.poller import LEVEL, Poller

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _DirectSelector(selectors.EpollSelector):
    """asyncio's selector inside of a poller."""

    def __init__(self) -> None:
        super().__init__()
        self.scheduled = False
        "Whether asyncio has something to do that it did not know when it began to wait."
        self._asked = False
        self._hub: Poller | None = None

    def attach(self, hub: Poller) -> None:
        """Wait on *hub* from now on."""
        hub.add(self.fileno(), self, LEVEL)
        self._hub = hub

    def ready(self, events: int) -> None:
        """Remember that asyncio's sockets have events."""
        self._asked = self.scheduled = True

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Serve the hub's sockets until asyncio has something to do; give its sockets' events."""
        hub = self._hub
        if hub is None or len(hub) == 1:
            return super().select(timeout)
        self._asked = self.scheduled = False
        if timeout is None:
            while not self.scheduled:
                hub.wait(None)
        else:
            ends = monotonic() + timeout
            hub.wait(timeout)
            while not self.scheduled and (timeout := ends - monotonic()) > 0:
                hub.wait(timeout)
        return super().select(0) if self._asked else []


class DirectLoop(asyncio.SelectorEventLoop):
    """asyncio's loop with a :attr:`hub`, a poller whose targets are called by the wait itself."""

    def __init__(self) -> None:
        self._direct = selector = _DirectSelector()
        super().__init__(selector)
        self.hub = Poller(self)
        "Lives as long as the loop: never to be started or stopped by others."
        selector.attach(self.hub)

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Call *callback* in the next turn, and let that begin."""
        self._direct.scheduled = True
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call *callback* at a time, which may be before the one that is being waited for."""
        self._direct.scheduled = True
        return super().call_at(when, callback, *args, context=context)

    def close(self) -> None:
        """Close the loop and the hub; the hub's sockets are their owners' to close."""
        if not self.is_closed():
            super().close()
            self.hub.stop()


def hub(loop: asyncio.AbstractEventLoop) -> Poller | None:
    """Give the poller that *loop* waits on, if it is of the kind that has one."""
    return loop.hub if isinstance(loop, DirectLoop) else None


def run(main: Coroutine[Any, Any, T]) -> T:
    """Do what :func:`asyncio.run` does, in a :class:`DirectLoop`."""
    with asyncio.Runner(loop_factory=DirectLoop) as runner:
        return runner.run(main)
