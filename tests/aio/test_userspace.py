"""Plans come and go under a running proxy; clients see what kube-proxy would show them."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from svcdns.aio import sockets, userspace
from svcdns.metrics import Registry
from svcdns.proxy.listeners import Surroundings
from svcdns.proxy.model import Exposure, Frontend, Policy, ServicePlan
from tests.support.endpoints import (
    StreamEndpoint,
    address,
    dial,
    endpoints,
    receive,
)
from tests.support.plans import forwarding_plan, service_plan
from tests.support.relays import FRONT, FRONT_ADDRESS, proxying
from tests.support.waiting import eventually, pace

ROOT = Path(__file__).parents[2]


async def ask(
    host: str = FRONT_ADDRESS[0], port: int = FRONT_ADDRESS[1], words: bytes = b"ping"
) -> bytes:
    with await dial(host, port) as client:
        client.send(words)
        return await receive(client)


async def test_shares_are_even_over_ready_endpoints_r20() -> None:
    async with endpoints(4) as servers, proxying(service_plan(FRONT, *(s.name for s in servers))):
        for _ in range(400):
            await ask()
        # chi-square with 3 degrees of freedom: 44 is exceeded once in 600 million runs
        assert sum((s.taken - 100) ** 2 / 100 for s in servers) < 44


class TestWhatClientsSee:
    async def test_no_endpoints_is_refused_r50(self) -> None:
        async with proxying(service_plan(FRONT)):
            with pytest.raises(ConnectionRefusedError):
                await dial(*FRONT_ADDRESS)

    async def test_a_port_the_service_does_not_have_is_refused_r23(self) -> None:
        async with endpoints(1) as (server,), proxying(service_plan(FRONT, server.name)):
            with pytest.raises(ConnectionRefusedError):
                await dial(FRONT_ADDRESS[0], 8081)

    async def test_local_policy_without_local_endpoints_is_silence_r50(self) -> None:
        plan = service_plan(FRONT, "127.0.0.1:9000", internal=Policy.LOCAL)
        async with proxying(plan):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await dial(*FRONT_ADDRESS)

    async def test_the_node_itself_is_exempt_from_external_local_r53(self) -> None:
        async with endpoints(1) as (server,):
            plan = service_plan(
                ":30080", server.name, external=Policy.LOCAL, exposure=Exposure.NODE_PORT
            )
            around = Surroundings(node_port_addresses=(address(9),))
            async with proxying(plan, around=around):
                assert await ask(address(9), 30080) == b"ping"

    async def test_clients_elsewhere_are_not_r53(self) -> None:
        async with endpoints(1) as (server,):
            plan = service_plan(
                ":30080", server.name, external=Policy.LOCAL, exposure=Exposure.NODE_PORT
            )
            around = Surroundings(node_port_addresses=(address(9),), own_networks=("10.0.0.0/8",))
            async with proxying(plan, around=around) as proxy:
                # a time-out where the kernel takes the filter, else a reset
                with pytest.raises((TimeoutError, ConnectionResetError)):
                    async with asyncio.timeout(0.3):
                        await ask(address(9), 30080)
                assert server.taken == 0
                proxy.surround(Surroundings(node_port_addresses=(address(9),)))
                proxy.apply(forwarding_plan(plan))
                assert await ask(address(9), 30080) == b"ping"

    async def test_without_filters_other_sources_are_reset_and_drops_come_and_go(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def forbid(*arguments: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(sockets, "admit", forbid)
        monkeypatch.setattr(userspace, "admit", forbid)
        async with endpoints(1) as (server,):
            here = service_plan(FRONT, server.name + "*", internal=Policy.LOCAL)
            gone = replace(here, local=())
            ranged = replace(
                here,
                frontends=(replace(here.frontends[0], exposure=Exposure.LOAD_BALANCER),),
                source_ranges=("198.51.100.0/24",),
            )
            async with proxying(here) as proxy:
                for _ in range(2):
                    assert await ask() == b"ping"
                    assert proxy.apply(forwarding_plan(gone)).failed == ()
                    with pytest.raises(TimeoutError):
                        async with asyncio.timeout(0.3):
                            await dial(*FRONT_ADDRESS)
                    assert proxy.apply(forwarding_plan(here)).failed == ()
                proxy.apply(forwarding_plan(ranged))
                with pytest.raises(ConnectionResetError):
                    await ask()

    async def test_v6_is_relayed_too_r29(self) -> None:
        server = StreamEndpoint("::1", 9100 + os.getpid() % 800)
        await server.start()
        port = 8100 + os.getpid() % 800
        async with proxying(service_plan(f"::1:{port}", server.name)):
            reader, writer = await asyncio.open_connection("::1", port)
            writer.write(b"six")
            assert await reader.read(10) == b"six"
            writer.close()
            await writer.wait_closed()
        server.kill()


class TestApply:
    async def test_affinity_holds_over_all_frontends_of_a_port_r65(self) -> None:
        async with endpoints(3) as servers:
            plan = service_plan(FRONT, *(s.name for s in servers), affinity=100)
            outside = Frontend(Exposure.EXTERNAL_IP, address(2), 8082)
            more = replace(plan, frontends=(*plan.frontends, outside))
            async with proxying(more):
                for _ in range(10):
                    await ask()
                    await ask(address(2), 8082)
            assert sorted(s.taken for s in servers) == [0, 0, 20]

    async def test_a_connection_lives_on_when_its_endpoint_leaves_r94(self) -> None:
        async with (
            endpoints(2) as (first, second),
            proxying(service_plan(FRONT, first.name)) as proxy,
        ):
            with await dial(*FRONT_ADDRESS) as client:
                client.send(b"1")
                assert await receive(client) == b"1"
                proxy.apply(forwarding_plan(service_plan(FRONT, second.name)))
                for _ in range(5):
                    await ask()
                client.send(b"2")
                assert await receive(client) == b"2"
            assert (first.taken, second.taken) == (1, 5)

    async def test_a_connection_lives_on_when_its_service_leaves(self) -> None:
        async with endpoints(1) as (server,), proxying(service_plan(FRONT, server.name)) as proxy:
            with await dial(*FRONT_ADDRESS) as client:
                client.send(b"1")
                assert await receive(client) == b"1"
                proxy.apply(forwarding_plan())
                with pytest.raises(ConnectionRefusedError):
                    await dial(*FRONT_ADDRESS)
                client.send(b"2")
                assert await receive(client) == b"2"

    async def test_on_request_draining_is_bounded(self) -> None:
        async with (
            endpoints(2) as (first, second),
            proxying(service_plan(FRONT, first.name), drain_seconds=0.05) as proxy,
        ):
            with await dial(*FRONT_ADDRESS) as client:
                client.send(b"1")
                assert await receive(client) == b"1"
                proxy.apply(forwarding_plan(service_plan(FRONT, second.name)))
                with pytest.raises(ConnectionResetError):
                    await receive(client)

    async def test_who_waits_in_the_queue_of_a_closing_socket_is_served(self) -> None:
        async with endpoints(1) as (server,), proxying(service_plan(FRONT, server.name)) as proxy:
            proxy._running().accepting.pause()
            with await dial(*FRONT_ADDRESS) as client:
                client.send(b"ping")
                proxy.apply(forwarding_plan(service_plan(f"{address(1)}:8081", server.name)))
                assert await receive(client) == b"ping"

    async def test_an_address_that_passes_to_another_service_leads_there_r109(self) -> None:
        async with (
            endpoints(2) as (first, second),
            proxying(service_plan(FRONT, first.name)) as proxy,
        ):
            await ask()
            heir = service_plan(FRONT, second.name, name="other")
            report = proxy.apply(forwarding_plan(heir))
            await ask()
            assert (report.opened, report.closed) == ((), ())
            assert (first.taken, second.taken) == (1, 1)

    async def test_a_frontend_that_cannot_be_had_does_not_stop_the_others(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with endpoints(1) as (server,), proxying() as proxy:
            foreign = service_plan("203.0.113.1:8080", server.name, name="foreign")
            report = proxy.apply(forwarding_plan(foreign, service_plan(FRONT, server.name)))
            assert await ask() == b"ping"
        (fault,) = report.failed
        assert fault.listener.address == "203.0.113.1"
        assert fault.reason.startswith("cannot listen on 203.0.113.1 port 8080/TCP: ")
        assert "ns-1/foreign/TCP: cannot listen on 203.0.113.1" in caplog.text

    async def test_what_is_wrong_is_said_when_it_begins_and_not_with_every_plan(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        foreign = service_plan("203.0.113.1:8080", "10.0.0.1:80", name="foreign")
        async with proxying() as proxy:
            for plan in ((foreign,), (foreign,), (foreign, service_plan(FRONT))):
                assert len(proxy.apply(forwarding_plan(*plan)).failed) == 1
            assert caplog.text.count("cannot listen on") == 1
            proxy.apply(forwarding_plan())
            proxy.apply(forwarding_plan(foreign))
            assert caplog.text.count("cannot listen on") == 2

    async def test_many_with_one_reason_are_one_line_and_the_details_are_for_debugging(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG", "svcdns.proxy")
        async with proxying() as proxy:
            foreign = [
                service_plan(f"203.0.113.{n}:8080", "10.0.0.1:80", name=f"s{n}") for n in range(9)
            ]
            for _ in range(2):
                assert len(proxy.apply(forwarding_plan(*foreign)).failed) == 9
        said = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
        details = [one.getMessage() for one in caplog.records if one.levelname == "DEBUG"]
        (line,) = said
        assert line.startswith("9 frontends have no socket: ")
        assert "; the first: ns-1/s0/TCP: cannot listen on 203.0.113.0 port 8080/TCP: " in line
        assert len([one for one in details if "cannot listen on 203.0.113." in one]) == 9

    async def test_what_could_not_be_bound_is_tried_again_with_the_next_plan(self) -> None:
        async with endpoints(1) as (server,), proxying() as proxy:
            squatter = StreamEndpoint(*FRONT_ADDRESS)
            await squatter.start()
            plan = forwarding_plan(service_plan(FRONT, server.name))
            assert len(proxy.apply(plan).failed) == 1
            squatter.kill()
            await asyncio.sleep(0)
            assert proxy.apply(plan).failed == ()
            assert await ask() == b"ping"

    async def test_frontends_can_be_bound_elsewhere(self) -> None:
        async with (
            endpoints(1) as (server,),
            proxying(
                service_plan("10.96.0.1:80", server.name),
                bind=lambda host, port, protocol: (address(5), port + 8000),
            ),
        ):
            assert await ask(address(5), 8080) == b"ping"

    async def test_annotations_that_mean_nothing_are_pointed_out(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with proxying(service_plan(FRONT, balance="fastest", proxy_protocol="v9")):
            pass
        assert "svcdns.io/balance: 'fastest' is none of power-of-two, " in caplog.text
        assert "svcdns.io/proxy-protocol: 'v9' is none of v1, v2" in caplog.text


async def test_a_reload_of_a_thousand_services_breaks_no_connection() -> None:
    async with endpoints(2) as (first, second):

        def plan(server: StreamEndpoint, changed: range) -> list[ServicePlan]:
            return [
                service_plan(
                    f"{address(10_000 + n)}:8080",
                    second.name if n in changed else server.name,
                    name=f"s{n}",
                )
                for n in range(1000)
            ]

        async with proxying(*plan(first, range(0))) as proxy:
            clients = [await dial(address(10_000 + n), 8080) for n in range(0, 1000, 20)]
            for step in range(1, 6):
                report = proxy.apply(forwarding_plan(*plan(first, range(0, 1000, step))))
                assert (report.opened, report.closed, report.listening) == ((), (), 1000)
                for sock in clients:
                    sock.send(b"%d" % step)
                    assert await receive(sock) == b"%d" % step
            for sock in clients:
                sock.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("again", "words"),
    [("", b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"), ("empty-response", b"ping")],
    ids=["GET", "any words"],
)
async def test_no_connection_fails_while_one_endpoint_lives(again: str, words: bytes) -> None:
    """Endpoints are killed and replaced at random, plans follow late, 500 connections a second.

    An endpoint that stops resets the requests in its accept queue, about one in 30,000 here; these
    may be repeated, by what they are or because the Service says so.
    """
    rng = random.Random(11)
    outcomes: Counter[str] = Counter()

    async def one() -> None:
        try:
            outcomes["good" if await ask(words=words) == words else "wrong"] += 1
        except (OSError, TimeoutError) as error:
            outcomes[repr(error)] += 1

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(100))

    async with endpoints(4, answer) as servers:
        safe = servers[0]
        first = service_plan(FRONT, *(s.name for s in servers), retry=again)
        async with proxying(first) as proxy:
            tasks = []
            for tick in range(150):
                victim = rng.choice([s for s in servers if s is not safe])
                if victim._server is None:
                    await victim.start()
                elif rng.random() < 0.5:
                    victim.refuse()
                if tick % 30 == 29:  # another one is the last alive now
                    safe = rng.choice([s for s in servers if s._server is not None])
                if tick % 50 == 49:
                    alive = [s.name for s in servers if s._server is not None]
                    plan = forwarding_plan(service_plan(FRONT, *alive, safe.name, retry=again))
                    proxy.apply(plan)
                tasks += [asyncio.create_task(one()) for _ in range(10)]
                await pace(0.02)
            await asyncio.gather(*tasks)
            (served,) = proxy.services.values()
            assert outcomes == {"good": 1500}
            assert served.retries > 10


async def test_metrics_tell_what_went_through() -> None:
    registry = Registry()
    async with (
        endpoints(1) as (server,),
        proxying(service_plan(FRONT, server.name), registry=registry),
    ):
        with await dial(*FRONT_ADDRESS) as client:
            client.send(b"ping")
            await receive(client)
            cells = {f.name: list(f.cells.values()) for f in registry.collect()}
            for name, value in {
                "svcdns_proxy_connections_total": 1,
                "svcdns_proxy_active_connections": 1,
                "svcdns_proxy_sent_bytes_total": 4,
                "svcdns_proxy_received_bytes_total": 4,
            }.items():
                assert [cell.value for cell in cells[name]] == [value]


CHILD = """
import asyncio, signal, sys
import msgspec
from svcdns.aio.userspace import UserspaceProxy
from svcdns.metrics import Registry
from svcdns.proxy.model import ForwardingPlan, ServicePlan

async def main():
    plan = msgspec.json.decode(sys.argv[1], type=ServicePlan)
    proxy = UserspaceProxy(registry=Registry())
    await proxy.start()
    proxy.apply(ForwardingPlan({(plan.id, plan.family): plan}, {}))
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    print("ready", flush=True)
    await ended.wait()
    await proxy.stop(5)

asyncio.run(main())
"""


async def test_sigterm_in_the_middle_lets_the_answer_through() -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        asked.set()
        await release.wait()
        writer.write(b"the answer")

    async with endpoints(1, slow) as (server,):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CHILD, msgspec.json.encode(service_plan(FRONT, server.name)),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        with await dial(*FRONT_ADDRESS) as client:
            client.send(b"question")
            await asked.wait()
            process.send_signal(signal.SIGTERM)
            await refused()
            release.set()
            assert await receive(client) == b"the answer"
        async with asyncio.timeout(30):
            _, errors = await process.communicate()
        assert (process.returncode, errors) == (0, b"")


async def refused() -> None:
    async def attempt() -> bool:
        try:
            (await dial(*FRONT_ADDRESS)).close()
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:
            pass  # it was in the queue of the socket that closed
        return False

    await eventually(attempt)
