import asyncio
import base64
from collections.abc import AsyncIterator

import dns.message
import dns.rrset
import pytest
import pytest_asyncio
from aiohttp import web

from svcdns.aio.exchange_http import MESSAGE_TYPE, HttpExchanges
from svcdns.plugins.commands import (
    Exchange,
    Exchanged,
    Fetch,
    Result,
    Transport,
    Unanswered,
    Upstream,
)
from tests.support.certificates import Certificate, authority

QUERY = dns.message.make_query("www.example.org.", "A")
QUERY.id = 0
WIRE = QUERY.to_wire()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return authority(tmp_path_factory.mktemp("tls"), "dns.example.org")


@pytest_asyncio.fixture
async def exchanges() -> AsyncIterator[HttpExchanges]:
    made = HttpExchanges(asyncio.get_running_loop())
    yield made
    await made.close()


class Site:
    """A DNS-over-HTTPS server that notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.port = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append((request.method, request.headers["Host"]))
        if request.path == "/slow":
            await asyncio.Event().wait()  # for ever
        if request.path == "/broken":
            return web.Response(status=500)
        if request.path == "/page":
            return web.Response(body=await request.read() + b"!", status=201)
        if request.path == "/other":
            return web.Response(body=dns.message.make_query("other.", "A").to_wire())
        if request.method == "GET":
            text = request.query["dns"]
            wire = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        else:
            assert request.headers["Content-Type"] == MESSAGE_TYPE
            wire = await request.read()
        query = dns.message.from_wire(wire)
        answer = dns.message.make_response(query)
        answer.answer.append(dns.rrset.from_text("www.example.org.", 60, "IN", "A", "192.0.2.1"))
        return web.Response(body=answer.to_wire(), content_type=MESSAGE_TYPE)


@pytest_asyncio.fixture
async def site(certificate: Certificate) -> AsyncIterator[Site]:
    made = Site()
    runner = web.ServerRunner(web.Server(made.handle), shutdown_timeout=0.1)
    await runner.setup()
    tcp = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificate.server_context())
    await tcp.start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


async def run(exchanges: HttpExchanges, command: Exchange | Fetch) -> Result:
    future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    exchanges.start(command, future.set_result)
    return await asyncio.wait_for(future, 30)


def upstream(site: Site, certificate: Certificate, **more: str) -> Upstream:
    return Upstream(
        "127.0.0.1",
        site.port,
        transport=Transport.HTTPS,
        tls=(certificate.authority,),
        **{"server_name": "dns.example.org"} | more,
    )


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_query_is_answered(
    exchanges: HttpExchanges, site: Site, certificate: Certificate, method: str
) -> None:
    """RFC 8484 §4.1."""
    where = upstream(site, certificate, method=method)

    result = await run(exchanges, Exchange(where, WIRE, 5.0))

    assert isinstance(result, Exchanged)
    assert str(dns.message.from_wire(result.wire).answer[0][0]) == "192.0.2.1"
    assert site.asked == [(method, "dns.example.org")]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"url_path": "/broken"}, "HTTP status 500"),
        ({"url_path": "/other"}, "the answer does not match the query"),
        ({"server_name": "other.example.org"}, "tls: failed to verify certificate"),
    ],
)
async def test_what_is_no_answer(
    exchanges: HttpExchanges,
    site: Site,
    certificate: Certificate,
    more: dict[str, str],
    reason: str,
) -> None:
    result = await run(exchanges, Exchange(upstream(site, certificate, **more), WIRE, 5.0))

    assert isinstance(result, Unanswered)
    assert reason in result.reason


async def test_silence_is_a_time_out(
    exchanges: HttpExchanges, site: Site, certificate: Certificate
) -> None:
    where = upstream(site, certificate, url_path="/slow")

    result = await run(exchanges, Exchange(where, WIRE, 0.05))

    assert isinstance(result, Unanswered)
    assert result.timeout


async def test_nobody_there_is_a_result(
    exchanges: HttpExchanges, site: Site, certificate: Certificate
) -> None:
    where = Upstream("127.0.0.1", 1, transport=Transport.HTTPS, tls=(certificate.authority,))

    result = await run(exchanges, Exchange(where, WIRE, 5.0))

    assert result == Unanswered("dial tcp 127.0.0.1:1: connect: connection refused")


async def test_who_is_asked_at_port_0_is_told_so(exchanges: HttpExchanges) -> None:
    """CoreDNS asks itself at the port that ``health :0`` says, too, and there is nobody."""
    future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    exchanges.start(Fetch("GET", "http://127.0.0.1:0/health"), future.set_result)

    assert await future == Unanswered("dial tcp 127.0.0.1:0: connect: connection refused")


async def test_a_page_comes_with_its_status(
    exchanges: HttpExchanges, site: Site, certificate: Certificate
) -> None:
    url = f"https://127.0.0.1:{site.port}/page"
    fetch = Fetch("POST", url, b"body", tls=(certificate.authority,))

    result = await run(exchanges, fetch)

    assert isinstance(result, Exchanged)
    assert (result.wire, result.status) == (b"body!", 201)
