"""Work in a thread that nobody has to wait for at the end.

``asyncio.to_thread`` takes a thread that the process joins before it ends, so a Ctrl-C in the
middle of long work would wait for the work.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

T = TypeVar("T")


async def leavable(work: Callable[[], T]) -> T:
    """Do *work* in a thread of its own and give its result; when cancelled, leave it behind.

    Args:
        work: Touches nothing that others touch meanwhile; what it raises is raised here.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def succeed(result: T) -> None:
        if not done.done():
            done.set_result(result)

    def fail(error: Exception) -> None:
        if not done.done():
            done.set_exception(error)

    def run() -> None:
        try:
            call = partial(succeed, work())
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            call = partial(fail, error)
        with suppress(RuntimeError):  # the loop has ended, and so has everybody who waited
            loop.call_soon_threadsafe(call)

    threading.Thread(target=run, daemon=True, name="leavable").start()
    return await done
