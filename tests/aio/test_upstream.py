import asyncio
from collections.abc import AsyncIterator

import dns.message
import pytest
import pytest_asyncio

from svcdns.aio.upstream import Upstreams
from svcdns.plugins.base import Ask, Drop, Failed, Outcome
from svcdns.plugins.commands import Delay, Exchange, Exchanged, Result, Unanswered, Upstream
from tests.support.resolver import Resolver

QUERY = dns.message.make_query("www.example.org.", "A")
QUERY.id = 0
WIRE = QUERY.to_wire()


@pytest_asyncio.fixture
async def upstreams() -> AsyncIterator[Upstreams]:
    made = Upstreams()
    yield made
    await made.close()


def keep(results: list[Result]) -> "Ask":
    def resume(result: Result, _now: float) -> Outcome:
        results.append(result)
        return Drop()

    return Ask(Delay(0.0), resume)


async def test_an_outcome_that_needs_several_commands_comes_when_all_are_done(
    upstreams: Upstreams,
) -> None:
    seen: list[str] = []

    def second(result: Result, _now: float) -> Outcome:
        assert isinstance(result, Exchanged)
        seen.append("answered")
        return Failed(3)

    async with Resolver() as resolver:

        def first(result: Result, _now: float) -> Outcome:
            seen.append(f"delay over: {result}")
            upstream = Upstream("127.0.0.1", resolver.port)
            return Ask(Exchange(upstream, WIRE, timeout=5.0), second)

        outcome = await upstreams.settle(Ask(Delay(0.0), first))

    assert outcome == Failed(3)
    assert seen == ["delay over: None", "answered"]
    assert upstreams.under_way == 0


async def test_beyond_the_limit_commands_fail_at_once_and_the_others_go_on() -> None:
    upstreams = Upstreams(limit=2)
    results: list[Result] = []
    futures = [upstreams.settle(keep(results)) for _ in range(3)]

    await asyncio.gather(*futures)

    refused = [result for result in results if isinstance(result, Unanswered)]
    assert [result.reason for result in refused] == ["2 queries to upstreams are under way already"]
    assert results[0] is refused[0], "the one too many is told before the others are done"
    await upstreams.close()


async def test_a_bug_in_resume_ends_its_query_and_is_logged(
    upstreams: Upstreams, caplog: pytest.LogCaptureFixture
) -> None:
    def resume(_result: Result, _now: float) -> Outcome:
        raise KeyError("a bug")

    assert await upstreams.settle(Ask(Delay(0.0), resume)) is None
    assert "a plugin failed" in caplog.text


async def test_an_address_that_is_none_is_a_result(upstreams: Upstreams) -> None:
    results: list[Result] = []
    ask = keep(results)
    await upstreams.settle(Ask(Exchange(Upstream("example", 53), WIRE, 1.0), ask.resume))

    assert isinstance(results[0], Unanswered)
