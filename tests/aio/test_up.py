"""``svcdns up`` as a user has it: one process, real sockets, edits while it runs."""

import asyncio
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import dns.asyncquery
import dns.message
import dns.rcode
import pytest

from svcdns.aio.up import (
    Settings,
    corefile,
    demo_directory,
    machine_upstreams,
)
from svcdns.corefile.parser import parse
from tests.support.manifests import pod, service, write
from tests.support.ports import free_port
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
DEADLINE = 60.0


class Running:
    """A process of ours."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port
        self.lines: list[str] = []

    async def line(self, part: str) -> str:
        """Read on until a line holds *part*."""
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE):
            while raw := await self.process.stdout.readline():
                self.lines.append(raw.decode().rstrip("\n"))
                if part in self.lines[-1]:
                    return self.lines[-1]
        raise AssertionError(f"no line with {part!r} in {self.lines}")

    async def ask(self, name: str, rrtype: str = "A") -> dns.message.Message:
        query = dns.message.make_query(name, rrtype)
        return await dns.asyncquery.udp(query, "127.0.0.1", 30, self.port)

    async def texts(self, name: str, rrtype: str = "A") -> list[str]:
        answer = await self.ask(name, rrtype)
        return sorted(str(record) for rrset in answer.answer for record in rrset)

    async def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), DEADLINE)


@asynccontextmanager
async def up(*args: str, port: int | None = None, metrics: bool = False) -> AsyncIterator[Running]:
    """Run ``svcdns up`` until the block ends."""
    port = port or free_port()
    if not metrics and "--metrics-address" not in args:
        args = (*args, "--metrics-address", "none")  # others may run beside us
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "svcdns", "up", *args,
        "--dns-port", str(port), "--upstream", "none",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        yield Running(process, port)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await drain(process)


async def drain(process: asyncio.subprocess.Process) -> None:
    """Read the rest, so that the transport closes."""
    assert process.stdout is not None
    await process.stdout.read()


async def get(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.text()


async def test_the_demo_answers_and_forwards() -> None:
    async with up() as running:
        await running.line("Ctrl-C stops")
        await running.line("who.am.i")
        assert not [
            line for line in running.lines if line.startswith("[")
        ]  # nothing to complain of
        zone = "svc.cluster.local."

        (web,) = await running.texts(f"web.default.{zone}")
        assert web.startswith("127.")
        assert await running.texts(f"_http._tcp.web.default.{zone}", "SRV") == [
            f"0 100 8080 web.default.{zone}"
        ]
        assert len(await running.texts(f"db.shop.{zone}")) == 2
        assert len(await running.texts(f"db-0.db.shop.{zone}")) == 1
        assert await running.texts(f"store.shop.{zone}") == [web, f"web.default.{zone}"]
        reverse = ".".join(reversed(web.split("."))) + ".in-addr.arpa."
        assert await running.texts(reverse, "PTR") == [f"web.default.{zone}"]
        missing = await running.ask(f"missing.default.{zone}")
        assert missing.rcode() == dns.rcode.NXDOMAIN
        assert [str(rrset.name) for rrset in missing.authority] == ["cluster.local."]

        pods = Counter([(await get(f"http://{web}:8080/")).split()[0] for _ in range(60)])
        assert set(pods) == {"default/web-0", "default/web-1", "default/web-2"}
        (cart,) = await running.texts(f"cart.shop.{zone}")
        assert len({await get(f"http://{cart}:8080/") for _ in range(20)}) == 1
        (ledger,) = await running.texts(f"ledger.shop.{zone}")
        assert (await get(f"http://{ledger}:8080/")).startswith("shop/mainframe ")
        (clock,) = await running.texts(f"clock.shop.{zone}")
        query = dns.message.make_query("who.am.i.", "TXT")
        text = str((await dns.asyncquery.udp(query, clock, 30, 5353)).answer[0][0])
        assert text.startswith('"shop/clock-')

        assert await running.stop(signal.SIGINT) == 0
        assert await running.line("stopped") == "svcdns up: stopped"


async def test_edits_change_answers_and_forwarding(tmp_path: Path) -> None:
    def web(number: int) -> dict[str, object]:
        containers = [{"ports": [{"containerPort": 18080}]}]
        return pod(
            f"web-{number}", "web", labels={"svcdns.io/echo": "http"},
            status={"podIP": f"127.198.0.{number}"}, spec={"containers": containers},
        )  # fmt: skip

    front = service("web", clusterIP="127.198.1.1", ports=[{"port": 18081, "targetPort": 18080}])
    (tmp_path / "a.yaml").write_bytes(write(front, web(1)))
    async with up(str(tmp_path)) as running:
        await running.line("NXDOMAIN")
        assert (await get("http://127.198.1.1:18081/")).startswith("default/web-1 ")

        (tmp_path / "a.yaml").write_bytes(write(front, web(2)))
        assert "+1 endpoint default/web-2 127.198.0.2" in await running.line("a.yaml: ")
        assert (await get("http://127.198.1.1:18081/")).startswith("default/web-2 ")

        (tmp_path / "a.yaml").write_bytes(b"a: [")
        assert (await running.line("[ERROR]")).startswith("[ERROR] a.yaml:2: not YAML: ")
        assert (await get("http://127.198.1.1:18081/")).startswith("default/web-2 ")
        assert await running.texts("web.default.svc.cluster.local.") == ["127.198.1.1"]

        (tmp_path / "a.yaml").unlink()
        assert "removed: Service default/web" in await running.line("a.yaml: ")
        gone = await running.ask("web.default.svc.cluster.local.")
        assert gone.rcode() == dns.rcode.NXDOMAIN
        with pytest.raises(aiohttp.ClientConnectorError):
            await get("http://127.198.1.1:18081/")
        assert await running.stop() == 0


async def test_an_ipv6_address_that_is_not_here_is_said_once(tmp_path: Path) -> None:
    six = service("six", clusterIPs=["127.198.2.1", "fd00:10:96::a"])
    (tmp_path / "a.yaml").write_bytes(write(six, pod("six-0", "six")))
    async with up(str(tmp_path)) as running:
        await running.line("Ctrl-C stops")
        (said,) = [line for line in running.lines if "fd00:10:96::a" in line]
        assert "nothing listens there" in said
        assert await running.texts("six.default.svc.cluster.local.", "AAAA") == ["fd00:10:96::a"]

        (tmp_path / "b.yaml").write_bytes(write(service("more", clusterIP="127.198.2.2")))
        assert (await running.line("[")).startswith("[INFO] b.yaml: added: ")
        assert await running.stop() == 0


async def test_without_a_proxy_names_lead_to_the_addresses_of_the_manifests(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.yaml").write_bytes(write(service("web", clusterIP="10.96.0.10")))
    async with up(str(tmp_path), "--no-proxy", "--zone", "Example.Test.") as running:
        await running.line("NXDOMAIN")

        assert await running.texts("web.default.svc.example.test.") == ["10.96.0.10"]
        outside = await running.ask("example.org.")
        assert outside.rcode() == dns.rcode.REFUSED  # no upstream: nobody serves it
        assert await running.stop() == 0


async def test_an_edit_is_answered_at_once_for_names_that_were_asked_before(
    tmp_path: Path,
) -> None:
    async with up(str(tmp_path), "--no-proxy") as running:
        await running.line("No Services yet.")
        name = "late.default.svc.cluster.local."
        assert (await running.ask(name)).rcode() == dns.rcode.NXDOMAIN

        (tmp_path / "a.yaml").write_bytes(write(service("late", clusterIP="127.9.9.9")))
        await running.line("added: Service default/late 127.9.9.9")

        assert await running.texts(name) == ["127.9.9.9"]
        assert await running.stop() == 0


async def test_a_port_that_is_taken_is_one_line_with_the_flag(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        async with up(str(tmp_path), "--no-proxy", port=port) as running:
            line = await running.line("already in use")
            assert line.startswith(f"listen udp 127.0.0.1:{port}: ")
            assert line.endswith("--dns-port N takes port N instead")
            assert await asyncio.wait_for(running.process.wait(), DEADLINE) == 1
            assert running.lines == [line]


async def test_an_address_that_is_not_here_is_one_line_with_the_flag(tmp_path: Path) -> None:
    async with up(str(tmp_path), "--no-proxy", "--dns-address", "203.0.113.7") as running:
        line = await running.line("listen udp 203.0.113.7:")
        assert line.endswith("--dns-address A takes address A instead")
        assert await asyncio.wait_for(running.process.wait(), DEADLINE) == 1


def test_the_demo_is_found_in_a_checkout() -> None:
    assert demo_directory() == ROOT / "config" / "demo"


def test_our_corefile_is_one() -> None:
    text = corefile(Settings(Path(), "127.0.0.1", 1053, "cluster.local", ("9.9.9.9", "::1")))

    (block,) = parse(text, "f", {}, lambda _p, _f: [], lambda _w: None)

    assert [(key.zone, key.port) for key in block.keys] == [(".", 1053)]
    assert block.named("forward")[0].args == (".", "9.9.9.9", "::1")
    assert "forward" not in corefile(Settings(Path(), upstreams=()))


@pytest.mark.parametrize(
    ("text", "port", "used"),
    [
        ("nameserver 9.9.9.9\n", 1053, True),
        ("nameserver 127.0.0.1\n", 1053, True),
        ("nameserver 127.0.0.1\n", 53, False),
        ("search x\n# nameserver 1.1.1.1\nnameserver\n", 1053, False),
        ("", 1053, False),
    ],
)
def test_the_machines_resolvers_are_used_unless_that_is_us(
    tmp_path: Path, text: str, port: int, used: bool
) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text(text)

    found = machine_upstreams(Settings(Path(), dns_port=port), path)

    assert found == ((str(path),) if used else ())
    assert machine_upstreams(Settings(Path()), tmp_path / "missing") == ()


async def test_metrics_are_where_they_were_asked_for() -> None:
    address = f"127.0.0.1:{free_port()}"
    async with up("--metrics-address", address) as running:
        await running.line("Ctrl-C stops")
        assert (await running.line("svcdns top")).strip().startswith(f"svcdns top {address} ")
        text = await get(f"http://{address}/metrics")
        assert 'svcdns_proxy_endpoints{namespace="default",port="http"' in text
        assert await running.stop() == 0


async def test_a_metrics_address_that_was_asked_for_has_to_be_had() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        async with up("--metrics-address", address) as running:
            line = await running.line("--metrics-address")
            assert line == (
                f"--metrics-address: cannot listen on {address}: address already in use;"
                " 'none' for no metrics"
            )
            assert await asyncio.wait_for(running.process.wait(), DEADLINE) == 1


async def test_the_usual_metrics_address_may_be_taken() -> None:
    with suppress(OSError), socket.create_server(("127.0.0.1", 1054)):
        async with up(metrics=True) as running:
            line = await running.line("--metrics-address")
            assert line == (
                "[WARNING] --metrics-address: cannot listen on 127.0.0.1:1054: address already in"
                " use; going on without metrics, and without 'svcdns top'"
            )
            await running.line("Ctrl-C stops")
            assert await running.stop() == 0


async def test_a_second_one_on_the_same_manifests_says_so_in_one_line(tmp_path: Path) -> None:
    name = f"twin-{os.getpid()}"
    echo = {"svcdns.io/echo": "http"}
    container = {"name": "c", "ports": [{"containerPort": 8080}]}
    one = pod(f"{name}-0", name, labels=echo, spec={"containers": [container]})
    ports = [{"name": "a", "port": 8080}, {"name": "b", "port": 8081, "targetPort": 8080}]
    (tmp_path / "a.yaml").write_bytes(write(service(name, ports=ports), one))
    async with up(str(tmp_path)) as first:
        await first.line("Ctrl-C stops")
        (address,) = await first.texts(f"{name}.default.svc.cluster.local.")
        async with up(str(tmp_path)) as second:
            line = await second.line("addresses of Services")
            assert line.startswith(
                f"addresses of Services: all 2 are in use, the first is {address} port 8080/TCP: "
                "another 'svcdns up' seems to serve these manifests; stop it, or "
            )
            assert await asyncio.wait_for(second.process.wait(), DEADLINE) == 1
            assert second.lines == [line]
        async with up(str(tmp_path), "--no-proxy") as third:
            assert await third.line("[ERROR] echo endpoint of Pod")
            await third.line("Ctrl-C stops")
        assert await first.stop() == 0


async def test_a_second_one_with_something_of_its_own_says_the_rest_in_a_line_each(
    tmp_path: Path,
) -> None:
    """One frontend is free, so it goes on; what it cannot have is a line, not one for each."""
    name = f"part-{os.getpid()}"
    container = {"name": "c", "ports": [{"containerPort": 8080 + n} for n in range(6)]}
    echo = {"svcdns.io/echo": "http"}
    ports = [{"name": f"p{n}", "port": 8080 + n, "targetPort": 8080 + n} for n in range(6)]
    one = pod(f"{name}-0", name, labels=echo, spec={"containers": [container]})
    here, other = tmp_path / "here", tmp_path / "other"
    here.mkdir()
    other.mkdir()
    (here / "a.yaml").write_bytes(write(service(name, ports=ports), one))
    async with up(str(here)) as first:
        await first.line("Ctrl-C stops")
        own = {"name": "own", "port": 9999, "targetPort": 8080}
        (other / "a.yaml").write_bytes(write(service(name, ports=[*ports, own]), one))
        async with up(str(other)) as second:
            await second.line("Ctrl-C stops")
            assert await second.stop() == 0
        faults = [line for line in second.lines if line.startswith(("[WARNING]", "[ERROR]"))]
        assert len(faults) == 2, faults
        assert " echo endpoints are not served: " in faults[0]
        assert " frontends have no socket: " in faults[1]
        assert await first.stop() == 0


def catches(process: asyncio.subprocess.Process, number: int) -> bool:
    """Tell whether a process handles a signal."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


async def test_ctrl_c_while_a_large_directory_is_read_is_not_kept_waiting(tmp_path: Path) -> None:
    one = b"---\n" + write(service("web"))
    for number in range(20):  # half a minute of reading
        (tmp_path / f"{number}.yaml").write_bytes(one * 5000)
    async with up(str(tmp_path), "--no-proxy") as running:
        await until(lambda: catches(running.process, signal.SIGUSR1))  # reading is what comes next
        assert await running.stop(signal.SIGINT) == 0
        await running.line("stopped")
        assert running.lines == ["svcdns up: stopped"]


@pytest.mark.parametrize(("nodes", "declared"), [((), "none"), (("n1", "n2"), "n1, n2")])
async def test_a_node_that_nobody_declares_is_pointed_out(
    tmp_path: Path, nodes: tuple[str, ...], declared: str
) -> None:
    objects = [{"apiVersion": "v1", "kind": "Node", "metadata": {"name": one}} for one in nodes]
    (tmp_path / "a.yaml").write_bytes(write(service("web"), *objects))
    async with up(str(tmp_path), "--no-proxy", "--node", "n9") as running:
        assert await running.line("--node") == (
            f"[WARNING] --node n9: no such Node is declared (declared: {declared}): its zone is"
            " not known, and only Pods with spec.nodeName n9 are local"
        )
        await running.line("Ctrl-C stops")
        assert len(running.lines) == len([x for x in running.lines if "--node" not in x]) + 1


async def test_connections_are_logged_on_request(tmp_path: Path) -> None:
    name = f"logged-{os.getpid()}"
    container = {"name": "c", "ports": [{"containerPort": 8080}]}
    spec = {"containers": [container]}
    one = pod(f"{name}-0", name, labels={"svcdns.io/echo": "http"}, spec=spec)
    (tmp_path / "a.yaml").write_bytes(write(service(name, ports=[{"port": 8080}]), one))
    async with up(str(tmp_path), "--access-log") as running:
        await running.line("Ctrl-C stops")
        (address,) = await running.texts(f"{name}.default.svc.cluster.local.")
        body = await get(f"http://{address}:8080/")
        line = await running.line(f"default/{name}/TCP 127.0.0.1:")
        endpoint = body.split()[2].rstrip(":")
        assert f" -> {address}:8080 -> {endpoint} up=" in line
        assert " attempts=1 " in line
