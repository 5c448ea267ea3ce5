"""Signals as events of the loop.

Parity: CoreDNS (caddy ``sigtrap.go``, ``sigtrap_posix.go``; corefile-features g): SIGTERM ends with
a lame duck period, SIGINT too, a second SIGINT ends at once with status 2, SIGQUIT ends at once
with status 0, SIGUSR1 reloads, SIGHUP is ignored.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from enum import Enum, auto
from typing import NoReturn


class Wish(Enum):
    """What the operator wants."""

    TERMINATE = auto()
    "SIGTERM: let queries under way be answered."
    INTERRUPT = auto()
    "SIGINT: the same without the last wait."
    RELOAD = auto()
    "SIGUSR1."


SECOND_INTERRUPT_STATUS = 2
"""Exit status after a second SIGINT."""


class Signals:
    """The signals of a process, while its loop runs."""

    def __init__(self, leave: Callable[[int], NoReturn] | Callable[[int], None] = os._exit) -> None:
        """Prepare.

        Args:
            leave: Ends the process at once with a status.
        """
        self._leave = leave
        self._wishes: asyncio.Queue[Wish] = asyncio.Queue()
        self._stop = asyncio.Event()
        self._interrupted = False
        self._caught: list[int] = []

    def catch(self) -> None:
        """Handle signals from now on."""
        loop = asyncio.get_running_loop()
        for number, handler in (
            (signal.SIGTERM, self._terminate),
            (signal.SIGINT, self._interrupt),
            (signal.SIGQUIT, lambda: self._leave(0)),
            (signal.SIGUSR1, lambda: self._wishes.put_nowait(Wish.RELOAD)),
            (signal.SIGHUP, lambda: None),
        ):
            loop.add_signal_handler(number, handler)
            self._caught.append(number)

    def release(self) -> None:
        """Give the signals their old meaning."""
        loop = asyncio.get_running_loop()
        while self._caught:
            loop.remove_signal_handler(self._caught.pop())

    @property
    def stopped(self) -> bool:
        """Whether there was a SIGTERM or SIGINT."""
        return self._stop.is_set()

    async def stopping(self, seconds: float) -> bool:
        """Wait for SIGTERM or SIGINT, at most *seconds*; tell whether there was one."""
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def next(self) -> Wish:
        """Wait for the next wish."""
        return await self._wishes.get()

    def _terminate(self) -> None:
        self._stop.set()
        self._wishes.put_nowait(Wish.TERMINATE)

    def _interrupt(self) -> None:
        if self._interrupted:
            self._leave(SECOND_INTERRUPT_STATUS)
        self._interrupted = True
        self._stop.set()
        self._wishes.put_nowait(Wish.INTERRUPT)
