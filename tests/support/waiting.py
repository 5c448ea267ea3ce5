"""Waiting for a condition, with a deadline instead of a guess.

Deadlines only keep a broken test from hanging, so they are far beyond what a stalled machine takes.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Return as soon as *condition* holds; fail after *seconds*."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - any condition at all, not only ours
            await asyncio.sleep(0.002)


async def eventually(check: Callable[[], Awaitable[object]], seconds: float = 30.0) -> None:
    """Return as soon as *check* holds, for what has to be asked; fail after *seconds*."""
    async with asyncio.timeout(seconds):
        while not await check():  # noqa: ASYNC110 - another process sets no event of ours
            await asyncio.sleep(0.02)


async def pace(seconds: float) -> None:
    """Let time pass between the steps of a load; nothing is waited for."""
    await asyncio.sleep(seconds)


def blocking_until(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Wait for a condition in another process, where there is no loop."""
    pause = threading.Event()
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        pause.wait(0.02)
