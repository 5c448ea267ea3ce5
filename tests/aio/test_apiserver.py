import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from svcdns.aio.apiserver import CHUNK_OCTETS, ApiServer, ClientMetrics, Limits, Stalled
from svcdns.aio.credentials import Access, TokenFile, endpoint, tls_context
from svcdns.errors import ApiError, ApiUnavailable, ResourceExpired
from svcdns.kube.reflector import UNTRUSTED
from svcdns.kube.source import ApiSource
from svcdns.metrics import Registry
from tests.support import apistate
from tests.support.apiserver import FakeApiServer
from tests.support.certificates import authority
from tests.support.waiting import until

SERVICES = "/api/v1/services"
FAR = lambda: time.monotonic() + 60  # noqa: E731 - a deadline


@asynccontextmanager
async def client(
    access: Access,
    registry: Registry | None = None,
    clock: Callable[[], float] = time.monotonic,
    **limits: object,
) -> AsyncIterator[ApiServer]:
    source = ApiSource(kinds=(), **limits)  # type: ignore[arg-type]  # keywords of tests
    made = ApiServer(
        access,
        Limits(source, clock()),
        ClientMetrics(registry or Registry(), "coredns_kubernetes_"),
        user_agent="tests",
        clock=clock,
    )
    try:
        yield made
    finally:
        await made.close()


async def body(server: ApiServer, path: str = SERVICES, **query: str) -> bytes:
    async with server.get(path, tuple(query.items()), FAR) as chunks:
        return b"".join([chunk async for chunk in chunks])


@pytest.mark.parametrize(
    ("code", "reason", "type"),
    [
        (400, "BadRequest", ApiError),
        (401, "Unauthorized", ApiError),
        (403, "Forbidden", ApiError),
        (410, "Expired", ResourceExpired),
        (429, "TooManyRequests", ApiUnavailable),
        (500, "InternalError", ApiUnavailable),
        (503, "ServiceUnavailable", ApiUnavailable),
    ],
)
async def test_a_refusal_is_an_error_of_ours(code: int, reason: str, type: type[ApiError]) -> None:
    async with FakeApiServer() as fake, client(Access(fake.url)) as server:
        fake.refuse(code, reason, retry_after=7)
        with pytest.raises(ApiError) as caught:
            await body(server)
        assert caught.value.__class__ is type
        assert (caught.value.status, caught.value.reason) == (code, reason)
        if isinstance(caught.value, ApiUnavailable):
            assert caught.value.retry_after == 7


async def test_a_refusal_that_is_no_status_is_told_as_it_is() -> None:
    async with FakeApiServer() as fake, client(Access(fake.url)) as server:
        with pytest.raises(ApiError, match="404: 404 page not found"):
            await body(server, "/apis/nothing.example/v1/things")


async def test_a_large_answer_comes_in_pieces_that_are_soon_worked_through() -> None:
    async with FakeApiServer() as fake:
        for number in range(1000):
            fake.state.put(apistate.service(f"ns/s{number}"))
        async with client(Access(fake.url)) as server, server.get(SERVICES, (), FAR) as chunks:
            sizes = [len(chunk) async for chunk in chunks]

    assert sum(sizes) > 3 * CHUNK_OCTETS
    assert max(sizes) <= CHUNK_OCTETS


async def test_an_endless_refusal_is_cut() -> None:
    async with FakeApiServer() as fake, client(Access(fake.url)) as server:
        fake.refuse(500, body=b"x" * 10_000_000)
        with pytest.raises(ApiUnavailable) as caught:
            await body(server)
        assert len(caught.value.message) == 256


async def test_a_port_that_nobody_listens_on() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with client(Access(f"http://127.0.0.1:{taken.getsockname()[1]}")) as server:
            with pytest.raises(ApiUnavailable) as caught:
                await body(server)
    assert (caught.value.status, caught.value.message) == (0, "connection refused")


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"", "the server cut the connection"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "the server cut the connection"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nha", "the server cut"),
        (b"SSH-2.0-OpenSSH_9\r\n", ""),
        (b"\x00\x01\x02", ""),
    ],
)
async def test_whatever_a_peer_sends_is_an_error_of_ours(octets: bytes, text: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(octets)
        writer.close()

    peer = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = peer.sockets[0].getsockname()[1]
    async with peer, client(Access(f"http://127.0.0.1:{port}")) as server:
        with pytest.raises(ApiUnavailable) as caught:
            await body(server)
    assert caught.value.status == 0
    assert text in caught.value.message


async def test_silence_before_and_within_an_answer_is_a_stall() -> None:
    async with FakeApiServer() as fake, client(Access(fake.url)) as server:
        soon = time.monotonic() + 0.05
        fake.frozen = True
        with pytest.raises(Stalled):
            async with server.get(SERVICES, (), lambda: soon):
                pass
        fake.frozen = False
        limits: list[Callable[[], float]] = [FAR]
        watching = (("watch", "true"), ("allowWatchBookmarks", "true"))
        async with server.get(SERVICES, watching, lambda: limits[0]()) as chunks:
            assert b"BOOKMARK" in await anext(chunks)
            limits[0] = time.monotonic
            with pytest.raises(Stalled):
                await anext(chunks)


async def test_a_server_is_verified_and_may_ask_who_we_are(tmp_path: Path) -> None:
    certificate = authority(tmp_path, "api.example")
    async with FakeApiServer(context=certificate.server_context()) as fake:
        good = endpoint(fake.url, ("", "", certificate.authority))
        named = Access(fake.url, good.context, server_hostname="api.example")
        wrong = Access(fake.url, good.context, server_hostname="other.example")
        unknown = Access(fake.url, tls_context())
        careless = Access(fake.url, tls_context(verify=False))
        for access in (good, named, careless):
            async with client(access) as server:
                assert b"ServiceList" in await body(server)
        for access in (wrong, unknown):
            async with client(access) as server:
                with pytest.raises(ApiUnavailable, match="tls: failed to verify") as caught:
                    await body(server)
                assert caught.value.reason == UNTRUSTED


async def test_a_token_is_read_for_every_request_and_a_missing_one_is_told(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("one\n")
    async with FakeApiServer() as fake:
        fake.tokens = {"one"}
        async with client(Access(fake.url, None, TokenFile(token))) as server:
            await body(server)
            fake.tokens = {"two"}
            token.write_text("two\n")
            await body(server)
            token.unlink()
            with pytest.raises(ApiUnavailable, match=r"token file .*: no such file"):
                await body(server)


async def test_requests_are_counted_under_coredns_names() -> None:
    registry = Registry()
    async with FakeApiServer() as fake, client(Access(fake.url), registry) as server:
        host = fake.url.removeprefix("http://")
        await body(server)
        fake.refuse(403, times=1)
        with pytest.raises(ApiError):
            await body(server)
        await fake.stop()
        with pytest.raises(ApiError):
            await body(server)

    families = registry.families
    counted = families["coredns_kubernetes_rest_client_requests_total"]
    assert counted.labels == ("code", "method", "host")
    assert {key: cell.value for key, cell in counted.cells.items()} == {
        ("200", "GET", host): 1, ("403", "GET", host): 1, ("<error>", "GET", host): 1,
    }  # fmt: skip
    for name in ("request_duration_seconds", "rate_limiter_duration_seconds"):
        family = families[f"coredns_kubernetes_rest_client_{name}"]
        assert family.labels == ("verb", "host")
        assert sum(family.histograms["GET", host].counts) == 3


async def test_g9_no_more_requests_are_under_way_than_allowed_but_watches_are_not_counted() -> None:
    async with FakeApiServer() as fake, client(Access(fake.url), max_inflight=1) as server:
        watching = (("watch", "true"),)
        async with server.get(SERVICES, watching, FAR), server.get(SERVICES, watching, FAR):
            await body(server)
            async with server.get(SERVICES, (), FAR):
                second = asyncio.create_task(body(server))
                await until(lambda: len(server._limits.inflight._waiters or ()) == 1)  # type: ignore[union-attr]
                assert len(fake.asked("list")) == 2
            assert b"ServiceList" in await second


async def test_g9_requests_beyond_the_burst_wait() -> None:
    registry, now = Registry(), time.monotonic()
    async with (
        FakeApiServer() as fake,
        client(Access(fake.url), registry, lambda: now, qps=50.0, burst=1) as server,
    ):
        await asyncio.gather(*(body(server) for _ in range(4)))
    (waited,) = registry.families[
        "coredns_kubernetes_rest_client_rate_limiter_duration_seconds"
    ].histograms.values()
    assert waited.sum == pytest.approx(0.02 + 0.04 + 0.06)


async def test_a_retired_server_closes_after_its_last_stream() -> None:
    async with FakeApiServer() as fake, client(Access(fake.url)) as server:
        async with server.get(SERVICES, (("watch", "true"),), FAR) as chunks:
            await server.retire()
            fake.bookmark()
            fake.send(b"line\n")
            assert await anext(chunks)
        assert server._session.closed


async def test_a_vanished_peer_is_noticed_by_the_kernel() -> None:
    watching = (("watch", "true"),)
    async with (
        FakeApiServer() as fake,
        client(Access(fake.url)) as server,
        server.get(SERVICES, watching, FAR),
    ):
        (protocol,) = server._session.connector._acquired  # type: ignore[union-attr]  # it is open
        sock = protocol.transport.get_extra_info("socket")  # type: ignore[union-attr]  # it is open
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 15
