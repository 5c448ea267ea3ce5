import asyncio
import resource
import socket
from collections.abc import AsyncIterator

import dns.message
import pytest
import pytest_asyncio

from svcdns.aio.exchange_udp import DatagramExchanges
from svcdns.plugins.commands import Exchange, Exchanged, Result, Unanswered, Upstream
from tests.support.ports import free_port
from tests.support.resolver import ADDRESS, Resolver, Step

QUERY = dns.message.make_query("www.example.org.", "A")
QUERY.id = 0
WIRE = QUERY.to_wire()

GROWING = (0.1, 1.0, 10.0)
"""Time-outs to wait for in turn, for what has to happen before: a machine may stall for one."""


@pytest_asyncio.fixture
async def exchanges() -> AsyncIterator[DatagramExchanges]:
    made = DatagramExchanges(asyncio.get_running_loop())
    yield made
    made.close()


async def ask(
    exchanges: DatagramExchanges, port: int, *, timeout: float = 30.0, host: str = "127.0.0.1"
) -> Result:
    future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    exchanges.start(Exchange(Upstream(host, port), WIRE, timeout), future.set_result)
    return await asyncio.wait_for(future, 60)


def address(result: Result) -> str:
    assert isinstance(result, Exchanged), result
    return str(dns.message.from_wire(result.wire).answer[0][0])


async def test_an_answer_comes_back(exchanges: DatagramExchanges) -> None:
    async with Resolver() as resolver:
        assert address(await ask(exchanges, resolver.port)) == ADDRESS


async def test_an_ipv6_upstream_answers(exchanges: DatagramExchanges) -> None:
    async with Resolver(host="::1") as resolver:
        assert address(await ask(exchanges, resolver.port, host="::1")) == ADDRESS


async def test_ids_and_ports_differ_from_query_to_query(exchanges: DatagramExchanges) -> None:
    """RFC 5452 §9.2."""
    async with Resolver() as resolver:
        await asyncio.gather(*[ask(exchanges, resolver.port) for _ in range(50)])

        assert len({message.id for _, message in resolver.queries}) > 45
        assert len({port for _, port in resolver.sources}) > 45


@pytest.mark.parametrize(
    "step",
    [
        Step(wrong_id=True, then_right=True),
        Step(wrong_question=True, then_right=True),
    ],
)
async def test_a_forged_answer_is_passed_over_for_the_right_one(
    exchanges: DatagramExchanges, step: Step
) -> None:
    """RFC 5452 §9.1."""
    async with Resolver([step]) as resolver:
        assert address(await ask(exchanges, resolver.port)) == ADDRESS


async def test_silence_is_a_time_out_that_names_both_ends(exchanges: DatagramExchanges) -> None:
    async with Resolver([Step(drop=True)]) as resolver:
        result = await ask(exchanges, resolver.port, timeout=0.05)
        await resolver.received(1)

        assert isinstance(result, Unanswered)
        host, port = resolver.sources[0]
        assert result.reason == f"read udp {host}:{port}->127.0.0.1:{resolver.port}: i/o timeout"
        assert result.timeout


async def test_a_time_out_after_forged_answers_says_so(exchanges: DatagramExchanges) -> None:
    result: Result = Unanswered("")
    for timeout in GROWING:
        async with Resolver([Step(wrong_question=True)]) as resolver:
            result = await ask(exchanges, resolver.port, timeout=timeout)
        assert isinstance(result, Unanswered)
        if result.reason.endswith("i/o timeout (1 messages did not match the query)"):
            return
    pytest.fail(str(result))


async def test_time_outs_come_in_the_order_of_their_deadlines(
    exchanges: DatagramExchanges,
) -> None:
    ended: list[float] = []
    now = asyncio.get_running_loop().time

    async def one(port: int, timeout: float) -> None:
        deadline = now() + timeout
        await ask(exchanges, port, timeout=timeout)
        ended.append(deadline)

    async with Resolver(silent_udp=True) as resolver:
        timeouts = [0.12, 0.04, 0.08]
        await asyncio.gather(*[one(resolver.port, timeout) for timeout in timeouts])

    assert ended == sorted(ended)
    assert len(ended) == 3


async def test_a_closed_port_is_refused_without_waiting(exchanges: DatagramExchanges) -> None:
    port = free_port()  # none of those that the query itself may be sent from

    result = await ask(exchanges, port, timeout=60.0)

    assert isinstance(result, Unanswered)
    assert result.reason.endswith(f"->127.0.0.1:{port}: read: connection refused")
    assert not result.timeout


async def test_no_descriptor_left_is_a_result_and_passes(exchanges: DatagramExchanges) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with Resolver() as resolver:
        with socket.socket() as highest:
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest.fileno(), hard))
        try:
            result = await ask(exchanges, resolver.port)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

        assert isinstance(result, Unanswered)
        assert "too many open files" in result.reason
        assert address(await ask(exchanges, resolver.port)) == ADDRESS


async def test_an_answer_after_the_deadline_hurts_nobody(exchanges: DatagramExchanges) -> None:
    async with Resolver([Step(delay=0.1)]) as resolver:
        late = await ask(exchanges, resolver.port, timeout=0.02)
        assert isinstance(late, Unanswered)

        assert address(await ask(exchanges, resolver.port)) == ADDRESS
