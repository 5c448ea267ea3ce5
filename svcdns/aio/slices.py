"""Works in slices on the loop, so that nobody has to wait for the end."""

import asyncio
from collections.abc import Callable

from svcdns.plugins.slices import Result, Slices


class StoppedError(Exception):
    """Nobody wants the result any more."""


def _wanted() -> bool:
    return False


async def in_turns(slices: Slices[Result], stopped: Callable[[], bool] = _wanted) -> Result:
    """Do a slice in each round of the loop, and give the result.

    Args:
        slices: The work; what it raises is raised here.
        stopped: Whether to give the work up.

    Raises:
        StoppedError: It was given up.
    """
    while True:
        try:
            next(slices)
        except StopIteration as done:
            result: Result = done.value
            return result
        if stopped():
            slices.close()
            raise StoppedError
        await asyncio.sleep(0)
