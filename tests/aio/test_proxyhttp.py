import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from svcdns.aio import proxyhttp
from svcdns.aio.proxyhttp import ProxyHttp
from svcdns.errors import ConfigError
from svcdns.metrics import Registry
from svcdns.proxy.config import ProxyOptions
from svcdns.proxy.health import ProxyHealth
from svcdns.proxy.metrics import ProxyMetrics
from svcdns.proxy.model import HealthCheck, NodePorts
from tests.support.ports import free_port
from tests.support.waiting import until

WEB = ("shop", "web")
LOOPBACK = NodePorts(("127.0.0.1",))


class Served:
    def __init__(self, **options: Any) -> None:
        self.healthz, self.metrics_port = free_port(), free_port()
        self.options = ProxyOptions(
            healthz_bind_address=f"127.0.0.1:{self.healthz}",
            metrics_bind_address=f"127.0.0.1:{self.metrics_port}",
            **options,
        )
        self.registry = Registry()
        self.health = ProxyHealth(30)
        self.now = 5000.0
        self.http = ProxyHttp(
            self.options,
            self.health,
            ProxyMetrics(self.registry, 0),
            self.registry,
            clock=lambda: self.now,
        )

    async def check(self, port: int, count: int, **more: Any) -> None:
        checks = {WEB: HealthCheck("shop", "web", port, count)} if port else {}
        await self.http.update_checks(checks, more.get("node_ports", LOOPBACK))


@pytest_asyncio.fixture
async def served() -> AsyncIterator[Served]:
    made = Served()
    await made.http.start()
    yield made
    await made.http.close()


async def get(
    port: int, path: str, method: str = "GET", host: str = "127.0.0.1"
) -> tuple[int, str, Any]:
    url = f"http://[{host}]:{port}{path}" if ":" in host else f"http://{host}:{port}{path}"
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, timeout=aiohttp.ClientTimeout(total=30)) as response,
    ):
        return response.status, await response.text(), response.headers


async def closed(port: int) -> bool:
    try:
        await get(port, "/")
    except aiohttp.ClientConnectorError:
        return True
    return False


async def test_health_of_the_proxy_r120(served: Served) -> None:
    status, body, headers = await get(served.healthz, "/healthz")
    assert (status, json.loads(body)["nodeEligible"]) == (200, True)
    assert headers["X-Content-Type-Options"] == "nosniff"
    served.health.node_eligible = False
    assert (await get(served.healthz, "/healthz"))[0] == 503
    assert (await get(served.healthz, "/livez"))[0] == 200
    assert (await get(served.healthz, "/metrics"))[0] == 404
    text = (await get(served.metrics_port, "/metrics"))[1]
    assert 'kubeproxy_proxy_healthz_total{code="200"} 1.0' in text
    assert 'kubeproxy_proxy_healthz_total{code="503"} 1.0' in text
    assert 'kubeproxy_proxy_livez_total{code="200"} 1.0' in text


@pytest.mark.parametrize(
    ("path", "content_type", "text"),
    [
        ("/healthz", "text/plain", "ok"),
        ("/proxyMode", "text/plain", "nftables"),
        ("/configz", "application/json", "kubeproxy.config.k8s.io"),
        ("/metrics", "text/plain", "process_"),
    ],
)
async def test_pages_beside_the_metrics_r121(
    served: Served, path: str, content_type: str, text: str
) -> None:
    status, body, headers = await get(served.metrics_port, path)
    assert status == 200
    assert headers["Content-Type"].startswith(content_type)
    assert text in body


async def test_unknown_pages_are_404(served: Served) -> None:
    assert (await get(served.metrics_port, "/debug/pprof"))[0] == 404
    assert (await get(served.healthz, "/"))[0] == 404


async def test_a_health_check_port_follows_its_service_r82_r84(served: Served) -> None:
    port = free_port()
    await served.check(port, 2)
    for method, path in (("GET", "/healthz"), ("POST", "/whatever?x")):
        status, body, headers = await get(port, path, method)
        assert (status, json.loads(body)["localEndpoints"]) == (200, 2)
        assert headers["X-Load-Balancing-Endpoint-Weight"] == "2"
    await served.check(port, 0)
    assert (await get(port, "/"))[0] == 503
    other = free_port()
    await served.check(other, 1)
    assert (await get(other, "/"))[0] == 200
    assert await closed(port)
    await served.check(0, 0)
    assert await closed(other)
    assert (await get(served.healthz, "/livez"))[0] == 200, "its own pages stay"


async def test_endpoints_do_not_help_a_proxy_that_is_behind_r82(served: Served) -> None:
    port = free_port()
    await served.check(port, 1)
    served.health.queued(4, served.now - 100)
    status, body, _ = await get(port, "/")
    assert (status, json.loads(body)["serviceProxyHealthy"]) == (503, False)


async def test_every_address_is_any_of_a_family_r81(served: Served) -> None:
    port = free_port()
    await served.check(port, 1, node_ports=NodePorts(any_of=(4, 6)))
    assert (await get(port, "/", host="127.0.0.2"))[0] == 200
    assert (await get(port, "/", host="::1"))[0] == 200


async def test_a_taken_port_is_tried_again_and_the_rest_goes_on_r84(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    fine = free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        checks = {
            WEB: HealthCheck("shop", "web", port, 1),
            ("shop", "x"): HealthCheck("shop", "x", fine, 1),
        }
        await served.http.update_checks(checks, LOOPBACK)
        await served.http.retry()
        assert served.http.refused == {("127.0.0.1", port)}
        assert (await get(fine, "/"))[0] == 200
    assert [one.getMessage() for one in caplog.records] == [
        f"health check of shop/web: listen tcp 127.0.0.1:{port}: bind: address already in use;"
        " trying again every 5 s"
    ], "said once"
    await served.http.retry()
    assert (await get(port, "/"))[0] == 200
    assert not served.http.refused
    assert "listening on" in caplog.records[-1].getMessage()


async def test_what_is_refused_is_tried_again_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxyhttp, "RETRY_SECONDS", 0.01)
    made = Served()
    with socket.create_server(("127.0.0.1", made.healthz)):
        await made.http.start()
    assert made.http.refused
    retries = asyncio.create_task(made.http.run())
    await until(lambda: not made.http.refused)
    retries.cancel()
    assert (await get(made.healthz, "/livez"))[0] == 200
    await made.http.close()


async def test_a_hard_fail_ends_the_start() -> None:
    made = Served(bind_address_hard_fail=True)
    with (
        socket.create_server(("127.0.0.1", made.metrics_port)),
        pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{made.metrics_port}, and"),
    ):
        await made.http.start()
    await made.http.close()


async def test_two_services_with_one_port_do_not_end_each_other(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    first = HealthCheck("shop", "a", port, 1)
    checks = {("shop", "a"): first, ("shop", "b"): msgspec.structs.replace(first, service="b")}
    await served.http.update_checks(checks, LOOPBACK)
    assert json.loads((await get(port, "/"))[1])["service"]["name"] == "a"
    assert "health check of shop/b: 127.0.0.1" in caplog.text
    del checks["shop", "a"]
    await served.http.update_checks(checks, LOOPBACK)
    assert json.loads((await get(port, "/"))[1])["service"]["name"] == "b"


async def test_a_bare_port_is_every_address() -> None:
    made = Served()
    port = free_port()
    options = msgspec.structs.replace(made.options, healthz_bind_address=f":{port}")
    made.http = ProxyHttp(options, made.health, ProxyMetrics(Registry(), 0), Registry())
    await made.http.start()
    assert (await get(port, "/livez", host="127.0.0.3"))[0] == 200
    await made.http.close()
