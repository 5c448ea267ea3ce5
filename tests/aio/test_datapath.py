"""Both data paths behind one face."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from svcdns.aio import conntrack
from svcdns.aio.datapath import KernelPath, RelayPath
from svcdns.aio.nftmonitor import Monitor
from svcdns.metrics import Registry
from svcdns.proxy.config import LocalMode, ProxyOptions
from svcdns.proxy.conntrack import Sweep
from svcdns.proxy.metrics import ProxyMetrics
from svcdns.proxy.model import (
    Backend,
    Exposure,
    ForwardingPlan,
    Frontend,
    NodePorts,
    NodeView,
    PlanChange,
    PortId,
    ServicePlan,
)
from tests.support.nft import Packet
from tests.support.nftfake import FakeNft
from tests.support.ports import free_port

NODE = NodeView("node-1", addresses=("172.18.0.3",), pod_cidrs=("10.244.1.0/24",))
DNS = ServicePlan(
    PortId("kube-system", "dns", "", "UDP"),
    4,
    (Frontend(Exposure.CLUSTER_IP, "10.96.0.10", 53),),
    (Backend("10.244.2.2", 53),),
    any_usable=True,
    serving=(Backend("10.244.2.2", 53),),
)
PLAN = ForwardingPlan({DNS.key: DNS}, {})


@pytest.fixture
def nft(monkeypatch: pytest.MonkeyPatch) -> FakeNft:
    """Give a fake nft; the kernel it stands for counts its transactions."""
    found = FakeNft()
    monkeypatch.setattr(Monitor, "count", lambda self: found.generation())
    return found


@pytest.fixture
def sweeps(monkeypatch: pytest.MonkeyPatch) -> list[Sweep]:
    """Give the sweeps that the kernel was asked for."""
    found: list[Sweep] = []

    async def forget(sweep: Sweep) -> int:
        found.append(sweep)
        if len(found) == 2:
            raise OSError(1, "Operation not permitted")
        return 3

    monkeypatch.setattr(conntrack, "forget", forget)
    return found


def _kernel(nft: FakeNft, **options: object) -> tuple[KernelPath, Registry]:
    registry = Registry()
    path = KernelPath(
        ProxyOptions(**options),  # type: ignore[arg-type]  # fields by name
        ProxyMetrics(registry, 0.0),
        registry,
        nft,  # type: ignore[arg-type]  # has what is asked of nft
    )
    return path, registry


async def test_the_kernel_path_forwards_and_forgets_stale_flows(
    nft: FakeNft, sweeps: list[Sweep], caplog: pytest.LogCaptureFixture
) -> None:
    path, registry = _kernel(nft)
    await path.prepare()
    assert all(one.ok for one in await path.start(PLAN, NODE))
    assert [one.family for one in sweeps] == [4], "every Service's flows at the start"
    cell = registry.families["kubeproxy_conntrack_reconciler_deleted_entries_total"].cell("IPv4")
    assert cell.value == 3
    change = PlanChange({DNS.key: (DNS, DNS)})
    assert all(one.ok for one in await path.follow(PLAN, change, NODE))
    assert "stale UDP flows of IPv4 may live on" in caplog.text
    assert await path.rest() == []
    nft.meddle("delete table ip svcdns-proxy")
    assert [one.ok for one in await path.rest()] == [True, True]
    assert [one.operations for one in await path.mend()] == [0, 0]
    await path.stop()
    assert nft.closed
    assert nft.tables["ip"].exists, "rules stay (R105)"


async def test_a_family_that_the_kernel_lacks_is_left_out(
    nft: FakeNft, caplog: pytest.LogCaptureFixture
) -> None:
    nft.refuses = lambda text: " ip6 " in text
    path, _ = _kernel(nft)
    await path.prepare()
    assert "no rules for IPv6: the kernel refuses them" in caplog.text
    done = await path.start(ForwardingPlan({}, {}), NODE)
    assert [one.family for one in done] == [4]


async def test_rules_of_kube_proxy_are_pointed_at_and_left_alone(
    nft: FakeNft, caplog: pytest.LogCaptureFixture
) -> None:
    nft.others.add("ip6 kube-proxy")
    path, _ = _kernel(nft)
    await path.prepare()
    assert "table ip6 kube-proxy is still there" in caplog.text
    assert "table ip kube-proxy" not in caplog.text


async def test_a_node_that_gets_its_pod_range_later_gets_other_rules_r73(
    nft: FakeNft, sweeps: list[Sweep]
) -> None:
    path, _ = _kernel(nft, detect_local_mode=LocalMode.NODE_CIDR)
    await path.prepare()
    await path.start(PLAN, NodeView("node-1"))
    pod = Packet("10.244.1.9", "udp", "10.96.0.10", 53)
    other = Packet("192.0.2.1", "udp", "10.96.0.10", 53)
    table = nft.tables["ip"]
    assert {one.masquerade for one in table.send(pod) | table.send(other)} == {False}
    await path.follow(PLAN, PlanChange(), NODE)
    assert {one.masquerade for one in table.send(pod)} == {False}
    assert {one.masquerade for one in table.send(other)} == {True}


# -- relays ----------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _echo() -> AsyncIterator[Backend]:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"here")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield Backend("127.0.0.1", server.sockets[0].getsockname()[1])


@contextlib.asynccontextmanager
async def _mirror() -> AsyncIterator[Backend]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(100))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield Backend("127.0.0.1", server.sockets[0].getsockname()[1])


def _web(port: int, *backends: Backend) -> ForwardingPlan:
    plan = ServicePlan(
        PortId("shop", "web", "", "TCP"),
        4,
        (Frontend(Exposure.NODE_PORT, "", port),),
        backends,
        any_usable=bool(backends),
    )
    return ForwardingPlan({plan.key: plan}, {}, node_ports=NodePorts(("127.0.0.1",)))


async def _read(address: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_the_relay_path_forwards_and_moves_with_the_node() -> None:
    path = RelayPath(ProxyOptions(), Registry())
    await path.prepare()
    assert await path.rest() == await path.mend() == []
    port = free_port()
    async with _echo() as backend:
        plan = _web(port, backend)
        assert all(one.ok for one in await path.start(plan, NODE))
        assert await _read("127.0.0.1", port) == b"here"
        moved = ForwardingPlan(plan.services, {}, node_ports=NodePorts(("127.0.0.2",)))
        assert all(one.ok for one in await path.follow(moved, PlanChange(node=True), NODE))
        assert await _read("127.0.0.2", port) == b"here"
        with pytest.raises(ConnectionRefusedError):
            await _read("127.0.0.1", port)
        assert all(one.ok for one in await path.mend())
    await path.stop()


async def test_connections_outlive_a_new_address_of_the_node() -> None:
    """A node gets an address with every bridge: that is no reason to cut anybody off."""
    path = RelayPath(ProxyOptions(), Registry())
    port = free_port()
    async with _mirror() as backend:
        plan = _web(port, backend)
        await path.start(plan, NODE)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        bridged = replace(NODE, interfaces=("127.0.0.1", "172.19.0.1"))
        await path.follow(plan, PlanChange(node=True), bridged)

        writer.write(b"still here")
        assert await asyncio.wait_for(reader.readexactly(10), 5) == b"still here"
        writer.close()
    await path.stop()


async def test_a_socket_that_cannot_be_had_is_tried_again_and_leaves_its_family_well_r84() -> None:
    """One port that somebody else has must not take the whole node from load balancers."""
    path = RelayPath(ProxyOptions(sync_period=0.0), Registry())
    async with _echo() as backend:
        async with _echo() as somebody:
            port = somebody.port
            assert all(one.ok for one in await path.start(_web(port, backend), NODE))
            assert all(one.ok for one in await path.rest()), "and still taken"
        with pytest.raises(ConnectionRefusedError):
            await _read("127.0.0.1", port)
        assert all(one.ok for one in await path.rest()), "the port is free now"
        assert await _read("127.0.0.1", port) == b"here"
        assert await path.rest() == [], "nothing is lacking"
        await path.stop()


async def test_between_tries_sockets_that_cannot_be_had_are_left_alone_r84() -> None:
    path = RelayPath(ProxyOptions(sync_period=3600.0), Registry())
    async with _echo() as backend:
        await path.start(_web(backend.port, backend), NODE)
        assert await path.rest() == []
    await path.stop()


async def test_excluded_ports_get_no_socket() -> None:
    port = free_port()
    options = ProxyOptions(exclude_ports=frozenset((port,)))
    path = RelayPath(options, Registry())
    await path.prepare()
    async with _echo() as backend:
        assert all(one.ok for one in await path.start(_web(port, backend), NODE))
        with pytest.raises(ConnectionRefusedError):
            await _read("127.0.0.1", port)
    await path.stop()


def test_own_networks_are_the_nodes_and_the_pods_r53() -> None:
    path = RelayPath(ProxyOptions(cluster_cidrs=("10.244.0.0/16",)), Registry())
    around = path._surroundings(NodePorts((), (4, 6)), NODE)
    assert around.node_port_addresses == ("0.0.0.0", "::")
    assert set(around.own_networks) == {
        "127.0.0.0/8", "::1/128", "10.244.0.0/16", "172.18.0.3/32",
    }  # fmt: skip


@pytest.mark.parametrize("wanted", [False, True])
async def test_connections_are_logged_where_options_say_so(
    wanted: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "svcdns.proxy")
    path = RelayPath(ProxyOptions(access_log=wanted), Registry())
    port = free_port()
    async with _echo() as backend:
        await path.start(_web(port, backend), NODE)
        assert await _read("127.0.0.1", port) == b"here"
        await path.stop()
    lines = [line for line in caplog.messages if f" -> 127.0.0.1:{port} -> " in line]
    assert len(lines) == int(wanted)
    assert all(" down=4 " in line for line in lines)
