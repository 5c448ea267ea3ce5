"""Transfers from a primary that does what hostile ones do."""

import asyncio
import contextlib
import struct
import threading
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
import pytest_asyncio

from svcdns.aio.exchange_transfer import MAX_UNDER_WAY, ZoneTransfers
from svcdns.plugins.commands import Exchanged, ReadZone, Result, Transport, Unanswered, Upstream
from tests.support.waiting import until

QUERY = b"\0\0\0\0rest of a query"


@pytest_asyncio.fixture
async def transfers() -> AsyncIterator[ZoneTransfers]:
    made = ZoneTransfers(asyncio.get_running_loop())
    yield made
    made.close()
    await asyncio.sleep(0)


class Primary:
    """Sends these messages, each behind its length; then hangs up, or stays."""

    def __init__(self, messages: Sequence[bytes], *, stays: bool = False, cut: int = 0) -> None:
        self.messages, self.stays, self.cut = messages, stays, cut
        self.leaves: asyncio.Event | None = None
        "When it hangs up, if it is to."
        self.asked: list[bytes] = []
        self.open = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            size = int.from_bytes(await reader.readexactly(2), "big")
            query = await reader.readexactly(size)
            self.asked.append(query)
            for number, message in enumerate(self.messages):
                found = message.replace(b"ID", query[:2], 1)
                wire = struct.pack("!H", len(found)) + found
                last = number + 1 == len(self.messages)
                writer.write(wire[: len(wire) - self.cut] if last else wire)
            if self.leaves:
                await self.leaves.wait()
            elif self.stays:
                await reader.read()
        finally:
            self.open -= 1
            writer.close()


@contextlib.asynccontextmanager
async def listening(primary: Primary) -> AsyncIterator[int]:
    server = await asyncio.start_server(primary.talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def read(
    transfers: ZoneTransfers,
    port: int,
    take: Callable[[bytes], bool],
    finish: Callable[[], None] = lambda: None,
    timeout: float = 30.0,
    total: float = 300.0,
) -> Result:
    future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    upstream = Upstream("127.0.0.1", port, Transport.TCP)
    transfers.start(ReadZone(upstream, QUERY, take, finish, timeout, total), future.set_result)
    return await asyncio.wait_for(future, 60)


ANSWER = b"ID\x80\0"


async def test_every_message_is_given_until_the_last_one(transfers: ZoneTransfers) -> None:
    primary = Primary([ANSWER + b"1", ANSWER + b"2", ANSWER + b"3"], stays=True)
    taken: list[bytes] = []

    def take(message: bytes) -> bool:
        taken.append(message[4:])
        return message.endswith(b"3")

    async with listening(primary) as port:
        assert isinstance(await read(transfers, port, take), Exchanged)
        await until(lambda: not primary.open)

    assert taken == [b"1", b"2", b"3"]
    assert primary.asked[0][2:] == QUERY[2:]
    assert primary.asked[0][:2] != b"\0\0", "the ID cannot be guessed"


async def test_what_takes_long_is_done_once_and_beside_the_loop(transfers: ZoneTransfers) -> None:
    here = threading.get_ident()
    done: list[str] = []

    def take(message: bytes) -> bool:
        assert threading.get_ident() == here
        done.append(message[4:].decode())
        return message.endswith(b"2")

    def finish() -> None:
        assert threading.get_ident() != here
        done.append("finished")

    async with listening(Primary([ANSWER + b"1", ANSWER + b"2"])) as port:
        assert isinstance(await read(transfers, port, take, finish), Exchanged)
    assert done == ["1", "2", "finished"]


async def test_what_did_not_come_is_not_finished(transfers: ZoneTransfers) -> None:
    async with listening(Primary([ANSWER])) as port:
        result = await read(transfers, port, lambda _message: False, pytest.fail)
    assert isinstance(result, Unanswered)


def refusing(message: bytes) -> bool:
    raise ValueError("no SOA first")


@pytest.mark.parametrize(
    ("primary", "take", "problem"),
    [
        (Primary([]), lambda _message: True, "EOF"),
        (Primary([ANSWER + b"1"]), lambda _message: False, "EOF"),
        (Primary([ANSWER + b"1234"], cut=3), lambda _message: True, "EOF"),
        (Primary([ANSWER], cut=5), lambda _message: True, "EOF"),
        (Primary([b"XX\x80\0"]), lambda _message: True, "no answer to us"),
        (Primary([b"ID\0\0"]), lambda _message: True, "no answer to us"),
        (Primary([b"ID"]), lambda _message: True, "no answer to us"),
        (Primary([b""]), lambda _message: True, "no answer to us"),
        (Primary([ANSWER]), refusing, "no SOA first"),
        (Primary([], stays=True), lambda _message: True, "i/o timeout"),
    ],
)
async def test_what_goes_wrong_is_said(
    transfers: ZoneTransfers, primary: Primary, take: Callable[[bytes], bool], problem: str
) -> None:
    async with listening(primary) as port:
        result = await read(
            transfers, port, take, timeout=0.3 if problem == "i/o timeout" else 30.0
        )
        await until(lambda: not primary.open)

    assert isinstance(result, Unanswered)
    assert result.reason.endswith(problem), result.reason
    assert f"127.0.0.1:{port}" in result.reason
    assert result.timeout is (problem == "i/o timeout")


async def test_nobody_there_is_said(transfers: ZoneTransfers) -> None:
    async with listening(Primary([])) as port:
        pass
    result = await read(transfers, port, lambda _message: True)

    assert isinstance(result, Unanswered)
    assert "refused" in result.reason


async def test_a_stream_without_end_ends_in_time(transfers: ZoneTransfers) -> None:
    async with listening(Primary([ANSWER] * 200_000)) as port:
        result = await read(transfers, port, lambda _message: False, total=0.3)

    assert result == Unanswered(f"dial tcp 127.0.0.1:{port}: i/o timeout", timeout=True)


async def test_only_so_many_are_under_way(transfers: ZoneTransfers) -> None:
    primary = Primary([])
    primary.leaves = asyncio.Event()
    async with listening(primary) as port:
        reading = [
            asyncio.ensure_future(read(transfers, port, lambda _message: True))
            for _ in range(MAX_UNDER_WAY + 4)
        ]
        await until(lambda: primary.open == MAX_UNDER_WAY)
        await asyncio.sleep(0)
        assert primary.open == MAX_UNDER_WAY
        primary.leaves.set()
        results = await asyncio.gather(*reading)

    assert all(isinstance(one, Unanswered) for one in results)
    assert len(primary.asked) == len(reading)
