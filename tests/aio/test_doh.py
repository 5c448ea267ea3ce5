"""DNS over HTTPS with real clients: kdig and dig (HTTP/2), curl and aiohttp (both), bare sockets."""

import asyncio
import base64
import contextlib
import logging
import shutil
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import aiohttp
import aiohttp.web
import dns.message
import pytest
import pytest_asyncio
from aiohttp.base_protocol import BaseProtocol
from msgspec.structs import replace

from svcdns.aio.binding import open_stream
from svcdns.aio.connections import Limits
from svcdns.aio.doh import DohListener
from svcdns.aio.paced import PIECE
from svcdns.aio.turns import Turns
from svcdns.aio.upstream import Upstreams
from svcdns.dns.response import Record, Response
from svcdns.metrics import Registry
from svcdns.plugins.base import Ask, Drop, Handler, Outcome, Reply, Request
from svcdns.plugins.commands import Delay, Transport
from tests.support.certificates import Certificate, authority
from tests.support.serving import Scripted, server_of
from tests.support.streams import PATIENT
from tests.support.waiting import until

TYPE = "application/dns-message"


def _answer(request: Request, _proceed: Handler) -> Outcome:
    """Answer with as many addresses as the first label says; ``slow``, ``none`` as they sound."""
    query = request.query
    label = query.name[1 : 1 + query.name[0]].decode()
    if label == "none":
        return Drop()
    count = int(label) if label.isdigit() else 1
    records = tuple(
        Record(query.qname, 1, 30, bytes([192, 0, 2 + at // 256, at % 256])) for at in range(count)
    )
    reply = Reply(Response(aa=True, answer=records), "scripted")
    if label == "slow":
        return Ask(Delay(0.3), lambda _result, _now: reply)
    return reply


@dataclass
class Serving:
    """A listener with what it counts and whom it asked."""

    listener: DohListener
    port: int
    tls: ssl.SSLContext
    plugin: Scripted
    registry: Registry

    def url(self, path: str = "/dns-query") -> str:
        return f"https://127.0.0.1:{self.port}{path}"

    def statuses(self) -> dict[str, float]:
        family = self.registry.families["coredns_dns_https_responses_total"]
        return {labels[1]: cell.value for labels, cell in family.cells.items()}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return authority(tmp_path_factory.mktemp("tls"), "dns.example")


@contextlib.asynccontextmanager
async def listening(certificate: Certificate, limits: Limits = PATIENT) -> AsyncIterator[Serving]:
    upstreams = Upstreams()
    plugin, registry = Scripted(_answer), Registry()
    sock = open_stream("127.0.0.1", 0)
    port = sock.getsockname()[1]
    server = server_of([plugin], registry=registry)
    listener = DohListener(sock, server, upstreams.settle, limits)
    context = certificate.server_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    await listener.start(context)
    client = ssl.create_default_context(cafile=certificate.authority)
    try:
        yield Serving(listener, port, client, plugin, registry)
    finally:
        await listener.stop(grace=1.0)
        await upstreams.close()


@pytest_asyncio.fixture
async def serving(certificate: Certificate) -> AsyncIterator[Serving]:
    async with listening(certificate) as made:
        yield made


async def run(*words: str) -> str:
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    process = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    return out.decode()


@pytest.mark.parametrize(
    ("client", "flag"),
    [("kdig", "+https"), ("kdig", "+https-get"), ("dig", "+https"), ("dig", "+https-get")],
)
@pytest.mark.parametrize("count", [1, 3000])
async def test_dns_clients_get_their_answer(
    serving: Serving, client: str, flag: str, count: int
) -> None:
    out = await run(client, flag, "@127.0.0.1", "-p", str(serving.port), f"{count}.example", "A")

    assert out.count("192.0.") == count, out[:2000]
    assert serving.plugin.asked[0].client.transport is Transport.HTTPS
    assert serving.statuses() == {"200": 1}


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
async def test_a_web_client_gets_headers_that_caches_understand(
    serving: Serving, certificate: Certificate, version: str
) -> None:
    """RFC 8484 §5.1 and §6; its own example query of §4.1.1."""
    text = "AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB"
    out = await run(
        "curl", "-s", version, "--cacert", certificate.authority, "-D", "-", "-o", "/dev/null",
        serving.url(f"/dns-query?dns={text}"),
    )  # fmt: skip

    assert out.split()[1] == "200"
    assert "content-type: application/dns-message" in out.lower()
    assert "cache-control: max-age=30" in out.lower()


async def test_queries_share_a_connection(serving: Serving) -> None:
    async with aiohttp.ClientSession() as session:
        for number in range(3):
            query = dns.message.make_query(f"{number + 1}.example.", "A", id=0)
            async with session.post(
                serving.url(), data=query.to_wire(), headers={"Content-Type": TYPE}, ssl=serving.tls
            ) as response:
                answer = dns.message.from_wire(await response.read())
            assert query.is_response(answer)
            assert len(answer.answer[0]) == number + 1
        assert len(serving.listener.connections) == 1
    assert len({asked.client.port for asked in serving.plugin.asked}) == 1


@pytest.mark.parametrize(
    ("method", "path", "media_type", "size", "expected"),
    [
        ("GET", "/", "", 0, 404),
        ("GET", "/dns-query", "", 0, 400),
        ("PUT", "/dns-query", TYPE, 20, 405),
        ("POST", "/dns-query", "application/dns-json", 20, 415),
        ("POST", "/dns-query", TYPE, 3, 400),
        ("POST", "/dns-query", TYPE, 65536, 413),
        ("POST", "/dns-query", TYPE, 3_000_000, 413),
    ],
)
@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
async def test_what_is_no_dns_gets_a_status_and_is_counted(
    serving: Serving, certificate: Certificate, version: str,
    method: str, path: str, media_type: str, size: int, expected: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    body = tmp_path_factory.mktemp("body") / "body"
    body.write_bytes(bytes(size))
    more = ("--data-binary", f"@{body}", "-H", f"Content-Type: {media_type}") if size else ()
    out = await run(
        "curl", "-s", version, "--cacert", certificate.authority, "-X", method, *more,
        "-o", "/dev/null", "-w", "%{http_code}", serving.url(path),
    )  # fmt: skip

    assert out == str(expected)
    assert serving.statuses() == {str(expected): 1}


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
async def test_no_answer_is_status_500(
    serving: Serving, certificate: Certificate, version: str
) -> None:
    wire = dns.message.make_query("none.example.", "A").to_wire()
    text = base64.urlsafe_b64encode(wire).decode().rstrip("=")
    out = await run(
        "curl", "-s", version, "--cacert", certificate.authority, "-w", "%{http_code}",
        serving.url(f"/dns-query?dns={text}"),
    )  # fmt: skip

    assert out == "No response\n500"


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
async def test_the_end_waits_for_answers_that_are_owed(
    serving: Serving, certificate: Certificate, version: str
) -> None:
    wire = dns.message.make_query("slow.example.", "A").to_wire()
    text = base64.urlsafe_b64encode(wire).decode().rstrip("=")
    asking = asyncio.ensure_future(
        run(
            "curl", "-s", version, "--cacert", certificate.authority, "-w", "%{http_code}",
            "-o", "/dev/null", serving.url(f"/dns-query?dns={text}"),
        )
    )  # fmt: skip
    await until(lambda: serving.plugin.asked)

    await serving.listener.stop()

    assert await asking == "200"
    assert not len(serving.listener.connections)


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /dns-query HTTP/1.1\r\nHost: a\r\n",
     b"POST /dns-query HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\nabc"],
    ids=["nothing", "half a header", "half a body"],
)  # fmt: skip
async def test_who_does_not_finish_a_request_is_closed(
    certificate: Certificate, sent: bytes
) -> None:
    async with listening(certificate, replace(PATIENT, read=0.2)) as serving:
        reader, writer = await asyncio.open_connection("127.0.0.1", serving.port, ssl=serving.tls)
        writer.write(sent)

        with contextlib.suppress(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 30)
        await until(lambda: not serving.listener.connections)
        writer.transport.abort()


async def test_idle_connections_end(certificate: Certificate) -> None:
    async with listening(certificate, replace(PATIENT, idle=0.2)) as serving:
        reader, writer = await asyncio.open_connection("127.0.0.1", serving.port, ssl=serving.tls)
        writer.write(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b" 404 " in await reader.readline()

        await until(lambda: not serving.listener.connections)
        writer.transport.abort()


@pytest.mark.parametrize("garbage", [b"\0" * 100, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\r\n" * 9])
async def test_garbage_ends_its_own_connection_only(serving: Serving, garbage: bytes) -> None:
    for protocol in (["http/1.1"], ["h2"]):
        serving.tls.set_alpn_protocols(protocol)
        _, writer = await asyncio.open_connection("127.0.0.1", serving.port, ssl=serving.tls)
        writer.write(garbage)
        writer.transport.abort()
    serving.tls.set_alpn_protocols(["http/1.1"])

    async with (
        aiohttp.ClientSession() as session,
        session.get(serving.url("/"), ssl=serving.tls) as response,
    ):
        assert response.status == 404


MANY = b"GET / HTTP/1.1\r\n" + b"".join(b"x-%d: y\r\n" % at for at in range(500)) + b"\r\n"


@pytest.mark.parametrize(
    "request_line",
    [b"GET / HTTP/9.9\r\n\r\n", b"GET /dns-query\r\n\r\n", b"GET / HTTP/1.1\r\na b: c\r\n\r\n",
     b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", MANY,
     b"POST /dns-query HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
    ids=["version", "no version", "field", "length", "500 fields", "chunk"],
)  # fmt: skip
async def test_what_is_no_http_ends_the_connection_and_fills_no_log(
    certificate: Certificate, caplog: pytest.LogCaptureFixture, request_line: bytes
) -> None:
    async with listening(certificate, replace(PATIENT, read=2.0)) as serving:
        reader, writer = await asyncio.open_connection("127.0.0.1", serving.port, ssl=serving.tls)
        with contextlib.suppress(ConnectionError):
            writer.write(request_line)
            answer = await asyncio.wait_for(reader.read(), 30)
            assert b" 200 " not in answer
        await until(lambda: not serving.listener.connections)
        writer.transport.abort()

    assert not [record for record in caplog.records if record.levelname in ("ERROR", "WARNING")]


async def test_requests_of_http1_may_be_pipelined(serving: Serving) -> None:
    """RFC 9112 §9.3.2: answered in their order."""
    reader, writer = await asyncio.open_connection("127.0.0.1", serving.port, ssl=serving.tls)
    for count in (3, 1, 2, 30):
        text = base64.urlsafe_b64encode(dns.message.make_query(f"{count}.example.", "A").to_wire())
        line = b"GET /dns-query?dns=%s HTTP/1.1\r\nHost: a\r\n\r\n" % text.rstrip(b"=")
        writer.write(line)
    for count in (3, 1, 2, 30):
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        answer = dns.message.from_wire(await reader.readexactly(size))
        assert len(answer.answer[0]) == count
    writer.transport.abort()


async def test_a_body_in_the_smallest_chunks_is_read(serving: Serving) -> None:
    wire = dns.message.make_query("7.example.", "A").to_wire()
    reader, writer = await asyncio.open_connection("127.0.0.1", serving.port, ssl=serving.tls)
    writer.write(
        b"POST /dns-query HTTP/1.1\r\nHost: a\r\nContent-Type: application/dns-message\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    for octet in wire:
        writer.write(b"1\r\n%c\r\n" % octet)
    writer.write(b"0\r\n\r\n")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)

    assert b" 200 " in head
    writer.transport.abort()


async def test_a_body_in_chunks_is_read_by_turns(serving: Serving) -> None:
    """A chunk costs the same whatever is in it, and queries over UDP wait meanwhile."""
    listener = serving.listener
    listener.turns = Turns(0.0)
    content = aiohttp.StreamReader(BaseProtocol(asyncio.get_running_loop()), 65536)
    for _ in range(5000):
        content.feed_data(b"x")
    content._eof = True
    rounds = 0

    async def others() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(others())
    request = cast("aiohttp.web.BaseRequest", SimpleNamespace(content=content))
    assert await listener._body(request) == b"x" * 5000
    task.cancel()

    assert rounds > 5000 // PIECE // 2


async def test_who_goes_in_the_middle_of_a_body_fills_no_log(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", serving.port, ssl=serving.tls)
    writer.write(
        b"POST /dns-query HTTP/1.1\r\nHost: a\r\nContent-Type: application/dns-message\r\n"
        b"Content-Length: 40\r\n\r\nx"
    )
    connections = serving.listener.connections
    await until(lambda: any(one.busy for one in connections))
    writer.transport.abort()
    await until(lambda: not connections)
    await asyncio.sleep(0)

    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


async def test_requests_in_chunks_may_be_pipelined(serving: Serving) -> None:
    """The end of each is found in the middle of a piece; what comes behind is read after it."""
    wire = dns.message.make_query("1.example.", "A").to_wire()
    request = (
        b"POST /dns-query HTTP/1.1\r\nHost: a\r\nContent-Type: application/dns-message\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"1\r\n%c\r\n" % octet for octet in wire)
        + b"0\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", serving.port, ssl=serving.tls)
    writer.write(request * 200)
    for _ in range(200):
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        assert b" 200 " in head
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        await reader.readexactly(size)
    writer.transport.abort()


async def test_a_request_of_a_client_that_has_gone_is_not_served(serving: Serving) -> None:
    """Its task may begin after the connection is lost: no bug, so no line in the log."""
    request = cast("aiohttp.web.BaseRequest", SimpleNamespace(protocol=object()))

    with pytest.raises(ConnectionResetError):
        await serving.listener._handle(request)


async def test_one_connection_too_many_takes_the_place_of_the_idlest(
    certificate: Certificate,
) -> None:
    async with listening(certificate, replace(PATIENT, connections=2)) as serving:
        opened = [
            await asyncio.open_connection("127.0.0.1", serving.port, ssl=serving.tls)
            for _ in range(3)
        ]
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(opened[0][0].read(), 30) == b""

        for reader, writer in opened[1:]:
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b" 404 " in await reader.readline()
        assert len(serving.listener.connections) == 2
        for _, writer in opened:
            writer.transport.abort()
