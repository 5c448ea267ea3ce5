"""Sharing the loop."""

import asyncio
import itertools

import pytest

from svcdns.aio.turns import InLine, Turns


class Worker:
    """Has so many things to do, one a turn, and notes each under its name."""

    def __init__(self, turns: Turns, name: str, things: int, done: list[str]) -> None:
        self.turns, self.name, self.things, self.done = turns, name, things, done

    def __call__(self, ends: float) -> None:
        self.done.append(self.name)
        self.things -= 1
        if self.things:
            self.turns.queue(self)


async def rounds(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_who_comes_first_works_at_once() -> None:
    done: list[str] = []
    turns = Turns()
    turns.take(Worker(turns, "a", 1, done))

    assert done == ["a"]


async def test_those_with_more_to_do_take_turns() -> None:
    done: list[str] = []
    turns = Turns(0.0)
    for name in "abc":
        turns.take(Worker(turns, name, 3, done))
    await rounds(12)

    # The first one worked at once, and stood in the queue before the others came.
    assert "".join(done) == "aabcabcbc"


async def test_one_works_in_a_round_that_has_no_time_left_and_others_of_the_loop_come_between() -> (
    None
):
    done: list[str] = []
    turns = Turns(0.0)
    for name in "abcdefgh":
        turns.take(Worker(turns, name, 2, done))

    between = []
    for _ in range(16):
        await asyncio.sleep(0)
        between.append(len(done))
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(between))
    assert len(done) == 16


async def test_a_round_goes_on_while_there_is_time() -> None:
    done: list[str] = []
    turns = Turns(3600.0)
    for name in "ab":
        turns.take(Worker(turns, name, 2, done))
    await rounds(1)

    assert sorted(done) == ["a", "a", "b", "b"]


async def test_who_asks_twice_works_once_and_who_leaves_not_at_all() -> None:
    done: list[str] = []
    turns = Turns(0.0)
    first, again, gone = (Worker(turns, name, 1, done) for name in ("first", "again", "gone"))
    turns.take(first)
    for one in (again, again, gone):
        turns.take(one)
    turns.leave(gone)
    turns.leave(first)
    await rounds(6)

    assert done == ["first", "again"]


async def test_of_those_that_wait_one_goes_on_in_each_round() -> None:
    """What they do comes after the round, so there is no telling how many have time in it."""
    turns = Turns(0.002)
    went_on: list[int] = []

    def use_up(ends: float) -> None:
        while asyncio.get_running_loop().time() < ends:
            pass

    async def ask() -> None:
        await turns.wait()
        went_on[-1] += 1

    def count() -> None:
        went_on.append(0)
        asyncio.get_running_loop().call_soon(count)

    waiting = [asyncio.ensure_future(ask()) for _ in range(20)]
    count()
    turns.take(use_up)
    await asyncio.gather(*waiting)

    assert sum(went_on) == 20
    assert max(went_on) == 1


async def test_who_waits_in_vain_lets_the_next_one_go_on() -> None:
    turns = Turns(0.0)
    turns.take(lambda _ends: None)
    waiting = [asyncio.ensure_future(turns.wait()) for _ in range(3)]
    await rounds(1)
    waiting[0].cancel()

    async with asyncio.timeout(30):
        await asyncio.gather(*waiting[1:])


async def test_who_is_cancelled_while_waiting_leaves_the_queue() -> None:
    done: list[str] = []
    turns = Turns(0.0)
    turns.take(Worker(turns, "a", 1, done))
    waiting = asyncio.ensure_future(turns.wait())
    await rounds(1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    turns.take(Worker(turns, "b", 1, done))
    await rounds(4)

    assert done == ["a", "b"]


class Rounds:
    """Counts the rounds of the loop as long as the context lasts."""

    def __init__(self) -> None:
        self.number = 0

    def __enter__(self) -> "Rounds":
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_soon(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.cancel()

    def _count(self) -> None:
        self.number += 1
        self._handle = self._loop.call_soon(self._count)


async def test_those_in_line_go_on_one_in_a_round_and_in_order() -> None:
    line, went_on = InLine(), list[tuple[int, str]]()

    async def work(name: str) -> None:
        for _ in range(3):
            await line.wait()
            went_on.append((passed.number, name))

    with Rounds() as passed:
        await asyncio.gather(*(work(name) for name in "abc"))

    assert "".join(name for _, name in went_on) == "abcabcabc"
    assert len({number for number, _ in went_on}) == 9


async def test_who_is_alone_in_line_lets_others_of_the_loop_come_between() -> None:
    line = InLine()
    with Rounds() as passed:
        for times in range(1, 5):
            await line.wait()
            assert passed.number >= times


@pytest.mark.parametrize("late", [0, 1, 2])
async def test_who_is_cancelled_in_line_holds_nobody_up(late: int) -> None:
    line = InLine()
    waiting = [asyncio.ensure_future(line.wait()) for _ in range(4)]
    await rounds(late)
    for one in waiting[:2]:
        one.cancel()

    async with asyncio.timeout(10):
        await asyncio.gather(*waiting[2:])
        await line.wait()
