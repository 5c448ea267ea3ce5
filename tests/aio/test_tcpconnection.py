"""Finding an endpoint that answers, before the client notices that others do not."""

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from svcdns.aio import tcpconnection, tcpleg
from svcdns.aio.tcpconnection import Connection
from svcdns.aio.tcpoptions import RESET
from svcdns.aio.tcprelay import TcpListener
from svcdns.aio.userspace import UserspaceProxy
from svcdns.proxy.repeat import REPEATS
from tests.support.endpoints import address, dial, endpoints, receive, receive_all, until
from tests.support.plans import forwarding_plan, service_plan
from tests.support.relays import FRONT, FRONT_ADDRESS, proxying

DEAD = [f"{address(3000 + n)}:9000" for n in range(9)]


async def ask(data: bytes = b"ping") -> bytes:
    with await dial(*FRONT_ADDRESS) as client:
        client.send(data)
        return await receive(client)


async def test_nine_dead_endpoints_of_ten_are_not_noticed() -> None:
    async with (
        endpoints(1) as (server,),
        proxying(service_plan(FRONT, server.name, *DEAD)) as proxy,
    ):
        for _ in range(100):
            assert await ask() == b"ping"
        (served,) = proxy.services.values()
        assert served.retries > 0
        assert served.ejections > 0
        assert served.failures == 0
        assert server.taken == 100


async def test_an_endpoint_that_does_not_answer_is_given_up_for_another() -> None:
    """A full accept queue: SYNs are dropped, connects take for ever."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as silent:
        silent.bind((address(3100), 9000))
        silent.listen(0)
        fillers = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex((address(3100), 9000))
        async with endpoints(1) as (server,):
            plan = service_plan(FRONT, server.name, f"{address(3100)}:9000", balance="round-robin")
            async with proxying(plan) as proxy:
                assert await asyncio.gather(*(ask() for _ in range(10))) == [b"ping"] * 10
                (served,) = proxy.services.values()
                assert served.failures == 0
                assert 1 <= served.retries <= 5
        for filler in fillers:
            filler.close()


async def test_an_endpoint_is_not_given_up_because_we_are_late() -> None:
    """Its answer waits in the poller while the time-out comes: the loop had much else to do."""
    async with (
        endpoints(2) as servers,
        proxying(service_plan(FRONT, *(one.name for one in servers))) as proxy,
    ):
        with socket.create_connection(FRONT_ADDRESS) as client:
            client.setblocking(False)
            (listener,) = proxy._open.values()
            assert isinstance(listener, TcpListener)
            listener.accept(1)
            assert proxy._tcp is not None
            (connection,) = proxy._tcp.connections
            first = connection.endpoint
            connection.timed_out()
            assert connection.endpoint is first
            client.send(b"ping")
            assert await receive(client) == b"ping"
        assert sum(one.retries for one in proxy.services.values()) == 0


async def test_when_no_endpoint_lives_the_client_is_reset() -> None:
    async with proxying(service_plan(FRONT, *DEAD[:3])) as proxy:
        with await dial(*FRONT_ADDRESS) as client, pytest.raises(ConnectionResetError):
            await receive(client)
        (served,) = proxy.services.values()
        assert served.failures == 1
        assert served.retries == 11  # three endpoints, four rounds


async def test_an_endpoint_that_is_born_while_others_are_tried_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tcpconnection, "ROUNDS", 100)
    monkeypatch.setattr(tcpconnection, "TURN_AROUND_SECONDS", 0.01)
    monkeypatch.setattr(tcpconnection, "CONNECT_DEADLINE_SECONDS", 60.0)
    async with proxying(service_plan(FRONT, *DEAD[:2])) as proxy:
        with await dial(*FRONT_ADDRESS) as client:
            client.send(b"ping")
            await until(lambda: bool(proxy._tcp and proxy._tcp._waiting))
            async with endpoints(1) as (server,):
                proxy.apply(forwarding_plan(service_plan(FRONT, server.name)))
                assert await receive(client) == b"ping"


async def test_affinity_moves_to_the_endpoint_that_answered_r131() -> None:
    async with endpoints(3) as servers:
        plan = service_plan(FRONT, *(s.name for s in servers), affinity=100)
        async with proxying(plan):
            for _ in range(5):
                await ask()
            (first,) = (s for s in servers if s.taken)
            assert first.taken == 5
            first.refuse()
            for _ in range(5):
                await ask()
            assert sorted(s.taken for s in servers) == [0, 5, 5]


async def test_local_shortage_is_not_the_endpoints_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """EADDRNOTAVAIL: all source ports towards the endpoint are in use for a moment."""
    failures = 3
    connect = Connection._connect

    def exhausted(self: Connection, upstream: socket.socket, endpoint: object) -> int:
        nonlocal failures
        if failures:
            failures -= 1
            return errno.EADDRNOTAVAIL
        return connect(self, upstream, endpoint)  # type: ignore[arg-type]

    monkeypatch.setattr(Connection, "_connect", exhausted)
    async with endpoints(1) as (server,), proxying(service_plan(FRONT, server.name)) as proxy:
        assert await ask() == b"ping"
        (served,) = proxy.services.values()
        (endpoint,) = served.endpoints()
        assert endpoint.failures == 0
        assert served.failures == 0


async def test_shortage_without_end_ends_with_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcpconnection, "CONNECT_DEADLINE_SECONDS", 0.3)
    monkeypatch.setattr(Connection, "_connect", lambda *a: errno.EADDRNOTAVAIL)
    async with endpoints(1) as (server,), proxying(service_plan(FRONT, server.name)):
        with await dial(*FRONT_ADDRESS) as client, pytest.raises(ConnectionResetError):
            await receive(client)


@pytest.mark.parametrize(
    ("version", "size"), [("v1", None), ("v2", 28)], ids=["v1 text", "v2 binary"]
)
async def test_an_endpoint_that_asks_learns_who_the_client_is(
    version: str, size: int | None
) -> None:
    async with (
        endpoints(1) as (server,),
        proxying(service_plan(FRONT, server.name, proxy_protocol=version)),
    ):
        with await dial(*FRONT_ADDRESS) as client:
            host, port = client.getsockname()
            client.send(b"GET /")
            client.shutdown(socket.SHUT_WR)
            got = await receive_all(client)
            if version == "v1":
                line = f"PROXY TCP4 {host} {FRONT_ADDRESS[0]} {port} {FRONT_ADDRESS[1]}\r\n"
                assert got == line.encode() + b"GET /"
            else:
                assert got[:12] == b"\r\n\r\n\x00\r\nQUIT\n"
                assert socket.inet_ntoa(got[16:20]) == host
                assert int.from_bytes(got[24:26], "big") == port
                assert got[size:] == b"GET /"


async def test_the_access_log_has_one_line_a_connection(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "svcdns.proxy")
    async with (
        endpoints(1) as (server,),
        proxying(service_plan(FRONT, server.name), access_log=True) as proxy,
    ):
        await ask(b"12345")
        await until(lambda: not proxy._tcp.connections)  # type: ignore[union-attr]
    (line,) = (r.getMessage() for r in caplog.records if "attempts=" in r.getMessage())
    assert line.startswith("ns-1/web/TCP 127.0.0.1:")
    assert f"-> {FRONT} -> {server.name} up=5 down=5 " in line
    assert line.endswith("attempts=1 done")


async def test_a_client_that_leaves_while_endpoints_are_tried_costs_nothing_more() -> None:
    async with proxying(service_plan(FRONT, *DEAD[:3])) as proxy:
        (await dial(*FRONT_ADDRESS)).close()
        (served,) = proxy.services.values()
        await until(lambda: served.failures == 1)
        assert not proxy._tcp.connections  # type: ignore[union-attr]
        assert all(e.active == 0 for e in served.endpoints())


GET = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"
POST = b"POST /pay HTTP/1.1\r\nHost: web\r\nContent-Length: 0\r\n\r\n"


class TestEndpointsThatReset:
    """An endpoint that stops resets what waits in its accept queue; nobody has served that yet."""

    @pytest.fixture
    def queue(self) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((address(3200), 9000))
            sock.listen(100)
            yield sock

    QUEUE = f"{address(3200)}:9000"

    async def stands_in_it(self, proxy: UserspaceProxy, other: str, **more: Any) -> None:
        """Wait until a client waits in the queue; then there is another endpoint as well."""
        (served,) = proxy.services.values()
        await until(lambda: [e.connections for e in served.endpoints()] == [1])
        plan = service_plan(FRONT, other, self.QUEUE, **more)
        proxy.apply(forwarding_plan(plan))

    async def test_a_client_that_has_said_nothing_does_not_notice(
        self, queue: socket.socket
    ) -> None:
        async with endpoints(1) as (server,), proxying(service_plan(FRONT, self.QUEUE)) as proxy:
            with await dial(*FRONT_ADDRESS) as client:
                await self.stands_in_it(proxy, server.name)
                queue.close()
                await until(lambda: server.taken == 1)
                client.send(b"ping")
                assert await receive(client) == b"ping"
            (served,) = proxy.services.values()
            assert (served.retries, served.failures) == (1, 0)
            await until(lambda: not any(e.active for e in served.endpoints()))

    async def test_what_it_says_at_that_moment_is_not_lost(self, queue: socket.socket) -> None:
        """The words are read, the endpoint is gone when they are to be sent."""
        async with endpoints(1) as (server,), proxying(service_plan(FRONT, self.QUEUE)) as proxy:
            with await dial(*FRONT_ADDRESS) as client:
                await self.stands_in_it(proxy, server.name)
                client.send(b"ping")  # the proxy has no turn before the reset is there
                queue.close()
                assert await receive(client) == b"ping"
                client.send(b"more")
                assert await receive(client) == b"more"
                client.shutdown(socket.SHUT_WR)
                assert await receive_all(client) == b""
            (served,) = proxy.services.values()
            assert served.retries == 1

    async def test_what_an_endpoint_has_taken_is_never_sent_to_another(
        self, queue: socket.socket
    ) -> None:
        async with endpoints(1) as (server,), proxying(service_plan(FRONT, self.QUEUE)) as proxy:
            with await dial(*FRONT_ADDRESS) as client:
                await self.stands_in_it(proxy, server.name)
                client.send(b"pay")
                (served,) = proxy.services.values()
                await until(lambda: [leg_octets(c) for c in running(proxy)] == [3])
                queue.close()
                with pytest.raises(ConnectionResetError):
                    await receive_all(client)
            assert server.taken == 0
            assert served.retries == 0

    @pytest.mark.parametrize(("size", "again"), [(3, True), (16_384, True), (16_385, False)])
    async def test_unless_the_service_says_that_it_does_no_harm(
        self, queue: socket.socket, size: int, again: bool
    ) -> None:
        """``svcdns.io/retry: empty-response``, as far as the words are kept."""
        words, retry = b"w" * size, "empty-response"
        plan = service_plan(FRONT, self.QUEUE, retry=retry)
        async with endpoints(1) as (server,), proxying(plan) as proxy:
            with await dial(*FRONT_ADDRESS) as client:
                await self.stands_in_it(proxy, server.name, retry=retry)
                client.send(words)
                await until(lambda: [leg_octets(c) for c in running(proxy)] == [size])
                queue.close()
                if again:
                    got = b""
                    while len(got) < size:
                        got += await receive(client)
                    assert got == words
                    assert [kept(c) for c in running(proxy)] == [b""]
                else:
                    with pytest.raises(ConnectionResetError):
                        await receive_all(client)
            assert server.taken == int(again)

    @pytest.mark.parametrize(
        ("retry", "words", "again"),
        [
            ("", GET, True),
            ("", POST, False),
            ("never", GET, False),
            ("empty-response", POST, True),
        ],
    )
    async def test_or_the_request_is_harmless(
        self, queue: socket.socket, retry: str, words: bytes, again: bool
    ) -> None:
        plan = service_plan(FRONT, self.QUEUE, retry=retry)
        async with endpoints(1) as (server,), proxying(plan) as proxy:
            with await dial(*FRONT_ADDRESS) as client:
                await self.stands_in_it(proxy, server.name, retry=retry)
                client.send(words)
                await until(lambda: [leg_octets(c) for c in running(proxy)] == [len(words)])
                queue.close()
                if again:
                    assert await receive(client) == words
                else:
                    with pytest.raises(ConnectionResetError):
                        await receive_all(client)
            assert server.taken == int(again)

    @pytest.mark.parametrize(("words", "taken"), [(GET, REPEATS + 1), (POST, 1)])
    async def test_a_request_that_ends_who_reads_it_does_not_go_round_all(
        self, words: bytes, taken: int
    ) -> None:
        async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write_eof()

        async with (
            endpoints(6, die) as servers,
            proxying(service_plan(FRONT, *(s.name for s in servers))) as proxy,
        ):
            with await dial(*FRONT_ADDRESS) as client:
                client.send(words)
                assert await receive_all(client) == b""
            assert sum(s.taken for s in servers) == taken
            (served,) = proxy.services.values()
            assert [e.failures for e in served.endpoints()] == [0] * 6

    async def test_what_follows_a_harmless_request_makes_it_one_that_is_not_repeated(
        self, queue: socket.socket
    ) -> None:
        async with endpoints(1) as (server,), proxying(service_plan(FRONT, self.QUEUE)) as proxy:
            with await dial(*FRONT_ADDRESS) as client:
                await self.stands_in_it(proxy, server.name)
                for number, words in enumerate((GET, POST)):
                    client.send(words)
                    so_far = len(GET) + number * len(POST)
                    await until(lambda: [leg_octets(c) for c in running(proxy)] == [so_far])  # noqa: B023
                queue.close()
                with pytest.raises(ConnectionResetError):
                    await receive_all(client)
            assert server.taken == 0

    async def test_after_the_endpoints_first_word_a_reset_is_passed_on_in_any_case(self) -> None:
        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.read(100))
            await reader.read(100)
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()

        async with endpoints(2, hang_up) as servers:
            names = (s.name for s in servers)
            async with proxying(service_plan(FRONT, *names, retry="empty-response")):
                with await dial(*FRONT_ADDRESS) as client:
                    client.send(b"one")
                    assert await receive(client) == b"one"
                    client.send(b"two")
                    with pytest.raises(ConnectionResetError):
                        await receive_all(client)
                assert sum(s.taken for s in servers) == 1

    async def test_an_end_without_a_response_is_hidden_where_the_service_says_so(self) -> None:
        """A process that is killed after it has read the request leaves a FIN, not a RST."""

        async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert await reader.read(100) == b"ping"
            writer.write_eof()

        async with endpoints(1, first=1900) as (good,), endpoints(2, die) as bad:
            names = [s.name for s in (good, *bad)]
            plan = service_plan(FRONT, *names, retry="empty-response", balance="round-robin")
            async with proxying(plan) as proxy:
                for _ in range(6):
                    with await dial(*FRONT_ADDRESS) as client:
                        client.send(b"ping")
                        assert await receive(client) == b"ping"
                        client.shutdown(socket.SHUT_WR)
                        assert await receive_all(client) == b""
                assert good.taken == 6
                assert sum(s.taken for s in bad) > 0
                (served,) = proxy.services.values()
                await until(lambda: not any(e.active for e in served.endpoints()))

    async def test_so_is_an_end_before_the_question_and_nobody_is_blamed(self) -> None:
        """A process that is killed before it is asked leaves a FIN too; so do idle time-outs."""

        async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write_eof()
            await reader.read()

        async with endpoints(1, first=1900) as (good,), endpoints(2, leave) as bad:
            names = [s.name for s in (good, *bad)]
            plan = service_plan(FRONT, *names, retry="empty-response", balance="round-robin")
            async with proxying(plan) as proxy:
                for number in range(1, 7):
                    with await dial(*FRONT_ADDRESS) as client:
                        await until(lambda: good.taken >= number)  # noqa: B023
                        client.send(b"ping")
                        assert await receive(client) == b"ping"
                (served,) = proxy.services.values()
                assert served.retries == sum(s.taken for s in bad) > 0
                assert [e.failures for e in served.endpoints()] == [0, 0, 0]

    @pytest.mark.parametrize(
        ("retry", "words", "again"), [("", GET, True), ("", POST, False), ("never", GET, False)]
    )
    async def test_an_end_before_a_harmless_question_is_hidden(
        self, retry: str, words: bytes, again: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A process that is killed before the question has reached it."""
        monkeypatch.setattr(tcpleg, "SILENT_END_SECONDS", 60)
        gone = asyncio.Event()

        async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()
            await writer.wait_closed()
            gone.set()

        async with (
            endpoints(1) as (good,),
            endpoints(1, leave, first=1900) as (bad,),
            proxying(service_plan(FRONT, bad.name, retry=retry)) as proxy,
        ):
            client = await dial(*FRONT_ADDRESS)
            await gone.wait()
            await until(lambda: [c._endpoint_leg.ended for c in running(proxy)] == [True])  # type: ignore[union-attr]
            proxy.apply(forwarding_plan(service_plan(FRONT, bad.name, good.name, retry=retry)))
            client.send(words)
            with client:
                if again:
                    assert await receive(client) == words
                else:
                    with contextlib.suppress(ConnectionResetError):
                        assert await receive_all(client) == b""
            assert good.taken == int(again)

    async def test_an_end_without_a_word_is_an_answer(self) -> None:
        """FIN is not RST: a server may mean it."""

        async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write_eof()
            await reader.read()

        async with (
            endpoints(2, leave) as servers,
            proxying(service_plan(FRONT, *(s.name for s in servers))),
        ):
            with await dial(*FRONT_ADDRESS) as client:
                assert await receive_all(client) == b""
            assert sorted(s.taken for s in servers) == [0, 1]

    async def test_a_reset_in_answer_to_the_clients_end_is_an_answer(self) -> None:
        """A probe connects and leaves; many servers reset that, and none of them is at fault."""

        async def reset_at_the_end(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            assert await reader.read() == b""
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()

        async with (
            endpoints(2, reset_at_the_end) as servers,
            proxying(service_plan(FRONT, *(s.name for s in servers))) as proxy,
        ):
            client = await dial(*FRONT_ADDRESS)
            client.shutdown(socket.SHUT_WR)
            with client, pytest.raises(ConnectionResetError):
                await receive_all(client)
            assert sum(s.taken for s in servers) == 1
            (served,) = proxy.services.values()
            assert [e.failures for e in served.endpoints()] == [0, 0]

    async def test_when_all_of_them_reset_the_client_is_reset_in_the_end(self) -> None:
        async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()

        async with (
            endpoints(2, reset) as servers,
            proxying(service_plan(FRONT, *(s.name for s in servers))) as proxy,
        ):
            client = await dial(*FRONT_ADDRESS)
            with client, pytest.raises(ConnectionResetError):
                await receive_all(client)
            assert [s.taken for s in servers] == [tcpconnection.ROUNDS] * 2
            (served,) = proxy.services.values()
            assert served.failures == 1
            assert not running(proxy)

    async def test_the_next_endpoint_learns_who_the_client_is_too(
        self, queue: socket.socket
    ) -> None:
        async with endpoints(1) as (server,):
            plan = service_plan(FRONT, self.QUEUE, proxy_protocol="v1")
            async with proxying(plan) as proxy:
                with await dial(*FRONT_ADDRESS) as client:
                    await self.stands_in_it(proxy, server.name, proxy_protocol="v1")
                    queue.close()
                    host, number = client.getsockname()
                    front, at = FRONT_ADDRESS
                    expected = f"PROXY TCP4 {host} {front} {number} {at}\r\n".encode()
                    assert await receive(client) == expected  # an echo


def running(proxy: UserspaceProxy) -> list[Connection]:
    assert proxy._tcp is not None
    return list(proxy._tcp.connections)


def kept(connection: Connection) -> bytes:
    return connection._client_leg._unsent if connection._client_leg else b""


def leg_octets(connection: Connection) -> int:
    return connection._client_leg.octets if connection._client_leg else 0
