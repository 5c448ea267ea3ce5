"""Datagrams of one session: sizes, answers, and an endpoint that is not there."""

import asyncio
import socket

import pytest

from svcdns.aio.datagrams import boxes
from svcdns.aio.udpsession import SETTLED_SECONDS
from svcdns.proxy.traffic import Drop
from tests.support.endpoints import address, datagram_endpoints, receive, until
from tests.support.relays import FRONT_ADDRESS, proxying
from tests.support.udprelays import PLACES, client, relay, udp_plan


@pytest.mark.parametrize("size", [0, 1, 512, 1472, 4096, 4097, 65_507])
async def test_datagrams_of_every_size_come_back_whole_r133(size: int) -> None:
    async with datagram_endpoints(1), proxying(udp_plan(PLACES[0])):
        with client() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            data = bytes(n & 255 for n in range(size))
            sock.send(data)
            assert await receive(sock, 65_535) == data


async def test_one_question_many_answers_arrive_in_order() -> None:
    parts = [b"%03d" % n for n in range(200)]
    async with datagram_endpoints(1, lambda data: parts), proxying(udp_plan(PLACES[0])):
        with client() as sock:
            sock.send(b"all of it")
            assert [await receive(sock) for _ in parts] == parts


async def test_a_datagram_to_a_dead_endpoint_reaches_another_one() -> None:
    """The kernel says port unreachable; the datagram is sent again, elsewhere."""
    async with datagram_endpoints(1), proxying(udp_plan(*PLACES)) as proxy:
        for _ in range(40):
            with client() as sock:
                sock.send(b"question")
                assert await receive(sock) == b"question"
        (served,) = proxy.services.values()
        assert served.retries > 0
        assert served.ejections > 0


async def test_a_flow_whose_endpoint_dies_goes_on_with_another_one() -> None:
    async with datagram_endpoints(2) as servers, proxying(udp_plan(*PLACES[:2])):
        with client() as sock:
            sock.send(b"1")
            await receive(sock)
            next(s for s in servers if s.taken).close()
            got = b""
            for _ in range(20):
                sock.send(b"again")
                try:
                    async with asyncio.timeout(0.5):
                        got = await asyncio.get_running_loop().sock_recv(sock, 100)
                    break
                except TimeoutError:
                    continue  # the datagram that found out was lost, which UDP allows
            assert got == b"again"


@pytest.mark.parametrize("batches", [True, False])
async def test_one_datagram_at_a_time_or_many_is_the_same_to_clients(
    batches: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("svcdns.aio.udprelay.boxes", lambda **_: boxes(batches=batches))
    parts = [b"%03d" % n for n in range(40)]
    async with datagram_endpoints(1, lambda data: parts), proxying(udp_plan(PLACES[0])):
        with client() as sock:
            for _ in range(3):
                sock.send(b"all of it")
            assert [await receive(sock) for _ in range(120)] == parts * 3


async def test_octets_and_sessions_are_counted() -> None:
    async with (
        datagram_endpoints(1, lambda data: [data * 2]),
        proxying(udp_plan(PLACES[0])) as proxy,
    ):
        with client() as sock:
            for _ in range(3):
                sock.send(b"12345")
                await receive(sock)
        (served,) = proxy.services.values()
        (endpoint,) = served.endpoints()
        assert (endpoint.connections, endpoint.active) == (1, 1)
        assert (endpoint.sent, endpoint.received) == (15, 30)


async def test_only_the_endpoint_that_takes_a_session_counts_it() -> None:
    async with datagram_endpoints(1), proxying(udp_plan(*PLACES)) as proxy:
        for _ in range(20):  # two of three refuse
            with client() as sock:
                sock.send(b"x")
                assert await receive(sock) == b"x"
        (served,) = proxy.services.values()
        counts = {e.sockaddr: (e.connections, e.failures) for e in served.endpoints()}
        taken = [count for count, _ in counts.values() if count]
        assert taken == [20]
        assert served.retries == sum(failures for _, failures in counts.values()) > 0
        assert served.failures == 0


async def test_a_session_that_nobody_took_is_a_failure_and_a_dropped_datagram() -> None:
    async with proxying(udp_plan(*PLACES)) as proxy:
        with client() as sock:
            sock.send(b"x")
            (served,) = proxy.services.values()
            await until(lambda: served.failures == 1)
        assert [e.connections for e in served.endpoints()] == [0, 0, 0]
        assert {why: n for why, n in relay(proxy).dropped().items() if n} == {Drop.ENDPOINT: 1}


async def test_a_session_without_an_answer_counts_when_no_refusal_came() -> None:
    """Metrics and logs are sent one way."""
    async with datagram_endpoints(1, lambda _: []) as servers, proxying(udp_plan(*PLACES[:1])) as p:
        (served,) = p.services.values()
        (endpoint,) = served.endpoints()
        with client() as long, client() as short:
            for sock in (long, short):
                sock.send(b"1")
            await until(lambda: len(servers[0].taken) == 2)
            assert (endpoint.connections, endpoint.active) == (0, 2)
            for session in relay(p).sessions:
                session._since -= SETTLED_SECONDS
            long.send(b"2")
            await until(lambda: len(servers[0].taken) == 3)
            assert (endpoint.connections, endpoint.active) == (1, 2)
            long.send(b"3")
            await until(lambda: len(servers[0].taken) == 4)
            assert endpoint.connections == 1
            for session in list(relay(p).sessions):
                session.close("idle")
            assert (endpoint.connections, endpoint.active) == (2, 0)


async def test_a_dead_endpoint_alone_does_not_spin() -> None:
    async with proxying(udp_plan(PLACES[0])) as proxy:
        with client() as sock:
            sock.send(b"x")
            await until(lambda: relay(proxy).dropped()[Drop.ENDPOINT] == 1)
            assert list(relay(proxy).sessions) == []


async def test_when_no_endpoint_is_there_the_client_gets_the_error() -> None:
    async with proxying(udp_plan(*PLACES)) as proxy:
        if not relay(proxy).refuser.able:
            pytest.skip("raw sockets need CAP_NET_RAW")
        with client() as sock:
            sock.send(b"anybody?")
            with pytest.raises(ConnectionRefusedError):
                await receive(sock)


async def test_each_session_has_one_line_in_the_access_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "svcdns.proxy")
    dead = f"{address(2900)}:9000"
    async with (
        datagram_endpoints(1, lambda data: [data, data]),
        proxying(udp_plan(PLACES[0], dead, balance="round-robin"), access_log=True),
    ):
        ports = []
        with client() as one, client() as other:
            for sock in (one, other):  # one of both meets the dead endpoint first
                sock.send(b"12345")
                for _ in range(2):
                    assert await receive(sock) == b"12345"
                ports.append(sock.getsockname()[1])
        assert caplog.messages == [], "they idle"
    lines = [line.split() for line in caplog.messages]
    front = "{}:{}".format(*FRONT_ADDRESS)
    assert [line[:8] for line in lines] == [
        ["ns-1/web/UDP", f"127.0.0.1:{port}", "->", front, "->", PLACES[0], "up=5", "down=10"]
        for port in ports
    ]
    assert sorted(line[9] for line in lines) == ["attempts=1", "attempts=2"]
    assert {" ".join(line[10:]) for line in lines} == {"the frontend is gone"}


async def test_a_session_that_no_endpoint_took_has_its_line_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "svcdns.proxy")
    dead = [f"{address(2900 + n)}:9000" for n in range(2)]
    async with proxying(udp_plan(*dead), access_log=True):
        with client() as sock:
            sock.send(b"1")
            await until(lambda: bool(caplog.messages), "a line")
    (line,) = caplog.messages
    assert line.endswith("attempts=2 no endpoint took it")
    assert " down=0 " in line
