"""``svcdns proxy`` as a process on a node: its rules outlive it, meddling is undone, it cleans up."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.flows import ADDRESSES, endpoint, port, service, slice_of
from tests.support.proxynode import DEADLINE, ROOT, Node
from tests.support.waiting import blocking_until as until
from tests.support.world import World

DNS = "10.96.0.10"
UDP_PORTS = ({"name": "dns", "protocol": "UDP", "port": 8080},)


@pytest.fixture
def node(world: World, tmp_path: Path) -> Iterator[Node]:
    with Node(world, tmp_path) as found:
        yield found


def test_rules_follow_the_cluster_and_outlive_the_process_r105(node: Node) -> None:
    node.start()
    assert node.answers("p2")
    node.put(slice_of("web", [endpoint("p3")]))
    until(lambda: node.answers("p3"), "a new endpoint is followed")
    outcomes: list[Any] = []
    stop = threading.Event()

    def loop() -> None:
        while not stop.is_set() or len(outcomes) <= 100:
            outcomes.extend(node.connect(20))

    clients = threading.Thread(target=loop)
    clients.start()
    try:
        node.end(signal.SIGKILL)
        node.start()
        assert node.metric("svcdns_proxy_nft_operations_total") == 0, "all was right already"
        node.end(signal.SIGKILL)
        node.put(service("later", "10.96.5.6"), slice_of("later", [endpoint("p4")]))
        node.start()
        assert 0 < node.metric("svcdns_proxy_nft_operations_total") < 10
    finally:
        stop.set()
        clients.join()
    assert {tuple(one) for one in outcomes} == {("p3", ADDRESSES[4]["p1"])}
    assert node.answers("p4", "10.96.5.6")


def test_sigterm_leaves_the_rules_and_cleanup_removes_ours_alone_r107(node: Node) -> None:
    node.here.run("nft", "add", "table", "ip", "kube-proxy")
    node.start()
    assert "table ip kube-proxy is still there" in node.log.read_text()
    assert node.end(signal.SIGTERM) == 0
    assert node.answers("p2")
    done = node.once("--cleanup", "--config", str(node.config))
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"[INFO] no table ip svcdns-proxy is left" in done.stderr
    assert b"[WARNING]" not in done.stderr, "how it would forward is not the question"
    assert node.tables() == "table ip kube-proxy\n"


def test_a_changed_configuration_ends_the_process_and_a_broken_one_does_not(node: Node) -> None:
    node.start()
    proxy, text = node.proxy, node.config.read_text()
    assert proxy
    node.config.write_text(text.replace("mode: nftables", "mode: none"))
    until(lambda: "going on as before" in node.log.read_text(), "it is reported")
    assert proxy.poll() is None
    node.config.write_text(text.replace("hostnameOverride: node-1", "hostnameOverride: node-2"))
    assert proxy.wait(DEADLINE) == 1
    assert "ending, to be started anew; rules stay as they are" in node.log.read_text()
    assert node.answers("p2")


def test_nothing_expires_while_the_api_is_away_r104(node: Node) -> None:
    node.start()
    node.api.kill()
    until(lambda: "going on with the last known state" in node.log.read_text(), "it is noticed")
    node.here.run("nft", "flush", "ruleset")
    until(lambda: "put right" in node.log.read_text(), "what is known is enough to mend")
    assert node.answers("p2")
    assert node.proxy
    assert node.proxy.poll() is None


@pytest.mark.parametrize(
    "command",
    [
        "flush ruleset",
        "flush table ip svcdns-proxy",
        "delete element ip svcdns-proxy services { 10.96.5.5 . tcp . 80 }",
        "insert rule ip svcdns-proxy dispatch ip daddr 10.96.5.5 drop",
    ],
)
def test_meddling_is_undone_r108(node: Node, command: str) -> None:
    node.start()
    node.here.run("nft", "-f", "-", given=command)
    until(lambda: "put right" in node.log.read_text(), command)
    assert node.answers("p2")


def test_a_udp_flow_moves_on_when_its_endpoint_goes_r90(node: Node) -> None:
    node.put(
        service("dns", DNS, ports=[port("dns", 53, "UDP")]),
        slice_of("dns", [endpoint("p2")], ports=UDP_PORTS),
    )
    node.start()
    script = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10)\n"
        f"s.connect(('{DNS}', 53))\n"
        "for line in sys.stdin:\n"
        "    try: s.send(b'?'); print(s.recv(99).decode().split()[0], flush=True)\n"
        "    except OSError as error: print(error, flush=True)\n"
    )
    client = subprocess.Popen(
        [*node.world["p1"].enter, sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def ask() -> str:
        assert client.stdin
        assert client.stdout
        client.stdin.write("\n")
        client.stdin.flush()
        return client.stdout.readline().strip()

    try:
        assert [ask() for _ in range(3)] == ["p2"] * 3
        # One more endpoint leaves the flow where it is; the end of its own moves it.
        node.put(
            slice_of("dns", [endpoint("p2"), endpoint("p3")], ports=UDP_PORTS),
            service("seen", "10.96.5.7"),
            slice_of("seen", [endpoint("p4")]),
        )
        until(lambda: node.answers("p4", "10.96.5.7"), "both changes are carried out")
        assert [ask() for _ in range(3)] == ["p2"] * 3
        node.put(slice_of("dns", [endpoint("p3")], ports=UDP_PORTS))
        until(lambda: ask() == "p3", "the flow moves on")
        node.put(slice_of("dns", [endpoint("p3", "draining"), endpoint("p4")], ports=UDP_PORTS))
        node.put(slice_of("seen", [endpoint("p2")]))
        until(lambda: node.answers("p2", "10.96.5.7"), "both changes are carried out")
        assert ask() == "p3", "R92: a draining endpoint keeps its flows"
    finally:
        client.kill()
        client.communicate()


def test_without_permission_the_message_says_what_to_do(node: Node) -> None:
    done = subprocess.run(
        [
            *("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", sys.executable),
            *("-m", "svcdns", "proxy", "--config", str(node.config)),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if "setpriv:" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 1
    assert "run as root or with CAP_NET_ADMIN, or use --proxy-mode userspace" in done.stderr
