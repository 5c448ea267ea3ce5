"""Datagrams through a relay: whose they are, and what becomes of their sessions."""

import asyncio
import errno
import os
import socket
from collections import Counter
from contextlib import ExitStack
from typing import cast

import pytest

from svcdns.aio.forwarding import first_port
from svcdns.aio.udprelay import UdpFrontend
from svcdns.aio.userspace import UserspaceProxy
from svcdns.metrics import Registry
from svcdns.proxy.traffic import Drop
from svcdns.proxy.udplife import EXCHANGE_SECONDS, FLOW_SECONDS
from tests.support.endpoints import address, datagram_endpoints, receive, until
from tests.support.plans import forwarding_plan
from tests.support.relays import proxying
from tests.support.udprelays import PLACES, client, relay, udp_plan


async def test_a_flow_stays_with_its_endpoint() -> None:
    async with datagram_endpoints(3) as servers, proxying(udp_plan(*PLACES)):
        with client() as sock:
            for n in range(30):
                sock.send(b"%d" % n)
                assert await receive(sock) == b"%d" % n
        assert sorted(len(s.taken) for s in servers) == [0, 0, 30]
        assert len({addr for s in servers for _, addr in s.taken}) == 1


async def test_exchanges_spread_over_the_endpoints() -> None:
    async with datagram_endpoints(3) as servers, proxying(udp_plan(*PLACES)):
        for _ in range(60):
            with client() as sock:
                sock.send(b"question")
                assert await receive(sock) == b"question"
        # that one of three gets none has a chance of 1 in 12,000 million
        assert all(s.taken for s in servers)


async def test_clients_do_not_get_each_others_answers() -> None:
    async def one(number: int) -> bool:
        with client() as sock:
            for n in range(10):
                sock.send(b"%d/%d" % (number, n))
                if await receive(sock) != b"%d/%d" % (number, n):
                    return False
            return True

    async with datagram_endpoints(3), proxying(udp_plan(*PLACES)):
        assert all(await asyncio.gather(*(one(n) for n in range(50))))


class TestEndpointsThatLeave:
    async def flow(self, sock: socket.socket, proxy: UserspaceProxy) -> str:
        sock.send(b"x")
        await receive(sock)
        (session,) = relay(proxy).sessions
        return "{}:{}".format(*session.endpoint.sockaddr)

    async def test_the_flow_of_a_removed_endpoint_gets_another_one_r90(self) -> None:
        async with datagram_endpoints(2), proxying(udp_plan(*PLACES[:2])) as proxy:
            with client() as sock:
                first = await self.flow(sock, proxy)
                (other,) = {*PLACES[:2]} - {first}
                proxy.apply(forwarding_plan(udp_plan(other)))
                assert await self.flow(sock, proxy) == other

    async def test_a_serving_endpoint_keeps_its_flow_r92(self) -> None:
        async with datagram_endpoints(2), proxying(udp_plan(*PLACES[:2])) as proxy:
            with client() as sock:
                first = await self.flow(sock, proxy)
                (other,) = {*PLACES[:2]} - {first}
                proxy.apply(forwarding_plan(udp_plan(other, serving=(first, other))))
                assert await self.flow(sock, proxy) == first

    async def test_a_serving_endpoint_that_stops_serving_later_loses_its_flow_r90(self) -> None:
        async with datagram_endpoints(2), proxying(udp_plan(*PLACES[:2])) as proxy:
            with client() as sock:
                first = await self.flow(sock, proxy)
                (other,) = {*PLACES[:2]} - {first}
                proxy.apply(forwarding_plan(udp_plan(other, serving=(first, other))))
                proxy.apply(forwarding_plan(udp_plan(other)))
                assert await self.flow(sock, proxy) == other


async def test_a_service_without_endpoints_refuses_as_the_kernel_does_r50() -> None:
    async with proxying(udp_plan()):
        with client() as sock:
            sock.send(b"x")
            with pytest.raises(ConnectionRefusedError):
                await receive(sock)


class TestSessions:
    async def test_an_exchange_idles_shorter_than_a_flow(self) -> None:
        async with datagram_endpoints(1), proxying(udp_plan(PLACES[0])) as proxy:
            with client() as sock:
                sock.send(b"1")
                await receive(sock)
                (session,) = relay(proxy).sessions
                assert session.expires() - session.last == pytest.approx(EXCHANGE_SECONDS)
                sock.send(b"2")
                await receive(sock)
                assert session.expires() - session.last == pytest.approx(FLOW_SECONDS)

    async def test_idle_sessions_end_and_the_client_begins_another_one(self) -> None:
        async with datagram_endpoints(1), proxying(udp_plan(PLACES[0])) as proxy:
            with client() as sock:
                sock.send(b"1")
                await receive(sock)
                (session,) = relay(proxy).sessions
                session.last -= EXCHANGE_SECONDS + 1
                relay(proxy)._sweep()
                assert len(relay(proxy).sessions) == 0
                assert session.endpoint.active == 0
                sock.send(b"2")
                assert await receive(sock) == b"2"

    async def test_beyond_the_limit_the_one_longest_idle_goes(self) -> None:
        async with datagram_endpoints(1), proxying(udp_plan(PLACES[0])) as proxy:
            relay(proxy).limit = 3
            with client() as a, client() as b, client() as c, client() as d:
                for sock in (a, b, c, a):
                    sock.send(b"x")
                    await receive(sock)
                d.send(b"x")
                await receive(d)
                clients = Counter(s.client for s in relay(proxy).sessions)
                assert clients == Counter(s.getsockname() for s in (a, c, d))
                b.send(b"y")
                assert await receive(b) == b"y"
                assert len(relay(proxy).sessions) == 3

    @pytest.mark.parametrize("answered", [False, True])
    async def test_a_flood_of_new_clients_costs_no_flow_its_endpoint(
        self, answered: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        registry = Registry()
        async with (
            datagram_endpoints(3, lambda data: [data] if answered or data != b"flood" else []) as s,
            proxying(udp_plan(*PLACES), registry=registry) as proxy,
        ):
            relay(proxy).limit = 16
            with client() as flow, ExitStack() as flooding:
                for _ in range(2):
                    flow.send(b"hello")
                    assert await receive(flow) == b"hello"
                for n in range(1, 101):
                    # It stays open: the next one could be given its port, and with it its session.
                    sock = flooding.enter_context(client())
                    sock.send(b"flood")
                    await until(lambda: sum(len(one.taken) for one in s) > n + 1)  # noqa: B023
                    assert len(relay(proxy).sessions) <= 16
                flow.send(b"still here")
                assert await receive(flow) == b"still here"
            assert sorted(sum(b"h" in d[:5] for d, _ in one.taken) for one in s)[:2] == [0, 0]
            cells = {f.name: f.cells for f in registry.collect()}
            (evictions,) = cells["svcdns_proxy_evictions_total"].values()
            assert evictions.value == 101 - 16
            assert {
                k: c.value for k, c in cells["svcdns_proxy_dropped_datagrams_total"].items()
            } == {(reason,): 0 for reason in Drop}
        said = "UDP sessions run short: 16 are open, the limit; some end early"
        assert caplog.messages == [said]

    async def test_who_gets_the_socket_of_an_ended_session_hears_nothing_of_it(self) -> None:
        """The socket goes to the next client, but its port and what waits in it do not."""
        answers: list[tuple[bytes, tuple[str, int]]] = []
        async with (
            datagram_endpoints(1, lambda data: [] if data == b"slow" else [data]) as servers,
            proxying(udp_plan(PLACES[0])) as proxy,
        ):
            relay(proxy).limit = 1
            with client() as a, client() as b:
                a.send(b"slow")
                await until(lambda: bool(servers[0].taken))
                answers.append((b"late", servers[0].taken[0][1]))
                b.send(b"question")
                assert await receive(b) == b"question"
                for data, old in answers:
                    servers[0].send(data, old)
                b.send(b"another")
                assert await receive(b) == b"another"
                assert [served.evictions for served in proxy.services.values()] == [1]
                ((_, first), *_, (_, last)) = servers[0].taken
                assert first != last

    async def test_without_descriptors_another_session_makes_room(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        failures = [_NO_DESCRIPTORS]

        def short(*arguments: int) -> socket.socket:
            if failures:
                raise failures.pop()
            return original(*arguments)

        original = socket.socket
        async with datagram_endpoints(1), proxying(udp_plan(PLACES[0])) as proxy:
            with client() as a, client() as b:
                a.send(b"1")
                assert await receive(a) == b"1"
                with monkeypatch.context() as patch:
                    patch.setattr("svcdns.aio.udpsockets.socket.socket", short)
                    b.send(b"2")
                    assert await receive(b) == b"2"
                assert [s.client for s in relay(proxy).sessions] == [b.getsockname()]
                assert relay(proxy).dropped()[Drop.SOCKET] == 0

    async def test_without_any_the_datagram_is_lost_and_the_next_one_is_not(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def short(*_: int) -> socket.socket:
            raise _NO_DESCRIPTORS

        async with datagram_endpoints(1), proxying(udp_plan(PLACES[0])) as proxy:
            with client() as sock:
                with monkeypatch.context() as patch:
                    patch.setattr("svcdns.aio.udpsockets.socket.socket", short)
                    sock.send(b"lost")
                    await until(lambda: relay(proxy).dropped()[Drop.SOCKET] == 1)
                sock.send(b"2")
                assert await receive(sock) == b"2"
        said = "UDP sessions run short: Too many open files; datagrams of new clients are dropped"
        assert caplog.messages == [said]


class TestAnswersThatAreCounted:
    """With ``svcdns.io/responses``, as nginx's ``proxy_responses``."""

    async def test_a_session_is_over_when_all_answers_are_there(self) -> None:
        async with (
            datagram_endpoints(1, lambda data: [data, data]),
            proxying(udp_plan(PLACES[0], responses="2")) as proxy,
        ):
            with client() as sock:
                sock.send(b"x")
                assert await receive(sock) == b"x"
                assert await receive(sock) == b"x"
                assert len(relay(proxy).sessions) == 0
                (served,) = proxy.services.values()
                (endpoint,) = served.endpoints()
                assert (endpoint.connections, endpoint.active) == (1, 0)

    async def test_two_questions_at_once_have_both_answers(self) -> None:
        """As the C library asks for both families, from one port."""
        async with datagram_endpoints(1), proxying(udp_plan(PLACES[0], responses="1")) as proxy:
            with client() as sock:
                for _ in range(20):
                    sock.send(b"A")
                    sock.send(b"AAAA")
                    assert {await receive(sock), await receive(sock)} == {b"A", b"AAAA"}
            assert len(relay(proxy).sessions) == 0

    async def test_an_answer_too_late_is_nobodys(self) -> None:
        """Not even the client's who has the socket now."""
        async with (
            datagram_endpoints(1) as servers,
            proxying(udp_plan(PLACES[0], responses="1")) as proxy,
        ):
            with client() as a, client() as b:
                a.send(b"1")
                assert await receive(a) == b"1"
                ((_, old),) = servers[0].taken
                servers[0].send(b"once more", old)
                b.send(b"2")
                assert await receive(b) == b"2"
                servers[0].send(b"once more", old)
                b.send(b"3")
                assert await receive(b) == b"3"
                assert len(proxy._open) == 1

    async def test_without_all_answers_the_session_idles(self) -> None:
        async with (
            datagram_endpoints(1, lambda data: [data][: data != b"lost"]),
            proxying(udp_plan(PLACES[0], responses="1")) as proxy,
        ):
            with client() as sock:
                sock.send(b"lost")
                sock.send(b"found")
                assert await receive(sock) == b"found"
                (session,) = relay(proxy).sessions
                assert (session.sent, session.received) == (2, 1)

    async def test_dns_has_one_answer_until_the_annotation_says_otherwise(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        if first_port() > 53:
            pytest.skip("port 53 needs CAP_NET_BIND_SERVICE")
        for text, expected in (("", 1), ("any", 0), ("nothing", 0), ("2", 2)):
            plan = udp_plan(PLACES[0], front=f"{address(1)}:53", responses=text)
            async with proxying(plan) as proxy:
                (served,) = proxy.services.values()
                assert served.responses == expected, text
        (line,) = caplog.messages
        assert line == (
            "ns-1/web/UDP: svcdns.io/responses: 'nothing' is neither any nor a number from 1 to 1000; "
            "sessions end when they idle"
        )


class Portless:
    """A socket that finds no port *times* times, and then the first free one."""

    def __init__(self, times: int) -> None:
        self.times = times

    def connect(self, _: object) -> None:
        self.times -= 1
        if self.times >= 0:
            raise OSError(errno.EAGAIN, "no port is free")


@pytest.mark.parametrize(("times", "found"), [(1, True), (2, False)])
async def test_without_source_ports_another_session_gives_its_own(times: int, found: bool) -> None:
    async with datagram_endpoints(1), proxying(udp_plan(PLACES[0])) as proxy:
        with client() as other:
            other.send(b"1")
            assert await receive(other) == b"1"
        (frontend,) = proxy._open.values()
        assert isinstance(frontend, UdpFrontend)
        sock = cast("socket.socket", Portless(times))
        (endpoint,) = frontend.served.endpoints()
        taken = relay(proxy)._connect(sock, frontend, "127.0.0.1", [])
        assert taken is (endpoint if found else None)
        assert len(relay(proxy).sessions) == 0
        assert (endpoint.failures, endpoint.active, frontend.served.evictions) == (0, 0, 1)


async def test_without_source_ports_no_endpoint_is_blamed() -> None:
    async with datagram_endpoints(1), proxying(udp_plan(PLACES[0])) as proxy:
        (frontend,) = proxy._open.values()
        assert isinstance(frontend, UdpFrontend)
        sock = cast("socket.socket", Portless(1))
        assert relay(proxy)._connect(sock, frontend, "127.0.0.1", []) is None
        (endpoint,) = frontend.served.endpoints()
        assert endpoint.failures == 0


_NO_DESCRIPTORS = OSError(errno.EMFILE, "Too many open files")


async def test_datagrams_that_come_too_fast_are_counted_also_when_the_service_is_gone() -> None:
    async with datagram_endpoints(1), proxying(udp_plan(PLACES[0])) as proxy:
        with client() as sock:
            for _ in range(20_000):  # nobody takes them meanwhile, and no kernel has 1.2 GB for us
                sock.send(bytes(60_000))
        lost = relay(proxy).dropped()[Drop.QUEUE]
        assert 0 < lost < 20_000
        proxy.apply(forwarding_plan())
        assert relay(proxy).dropped()[Drop.QUEUE] >= lost


async def test_where_the_kernel_knows_no_way_the_client_is_told() -> None:
    """A link-local address without an interface leads nowhere, and the kernel says so at once."""
    port = 8100 + os.getpid() % 800
    async with proxying(udp_plan("fe80::1:9000", front=f"::1:{port}")) as proxy:
        if not relay(proxy).refuser.able:
            pytest.skip("raw sockets need CAP_NET_RAW")
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
            sock.connect(("::1", port))
            sock.send(b"anybody?")
            with pytest.raises(ConnectionRefusedError):
                await receive(sock)
        (served,) = proxy.services.values()
        assert served.failures == 1
        assert relay(proxy).dropped()[Drop.ENDPOINT] == 1


async def test_a_flow_follows_its_address_to_another_service_r109() -> None:
    async with datagram_endpoints(2) as servers, proxying(udp_plan(PLACES[0])) as proxy:
        with client() as sock:
            sock.send(b"1")
            await receive(sock)
            proxy.apply(forwarding_plan(udp_plan(PLACES[1], name="other")))
            sock.send(b"2")
            assert await receive(sock) == b"2"
        assert [len(s.taken) for s in servers] == [1, 1]
