import asyncio
import sys
import threading

import pytest

from svcdns.aio.leavable import leavable


async def test_the_result_comes_back_and_the_loop_goes_on_meanwhile() -> None:
    goes_on = threading.Event()
    work = asyncio.ensure_future(leavable(lambda: goes_on.wait(10)))
    await asyncio.to_thread(lambda: None)
    assert not work.done()
    goes_on.set()
    assert await work is True


async def test_what_the_work_raises_is_raised() -> None:
    def work() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        await leavable(work)


@pytest.mark.parametrize("fails", [False, True])
async def test_work_that_was_left_behind_may_end_as_it_likes(fails: bool) -> None:
    goes_on, over = threading.Event(), threading.Event()

    def work() -> None:
        goes_on.wait(10)
        over.set()
        if fails:
            raise KeyError("nobody listens")

    task = asyncio.ensure_future(leavable(work))
    await asyncio.to_thread(lambda: None)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    goes_on.set()
    assert await asyncio.to_thread(over.wait, 10)


async def test_a_process_does_not_wait_for_it() -> None:
    program = """
import asyncio, threading
from svcdns.aio.leavable import leavable
async def main():
    task = asyncio.ensure_future(leavable(threading.Event().wait))
    await asyncio.wait({task}, timeout=0.01)
    task.cancel()
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    try:
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
