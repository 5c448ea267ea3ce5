"""Octets handed over by turns, to a protocol that notes what it gets."""

import asyncio
import itertools

from svcdns.aio.paced import PIECE, Paced
from svcdns.aio.turns import Turns
from tests.support.waiting import until


class _Below(asyncio.Transport):
    """The connection."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 40000)})
        self.written = b""
        self.reading = True
        self.closed = False

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


class Side:
    """A connection and what its protocol got."""

    def __init__(self, turns: Turns) -> None:
        self.got: list[bytes] = []
        self.below = _Below()
        self.paced = Paced(self.below, self.got.append, turns)


async def test_what_comes_is_handed_over_at_once_while_there_is_time() -> None:
    side = Side(Turns(3600.0))
    data = bytes(range(256)) * 20
    side.paced.receive(data)

    assert b"".join(side.got) == data
    assert max(map(len, side.got)) <= PIECE
    assert side.below.reading


async def test_clients_take_turns_piece_by_piece() -> None:
    turns = Turns(0.0)
    sides = [Side(turns), Side(turns)]
    for side in sides:
        side.paced.receive(bytes(5 * PIECE))
    assert [len(side.got) for side in sides] == [1, 0]

    counts = []
    while sum(len(side.got) for side in sides) < 10:
        await asyncio.sleep(0)
        counts.append(sum(len(side.got) for side in sides))
    assert all(after - before <= 1 for before, after in itertools.pairwise(counts))
    assert [len(side.got) for side in sides] == [5, 5]


async def test_no_more_is_read_than_may_wait_for_a_turn() -> None:
    turns = Turns(0.0)
    other, side = Side(turns), Side(turns)
    other.paced.receive(b"x")  # has the turn of this round
    side.paced.receive(bytes(65536))
    assert side.below.reading
    side.paced.receive(bytes(PIECE))
    assert not side.below.reading

    await until(lambda: side.below.reading)
    await until(lambda: sum(map(len, side.got)) == 65536 + PIECE)


async def test_a_protocol_that_wants_nothing_gets_nothing() -> None:
    side = Side(Turns(3600.0))
    side.paced.pause_reading()
    assert not side.below.reading
    assert not side.paced.is_reading()
    side.paced.receive(b"hello")
    assert side.got == []

    side.paced.resume_reading()
    await until(lambda: side.got == [b"hello"])
    assert side.below.reading


async def test_a_protocol_may_have_had_enough_in_the_middle() -> None:
    side = Side(Turns(3600.0))
    take = side.got.append

    def once(data: bytes) -> None:
        take(data)
        side.paced.pause_reading()

    side.paced = Paced(side.below, once, Turns(3600.0))
    side.paced.receive(bytes(3 * PIECE))
    assert len(side.got) == 1
    side.paced.resume_reading()
    await until(lambda: len(side.got) == 2)


async def test_a_protocol_that_goes_on_is_not_called_while_it_works() -> None:
    """Aiohttp's parser was, at the end of a request: it broke the memory of the process."""
    side = Side(Turns(3600.0))
    inside = 0

    def take(data: bytes) -> None:
        nonlocal inside
        inside += 1
        assert inside == 1
        side.paced.pause_reading()
        side.paced.resume_reading()
        side.got.append(data)
        inside -= 1

    side.paced = Paced(side.below, take, Turns(3600.0))
    side.paced.receive(bytes(3 * PIECE))

    await until(lambda: len(side.got) == 3)


async def test_a_closed_connection_hands_over_nothing() -> None:
    turns = Turns(0.0)
    other, side = Side(turns), Side(turns)
    other.paced.receive(b"x")
    side.paced.receive(b"late")
    side.paced.leave()
    gone = Side(turns)
    gone.paced.receive(b"late")
    gone.paced.abort()
    last = Side(turns)
    last.paced.receive(b"last")

    await until(lambda: last.got)
    assert side.got == gone.got == []


async def test_everything_else_is_the_connections() -> None:
    side = Side(Turns(3600.0))
    side.paced.write(b"out")
    assert side.below.written == b"out"
    assert side.paced.get_extra_info("peername") == ("192.0.2.1", 40000)
    assert not side.paced.is_closing()
    side.paced.close()
    assert side.below.closed
    assert side.paced.is_closing()
