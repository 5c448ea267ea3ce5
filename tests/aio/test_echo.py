"""The demo's endpoints, met by real sockets."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import dns.asyncquery
import dns.message
import dns.rdatatype
import pytest

from svcdns.aio import echo
from svcdns.aio.echo import EchoEndpoints, datagram, places
from svcdns.kube.manifests import parse
from svcdns.kube.objects import Kind, Pod
from svcdns.kube.store import Store
from tests.support.manifests import pod, write

PORT = 18080


def made(
    name: str, value: str, ip: str, protocol: str = "TCP", port: int = PORT, **status: Any
) -> Pod:
    written = pod(
        name, "x", labels={"svcdns.io/echo": value}, status={"podIP": ip} | status,
        spec={"containers": [{"ports": [{"containerPort": port, "protocol": protocol}]}]},
    )  # fmt: skip
    (found,) = parse(write(written), "f").objects
    assert isinstance(found.object, Pod)
    return found.object


class Demo:
    """A store whose Pods are served."""

    def __init__(self) -> None:
        self.store = Store()
        self.echo = EchoEndpoints(self.store)

    async def put(self, *pods: Pod) -> None:
        for one in pods:
            self.store.apply(one)
        await self.echo._step()


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    found = Demo()
    await found.echo.start()
    yield found
    await found.echo.stop()


async def get(address: str, path: str = "/", port: int = PORT) -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{address}:{port}{path}") as answer,
    ):
        return await answer.text()


async def refused(address: str, port: int = PORT) -> bool:
    try:
        _, writer = await asyncio.open_connection(address, port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


async def test_http_names_the_pod_its_address_and_the_client(demo: Demo) -> None:
    await demo.put(made("web-0", "http", "127.199.0.1"))

    assert await get("127.199.0.1", "/a") == (
        f"default/web-0 at 127.199.0.1:{PORT}: GET /a from 127.0.0.1\n"
    )


async def test_each_pod_has_its_own_address(demo: Demo) -> None:
    await demo.put(made("a", "http", "127.199.0.1"), made("b", "http", "127.199.0.2"))

    assert (await get("127.199.0.1")).startswith("default/a ")
    assert (await get("127.199.0.2")).startswith("default/b ")
    assert demo.echo.count == 2


async def test_tcp_greets_and_sends_back(demo: Demo) -> None:
    await demo.put(made("db-0", "tcp", "127.199.0.1"))
    reader, writer = await asyncio.open_connection("127.199.0.1", PORT)
    writer.write(b"hello\n")

    assert await reader.readline() == f"default/db-0 at 127.199.0.1:{PORT}\n".encode()
    assert await reader.readline() == b"hello\n"
    writer.close()
    await writer.wait_closed()


async def test_udp_answers_text_with_text_and_dns_with_dns(demo: Demo) -> None:
    await demo.put(made("clock-0", "udp", "127.199.0.1", "UDP"))

    for rrtype, expected in (
        ("TXT", f'"default/clock-0 at 127.199.0.1:{PORT}"'),
        ("A", "127.199.0.1"),
    ):
        query = dns.message.make_query("who.am.i.", rrtype)
        answer = await dns.asyncquery.udp(query, "127.199.0.1", 30, PORT)
        assert [str(record) for record in answer.answer[0]] == [expected]
    query = dns.message.make_query("who.am.i.", "MX")
    assert (await dns.asyncquery.udp(query, "127.199.0.1", 30, PORT)).answer == []


@pytest.mark.parametrize("data", [b"", b"hello\n", b"\x00" * 12, b"\xff" * 2000])
def test_any_datagram_that_is_no_query_comes_back(data: bytes) -> None:
    answer = datagram(data, "a/b", "127.0.0.1", "127.0.0.1:1")

    assert answer.startswith(b"a/b at 127.0.0.1:1: ")
    assert answer.endswith(data[:1232])


def test_an_ipv6_pod_answers_aaaa() -> None:
    query = dns.message.make_query("x.", "AAAA")
    answer = dns.message.from_wire(datagram(query.to_wire(), "a/b", "::1", "[::1]:1"))

    assert [str(record) for record in answer.answer[0]] == ["::1"]


async def test_endpoints_stop_with_their_pod_and_move_with_its_address(demo: Demo) -> None:
    await demo.put(made("a", "http", "127.199.0.1"))
    await demo.put(made("a", "http", "127.199.0.2"))
    assert await refused("127.199.0.1")
    assert (await get("127.199.0.2")).startswith("default/a ")

    demo.store.delete(Kind.POD, ("default", "a"))
    await demo.put()
    assert await refused("127.199.0.2")
    assert demo.echo.count == 0


async def test_an_address_passes_from_one_pod_to_another(demo: Demo) -> None:
    await demo.put(made("a", "http", "127.199.0.1"))
    demo.store.delete(Kind.POD, ("default", "a"))

    await demo.put(made("b", "http", "127.199.0.1"))

    assert (await get("127.199.0.1")).startswith("default/b ")


@pytest.mark.parametrize(
    "unserved",
    [
        made("a", "http", "127.199.0.1", phase="Succeeded"),
        made("a", "http", "127.199.0.1", phase="Failed"),
        made("a", "udp", "127.199.0.1"),
        made("a", "http", "127.199.0.1", "SCTP"),
        made("a", "magic", "127.199.0.1"),
    ],
    ids=["succeeded", "failed", "udp has no TCP", "SCTP", "unknown value"],
)
def test_what_is_not_served(unserved: Pod) -> None:
    assert list(places(unserved)) == []


async def test_a_port_that_is_taken_is_reported_and_the_others_serve(
    demo: Demo, caplog: pytest.LogCaptureFixture
) -> None:
    await demo.put(made("a", "http", "127.199.0.1"))
    await demo.put(made("b", "http", "127.199.0.1"), made("c", "http", "127.199.0.2"))

    assert (await get("127.199.0.2")).startswith("default/c ")
    (message,) = [record.getMessage() for record in caplog.records if record.levelno >= 40]
    assert message.startswith(f"echo endpoint of Pod default/b: 127.199.0.1 port {PORT}: ")


async def test_a_wrong_label_is_reported(demo: Demo, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    await demo.put(made("a", "magic", "127.199.0.1"))

    assert [record.getMessage() for record in caplog.records] == [
        "Pod default/a: label svcdns.io/echo: 'magic' is none of http, tcp, udp"
    ]


@pytest.mark.parametrize("kind", ["http", "tcp"])
async def test_connections_are_bounded(
    demo: Demo, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(echo, "MAX_CONNECTIONS", 2)
    await demo.put(made("a", kind, "127.199.0.1"))
    kept = [await asyncio.open_connection("127.199.0.1", PORT) for _ in range(2)]
    for _, writer in kept:
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    for reader, _ in kept:
        await reader.readline()

    reader, extra = await asyncio.open_connection("127.199.0.1", PORT)

    assert await asyncio.wait_for(reader.read(), 30) == b""
    for _, writer in [*kept, (reader, extra)]:
        writer.close()
        await writer.wait_closed()


async def test_run_follows_the_store(demo: Demo) -> None:
    task = asyncio.create_task(demo.echo.run())
    demo.store.apply(made("a", "http", "127.199.0.1"))
    try:
        await asyncio.wait_for(demo.echo.settled.wait(), 30)
    finally:
        task.cancel()
    assert (await get("127.199.0.1")).startswith("default/a ")


async def test_a_malformed_request_is_refused_without_a_word(
    demo: Demo, caplog: pytest.LogCaptureFixture
) -> None:
    await demo.put(made("a", "http", "127.199.0.1"))
    for request in (b"garbage\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: zz\r\n\r\n"):
        reader, writer = await asyncio.open_connection("127.199.0.1", PORT)
        writer.write(request)
        assert b" 400 " in await reader.readline()
        writer.close()
        await writer.wait_closed()

    assert caplog.records == []
