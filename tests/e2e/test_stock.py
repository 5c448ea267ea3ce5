"""Every stock Corefile, unchanged, as a process: in a Pod's network, with its cluster.

The node's namespace has the API server and a service account as a Pod has them; the upstream that
resolv.conf names, and NodeLocal DNSCache's cluster DNS, are in a second one.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.namespaces import Namespace, require_root
from tests.support.resolver import ADDRESS
from tests.support.stock import STOCK
from tests.support.waiting import blocking_until

ROOT = Path(__file__).parents[2]
API_PORT = 6443

OBJECTS = """
apiVersion: v1
kind: Namespace
metadata: {name: prod, uid: u1}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: prod, uid: u2}
spec: {clusterIP: 10.96.1.1, clusterIPs: [10.96.1.1], ports: [{port: 80, protocol: TCP}]}
"""

UPSTREAM = """
import asyncio
from tests.support.resolver import Resolver

async def main():
    async with Resolver(host="0.0.0.0", port=53):
        await asyncio.Event().wait()

asyncio.run(main())
"""

# A Pod's service account is where programs look for it; the mount is this process's alone.
START = """
run=$(readlink -f /var/run)
mount -t tmpfs none "$run" && mkdir -p "$run/secrets/kubernetes.io" || exit 9
cp -r "$1/serviceaccount" "$run/secrets/kubernetes.io/" || exit 9
shift
exec "$@"
"""

PROBE = """
import json, sys, threading, urllib.request
import dns.exception, dns.message, dns.query, dns.rcode

place = json.loads(sys.argv[1])
pause = threading.Event()

def ask(name, timeout=20):
    query = dns.message.make_query(name, "A")
    found = dns.query.udp(query, place["address"], port=place["port"], timeout=timeout)
    return [dns.rcode.to_text(found.rcode()), *[r.to_text() for s in found.answer for r in s]]

def read(what):
    with urllib.request.urlopen(place[what], timeout=20) as answer:
        return answer.read().decode()

def when_up(look):
    for _ in range(600):
        try:
            found = look()
        except (OSError, dns.exception.DNSException):
            found = None
        if found is not None and found[0] not in ("SERVFAIL", "REFUSED"):
            return found
        pause.wait(0.05)
    return found

seen = {"cluster": when_up(lambda: ask("web.prod.svc.cluster.local.", 0.1))}
seen["outside"] = ask("www.example.org.")
seen["health"] = read("health")
seen["ready"] = when_up(lambda: read("ready")) if place["ready"] else None
seen["metrics"] = "coredns_dns_requests_total{" in read("metrics")
print(json.dumps(seen))
"""


@dataclass
class Place:
    """Where one Corefile listens, and what it answers."""

    address: str = "127.0.0.1"
    port: int = 53
    metrics: str = "http://127.0.0.1:9153/metrics"
    health: str = "http://127.0.0.1:8080/health"
    ready: str = "http://127.0.0.1:8181/ready"
    cluster: str = "10.96.1.1"
    outside: tuple[str, ...] = ("NOERROR", ADDRESS)


PLACES = {
    "OpenShift": Place(port=5353),
    "Gardener": Place(port=8053),
    "kind over IPv6": Place(outside=("SERVFAIL",)),
    "NodeLocal DNSCache": Place(
        address="169.254.20.10",
        metrics="http://127.0.0.1:9253/metrics",
        health="http://169.254.20.10:8080/health",
        ready="",
        cluster=ADDRESS,
    ),
}
"""Those that are not like kubeadm's."""


@dataclass
class Node:
    """A node's namespace, with what a Pod finds there."""

    space: Namespace
    home: Path
    env: dict[str, str]

    def start(self, name: str) -> tuple[subprocess.Popen[bytes], Path]:
        corefile, log = self.home / "Corefile", self.home / f"{name.replace('/', '-')}.log"
        corefile.write_text(STOCK[name])
        command = [sys.executable, "-m", "svcdns", "dns", "-conf", str(corefile)]
        sh = ["sh", "-c", START, "sh", str(self.home), *command]
        return self.space.start(*sh, env=self.env, log=log), log


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    require_root("openssl")
    home = tmp_path_factory.mktemp("stock")
    (home / "objects.yaml").write_text(OBJECTS)
    space, outside = (Namespace(f"svcdns-{what}-{os.getpid()}") for what in ("node", "out"))
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(API_PORT),
    }
    servers = []
    try:
        _connect(space, outside)
        incluster = ["-m", "tests.support.incluster", str(home), str(API_PORT)]
        api = [sys.executable, *incluster, str(home / "objects.yaml")]
        servers.append(space.start(*api, env=env, log=home / "api.log"))
        upstream = [sys.executable, "-c", UPSTREAM]
        servers.append(outside.start(*upstream, env=env, log=home / "upstream.log"))
        blocking_until((home / "serving").exists, "the API server does not serve")
        yield Node(space, home, env)
    finally:
        for server in servers:
            server.kill()
            server.wait(10)
        space.close()
        outside.close()


def _connect(space: Namespace, outside: Namespace) -> None:
    veth = ["type", "veth", "peer", "name", "eth0", "netns", outside.name]
    space.run("ip", "link", "add", "eth0", *veth)
    for one, addresses in (
        (space, ("10.77.0.2/24", "169.254.20.10/32", "10.96.0.10/32")),
        (outside, ("10.77.0.1/24", "10.96.0.11/32")),
    ):
        one.run("ip", "link", "set", "eth0", "up")
        for address in addresses:
            one.run("ip", "address", "add", address, "dev", "eth0")
    space.run("ip", "route", "add", "10.96.0.11", "via", "10.77.0.1")
    space.resolv_conf("nameserver 10.77.0.1\nsearch svc.cluster.local\n")


@pytest.mark.parametrize("name", STOCK)
def test_a_stock_corefile_serves_its_cluster(node: Node, name: str) -> None:
    place = PLACES.get(name, Place())
    process, log = node.start(name)
    try:
        probe = node.space.run(sys.executable, "-c", PROBE, json.dumps(vars(place)))
    finally:
        process.kill()
        process.wait(10)
    assert probe.returncode == 0, probe.stderr + log.read_text()

    assert json.loads(probe.stdout) == {
        "cluster": ["NOERROR", place.cluster],
        "outside": list(place.outside),
        "health": "OK",
        "ready": "OK" if place.ready else None,
        "metrics": True,
    }
    assert "Traceback" not in log.read_text()
