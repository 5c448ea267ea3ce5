"""Bounds of all connections together: storms, shortages, draining."""

import asyncio
import errno
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from svcdns.aio import tcprelay
from svcdns.aio.tcpconnection import Connection
from svcdns.aio.tcprelay import TcpRelay
from svcdns.aio.userspace import UserspaceProxy
from svcdns.proxy import shortage
from tests.support.endpoints import dial, endpoints, receive, until
from tests.support.plans import service_plan
from tests.support.relays import FRONT, FRONT_ADDRESS, proxying

ROOT = Path(__file__).parents[2]


def relay(proxy: UserspaceProxy) -> TcpRelay:
    assert proxy._tcp is not None
    return proxy._tcp


async def ask() -> bytes:
    with await dial(*FRONT_ADDRESS) as client:
        client.send(b"ping")
        return await receive(client)


async def test_a_storm_of_connections_is_served_to_the_last() -> None:
    async with endpoints(3) as servers:
        names = [one.name for one in servers]
        # The default chooses by what is open, which depends on who closes first.
        async with proxying(service_plan(FRONT, *names, balance="round-robin")):
            assert await asyncio.gather(*(ask() for _ in range(1000))) == [b"ping"] * 1000
        assert all(300 < one.taken < 370 for one in servers)


async def test_beyond_the_limit_clients_wait_for_others_to_leave(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with endpoints(1) as (server,), proxying(service_plan(FRONT, server.name)) as proxy:
        relay(proxy).limit = 2
        first, second, third = [await dial(*FRONT_ADDRESS) for _ in range(3)]
        for sock in (first, second, third):
            sock.send(b"x")
        assert await receive(first) == b"x"
        assert await receive(second) == b"x"
        await until(lambda: relay(proxy).shortages > 0)
        assert len(relay(proxy).connections) == 2
        first.close()
        assert await receive(third) == b"x"
        second.close()
        third.close()
    assert "new connections wait: 2 connections are open, the limit" in caplog.text


async def test_the_log_says_when_nobody_waits_any_more(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (tcprelay, shortage):
        monkeypatch.setattr(module, "CALM_SECONDS", 0.05)
    now = 100.0
    async with endpoints(1) as (server,), proxying(service_plan(FRONT, server.name)) as proxy:
        relay(proxy).clock = lambda: now
        relay(proxy).limit = 1
        first, second = [await dial(*FRONT_ADDRESS) for _ in range(2)]
        await until(lambda: relay(proxy).shortages > 5)
        assert len(caplog.messages) == 1
        first.close()
        second.send(b"x")
        assert await receive(second) == b"x"
        assert len(caplog.messages) == 1
        now += 1.0
        await until(lambda: len(caplog.messages) == 2)
        second.close()
    assert caplog.messages[0] == "new connections wait: 1 connections are open, the limit"
    assert caplog.messages[1].startswith("new connections are taken at once again; some waited ")


SHORT = """
import asyncio, json, resource, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
import msgspec
from svcdns.aio.userspace import UserspaceProxy
from svcdns.metrics import Registry
from svcdns.proxy.model import ForwardingPlan, ServicePlan

async def main():
    plan = msgspec.json.decode(sys.argv[1], type=ServicePlan)
    proxy = UserspaceProxy(registry=Registry())
    await proxy.start()
    proxy.apply(ForwardingPlan({(plan.id, plan.family): plan}, {}))
    proxy._tcp.limit = 10_000  # the kernel's limit is what is tried here
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print(json.dumps({"shortages": proxy._tcp.shortages, "cpu": time.process_time(),
                      "failures": sum(s.failures for s in proxy.services.values())}), flush=True)
    await proxy.stop(0)

asyncio.run(main())
"""


async def test_without_descriptors_nobody_dies_nothing_spins_and_everybody_is_served() -> None:
    """EMFILE: 60 descriptors for 100 clients who each stay until all others have been served."""
    async with endpoints(1) as (server,):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SHORT, msgspec.json.encode(service_plan(FRONT, server.name)),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdin is not None
        assert await process.stdout.readline() == b"ready\n"
        clients = [await dial(*FRONT_ADDRESS) for _ in range(100)]
        served = 0
        for sock in clients:
            sock.send(b"x")
        await until(lambda: server.taken >= 10)
        for sock in clients:
            assert await receive(sock) == b"x"
            sock.close()
            served += 1
        process.stdin.close()
        async with asyncio.timeout(30):
            output, errors = await process.communicate()
        report = json.loads(output)
        assert process.returncode == 0
        assert errors.count(b"new connections wait: Too many open files") == 1
        assert served == 100
        assert report["failures"] == 0
        assert report["shortages"] > 0
        assert report["shortages"] < 2000


async def test_who_was_accepted_has_a_socket_before_anybody_else_is_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or newcomers would take one descriptor each, until nobody finds the second one."""
    original, short = Connection._new_socket, True

    def new_socket(self: Connection) -> socket.SocketType:
        if short:
            raise OSError(errno.EMFILE, "Too many open files")
        return original(self)

    async with endpoints(1) as (server,), proxying(service_plan(FRONT, server.name)) as proxy:
        with await dial(*FRONT_ADDRESS) as first:
            first.send(b"1")
            assert await receive(first) == b"1"
            monkeypatch.setattr(Connection, "_new_socket", new_socket)
            with await dial(*FRONT_ADDRESS) as second, await dial(*FRONT_ADDRESS) as third:
                second.send(b"2")
                third.send(b"3")
                await until(lambda: relay(proxy).shortages > 3)
                assert len(relay(proxy).connections) == 2
                short = False
                assert await receive(second) == b"2"
                assert await receive(third) == b"3"
                assert await ask() == b"ping"
        (served,) = proxy.services.values()
        assert (served.failures, served.retries) == (0, 0)


async def test_stopping_lets_connections_end_within_the_grace() -> None:
    async with endpoints(1) as (server,), proxying(service_plan(FRONT, server.name)) as proxy:
        with await dial(*FRONT_ADDRESS) as client:
            client.send(b"1")
            assert await receive(client) == b"1"
            stopping = asyncio.create_task(proxy.stop(10))
            await asyncio.sleep(0)
            with pytest.raises(ConnectionRefusedError):
                await dial(*FRONT_ADDRESS)
            client.send(b"2")
            assert await receive(client) == b"2"
            client.close()
            await stopping


async def test_after_the_grace_what_is_left_is_reset() -> None:
    async with endpoints(1) as (server,):
        async with proxying(service_plan(FRONT, server.name)):
            client = await dial(*FRONT_ADDRESS)
            client.send(b"1")
            assert await receive(client) == b"1"
        with client, pytest.raises(ConnectionResetError):
            await receive(client)
