import asyncio

import pytest

from svcdns.aio.slices import StoppedError, in_turns
from svcdns.plugins.slices import Slices


def _count(until: int, ended: list[str]) -> Slices[int]:
    try:
        for _ in range(until):
            yield
        if until > 10:
            raise ValueError("too far")
        return until
    finally:
        ended.append("ended")


async def test_the_loop_has_a_round_after_every_slice() -> None:
    rounds = 0

    async def others() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(others())
    assert await in_turns(_count(10, [])) == 10
    task.cancel()

    assert rounds >= 10


async def test_what_goes_wrong_comes_out() -> None:
    with pytest.raises(ValueError, match="too far"):
        await in_turns(_count(11, []))


async def test_work_that_nobody_wants_any_more_is_given_up_and_cleaned_up() -> None:
    ended: list[str] = []
    wanted = 3

    def stopped() -> bool:
        nonlocal wanted
        wanted -= 1
        return not wanted

    with pytest.raises(StoppedError):
        await in_turns(_count(5, ended), stopped)
    assert ended == ["ended"]
