import asyncio
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from svcdns.aio import acceptor
from svcdns.aio.http import Site, Sites, sites, split
from svcdns.corefile.syntax import Directive
from svcdns.errors import ConfigError
from svcdns.metrics import Registry
from svcdns.plugins.base import HttpAnswer, LameDuck, Need, ServeHttp, ServeMetrics
from tests.support.descriptors import no_descriptors
from tests.support.ports import free_port
from tests.support.waiting import until

DIRECTIVE = Directive("health", (), "Corefile", 7)


def ok() -> HttpAnswer:
    return HttpAnswer(200, b"OK")


@pytest_asyncio.fixture
async def served() -> AsyncIterator[Sites]:
    made = Sites()
    yield made
    await made.close()


async def get(url: str, method: str = "GET") -> tuple[int, str, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, timeout=aiohttp.ClientTimeout(total=5)) as response,
    ):
        return response.status, await response.text(), response.headers["Content-Type"]


async def test_a_probe_is_answered(served: Sites) -> None:
    address = f"127.0.0.1:{free_port()}"
    await served.change({address: Site({"/health": ok}, "Corefile:7: health")})

    assert await get(f"http://{address}/health") == (200, "OK", "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/other", 404), ("GET", "/", 404), ("POST", "/health", 200), ("HEAD", "/health", 200)],
)
async def test_other_paths_and_methods(served: Sites, method: str, path: str, status: int) -> None:
    address = f"127.0.0.1:{free_port()}"
    await served.change({address: Site({"/health": ok}, "Corefile:7: health")})

    assert (await get(f"http://{address}{path}", method))[0] == status


async def test_without_descriptors_a_line_is_logged_and_the_probe_waits(
    served: Sites, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """EMFILE; asyncio's own server writes a thousand tracebacks a second."""
    monkeypatch.setattr(acceptor, "PAUSE_SECONDS", 0.01)
    host, port = "127.0.0.1", free_port()
    await served.change({f"{host}:{port}": Site({"/health": ok}, "Corefile:7: health")})
    with socket.socket() as probe:
        probe.setblocking(False)
        with no_descriptors():
            probe.connect_ex((host, port))
            await until(lambda: caplog.records)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(probe, b"GET /health HTTP/1.0\r\n\r\n")
        answer = await asyncio.wait_for(loop.sock_recv(probe, 1000), 30)

    assert answer.startswith(b"HTTP/1.0 200 OK")
    (record,) = caplog.records
    assert "takes no connections for now: Too many open files" in record.getMessage()


async def test_metrics_are_text_of_the_registry(served: Sites) -> None:
    registry = Registry()
    registry.counter("coredns_panics_total", "Panics.").cell().value = 7
    address = f"127.0.0.1:{free_port()}"
    await served.change(sites([ServeMetrics(address, DIRECTIVE)], registry))

    status, text, kind = await get(f"http://{address}/metrics")

    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert "coredns_panics_total 7.0\n" in text


def test_directives_with_one_address_share_a_site() -> None:
    needs: list[Need] = [
        ServeHttp(":8080", {"/health": ok}, DIRECTIVE),
        LameDuck(5.0),
        ServeHttp(":8080", {"/ready": ok}, DIRECTIVE, closes_first=True),
        ServeMetrics(":9153", DIRECTIVE),
    ]

    found = sites(needs, Registry())

    assert {address: set(site.routes) for address, site in found.items()} == {
        ":8080": {"/health", "/ready"},
        ":9153": {"/metrics"},
    }
    assert not found[":8080"].closes_first


def test_nobody_is_told_to_send_queries_before_they_are_taken() -> None:
    listening: list[bool] = []
    needs: list[Need] = [
        ServeHttp(":8080", {"/health": ok}, DIRECTIVE),
        ServeHttp(":8181", {"/ready": ok}, DIRECTIVE, closes_first=True),
    ]
    found = sites(needs, Registry(), lambda: bool(listening))
    ready, health = found[":8181"].routes["/ready"], found[":8080"].routes["/health"]

    assert ready() == HttpAnswer(503, b"listeners")
    assert health() == ok()
    listening.append(True)
    assert ready() == ok()


def test_a_plugin_that_is_not_ready_says_so_itself() -> None:
    waiting = HttpAnswer(503, b"kubernetes")
    needs = [ServeHttp(":8181", {"/ready": lambda: waiting}, DIRECTIVE, closes_first=True)]

    assert sites(needs, Registry(), lambda: False)[":8181"].routes["/ready"]() == waiting


async def test_a_taken_port_is_told_with_the_directive(served: Sites) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        other = f"127.0.0.1:{free_port()}"

        with pytest.raises(ConfigError) as caught:
            await served.change(
                {
                    other: Site({"/ready": ok}, "Corefile:8: ready"),
                    address: Site({"/health": ok}, "Corefile:7: health"),
                }
            )

    assert str(caught.value).startswith(
        f"Corefile:7: health: listen tcp {address}: bind: address already in use"
    )
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(f"http://{other}/ready")


async def test_a_site_that_stays_keeps_its_socket_and_changes_its_routes(served: Sites) -> None:
    stays, goes = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    await served.change({stays: Site({"/a": ok}, ""), goes: Site({"/a": ok}, "")})

    await served.change({stays: Site({"/b": ok}, "")})

    assert (await get(f"http://{stays}/a"))[0] == 404
    assert (await get(f"http://{stays}/b"))[0] == 200
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(f"http://{goes}/a")


@pytest.mark.parametrize(
    ("before", "after"), [("", "127.0.0.1"), ("127.0.0.1", ""), ("localhost", "127.0.0.1")]
)
async def test_a_site_may_move_to_another_address_at_its_port(
    served: Sites, before: str, after: str
) -> None:
    """CoreDNS plugin/pkg/reuseport: `prometheus :9153` becomes `prometheus 127.0.0.1:9153`."""
    port = free_port()
    await served.change({f"{before}:{port}": Site({"/a": ok}, "")})

    await served.change({f"{after}:{port}": Site({"/b": ok}, "")})

    assert (await get(f"http://127.0.0.1:{port}/b"))[0] == 200


async def test_ready_goes_before_health(served: Sites) -> None:
    health, ready = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    await served.change(
        {
            health: Site({"/health": ok}, ""),
            ready: Site({"/ready": ok}, "", closes_first=True),
        }
    )

    await served.close(first_only=True)

    assert (await get(f"http://{health}/health"))[0] == 200
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(f"http://{ready}/ready")


async def test_a_client_that_sends_nonsense_is_answered_with_an_error(served: Sites) -> None:
    port = free_port()
    await served.change({f"127.0.0.1:{port}": Site({"/health": ok}, "")})
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\x16\x03\x01\x00garbage\r\n\r\n")

    assert b"400" in await asyncio.wait_for(reader.read(100), 30)
    writer.close()
    assert (await get(f"http://127.0.0.1:{port}/health"))[0] == 200


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        (":8080", ("", 8080)),
        ("127.0.0.1:1", ("127.0.0.1", 1)),
        ("[::1]:8080", ("::1", 8080)),
        ("localhost:9153", ("127.0.0.1", 9153)),
    ],
)
def test_addresses_are_taken_apart(address: str, parts: tuple[str, int]) -> None:
    assert split(address) == parts


@pytest.mark.parametrize("address", ["8080", "localhost", ":", ":x"])
def test_an_address_without_a_port_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="expected ADDRESS:PORT"):
        split(address)
