"""The life of a process, tried on real processes: start, reload, signals."""

import asyncio
import contextlib
import io
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterable
from functools import partial
from pathlib import Path

import aiohttp
import dns.asyncquery
import dns.message
import dns.rcode
import pytest

from svcdns.aio import app
from svcdns.aio.app import App, Feed, Settings
from svcdns.aio.corefilesource import CorefileSource
from svcdns.aio.listeners import Listeners
from svcdns.aio.logs import CoreDnsHandler, LineWriter
from svcdns.errors import ConfigError, CredentialsError
from svcdns.kube.source import ApiSource
from svcdns.kube.store import Store
from svcdns.metrics import Registry
from svcdns.plugins.server import Server
from tests.support.ports import free_port
from tests.support.process import ROOT, running
from tests.support.resolver import ADDRESS, Resolver, Step
from tests.support.waiting import eventually, until


def write(path: Path, upstream: int, *more: str) -> Path:
    lines = [f"forward . 127.0.0.1:{upstream}", *more]
    path.write_text(". {\n" + "\n".join(f"    {line}" for line in lines) + "\n}\n")
    return path


async def status(port: int, path: str) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as response,
    ):
        return response.status


async def test_a_server_forwards_and_ends_with_status_0(tmp_path: Path) -> None:
    async with (
        Resolver() as resolver,
        running(write(tmp_path / "Corefile", resolver.port)) as server,
    ):
        answer = await server.ask()

        assert answer.answer[0][0].to_text() == ADDRESS
        assert await server.end() == 0
    assert server.lines[0] == f".:{server.port}"
    assert server.lines[-1] == "[INFO] SIGTERM: Shutting down servers then terminating"


async def test_probes_and_metrics_are_served(tmp_path: Path) -> None:
    health, ready, metrics = free_port(), free_port(), free_port()
    more = (f"health :{health}", f"ready :{ready}", f"prometheus :{metrics}")
    async with (
        Resolver() as resolver,
        running(write(tmp_path / "Corefile", resolver.port, *more)) as server,
    ):
        await server.ask()

        assert await status(health, "/health") == 200
        assert await status(ready, "/ready") == 200
        assert await status(metrics, "/metrics") == 200


async def test_lame_duck_answers_with_ready_closed(tmp_path: Path) -> None:
    """Rule I7, corefile-features e."""
    health, ready = free_port(), free_port()
    more = (f"health :{health} {{", "lameduck 50s", "}", f"ready :{ready}")
    async with (
        Resolver() as resolver,
        running(write(tmp_path / "Corefile", resolver.port, *more)) as server,
    ):
        server.process.send_signal(signal.SIGTERM)
        await server.says("Going into lameduck mode for 50s")

        assert (await server.ask()).rcode() == dns.rcode.NOERROR
        assert await status(health, "/health") == 200
        with pytest.raises(aiohttp.ClientConnectorError):
            await status(ready, "/ready")


async def test_lame_duck_ends_with_status_0(tmp_path: Path) -> None:
    more = (f"health :{free_port()} {{", "lameduck 100ms", "}")
    async with (
        Resolver() as resolver,
        running(write(tmp_path / "Corefile", resolver.port, *more)) as server,
    ):
        assert await server.end() == 0
    assert any("Going into lameduck mode for 100ms" in line for line in server.lines)


async def test_a_query_under_way_is_answered_before_the_end(tmp_path: Path) -> None:
    async with (
        Resolver([Step(delay=0.5)]) as resolver,
        running(write(tmp_path / "Corefile", resolver.port)) as server,
    ):
        answer = asyncio.ensure_future(server.ask())
        await resolver.received(1)
        ending = asyncio.ensure_future(server.end())

        assert (await answer).rcode() == dns.rcode.NOERROR
        assert await ending == 0


@pytest.mark.parametrize(
    ("number", "expected"), [(signal.SIGINT, 0), (signal.SIGQUIT, 0), (signal.SIGTERM, 0)]
)
async def test_signals_that_end_it(tmp_path: Path, number: int, expected: int) -> None:
    async with (
        Resolver() as resolver,
        running(write(tmp_path / "Corefile", resolver.port)) as server,
    ):
        assert await server.end(number) == expected


async def test_a_second_interrupt_does_not_wait(tmp_path: Path) -> None:
    more = (f"health :{free_port()} {{", "lameduck 60s", "}")
    async with (
        Resolver() as resolver,
        running(write(tmp_path / "Corefile", resolver.port, *more)) as server,
    ):
        server.process.send_signal(signal.SIGINT)
        await server.says("lameduck")

        assert await server.end(signal.SIGINT) == 2


async def test_sigusr1_reloads_and_no_query_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "Corefile"
    async with Resolver() as resolver, running(write(path, resolver.port)) as server:
        lost: list[BaseException] = []
        asked = 0
        done = asyncio.Event()

        async def load() -> None:
            nonlocal asked
            while not done.is_set():
                try:
                    await server.ask(timeout=30.0)
                except Exception as error:
                    lost.append(error)
                asked += 1

        def reloaded(times: int) -> bool:
            return sum("Reloading complete" in line for line in server.lines) == times

        loads = [asyncio.ensure_future(load()) for _ in range(4)]
        for turn in range(5):
            write(path, resolver.port, f'log nothing.example "{turn}"')
            server.process.send_signal(signal.SIGUSR1)
            await until(partial(reloaded, turn + 1))
            before = asked
            await until(lambda before=before: asked > before)  # type: ignore[misc]
        done.set()
        await asyncio.gather(*loads)

    assert lost == []
    assert asked > 5


async def test_a_changed_corefile_is_taken_into_use(tmp_path: Path) -> None:
    """A ConfigMap: the file is a symlink, and what changes is a directory behind it."""
    async with Resolver() as resolver:
        for name, more in (("one", "reload 2s 1s"), ("two", "reload 2s 1s\n    log")):
            (tmp_path / name).mkdir()
            write(tmp_path / name / "Corefile", resolver.port, more)
        (tmp_path / "..data").symlink_to("one")
        (tmp_path / "Corefile").symlink_to("..data/Corefile")
        async with running(tmp_path / "Corefile") as server:
            (tmp_path / "..tmp").symlink_to("two")
            (tmp_path / "..tmp").replace(tmp_path / "..data")
            await server.says("[INFO] Reloading complete")
            await server.ask()
            await server.says('"A IN www.example. udp')

    hashes = [line for line in server.lines if "Running configuration SHA512 = " in line]
    assert len(set(hashes)) == 2


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        (". {\n    nonsense\n}\n", "Unknown directive 'nonsense'"),
        (". {\n    forward . 127.0.0.1 {\n        policy best\n    }\n}\n", "reload failed: "),
        (". {\n", "Corefile parse failed"),
    ],
)
async def test_a_broken_corefile_leaves_everything_as_it_is(
    tmp_path: Path, broken: str, line: str
) -> None:
    path = tmp_path / "Corefile"
    async with Resolver() as resolver, running(write(path, resolver.port)) as server:
        path.write_text(broken)
        server.process.send_signal(signal.SIGUSR1)
        await server.says(line)

        assert (await server.ask()).rcode() == dns.rcode.NOERROR
        write(path, resolver.port, "log")
        server.process.send_signal(signal.SIGUSR1)
        await server.says("Reloading complete")


async def test_a_reload_onto_a_taken_port_leaves_everything_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "Corefile"
    async with Resolver() as resolver, running(write(path, resolver.port)) as server:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            path.write_text(
                path.read_text() + f"example:{port} {{\n    bind 127.0.0.1\n    log\n}}\n"
            )
            server.process.send_signal(signal.SIGUSR1)
            await server.says(f"listen udp 127.0.0.1:{port}: bind: address already in use")

        assert (await server.ask()).rcode() == dns.rcode.NOERROR


async def test_a_reload_that_fails_at_the_last_moment_leaves_probes_and_log_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blind(listeners: Listeners, servers: Iterable[Server]) -> None:
        """See nothing of the port that will be taken when it comes to it."""

    monkeypatch.setattr(Listeners, "check", blind)
    level = logging.getLogger().level
    made = InProcess(tmp_path / "Corefile", silent, timeout="0s")
    before = made.path.read_text().replace("{\n", "{\n    debug\n", 1)
    made.path.write_text(before)
    async with made.run() as task:
        await made.says("svcdns-")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            other = f"x.:{taken.getsockname()[1]} {{\n    bind 127.0.0.1\n    log\n}}\n"
            after = before.replace("    debug\n", "").replace(f":{made.ready}", f":{free_port()}")
            made.path.write_text(after + other)
            os.kill(os.getpid(), signal.SIGUSR1)
            await made.says("reload failed: listen udp 127.0.0.1:")

        assert await status(made.ready, "/ready") == 503
        assert logging.getLogger().level == logging.DEBUG
        os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.wait_for(task, 10) == 0
    logging.getLogger().setLevel(level)


async def test_a_taken_port_ends_the_start_with_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path / "Corefile", 5353)
    async with running(path) as first:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "svcdns", "dns", "-conf", str(path), f"-dns.port={first.port}",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        _, errors = await asyncio.wait_for(process.communicate(), 30)

    assert process.returncode == 1
    assert errors.decode() == (
        f"listen udp :{first.port}: bind: address already in use"
        " (another server has the port: stop it, or choose another one)\n"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
async def test_the_process_id_is_in_a_file_until_the_end(tmp_path: Path, number: int) -> None:
    """CoreDNS removes it too (caddy.go, OnProcessExit)."""
    path = write(tmp_path / "Corefile", 5353)
    async with running(path, f"-pidfile={tmp_path / 'pid'}") as server:
        assert int((tmp_path / "pid").read_text()) == server.process.pid
        assert await server.end(number) == 0

    assert not (tmp_path / "pid").exists()


async def test_quiet_says_nothing_at_start(tmp_path: Path) -> None:
    path = write(tmp_path / "Corefile", 5353, f"health :{(port := free_port())}")
    async with running(path, "-quiet", wait=False) as server:

        async def up() -> bool:
            try:
                return await status(port, "/health") == 200
            except aiohttp.ClientError:
                return False

        await eventually(up)
        assert await server.end() == 0

    assert [line for line in server.lines if not line.startswith("[INFO] SIGTERM")] == []


KUBERNETES = """
.:{port} {{
    ready :{ready}
    kubernetes cluster.local {{
        endpoint http://127.0.0.1:1
        startup_timeout {timeout}
    }}
}}
"""


class InProcess:
    """The app in this process, with a feed of ours instead of an API server."""

    def __init__(self, path: Path, feed: Feed, **settings: str) -> None:
        self.port, self.ready = free_port(), free_port()
        self.path = path
        path.write_text(KUBERNETES.format(port=self.port, ready=self.ready, **settings))
        self.stream = io.StringIO()
        self.writer = LineWriter(self.stream)
        source = CorefileSource(str(path))
        self.app = App(Settings(source, feed), self.writer)

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator["asyncio.Task[int]"]:
        handler = CoreDnsHandler(self.writer)
        logging.getLogger().addHandler(handler)
        task = asyncio.ensure_future(self.app.run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            logging.getLogger().removeHandler(handler)

    async def says(self, text: str) -> None:
        await until(lambda: text in self.stream.getvalue())

    async def ask(self, name: str) -> dns.message.Message:
        query = dns.message.make_query(name, "A")
        return await dns.asyncquery.udp(query, "127.0.0.1", port=self.port, timeout=30)


async def silent(source: ApiSource, store: Store, registry: Registry) -> None:
    """Never hear of the API server."""
    await asyncio.Event().wait()


async def test_without_an_api_server_it_starts_in_the_end_and_admits_ignorance(
    tmp_path: Path,
) -> None:
    """Rules I1 and I2."""
    made = InProcess(tmp_path / "Corefile", silent, timeout="1s")
    async with made.run() as task:
        await made.says("[WARNING] plugin/kubernetes: starting server with unsynced Kubernetes API")
        await made.says("svcdns-")

        assert (await made.ask("web.prod.svc.cluster.local.")).rcode() == dns.rcode.SERVFAIL
        assert await status(made.ready, "/ready") == 503
        os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.wait_for(task, 30) == 0


async def test_a_server_that_hears_of_everything_starts_at_once(tmp_path: Path) -> None:
    async def feed(source: ApiSource, store: Store, registry: Registry) -> None:
        for kind in source.kinds:
            store.replace(kind, ())
        await asyncio.Event().wait()

    made = InProcess(tmp_path / "Corefile", feed, timeout="60s")
    async with made.run() as task:
        await made.says("svcdns-")

        assert (await made.ask("web.prod.svc.cluster.local.")).rcode() == dns.rcode.NXDOMAIN
        assert await status(made.ready, "/ready") == 200
        os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.wait_for(task, 30) == 0


async def test_while_the_api_is_waited_for_nobody_is_answered_and_a_signal_ends_it(
    tmp_path: Path,
) -> None:
    """Rule I1."""
    made = InProcess(tmp_path / "Corefile", silent, timeout="60s")
    async with made.run() as task:
        await made.says("waiting for Kubernetes API before starting server")
        assert await status(made.ready, "/ready") == 503
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", made.port)
        os.kill(os.getpid(), signal.SIGTERM)

        assert await asyncio.wait_for(task, 30) == 0


async def test_credentials_that_cannot_be_used_end_the_start(tmp_path: Path) -> None:
    async def feed(source: ApiSource, store: Store, registry: Registry) -> None:
        raise CredentialsError("kubeconfig /x: no such file")

    made = InProcess(tmp_path / "Corefile", feed, timeout="60s")
    async with made.run() as task:
        with pytest.raises(ConfigError, match="kubeconfig /x: no such file"):
            await asyncio.wait_for(task, 30)


async def hears(source: ApiSource, store: Store, registry: Registry) -> None:
    """Hear of an API server that has nothing."""
    for kind in source.kinds:
        store.replace(kind, ())
    await asyncio.Event().wait()


def zone(tmp_path: Path, records: int) -> Path:
    lines = [f"h{number} A 10.0.0.1" for number in range(records)]
    path = tmp_path / "db.example.org"
    path.write_text("$TTL 9\n@ SOA a b 1 2 3 4 5\n" + "\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    "directive", ["file {zone} example.org", "auto {{\ndirectory {folder}\n}}"]
)
async def test_a_reload_reads_zone_files_while_others_are_answered(
    tmp_path: Path, directive: str
) -> None:
    directive = directive.format(zone=zone(tmp_path, 3000), folder=tmp_path)
    made = InProcess(tmp_path / "Corefile", hears, timeout="60s")
    async with made.run() as task:
        await made.says("svcdns-")
        made.path.write_text(made.path.read_text().replace("ready", f"{directive}\nready", 1))
        answers = 0
        os.kill(os.getpid(), signal.SIGUSR1)
        await made.says("[INFO] Reloading\n")
        while "Reloading complete" not in made.stream.getvalue():
            await made.ask("web.prod.svc.cluster.local.")
            answers += 1

        assert answers > 5
        assert (await made.ask("h2999.example.org.")).rcode() == dns.rcode.NOERROR
        os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.wait_for(task, 30) == 0


async def test_a_zone_file_that_cannot_be_read_leaves_everything_as_it_is(tmp_path: Path) -> None:
    path = zone(tmp_path, 500)
    path.write_text(path.read_text() + "nonsense here\n")
    made = InProcess(tmp_path / "Corefile", hears, timeout="60s")
    async with made.run():
        await made.says("svcdns-")
        text = made.path.read_text()
        made.path.write_text(text.replace("ready", f"file {path} example.org\nready", 1))
        os.kill(os.getpid(), signal.SIGUSR1)
        await made.says(f"plugin/file: {path}:503: ")

        assert (await made.ask("web.prod.svc.cluster.local.")).rcode() == dns.rcode.NXDOMAIN


async def test_a_signal_ends_a_reload_that_takes_long(tmp_path: Path) -> None:
    path = zone(tmp_path, 3000)
    made = InProcess(tmp_path / "Corefile", hears, timeout="60s")
    async with made.run() as task:
        await made.says("svcdns-")
        text = made.path.read_text()
        made.path.write_text(text.replace("ready", f"file {path} example.org\nready", 1))
        os.kill(os.getpid(), signal.SIGUSR1)
        await made.says("[INFO] Reloading\n")
        os.kill(os.getpid(), signal.SIGTERM)

        assert await asyncio.wait_for(task, 30) == 0
    assert "Reloading complete" not in made.stream.getvalue()


async def test_credentials_that_cannot_be_used_fail_a_reload(tmp_path: Path) -> None:
    async def feed(source: ApiSource, store: Store, registry: Registry) -> None:
        if source.endpoint.endswith(":2"):
            raise CredentialsError("kubeconfig /x: no such file")
        for kind in source.kinds:
            store.replace(kind, ())
        await asyncio.Event().wait()

    made = InProcess(tmp_path / "Corefile", feed, timeout="60s")
    async with made.run() as task:
        await made.says("svcdns-")
        made.path.write_text(made.path.read_text().replace("127.0.0.1:1", "127.0.0.1:2"))
        os.kill(os.getpid(), signal.SIGUSR1)
        await made.says("reload failed: kubeconfig /x: no such file")

        assert (await made.ask("web.prod.svc.cluster.local.")).rcode() == dns.rcode.NXDOMAIN
        os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.wait_for(task, 30) == 0


async def test_a_login_that_fails_when_we_answer_already_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login command may take a minute to fail, and a start waits for seconds (rule I1)."""
    monkeypatch.setattr(app, "LOGIN_AGAIN", 0.1)
    failing, tries = asyncio.Event(), 0

    async def feed(source: ApiSource, store: Store, registry: Registry) -> None:
        nonlocal tries
        tries += 1
        await failing.wait()
        if tries < 3:
            raise CredentialsError("exec: login did not end within 60 s")
        for kind in source.kinds:
            store.replace(kind, ())
        await asyncio.Event().wait()

    made = InProcess(tmp_path / "Corefile", feed, timeout="0s")
    async with made.run() as task:
        await made.says("svcdns-")
        failing.set()
        await made.says("[ERROR] plugin/kubernetes: exec: login did not end within 60 s; trying")
        await until(lambda: tries == 3)

        assert (await made.ask("web.prod.svc.cluster.local.")).rcode() == dns.rcode.NXDOMAIN
        os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.wait_for(task, 10) == 0


async def test_a_part_that_dies_ends_the_process(tmp_path: Path) -> None:
    """A pod that restarts is better than one that lies."""
    die = asyncio.Event()

    async def feed(source: ApiSource, store: Store, registry: Registry) -> None:
        await die.wait()
        raise KeyError("a bug")

    made = InProcess(tmp_path / "Corefile", feed, timeout="0s")
    async with made.run() as task:
        await made.says("svcdns-")
        die.set()

        assert await asyncio.wait_for(task, 30) == 1
    assert "[FATAL] a part of the server has died" in made.stream.getvalue()


async def test_an_upstream_that_is_ourselves_is_named(tmp_path: Path) -> None:
    """Issue 4, item 8: the process lives, the log names the upstream."""
    port = free_port()
    path = tmp_path / "Corefile"
    path.write_text(f".:{port} {{\n    loop\n    errors\n    forward . 127.0.0.1:{port}\n}}\n")
    async with running(path) as server:
        server.port = port
        await server.says(f"detected: upstream 127.0.0.1:{port} sends queries back")

        assert (await server.ask()).rcode() == dns.rcode.REFUSED
        assert not server.ended
