"""The life of the process, with relays for a data path: these need no privileges.

``tests/netns/test_proxy_process.py`` has the same with the kernel's tables.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from msgspec.structs import replace

from svcdns.aio import proxy, sysctl
from svcdns.aio.proxy import Proxy, run, snapshot
from svcdns.aio.tables import Synced
from svcdns.errors import ConfigError
from svcdns.kube.objects import Kind
from svcdns.kube.store import Delta
from svcdns.proxy.config import Mode, ProxyOptions
from svcdns.proxy.model import ForwardingPlan, NodeView, PlanChange, PlanOptions
from tests.support.apiserver import FakeApiServer
from tests.support.flows import node_object, port, service
from tests.support.ports import free_port
from tests.support.waiting import until


class FakePath:
    """A data path that writes down what it is told."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.plans: list[set[str]] = []
        self.unwell = False
        self.rested = asyncio.Event()
        self.entered = asyncio.Event()
        self.blocked: asyncio.Event | None = None

    def _done(self, call: str, *, full: bool = False) -> list[Synced]:
        self.calls.append(call)
        return [Synced(family, 0.001, 1, not self.unwell, full) for family in (4, 6)]

    async def prepare(self) -> None:
        self.calls.append("prepare")

    async def start(self, plan: ForwardingPlan, node: NodeView) -> list[Synced]:
        self.plans.append({str(identity) for identity, _ in plan.services})
        return self._done("start", full=True)

    async def follow(
        self, plan: ForwardingPlan, change: PlanChange, node: NodeView
    ) -> list[Synced]:
        self.entered.set()
        if self.blocked:
            await self.blocked.wait()
        self.plans.append({str(identity) for identity, _ in plan.services})
        return self._done("follow")

    async def rest(self) -> list[Synced]:
        self.rested.set()
        return []

    async def mend(self) -> list[Synced]:
        return self._done("mend", full=True)

    async def stop(self) -> None:
        self.calls.append("stop")


class Running:
    """A proxy that runs in this loop."""

    def __init__(self, server: FakeApiServer, path: FakePath, options: ProxyOptions) -> None:
        self.server = server
        self.path = path
        self.options = options
        self.task: asyncio.Task[int] | None = None
        self.heard: set[str] = set()
        "Names of the Services that it has heard of."

    def start(self) -> None:
        proxy = Proxy(self.options)
        proxy._store.subscribe(self._hear)
        self.task = asyncio.create_task(proxy.run())

    def _hear(self, delta: Delta) -> None:
        if delta.kind is Kind.SERVICE:
            self.heard.add(delta.key[1])

    async def end(self, number: int = signal.SIGTERM) -> int:
        os.kill(os.getpid(), number)
        assert self.task
        async with asyncio.timeout(30):
            return await self.task

    async def get(self, path: str, *, metrics: bool = False) -> tuple[int, str]:
        options = self.options
        address = options.metrics_bind_address if metrics else options.healthz_bind_address
        async with ClientSession() as session, session.get(f"http://{address}{path}") as answer:
            return answer.status, await answer.text()


@pytest.fixture
async def running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., Running]]:
    path = FakePath()
    monkeypatch.setattr(Proxy, "_data_path", lambda self: path)
    monkeypatch.setattr(sysctl, "set_oom_score", lambda score: None)
    made: list[Running] = []
    async with FakeApiServer() as server:

        def make(**more: Any) -> Running:
            given = {
                "hostname_override": "node-1",
                "kubeconfig": _kubeconfig(tmp_path, server.url),
                "healthz_bind_address": f"127.0.0.1:{free_port()}",
                "metrics_bind_address": f"127.0.0.1:{free_port()}",
                "min_sync_period": 0.0,
                **more,
            }
            made.append(Running(server, path, ProxyOptions(**given)))
            return made[-1]

        yield make
        for one in made:
            if one.task and not one.task.done():
                one.task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await one.task


def _kubeconfig(directory: Path, url: str) -> str:
    text = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "x"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    file = directory / "kubeconfig"
    file.write_text(json.dumps(text))
    return str(file)


WEB = service("web", "10.96.0.1")
OTHER = service("other", "10.96.0.2")


async def test_nothing_is_carried_out_before_everything_was_listed_r100(
    running: Callable[..., Running],
) -> None:
    one = running()
    one.server.state.put(WEB)
    refusal = one.server.refuse(503, wanted=lambda request: request.kind is Kind.ENDPOINT_SLICE)
    one.start()
    await until(lambda: len(one.server.asked("watch", Kind.SERVICE)) > 0)
    await until(lambda: len([r for r in one.server.requests if r.kind is Kind.ENDPOINT_SLICE]) > 1)
    assert one.path.calls == ["prepare"]
    refusal.times = 0
    await until(lambda: "start" in one.path.calls)
    assert one.path.plans == [{"shop/web:http/TCP"}]
    assert await one.end() == 0
    assert one.path.calls[-1] == "stop"


@pytest.mark.parametrize("status", [403, 404])
async def test_a_cluster_without_service_cidrs_is_forwarded_all_the_same_r25(
    running: Callable[..., Running], monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """ServiceCIDRs are served since Kubernetes 1.33, and older roles do not name them."""
    monkeypatch.setattr(proxy, "DISPENSABLE_SECONDS", 0.05)
    one = running()
    one.server.state.put(WEB)
    one.server.refuse(status, wanted=lambda request: request.kind is Kind.SERVICE_CIDR)
    one.start()

    await until(lambda: "start" in one.path.calls)
    assert one.path.plans == [{"shop/web:http/TCP"}]
    assert await one.end() == 0


@pytest.mark.parametrize(
    ("services", "said"), [(0, "0 service ports"), (1, "1 service port"), (2, "2 service ports")]
)
async def test_it_says_what_it_has_carried_out_first(
    running: Callable[..., Running], caplog: pytest.LogCaptureFixture, services: int, said: str
) -> None:
    caplog.set_level(logging.INFO)
    one = running()
    for number in range(services):
        one.server.state.put(service(f"s{number}", f"10.96.1.{number}"))
    one.start()

    await until(lambda: f": {said} carried out " in caplog.text)
    assert await one.end() == 0


async def test_changes_that_come_meanwhile_are_carried_out_together_r101(
    running: Callable[..., Running],
) -> None:
    one = running()
    one.path.blocked = asyncio.Event()
    one.start()
    await until(lambda: "start" in one.path.calls)
    one.server.state.put(WEB)
    await one.path.entered.wait()
    for number in range(20):
        one.server.state.put(service(f"s{number}", f"10.96.1.{number}"))
    await until(lambda: len(one.heard) == 21)
    one.path.blocked.set()
    await until(lambda: len(one.path.plans[-1]) == 21)
    assert one.path.calls.count("follow") == 2
    status, text = await one.get("/metrics", metrics=True)
    assert status == 200
    assert 'kubeproxy_sync_proxy_rules_service_changes_total{ip_family="IPv4"} 21.0' in text
    assert 'kubeproxy_sync_proxy_rules_service_changes_pending{ip_family="IPv4"} 0.0' in text
    web = 'namespace="shop",port="http",protocol="TCP",service="web",state="ready"'
    assert f"svcdns_proxy_endpoints{{{web}}} 0.0" in text
    assert await one.end(signal.SIGINT) == 0


async def test_what_changes_nothing_is_not_carried_out_r102(
    running: Callable[..., Running],
) -> None:
    one = running()
    one.server.state.put(WEB)
    one.start()
    await until(lambda: "start" in one.path.calls)
    labelled = {**WEB, "metadata": {**WEB["metadata"], "labels": {"a": "b"}}}
    one.server.state.put(labelled)
    one.server.state.put(OTHER)
    await until(lambda: len(one.path.plans[-1]) == 2)
    assert one.path.calls.count("follow") == 1


async def test_a_failure_is_mended_after_a_sync_period_and_shows_in_health_r120(
    running: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy, "REST_SECONDS", 0.01)
    one = running(sync_period=0.05)
    one.start()
    await until(lambda: "start" in one.path.calls)
    one.path.unwell = True
    one.server.state.put(WEB)
    await until(lambda: one.path.calls.count("mend") > 3)
    assert (await one.get("/healthz"))[0] == 503
    one.path.unwell = False
    mended = one.path.calls.count("mend")
    await until(lambda: one.path.calls.count("mend") > mended)
    body = json.loads((await one.get("/livez"))[1])
    assert body["healthy"]
    assert await one.end() == 0


async def test_everything_is_compared_once_an_hour_r101(
    running: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy, "REST_SECONDS", 0.01)
    monkeypatch.setattr(proxy, "FULL_SYNC_SECONDS", 0.05)
    one = running()
    one.start()
    await until(lambda: one.path.calls.count("mend") > 1)
    assert one.path.rested.is_set()


async def test_the_node_decides_whether_balancers_should_send_r120(
    running: Callable[..., Running],
) -> None:
    one = running()
    one.server.state.put(node_object())
    one.start()
    await until(lambda: "start" in one.path.calls)
    assert (await one.get("/healthz"))[0] == 200
    taint = {"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}
    node = node_object()
    one.server.state.put({**node, "spec": {**node["spec"], "taints": [taint]}})
    statuses: list[int] = []

    async def look() -> None:
        while statuses[-1:] != [503]:
            statuses.append((await one.get("/healthz"))[0])

    async with asyncio.timeout(30):
        await look()
    assert (await one.get("/livez"))[0] == 200


async def test_health_check_ports_follow_the_services_r84(
    running: Callable[..., Running],
) -> None:
    one = running(plan=PlanOptions(node_port_addresses=("127.0.0.0/8",), loopback_node_ports=True))
    number = free_port()
    checked = service(
        "lb",
        "10.96.0.9",
        type="LoadBalancer",
        externalTrafficPolicy="Local",
        healthCheckNodePort=number,
        ports=[port()],
    )
    one.server.state.put(checked)
    one.start()

    async def status() -> int:
        async with ClientSession() as session:
            try:
                async with session.get(f"http://127.0.0.1:{number}/") as answer:
                    return answer.status
            except OSError:
                return 0

    async with asyncio.timeout(30):
        while await status() != 503:
            pass
    one.server.state.delete(Kind.SERVICE, "shop", "lb")
    async with asyncio.timeout(30):
        while await status():
            pass


async def test_a_part_that_dies_ends_the_process(
    running: Callable[..., Running],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = running()

    async def broken(*_: object) -> list[Synced]:
        raise RuntimeError("a bug")

    monkeypatch.setattr(one.path, "start", broken)
    one.start()
    async with asyncio.timeout(30):
        assert one.task
        assert await one.task == proxy.CRASHED
    assert "rules stay as they are" in caplog.text
    assert one.path.calls[-1] == "stop"


async def test_no_way_to_the_api_is_the_operators_business(
    running: Callable[..., Running], tmp_path: Path
) -> None:
    one = running(kubeconfig=str(tmp_path / "missing"))
    one.start()
    assert one.task
    with pytest.raises(ConfigError, match="missing"):
        await one.task
    assert one.path.calls == ["prepare", "stop"]


async def test_a_snapshot_is_the_cluster_as_listed(running: Callable[..., Running]) -> None:
    one = running()
    one.server.state.put(WEB)
    one.server.state.put(node_object())
    store, node = await snapshot(one.options)
    assert list(store.services) == [("shop", "web")]
    assert node.zone == "a"
    with pytest.raises(ConfigError):
        await snapshot(replace(one.options, kubeconfig="/nowhere"))


async def test_init_only_writes_settings_and_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written: list[str] = []
    monkeypatch.setattr(
        sysctl, "apply", lambda settings: written.extend(name for name, _ in settings)
    )
    options = ProxyOptions(init_only=True, mode=Mode.NFTABLES, warnings=("mode: a warning",))
    try:
        assert await run(options) == 0
    finally:
        root = logging.getLogger()
        for handler in root.handlers[:]:
            if type(handler).__name__ == "CoreDnsHandler":
                root.removeHandler(handler)
    assert "net.netfilter.nf_conntrack_max" in written
    assert "[WARNING] mode: a warning" in capsys.readouterr().err


async def test_who_cannot_reach_the_api_changes_nothing_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    written: list[object] = []
    monkeypatch.setattr(sysctl, "apply", written.append)
    options = ProxyOptions(mode=Mode.NFTABLES, kubeconfig=str(tmp_path / "missing"))
    try:
        with pytest.raises(ConfigError, match="missing: no such file"):
            await run(options)
    finally:
        root = logging.getLogger()
        for handler in root.handlers[:]:
            if type(handler).__name__ == "CoreDnsHandler":
                root.removeHandler(handler)
    assert written == []


@pytest.mark.parametrize(
    ("mode", "left"),
    [(Mode.NFTABLES, "rules stay as they are"), (Mode.USERSPACE, "nothing is forwarded any more")],
)
def test_it_says_what_becomes_of_connections_when_it_ends_r105(mode: Mode, left: str) -> None:
    assert proxy.left_behind(mode) == left
