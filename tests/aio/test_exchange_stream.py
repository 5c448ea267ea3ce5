import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import dns.message
import pytest
import pytest_asyncio

from svcdns.aio.exchange_stream import MAX_CONNECTIONS, StreamExchanges
from svcdns.plugins.commands import Exchange, Exchanged, Result, Transport, Unanswered, Upstream
from tests.support.certificates import Certificate, authority
from tests.support.ports import free_port
from tests.support.resolver import ADDRESS, Resolver, Step
from tests.support.waiting import until

QUERY = dns.message.make_query("www.example.org.", "A")
QUERY.id = 0
WIRE = QUERY.to_wire()


@pytest_asyncio.fixture
async def exchanges() -> AsyncIterator[StreamExchanges]:
    made = StreamExchanges(asyncio.get_running_loop())
    yield made
    made.close()
    await asyncio.sleep(0)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return authority(tmp_path_factory.mktemp("tls"), "dns.example.org")


def upstream(port: int, **more: object) -> Upstream:
    return Upstream("127.0.0.1", port, **({"transport": Transport.TCP} | more))  # type: ignore[arg-type]


async def ask(
    exchanges: StreamExchanges, where: Upstream, *, timeout: float = 30.0, **more: float
) -> Result:
    future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    exchanges.start(Exchange(where, WIRE, timeout, **more), future.set_result)
    return await asyncio.wait_for(future, 60)


def address(result: Result) -> str:
    assert isinstance(result, Exchanged), result
    return str(dns.message.from_wire(result.wire).answer[0][0])


async def test_queries_one_after_the_other_share_a_connection(exchanges: StreamExchanges) -> None:
    async with Resolver() as resolver:
        results = [await ask(exchanges, upstream(resolver.port)) for _ in range(3)]

        assert [address(result) for result in results] == [ADDRESS] * 3
        assert [result.reused for result in results if isinstance(result, Exchanged)] == [
            False,
            True,
            True,
        ]
        assert resolver.connections == 1


async def test_many_queries_at_once_use_a_bounded_number_of_connections(
    exchanges: StreamExchanges,
) -> None:
    async with Resolver([Step(delay=0.05)] * 100) as resolver:
        results = await asyncio.gather(
            *[ask(exchanges, upstream(resolver.port)) for _ in range(100)]
        )

        assert {address(result) for result in results} == {ADDRESS}
        assert resolver.connections == MAX_CONNECTIONS


async def test_an_answer_may_overtake_another(exchanges: StreamExchanges) -> None:
    """RFC 7766 §6.2.1.1: matched by ID, not by order."""
    gate = asyncio.Event()
    steps = [Step(gate=gate)] * MAX_CONNECTIONS
    async with Resolver(steps) as resolver:
        slow = [
            asyncio.ensure_future(ask(exchanges, upstream(resolver.port)))
            for _ in range(MAX_CONNECTIONS)
        ]
        await resolver.received(MAX_CONNECTIONS)
        fast = await ask(exchanges, upstream(resolver.port))

        assert address(fast) == ADDRESS
        assert not any(one.done() for one in slow)
        gate.set()
        assert {address(result) for result in await asyncio.gather(*slow)} == {ADDRESS}


async def test_a_connection_that_the_peer_closed_in_between_costs_no_query(
    exchanges: StreamExchanges,
) -> None:
    async with Resolver([Step(), Step(close=True)]) as resolver:
        await ask(exchanges, upstream(resolver.port))

        assert address(await ask(exchanges, upstream(resolver.port))) == ADDRESS
        assert resolver.connections == 2


async def test_a_peer_that_closes_a_new_connection_is_a_failure(
    exchanges: StreamExchanges,
) -> None:
    async with Resolver([Step(close=True)]) as resolver:
        result = await ask(exchanges, upstream(resolver.port))

    assert result == Unanswered(f"dial tcp 127.0.0.1:{resolver.port}: EOF")


async def test_a_silent_connection_is_not_used_again(exchanges: StreamExchanges) -> None:
    async with Resolver([Step(), Step(drop=True)]) as resolver:
        await ask(exchanges, upstream(resolver.port))
        silent = await ask(exchanges, upstream(resolver.port), timeout=0.05)
        assert isinstance(silent, Unanswered)
        assert silent.timeout
        await resolver.received(2)

        assert address(await ask(exchanges, upstream(resolver.port))) == ADDRESS
        assert resolver.connections == 2


async def test_a_connect_that_nobody_waits_for_any_more_is_given_up(
    exchanges: StreamExchanges,
) -> None:
    """A resolver whose accept queue is full: the kernel would go on for two minutes."""
    with socket.socket() as deaf, socket.socket() as first:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        first.connect(deaf.getsockname())
        before = os.listdir("/proc/self/fd")
        for _ in range(3):
            result = await ask(exchanges, upstream(deaf.getsockname()[1]), timeout=0.05)
            assert isinstance(result, Unanswered)
            assert result.timeout

        await until(lambda: len(os.listdir("/proc/self/fd")) <= len(before))


async def test_an_idle_connection_is_closed_after_its_time(exchanges: StreamExchanges) -> None:
    async with Resolver() as resolver:
        await ask(exchanges, upstream(resolver.port), max_idle=0.0)
        await ask(exchanges, upstream(resolver.port), max_idle=0.0)

        assert resolver.connections == 2


async def test_an_old_connection_is_not_used_again(exchanges: StreamExchanges) -> None:
    async with Resolver() as resolver:
        await ask(exchanges, upstream(resolver.port))
        await ask(exchanges, upstream(resolver.port), max_age=1e-9)

        assert resolver.connections == 2


@pytest.mark.parametrize("step", [Step(wrong_id=True), Step(wrong_question=True)])
async def test_an_answer_to_another_query_is_passed_over(
    exchanges: StreamExchanges, step: Step
) -> None:
    """RFC 5452 §9.1."""
    async with Resolver([Step(), step]) as resolver:
        await ask(exchanges, upstream(resolver.port))
        result = await ask(exchanges, upstream(resolver.port), timeout=0.1)

    assert isinstance(result, Unanswered)


async def test_a_closed_port_is_refused_at_once(exchanges: StreamExchanges) -> None:
    port = free_port()

    result = await ask(exchanges, upstream(port), timeout=60.0)

    assert result == Unanswered(f"dial tcp 127.0.0.1:{port}: connect: connection refused")


async def test_tls_checks_the_name_that_the_corefile_gives(
    exchanges: StreamExchanges, certificate: Certificate
) -> None:
    async with Resolver(tls=certificate.server_context()) as resolver:
        right = upstream(
            resolver.port,
            transport=Transport.TLS,
            server_name="dns.example.org",
            tls=(certificate.authority,),
        )
        wrong = upstream(
            resolver.port,
            transport=Transport.TLS,
            server_name="other.example.org",
            tls=(certificate.authority,),
        )

        assert address(await ask(exchanges, right)) == ADDRESS
        result = await ask(exchanges, wrong)

    assert isinstance(result, Unanswered)
    assert "tls: failed to verify certificate" in result.reason


async def test_an_unknown_authority_is_refused(
    exchanges: StreamExchanges, certificate: Certificate
) -> None:
    async with Resolver(tls=certificate.server_context()) as resolver:
        where = upstream(resolver.port, transport=Transport.TLS, server_name="dns.example.org")
        result = await ask(exchanges, where)

    assert isinstance(result, Unanswered)
    assert "tls: failed to verify certificate" in result.reason


async def test_a_missing_certificate_file_is_a_result(
    exchanges: StreamExchanges, tmp_path: Path
) -> None:
    where = upstream(853, transport=Transport.TLS, tls=(str(tmp_path / "missing.pem"),))

    result = await ask(exchanges, where)

    assert result == Unanswered("dial tcp 127.0.0.1:853: no such file or directory")


async def test_a_renewed_authority_is_taken_up_and_a_broken_one_is_not(
    exchanges: StreamExchanges,
    certificate: Certificate,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Connections from then on: those that are open stay."""
    trusted = tmp_path / "ca.pem"

    def trust(file: str) -> None:
        shutil.copyfile(file, tmp_path / "new")
        (tmp_path / "new").replace(trusted)

    async with Resolver(tls=certificate.server_context()) as resolver:
        where = upstream(
            resolver.port,
            transport=Transport.TLS,
            server_name="dns.example.org",
            tls=(str(trusted),),
        )
        (tmp_path / "other").mkdir()
        trust(authority(tmp_path / "other", "dns.example.org").authority)
        assert isinstance(await ask(exchanges, where), Unanswered)

        trust(certificate.authority)
        assert address(await ask(exchanges, where, max_idle=0)) == ADDRESS
        assert caplog.text == ""

        trust(__file__)
        assert address(await ask(exchanges, where, max_idle=0)) == ADDRESS
        assert address(await ask(exchanges, where, max_idle=0)) == ADDRESS
        assert caplog.text.count(f"{trusted}: ") == 1
        trusted.unlink()
        assert address(await ask(exchanges, where, max_idle=0)) == ADDRESS
        assert "no such file or directory; going on with what they held before" in caplog.text
