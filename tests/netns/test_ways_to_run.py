"""The kernel data path beside one application, and for users who are not root.

As a DaemonSet with the host's network: :mod:`tests.netns.test_proxy_process`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.flows import ADDRESSES, endpoint, slice_of
from tests.support.proxynode import ROOT, WEB, Node
from tests.support.waiting import blocking_until as until
from tests.support.world import World, missing


def test_in_a_pods_own_network_it_serves_that_pod_alone(world: World, tmp_path: Path) -> None:
    """With NET_ADMIN and nothing else, in one container of the Pod."""
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed")
    with Node(world, tmp_path, "p1") as sidecar:
        caps = "-all,+net_admin"
        sidecar.command = [
            *("setpriv", f"--bounding-set={caps}", f"--inh-caps={caps}"),
            *sidecar.command,
        ]
        sidecar.start()
        own = ADDRESSES[4]["p1"]
        assert sidecar.connect() == [["p2", own]], "and the endpoint sees the Pod's address"
        (outcomes,) = world["p4"].ask([["TCP", WEB, 80, 1, 10]])
        assert outcomes[0][0] == "external", "other Pods' connections are routed as before"
        sidecar.put(slice_of("web", [endpoint("p3")]))
        until(lambda: sidecar.answers("p3"), "a change is followed")
        sidecar.put(slice_of("web", [endpoint("p1")]))
        until(lambda: sidecar.answers("p1"), "the Pod reaches itself (R74)")
        assert sidecar.tables() == "table ip svcdns-proxy\ntable ip6 svcdns-proxy\n"
        assert world["node"].run("nft", "list", "tables") == ""


WITHOUT_ROOT = """
import json, os, socket, subprocess, sys, threading
from tests.support.flows import node_object, service, slice_of

def run(*words): subprocess.run(words, check=True)

run("ip", "link", "set", "lo", "up")
run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
for end in ("eth0", "eth1"): run("ip", "link", "set", end, "up")
run("ip", "address", "add", "10.244.1.1/24", "dev", "eth0")
run("ip", "route", "add", "10.96.0.0/16", "dev", "eth0")
server = socket.create_server(("10.244.1.1", 8080))
def serve():
    while True: server.accept()[0].sendall(b"hello")
threading.Thread(target=serve, daemon=True).start()

def start(*words, **more): return subprocess.Popen([sys.executable, "-m", *words], text=True, **more)

api = start("tests.support.remoteapi", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
url = api.stdout.readline().strip()
pods = slice_of("web", [{"addresses": ["10.244.1.1"]}])
api.stdin.write(json.dumps({"put": [node_object(), service("web", "10.96.5.5"), pods]}) + "\\n")
api.stdin.flush()
api.stdout.readline()
proxy = start("svcdns", "proxy", "--proxy-mode=nftables", f"--master={url}",
              "--hostname-override=node-1", "--cluster-cidr=10.244.0.0/16",
              "--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0s",
              "--conntrack-tcp-timeout-close-wait=0s", stderr=subprocess.PIPE)
for line in proxy.stderr:
    if "carried out" in line or proxy.poll() is not None: break
print(socket.create_connection(("10.96.5.5", 80), 20).recv(9).decode(), flush=True)
for process in (proxy, api):
    process.kill()
    process.communicate()
"""


def test_without_root_in_a_namespace_of_ones_own() -> None:
    """Root runs it without its capabilities but one: others may not read root's files.

    Without CAP_SETFCAP the kernel lets nobody call himself 0 who is 0 outside.
    """
    if why := missing():
        pytest.skip(f"no network namespaces with nft here: {why}")
    caps = "-all,+setfcap"
    powerless = ["setpriv", f"--bounding-set={caps}", f"--inh-caps={caps}"]
    powerless = powerless if os.geteuid() == 0 else []
    done = subprocess.run(
        [*powerless, "unshare", "-rn", sys.executable, "-c", WITHOUT_ROOT],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.stderr.startswith(("unshare:", "setpriv:")):
        pytest.skip(done.stderr.strip())
    assert done.stdout == "hello\n", done.stderr
