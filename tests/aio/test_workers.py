"""``multisocket``, tried on real processes: one watch, many answerers."""

import asyncio
import contextlib
import gc
import io
import os
import re
import resource
import signal
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import dns.asyncquery
import dns.exception
import dns.message
import dns.opcode
import dns.rcode
import pytest

from svcdns.aio.environment import environment
from svcdns.aio.listeners import Listeners
from svcdns.aio.logs import LineWriter
from svcdns.aio.upstream import Upstreams
from svcdns.aio.workers import Workers
from svcdns.corefile.parser import parse
from svcdns.kube.objects import Kind
from svcdns.metrics import Registry
from svcdns.plugins.build import build
from svcdns.plugins.clusters import Cluster, Clusters
from svcdns.plugins.order import NAMES
from tests.support.apiserver import FakeApiServer
from tests.support.apistate import endpoint_slice, namespace, service
from tests.support.certificates import authority
from tests.support.cluster import endpoint_slice as slice_of
from tests.support.ports import free_port
from tests.support.process import Running, running
from tests.support.waiting import eventually, pace, until

NAME = "web.default.svc.cluster.local."
NEW = "new.default.svc.cluster.local."
QUERIES = 64
"""Each from a port of its own: that one of two processes gets none has a chance of 2 in 2^64."""

COREFILE = """\
. {{
    errors
    health 127.0.0.1:{health} {{
        lameduck {lameduck}
    }}
    ready 127.0.0.1:{ready}
    prometheus 127.0.0.1:{metrics}
    kubernetes cluster.local in-addr.arpa {{
        endpoint {api}
    }}
    {more}
}}
"""


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many processes as the Corefile says, however few processors this machine has."""
    monkeypatch.setenv("GOMAXPROCS", "2")


@dataclass
class Site:
    """A server with several processes, and its API server."""

    api: FakeApiServer
    server: Running
    path: Path
    ports: dict[str, object]

    def write(self, more: str) -> None:
        self.path.write_text(COREFILE.format(**{**self.ports, "more": more}))

    def workers(self) -> list[int]:
        pid = self.server.process.pid
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(one) for one in text.split()]

    async def get(self, probe: str, path: str) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.ports[probe]}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status, await response.text()

    async def metric(self, pattern: str) -> float:
        """Sum the values of the lines that begin with *pattern*."""
        _, text = await self.get("metrics", "/metrics")
        return sum(float(value) for value in re.findall(rf"^{pattern}\S* (\S+)$", text, re.M))

    async def counted(self, queries: int) -> None:
        """Wait until so many have been counted: a process that stalls is not waited for."""

        async def so_many() -> bool:
            return await self.metric("coredns_dns_requests_total") == queries

        await eventually(so_many)

    async def shares(self) -> dict[str, float]:
        _, text = await self.get("metrics", "/metrics")
        found = re.findall(r'^svcdns_worker_requests_total\{worker="(\d+)"\} (\S+)$', text, re.M)
        return {worker: float(value) for worker, value in found}

    async def answers(self, name: str = NAME) -> Counter[str]:
        """Ask from many ports at once, and count what comes."""

        async def one() -> str:
            try:
                answer = await self.server.ask(name, timeout=30.0)
            except dns.exception.Timeout:
                return "lost"
            found = [data.to_text() for rrset in answer.answer for data in rrset]
            return ",".join(found) or dns.rcode.to_text(answer.rcode())

        return Counter(await asyncio.gather(*(one() for _ in range(QUERIES))))


@contextlib.asynccontextmanager
async def site(
    folder: Path, more: str = "multisocket 2", *, lameduck: str = "0s"
) -> AsyncIterator[Site]:
    async with FakeApiServer() as api:
        api.state.put(namespace("default"))
        api.state.put(service("default/web", "10.96.0.1"))
        ports: dict[str, object] = {one: free_port() for one in ("health", "ready", "metrics")}
        ports |= {"api": api.url, "lameduck": lameduck}
        path = folder / "Corefile"
        path.write_text(COREFILE.format(**ports, more=more))
        async with running(path) as server:
            yield Site(api, server, path, ports)


@contextlib.asynccontextmanager
async def load(found: Site) -> AsyncIterator[Counter[str]]:
    """Ask all the time, and count what comes."""
    seen: Counter[str] = Counter()
    done = asyncio.Event()

    async def ask() -> None:
        while not done.is_set():
            seen.update(await found.answers())
            await pace(0.01)

    task = asyncio.ensure_future(ask())
    try:
        await until(lambda: seen)
        yield seen
    finally:
        done.set()
        await task


def sockets(port: int) -> int:
    """Count the UDP sockets that are bound to a port."""
    rows = [line.split()[1] for line in Path("/proc/net/udp6").read_text().splitlines()[1:]]
    return sum(row.endswith(f":{port:04X}") for row in rows)


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_each_process_has_a_socket_and_takes_its_share(tmp_path: Path) -> None:
    async with site(tmp_path, "multisocket 3") as found:
        assert await found.answers() == {"10.96.0.1": QUERIES}

        assert sockets(found.server.port) == 3
        assert len(found.workers()) == 2
        await found.counted(QUERIES)
        shares = await found.shares()
        assert [worker for worker, taken in shares.items() if taken > 0] == ["0", "1", "2"]


async def test_a_server_without_the_directive_is_one_process(tmp_path: Path) -> None:
    async with site(tmp_path, "") as found:
        assert await found.answers() == {"10.96.0.1": QUERIES}

        assert found.workers() == []
        assert await found.shares() == {}


async def test_only_one_process_watches_the_cluster_and_all_follow_it(tmp_path: Path) -> None:
    async with site(tmp_path) as found:
        assert await found.answers(NEW) == {"NXDOMAIN": QUERIES}
        before = await found.shares()

        found.api.state.put(service("default/new", "10.96.0.9"))

        async def everywhere() -> bool:
            return await found.answers(NEW) == {"10.96.0.9": QUERIES}

        await eventually(everywhere)
        found.api.state.delete(Kind.SERVICE, "default", "new")

        async def nowhere() -> bool:
            return await found.answers(NEW) == {"NXDOMAIN": QUERIES}

        await eventually(nowhere)
        after = await found.shares()
        assert all(after[worker] > before[worker] for worker in ("0", "1"))
        assert Counter(one.kind for one in found.api.asked("list")) <= Counter(
            [Kind.NAMESPACE, Kind.SERVICE, Kind.ENDPOINT_SLICE]
        )
        assert Counter(one.kind for one in found.api.streams) == Counter(
            [Kind.NAMESPACE, Kind.SERVICE, Kind.ENDPOINT_SLICE]
        )


async def test_endpoints_and_addresses_reach_all_processes(tmp_path: Path) -> None:
    async with site(tmp_path) as found:
        found.api.state.put(service("default/pods", "None"))
        found.api.state.put(endpoint_slice("default/pods", ["10.1.0.1"]))

        async def everywhere() -> bool:
            return await found.answers("pods.default.svc.cluster.local.") == {"10.1.0.1": QUERIES}

        await eventually(everywhere)


async def test_metrics_are_the_sum_and_what_all_see_is_counted_once(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("192.0.2.1 a.example\n")
    more = f"multisocket 2\n hosts {hosts} {{\n fallthrough\n }}"
    async with site(tmp_path, more) as found:
        await found.answers()
        await found.counted(QUERIES)

        assert await found.metric("coredns_dns_requests_total") == QUERIES
        assert await found.metric("coredns_dns_request_duration_seconds_count") == QUERIES
        assert await found.metric("coredns_hosts_entries") == 2  # the name and the address
        assert await found.metric("coredns_build_info") == 1
        assert await found.metric("svcdns_workers") == 1


async def test_a_killed_worker_is_replaced_and_queries_go_on(tmp_path: Path) -> None:
    async with site(tmp_path) as found:
        await found.answers()
        before = await found.metric("coredns_dns_requests_total")
        (worker,) = found.workers()
        async with load(found) as seen:
            os.kill(worker, signal.SIGKILL)
            await found.server.says("by signal 9; the first process answers")
            await until(lambda: found.workers() and worker not in found.workers())

            async def back() -> bool:
                return await found.metric("svcdns_workers") == 1

            await eventually(back)
            for _ in range(3):
                assert await found.answers() == {"10.96.0.1": QUERIES}
        assert set(seen) <= {"10.96.0.1", "lost"}, "what it had read when it was killed is lost"
        assert await found.metric("svcdns_worker_restarts_total") == 1
        assert await found.metric("coredns_dns_requests_total") >= before


async def test_without_descriptors_a_worker_is_replaced_when_there_are_some_again(
    tmp_path: Path,
) -> None:
    async with site(tmp_path, "multisocket 2") as made:
        (old,) = made.workers()
        first = made.server.process.pid
        before = resource.prlimit(first, resource.RLIMIT_NOFILE)
        resource.prlimit(first, resource.RLIMIT_NOFILE, (0, before[1]))
        os.kill(old, signal.SIGKILL)
        await made.server.says("no further process can be had: ")
        assert not made.server.ended
        resource.prlimit(first, resource.RLIMIT_NOFILE, before)

        await until(lambda: len(set(made.workers()) - {old}) == 1)
        assert set(await made.answers()) == {"10.96.0.1"}


async def test_a_new_worker_knows_what_happened_before_it(tmp_path: Path) -> None:
    async with site(tmp_path) as found:
        found.api.state.put(service("default/new", "10.96.0.9"))

        async def known() -> bool:
            return await found.answers(NEW) == {"10.96.0.9": QUERIES}

        await eventually(known)
        os.kill(found.workers()[0], signal.SIGKILL)
        await found.server.says("another one starts in 0.1 s")
        await until(lambda: len(found.workers()) == 1)

        assert await found.answers(NEW) == {"10.96.0.9": QUERIES}
        found.api.state.put(service("default/newer", "10.96.0.10"))

        async def newer() -> bool:
            name = "newer.default.svc.cluster.local."
            return await found.answers(name) == {"10.96.0.10": QUERIES}

        await eventually(newer)


async def test_a_reload_reaches_all_processes_and_loses_no_query(tmp_path: Path) -> None:
    async with site(tmp_path) as found:
        (old,) = found.workers()
        async with load(found) as seen:
            found.write("multisocket 2\n hosts {\n 192.0.2.1 new.example\n fallthrough\n }")
            found.server.process.send_signal(signal.SIGUSR1)
            await found.server.says("Reloading complete")

            assert await found.answers("new.example.") == {"192.0.2.1": QUERIES}
            await until(lambda: old not in found.workers())
        assert set(seen) == {"10.96.0.1"}
        assert found.api.asked("list", Kind.SERVICE)[1:] == []
        assert len(found.workers()) == 1


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [("", "multisocket 3", 3), ("multisocket 3", "", 1), ("multisocket 2", "multisocket 4", 4)],
)
async def test_a_reload_changes_the_number_of_processes(
    tmp_path: Path, before: str, after: str, expected: int
) -> None:
    async with site(tmp_path, before) as found:
        await found.answers()
        found.write(after)
        found.server.process.send_signal(signal.SIGUSR1)
        await found.server.says("Reloading complete")
        await until(lambda: len(found.workers()) == expected - 1)

        await until(lambda: sockets(found.server.port) == expected)
        assert await found.answers() == {"10.96.0.1": QUERIES}
        await found.counted(2 * QUERIES)


async def test_a_bad_corefile_leaves_the_workers_alone(tmp_path: Path) -> None:
    async with site(tmp_path) as found:
        before = found.workers()
        found.write("multisocket 0")
        found.server.process.send_signal(signal.SIGUSR1)
        await found.server.says("reload failed")

        assert found.workers() == before
        assert await found.answers() == {"10.96.0.1": QUERIES}


async def test_all_processes_answer_through_the_lame_duck_period(tmp_path: Path) -> None:
    async with site(tmp_path, lameduck="60s") as found:
        workers = found.workers()
        for pid in (*workers, found.server.process.pid):
            os.kill(pid, signal.SIGTERM)  # as systemd does: everybody at once
        await found.server.says("Going into lameduck mode")

        assert await found.answers() == {"10.96.0.1": QUERIES}
        assert (await found.get("health", "/health"))[0] == 200
        assert all(map(exists, workers))


async def test_all_processes_end_after_the_lame_duck_period(tmp_path: Path) -> None:
    async with site(tmp_path, lameduck="100ms") as found:
        workers = found.workers()
        for pid in workers:
            os.kill(pid, signal.SIGTERM)
        assert await found.server.end() == 0
        assert not any(map(exists, workers))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGQUIT])
async def test_no_worker_outlives_the_first_process(tmp_path: Path, number: int) -> None:
    async with site(tmp_path) as found:
        workers = found.workers()
        await found.server.end(number)

        await until(lambda: not any(map(exists, workers)))


async def test_connections_are_taken_by_all_processes(tmp_path: Path) -> None:
    async with site(tmp_path) as found:

        async def ask() -> int:
            query = dns.message.make_query(NAME, "A")
            where, port = "127.0.0.1", found.server.port
            return (await dns.asyncquery.tcp(query, where, port=port, timeout=30)).rcode()

        assert set(await asyncio.gather(*(ask() for _ in range(QUERIES)))) == {0}
        assert all(taken > 0 for taken in (await found.shares()).values())


async def test_lines_of_all_processes_are_whole(tmp_path: Path) -> None:
    async with site(tmp_path, "multisocket 2\n log") as found:
        for _ in range(8):
            await found.answers()
        assert await found.server.end() == 0

    queries = [line for line in found.server.lines if NAME in line]
    assert len(queries) == 8 * QUERIES
    assert all(re.fullmatch(r"\[INFO\] 127\.0\.0\.1:\d+ - .* \S+s", line) for line in queries)


async def test_ready_says_yes_when_all_processes_answer(tmp_path: Path) -> None:
    async with site(tmp_path, "multisocket 4") as found:
        assert (await found.get("ready", "/ready"))[0] == 200
        assert await found.metric("svcdns_workers") == 3


async def test_a_loop_is_found_whichever_process_the_probes_come_back_to(tmp_path: Path) -> None:
    # The old workers know probes as well: one may read them when the new ones have begun.
    more = "multisocket 4\n loop\n forward example 127.0.0.1:"
    async with site(tmp_path, f"{more}{free_port()}") as found:
        found.write(f"{more}{found.server.port}")
        found.server.process.send_signal(signal.SIGUSR1)
        await found.server.says("Reloading complete")

        await until(lambda: sum("Loop (" in line for line in found.server.lines) == 4, 60.0)
        assert await found.answers("www.example.") == {"REFUSED": QUERIES}
        assert await found.answers() == {"10.96.0.1": QUERIES}


ZONE = """\
example.org. 60 IN SOA ns.example.org. host.example.org. {serial} 3600 600 86400 60
example.org. 60 IN NS ns.example.org.
www.example.org. 60 IN A 10.0.0.{serial}
"""


async def test_a_notify_reaches_all_processes_whichever_gets_it(tmp_path: Path) -> None:
    """RFC 1996 §3.11: the refresh time is an hour, so only a NOTIFY brings the new serial."""
    database, primary = tmp_path / "db", tmp_path / "primary"
    database.write_text(ZONE.format(serial=1))
    primary.write_text(
        f"example.org {{\nfile {database} {{\nreload 1s\n}}\ntransfer {{\nto *\n}}\n}}\n"
    )
    notify = dns.message.make_query("example.org.", "SOA")
    notify.set_opcode(dns.opcode.NOTIFY)
    async with running(primary) as first:
        more = f"secondary example.org {{\n transfer from 127.0.0.1:{first.port}\n }}"
        async with site(tmp_path, f"multisocket 4\n {more}") as found:

            async def all_have(serial: int) -> bool:
                return await found.answers("www.example.org.") == {f"10.0.0.{serial}": QUERIES}

            await eventually(lambda: all_have(1))
            for serial in (2, 3):  # each from a port of its own, so to any of the processes
                database.write_text(ZONE.format(serial=serial))
                await first.says(f"with {serial} SOA serial")
                where, port = "127.0.0.1", found.server.port
                reply = await dns.asyncquery.udp(notify, where, port=port, timeout=30)
                assert reply.rcode() == dns.rcode.NOERROR
                await eventually(partial(all_have, serial))


async def test_what_all_processes_notice_is_said_once(tmp_path: Path) -> None:
    more = f"secondary example.org {{\n transfer from 127.0.0.1:{free_port()}\n }}"
    async with site(tmp_path, f"multisocket 3\n {more}") as found:
        lines = found.server.lines

        def times(text: str) -> int:
            return sum(text in line for line in lines)

        await until(lambda: times("failed to transfer, retrying in 1s"), 60.0)
        assert times("failed to transfer, retrying in 250ms") == 1
        assert times("failed to transfer, retrying in 500ms") == 1


@contextlib.asynccontextmanager
async def crew() -> AsyncIterator[tuple[Workers, Cluster]]:
    """Workers of this very process, so that a test can turn its dials."""
    port = free_port()
    text = (
        f".:{port} {{\n bind 127.0.0.1\n kubernetes cluster.local {{\n"
        " endpoint http://127.0.0.1:1\n }\n multisocket 2\n}\n"
    )
    blocks = parse(text, "Corefile", {}, lambda _pattern, _file: [], print, known=NAMES)
    registry, clusters = Registry(), Clusters(lambda: 1000.0)
    lent = environment(registry, clusters, write=print, spawn=lambda ask: None)
    configuration = build(blocks, lent)
    upstreams = Upstreams()
    listeners = Listeners(upstreams.settle)
    await listeners.change(configuration.servers)
    tasks: list[asyncio.Task[None]] = []

    def run(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        tasks.append(asyncio.ensure_future(work))
        return tasks[-1]

    writer = LineWriter(io.StringIO())
    workers = Workers(
        listeners,
        upstreams.settle,
        registry,
        clusters,
        writer,
        "kin",
        run,
        lambda _place, line: writer.write(line),
    )
    try:
        await workers.change(blocks, configuration)
        yield workers, configuration.clusters[0]
    finally:
        await workers.stop()
        workers.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listeners.stop()
        configuration.close()
        await upstreams.close()
        gc.unfreeze()


async def replaced(workers: Workers, old: int) -> None:
    """Wait for another worker than *old* that serves."""
    await until(lambda: [one for one in workers.links if one.pid != old and one.serving], 60.0)


async def test_a_worker_that_does_not_answer_is_replaced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("svcdns.aio.workers.BEAT_SECONDS", 0.05)
    monkeypatch.setattr("svcdns.aio.workers.MAX_MISSED", 4)
    async with crew() as (workers, _):
        (link,) = workers.links
        os.kill(link.pid, signal.SIGSTOP)

        await replaced(workers, link.pid)

    assert "does not answer any more and was ended" in caplog.text


async def test_a_worker_that_falls_behind_is_replaced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("svcdns.aio.workers.MAX_BEHIND", 1 << 16)
    async with crew() as (workers, copy):
        (link,) = workers.links
        os.kill(link.pid, signal.SIGSTOP)
        for number in range(200):
            copy.store.apply(slice_of(f"default/s-{number}", labels={"long": "x" * 5000}))

        await replaced(workers, link.pid)

    assert "has fallen behind and was ended" in caplog.text


async def test_tls_connections_are_taken_by_all_processes(tmp_path: Path) -> None:
    pair, port = authority(tmp_path, "dns.example"), free_port()
    block = f"tls://.:{port} {{\n tls {pair.certificate} {pair.key}\n whoami\n multisocket 2"
    async with site(tmp_path, f"multisocket 2\n}}\n{block}") as found:

        async def ask() -> int:
            query = dns.message.make_query("a.example.", "A")
            answer = await dns.asyncquery.tls(
                query, "127.0.0.1", port=port, timeout=10, verify=pair.authority
            )
            return answer.rcode()

        assert set(await asyncio.gather(*(ask() for _ in range(QUERIES)))) == {0}
        assert all(taken > 0 for taken in (await found.shares()).values())
