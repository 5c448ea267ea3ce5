import asyncio
import os
import signal

import pytest

from svcdns.aio.signals import Signals, Wish
from tests.support.waiting import until


class Caught:
    """Signals of this process, and the statuses with which it would have left."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.signals = Signals(self.statuses.append)


@pytest.fixture
def caught() -> Caught:
    return Caught()


@pytest.mark.parametrize(
    ("number", "wish"),
    [
        (signal.SIGTERM, Wish.TERMINATE),
        (signal.SIGINT, Wish.INTERRUPT),
        (signal.SIGUSR1, Wish.RELOAD),
    ],
)
async def test_a_signal_is_a_wish(caught: Caught, number: int, wish: Wish) -> None:
    caught.signals.catch()
    os.kill(os.getpid(), number)

    assert await asyncio.wait_for(caught.signals.next(), 30) is wish
    caught.signals.release()


async def test_a_second_interrupt_leaves_at_once_with_status_2(caught: Caught) -> None:
    caught.signals.catch()
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)
    await until(lambda: caught.statuses)

    assert caught.statuses == [2]
    caught.signals.release()


async def test_sigquit_leaves_at_once_with_status_0(caught: Caught) -> None:
    caught.signals.catch()
    os.kill(os.getpid(), signal.SIGQUIT)
    await until(lambda: caught.statuses)

    assert caught.statuses == [0]
    caught.signals.release()


async def test_sighup_is_ignored(caught: Caught) -> None:
    """Go's README says reload; the program does not."""
    caught.signals.catch()
    os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGUSR1)

    assert await asyncio.wait_for(caught.signals.next(), 30) is Wish.RELOAD
    caught.signals.release()
