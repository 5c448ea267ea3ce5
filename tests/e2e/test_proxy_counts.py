"""What the userspace proxy says it did is what the endpoints and their clients saw, exactly."""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from svcdns.aio import exposition
from svcdns.aio.http import Site, Sites
from svcdns.aio.userspace import UserspaceProxy
from svcdns.metrics import Registry
from svcdns.plugins.base import HttpAnswer
from svcdns.proxy.model import ServicePlan
from svcdns.proxy.outlier import EjectionRules
from tests.support.endpoints import (
    StreamEndpoint,
    address,
    datagram_endpoints,
    dial,
    endpoints,
    receive,
    receive_all,
    until,
)
from tests.support.plans import service_plan
from tests.support.ports import free_port
from tests.support.relays import FRONT, FRONT_ADDRESS, proxying

ROOT = Path(__file__).parents[2]

CLIENTS = 30

FAILURES = 3
"""After so many in a row an endpoint is ejected, for longer than the test."""

RULES = EjectionRules(consecutive_failures=FAILURES, base_seconds=600.0, max_seconds=600.0)

DEAD = f"{address(2900)}:9000"
"""Nobody is there."""

SERVICE = "svcdns_proxy_"
ENDPOINT = "svcdns_proxy_endpoint_"


class Metered:
    """A proxy with ``/metrics``."""

    def __init__(self, proxy: UserspaceProxy, where: str, registry: Registry) -> None:
        self.proxy = proxy
        self._where = where
        self._registry = registry

    async def samples(self, protocol: str) -> dict[tuple[str, str], float]:
        """Scrape: by name of the metric and endpoint (empty: the whole service)."""
        text = (await exposition.text(self._registry)).decode()
        return {
            (one.name, one.labels.get("endpoint", "") + one.labels.get("state", "")): one.value
            for family in text_string_to_metric_families(text)
            for one in family.samples
            if one.labels.get("protocol") == protocol and "le" not in one.labels
        }

    async def top(self) -> dict[str, Any]:
        """Run ``svcdns top``; the only service it shows."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "svcdns", "top", self._where,
            "--once", "--output", "json", "--interval", "0.1",
            stdout=asyncio.subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        (only,) = json.loads(out)["services"]
        assert isinstance(only, dict)
        return only


@asynccontextmanager
async def metered(plan: ServicePlan) -> AsyncIterator[Metered]:
    registry, sites, where = Registry(), Sites(), f"127.0.0.1:{free_port()}"

    async def page() -> HttpAnswer:
        return HttpAnswer(200, await exposition.text(registry), exposition.CONTENT_TYPE)

    async with proxying(plan, registry=registry, rules=RULES) as proxy:
        await sites.change({where: Site({"/metrics": page}, "test")})
        try:
            yield Metered(proxy, where, registry)
        finally:
            await sites.close()


class Ledger:
    """What endpoints saw, by their name."""

    def __init__(self) -> None:
        self.connections: Counter[str] = Counter()
        self.arrived: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take everything up to the client's end, answer twice as much and 7 octets."""
        name = "{}:{}".format(*writer.get_extra_info("sockname"))
        self.connections[name] += 1
        octets = 0
        while data := await reader.read(1 << 16):
            octets += len(data)
        answer = bytes(2 * octets + 7)
        self.arrived[name] += octets
        self.answered[name] += len(answer)
        writer.write(answer)
        await writer.drain()

    def metrics(self) -> Iterator[tuple[tuple[str, str], float]]:
        for name, value in self.connections.items():
            yield (f"{ENDPOINT}connections_total", name), value
            yield (f"{ENDPOINT}sent_bytes_total", name), self.arrived[name]
            yield (f"{ENDPOINT}received_bytes_total", name), self.answered[name]
            yield (f"{ENDPOINT}failures_total", name), 0
            yield (f"{ENDPOINT}ejected", name), 0
        yield (f"{SERVICE}connections_total", ""), self.connections.total()
        yield (f"{SERVICE}sent_bytes_total", ""), self.arrived.total()
        yield (f"{SERVICE}received_bytes_total", ""), self.answered.total()


async def visit(size: int) -> int:
    """Send *size* octets and the end, and count what comes back."""
    sock = await dial(*FRONT_ADDRESS)
    with sock:
        await asyncio.get_running_loop().sock_sendall(sock, bytes(size))
        sock.shutdown(1)
        return len(await receive_all(sock))


def trouble(failures: int) -> dict[tuple[str, str], float]:
    """Give what is to be seen of the endpoint that is not there."""
    return {
        (f"{SERVICE}retries_total", ""): failures,
        (f"{SERVICE}ejections_total", ""): 1,
        (f"{SERVICE}failures_total", ""): 0,
        (f"{ENDPOINT}failures_total", DEAD): failures,
        (f"{ENDPOINT}ejected", DEAD): 1,
        (f"{SERVICE}endpoints", "ejected"): 1,
        (f"{SERVICE}endpoints", "ready"): 2,
    }


@pytest.mark.parametrize("balance", ["round-robin", "least-connections"])
async def test_tcp_is_counted_as_it_was(balance: str) -> None:
    ledger = Ledger()
    sizes = [0, 1, 3_000_001, *range(100, 100 + CLIENTS - 3)]  # the large one is spliced
    async with endpoints(2, ledger.serve) as servers:
        names = [one.name for one in servers]
        async with metered(service_plan(FRONT, *names, DEAD, balance=balance)) as shown:
            for size in sizes:
                assert await visit(size) == 2 * size + 7
            assert shown.proxy._tcp is not None
            await asyncio.wait_for(shown.proxy._tcp.idle.wait(), 30)
            found, row = await shown.samples("TCP"), await shown.top()
    assert ledger.connections.total() == len(sizes) == CLIENTS
    assert set(ledger.connections) == set(names)
    assert ledger.arrived.total() == sum(sizes)
    wanted = dict(ledger.metrics()) | trouble(FAILURES) | {
        (f"{SERVICE}active_connections", ""): 0,
        (f"{SERVICE}connect_seconds_count", ""): CLIENTS,
        (f"{ENDPOINT}connections_total", DEAD): 0,
        (f"{ENDPOINT}sent_bytes_total", DEAD): 0,
    }  # fmt: skip
    assert {key: found.get(key) for key in wanted} == wanted
    assert _counts(row) == {
        "active": 0, "connections": CLIENTS, "retries": FAILURES, "ejections": 1, "failures": 0,
        "bytes_in": sum(sizes), "bytes_out": 2 * sum(sizes) + 7 * CLIENTS,
    }  # fmt: skip
    assert (row["endpoint_states"]["ready"], row["endpoint_states"]["ejected"]) == (2, 1)


async def test_open_connections_are_counted_with_what_has_passed_so_far() -> None:
    async with endpoints(1) as (server,), metered(service_plan(FRONT, server.name)) as shown:
        socks = [await dial(*FRONT_ADDRESS) for _ in range(5)]
        for number, sock in enumerate(socks):
            sock.send(bytes(number + 1))
            assert len(await receive(sock)) == number + 1
        found, row = await shown.samples("TCP"), await shown.top()
        for sock in socks:
            sock.close()
        await until(lambda: not _open(server), "the end of all")
    for prefix, name in ((SERVICE, ""), (ENDPOINT, server.name)):
        assert found[f"{prefix}active_connections", name] == 5
        assert found[f"{prefix}sent_bytes_total", name] == 15
        assert found[f"{prefix}received_bytes_total", name] == 15
    assert (row["active"], row["bytes_in"], row["bytes_out"]) == (5, 15, 15)


def _open(server: StreamEndpoint) -> int:
    return len(server.open)


async def test_udp_is_counted_as_it_was() -> None:
    """Each client is a session, of the endpoint that took it and not of the dead one."""
    async with datagram_endpoints(2, lambda data: [data, data]) as servers:
        names = [f"{address(2000 + number)}:9000" for number in range(2)]
        plan = service_plan(FRONT, *names, DEAD, protocol="UDP", balance="round-robin")
        async with metered(plan) as shown:
            loop = asyncio.get_running_loop()
            lost = 0
            clients = []
            for number in range(CLIENTS):
                before = await _failures(shown)
                transport, protocol = await loop.create_datagram_endpoint(
                    Answers, remote_addr=FRONT_ADDRESS
                )
                # It stays open: the next client could be given its port, and with it its session.
                clients.append(transport)
                transport.sendto(bytes(number + 1))
                await until(lambda one=protocol: len(one.sizes) == 2)  # type: ignore[misc]
                assert protocol.sizes == [number + 1] * 2
                lost += (number + 1) * (await _failures(shown) - before)
            found, row = await shown.samples("UDP"), await shown.top()
            for transport in clients:
                transport.close()
    sent = sum(range(1, CLIENTS + 1))
    wanted = trouble(FAILURES) | {
        (f"{ENDPOINT}sent_bytes_total", DEAD): lost,
        (f"{SERVICE}connections_total", ""): CLIENTS,
        (f"{ENDPOINT}connections_total", DEAD): 0,
        (f"{SERVICE}active_connections", ""): CLIENTS,
        (f"{SERVICE}sent_bytes_total", ""): sent + lost,
        (f"{SERVICE}received_bytes_total", ""): 2 * sent,
    }
    for name, server in zip(names, servers, strict=True):
        octets = sum(len(data) for data, _ in server.taken)
        wanted[f"{ENDPOINT}connections_total", name] = len({who for _, who in server.taken})
        wanted[f"{ENDPOINT}sent_bytes_total", name] = octets
        wanted[f"{ENDPOINT}received_bytes_total", name] = 2 * octets
    assert {key: found.get(key) for key in wanted} == wanted
    assert _counts(row) == {
        "active": CLIENTS, "connections": CLIENTS, "retries": FAILURES, "ejections": 1,
        "failures": 0, "bytes_in": sent + lost, "bytes_out": 2 * sent,
    }  # fmt: skip


class Answers(asyncio.DatagramProtocol):
    """Notes the sizes of what came back."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.sizes.append(len(data))


async def _failures(shown: Metered) -> int:
    return int((await shown.samples("UDP")).get((f"{ENDPOINT}failures_total", DEAD), 0))


def _counts(row: dict[str, Any]) -> dict[str, int]:
    names = (
        "active", "connections", "retries", "ejections", "failures", "bytes_in", "bytes_out",
    )  # fmt: skip
    return {name: row[name] for name in names}
