"""``svcdns proxy`` as a process in a place of the world, with an API server there."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from tests.support.flows import endpoint, node_object, service, slice_of
from tests.support.waiting import blocking_until as until
from tests.support.world import World

ROOT = Path(__file__).parents[2]
DEADLINE = 60.0
"""Seconds for the proxy to end."""
WEB = "10.96.5.5"

CONFIG = """\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: node-1
clusterCIDR: 10.244.0.0/16,fd00:10:244::/48
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
nftables: {minSyncPeriod: 10ms, syncPeriod: 1s}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
clientConnection: {kubeconfig: %s}
"""


class Node:
    """The node with its API server, and the proxy when it runs."""

    def __init__(self, world: World, path: Path, place: str = "node") -> None:
        self.world = world
        self.here = world[place]
        self.command = [sys.executable, "-m", "svcdns", "proxy"]
        self.config = path / "config.yaml"
        self.log = path / "log"
        self.proxy: subprocess.Popen[bytes] | None = None
        self.api = self._popen(sys.executable, "-m", "tests.support.remoteapi", text=True)
        assert self.api.stdin
        assert self.api.stdout
        self._ask, self._said = self.api.stdin, self.api.stdout
        url = self._said.readline().strip()
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": {"token": "x"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "c",
        }
        (path / "kubeconfig").write_text(json.dumps(kubeconfig))
        self.config.write_text(CONFIG % (path / "kubeconfig"))
        self.put(node_object(), service("web", WEB), slice_of("web", [endpoint("p2")]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self.proxy, self.api):
            if process:
                process.kill()
                process.communicate()
        self.here.run("nft", "flush", "ruleset")

    def _popen(self, *arguments: str, **more: Any) -> subprocess.Popen[Any]:
        return subprocess.Popen(
            [*self.here.enter, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            **more,
        )

    def put(self, *objects: dict[str, Any], delete: tuple[str, ...] = ()) -> None:
        self._ask.write(json.dumps({"put": objects, "delete": delete}) + "\n")
        self._ask.flush()
        assert self._said.readline() == "\n"

    def start(self) -> None:
        with self.log.open("w") as log:
            self.proxy = self._popen(*self.command, "--config", str(self.config), stderr=log)
        until(lambda: "carried out" in self.log.read_text(), "the proxy starts")

    def end(self, number: int) -> int:
        assert self.proxy
        self.proxy.send_signal(number)
        self.proxy.communicate(timeout=DEADLINE)
        status = self.proxy.returncode
        self.proxy = None
        return status

    def once(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*self.here.enter, sys.executable, "-m", "svcdns", "proxy", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=False,
            timeout=60,
        )

    def connect(self, tries: int = 1, address: str = WEB) -> list[Any]:
        (outcomes,) = self.world["p1"].ask([["TCP", address, 80, tries, 10]])
        return outcomes

    def answers(self, pod: str, address: str = WEB) -> bool:
        return bool(self.connect(address=address)[0][0] == pod)

    def metric(self, name: str) -> float:
        script = (
            "import urllib.request;"
            "print(urllib.request.urlopen('http://127.0.0.1:10249/metrics').read().decode())"
        )
        text = self.here.run(sys.executable, "-c", script)
        (line,) = (one for one in text.splitlines() if one.startswith(f"{name} "))
        return float(line.split()[1])

    def tables(self) -> str:
        return self.here.run("nft", "list", "tables")
