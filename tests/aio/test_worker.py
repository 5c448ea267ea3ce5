"""A worker in this process: what it does with what it is told; processes are in test_workers."""

import asyncio
import io
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import dns.asyncquery
import dns.message
import msgspec
import pytest_asyncio

from svcdns.aio.binding import open_datagram, open_stream
from svcdns.aio.logs import LineWriter
from svcdns.aio.worker import LEFT_BEHIND, Assignment, Worker, usage
from svcdns.corefile.parser import parse
from svcdns.kube.objects import Kind, KubeObject
from svcdns.kube.replication import Changed, Marked
from svcdns.kube.source import ApiSource
from svcdns.plugins.clusters import Cluster, Clusters
from svcdns.plugins.order import NAMES
from svcdns.plugins.server import Listen
from svcdns.plugins.workers import Beat, Drain, Report, Serving, ToFirst, Told, frame, to_first
from tests.support.cluster import namespace, service
from tests.support.ports import free_port


@dataclass
class Started:
    """A worker, the first process's end of its channel, and what it has."""

    work: "asyncio.Task[int]"
    channel: socket.socket
    copy: Cluster
    port: int
    left: list[int]
    "Statuses that it left the process with at once."

    async def hears(self, *messages: object) -> None:
        octets = b"".join(frame(one) for one in messages)  # type: ignore[arg-type]
        await asyncio.get_running_loop().sock_sendall(self.channel, octets)

    async def says(self, kind: type[ToFirst]) -> ToFirst:
        """Wait for a message of a kind."""
        loop, frames = asyncio.get_running_loop(), to_first()
        while True:
            data = await asyncio.wait_for(loop.sock_recv(self.channel, 1 << 18), 30)
            assert data, f"the worker has ended without {kind}"
            for message in frames.feed(data):
                if isinstance(message, kind):
                    return message

    async def ask(self, name: str) -> list[str]:
        query = dns.message.make_query(name, "A")
        answer = await dns.asyncquery.udp(query, "127.0.0.1", port=self.port, timeout=30)
        return [data.to_text() for rrset in answer.answer for data in rrset]


@pytest_asyncio.fixture
async def started() -> AsyncIterator[Started]:
    port = free_port()
    text = (
        f".:{port} {{\n bind 127.0.0.1\n kubernetes cluster.local {{\n"
        " endpoint http://127.0.0.1:1\n }\n multisocket 2\n}\n"
    )
    blocks = parse(text, "Corefile", {}, lambda _pattern, _file: [], print, known=NAMES)
    clusters = Clusters(lambda: 1000.0)
    kinds = (Kind.NAMESPACE, Kind.SERVICE, Kind.ENDPOINT_SLICE)
    source = ApiSource(kinds=kinds, endpoint="http://127.0.0.1:1")
    copy = clusters.get(source)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    sockets = {
        Listen("dns", ("127.0.0.1",), port): (
            open_datagram("127.0.0.1", port, shared=True),
            open_stream("127.0.0.1", port, shared=True),
        )
    }
    made = Assignment(blocks, clusters, (copy,), sockets, LineWriter(io.StringIO()))
    left: list[int] = []
    work = asyncio.ensure_future(Worker(made, left.append).run(theirs))
    found = Started(work, ours, copy, port, left)
    assert await found.says(Serving) == Serving()
    yield found
    if not work.done():
        await found.hears(Drain())
        await asyncio.wait_for(work, 30)
    ours.close()


async def test_changes_are_in_the_next_answer(started: Started) -> None:
    identity = started.copy.source.identity
    objects: list[KubeObject] = [namespace("default"), service("default/web", "10.96.0.1")]
    changes = [
        Changed(identity, kind, one.key, msgspec.msgpack.encode(one))
        for kind, one in zip((Kind.NAMESPACE, Kind.SERVICE), objects, strict=True)
    ]
    mark = Marked(identity, started.copy.source.kinds, 4711, 0)

    await started.hears(*changes, mark, Beat(1))

    assert await started.says(Beat) == Beat(1)
    assert await started.ask("web.default.svc.cluster.local.") == ["10.96.0.1"]
    assert started.copy.index.serial == 4711
    assert started.copy.store.synced


async def test_a_report_tells_what_was_counted(started: Started) -> None:
    await started.ask("nothing.default.svc.cluster.local.")

    await started.hears(Report(9))
    told = await started.says(Told)

    assert isinstance(told, Told)
    assert told.number == 9
    assert "coredns_dns_requests_total" in {one.name for one in told.figures}
    assert told.usage.descriptors > 0


async def test_draining_tells_a_last_time_and_ends_with_status_0(started: Started) -> None:
    await started.hears(Drain())

    assert isinstance(await started.says(Told), Told)
    assert await asyncio.wait_for(started.work, 30) == 0


async def test_a_worker_that_cannot_read_a_change_ends_and_is_to_be_replaced(
    started: Started,
) -> None:
    await started.hears(Changed(started.copy.source.identity, Kind.SERVICE, ("a", "b"), b"\xc1"))

    assert await asyncio.wait_for(started.work, 30) == LEFT_BEHIND


async def test_a_worker_leaves_at_once_when_the_first_process_is_gone(started: Started) -> None:
    started.channel.shutdown(socket.SHUT_WR)

    assert await asyncio.wait_for(started.work, 30) == LEFT_BEHIND
    assert started.left == [LEFT_BEHIND]


def test_memory_is_what_no_other_process_has(tmp_path: Path) -> None:
    smaps = tmp_path / "smaps_rollup"
    smaps.write_text(
        "5608-7ffe ---p 00000000 00:00 0 [rollup]\nRss: 1764 kB\nShared_Clean: 900 kB\n"
        "Private_Clean: 4 kB\nPrivate_Dirty: 12 kB\n"
    )

    assert usage(smaps).memory == 16384


def test_a_kernel_that_does_not_tell_is_no_error(tmp_path: Path) -> None:
    assert usage(tmp_path / "missing").memory == 0
