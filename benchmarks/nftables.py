"""What does the kernel data path cost: first sync, a change, a storm of changes, a first packet?

The proxy runs as its users run it, as a process that follows an API server, on a node of network
namespaces; ``KUBE_PROXY=path`` (or kube-proxy on PATH) is measured beside it.  Each Service has two
ports and ten endpoints, so 10,000 Services are 20,000 ports, 100,000 endpoints and 200,000 backends
of ports.  Times are taken outside the proxy: the first sync is over when a client connects through
the last Service, a change is through when the kernel tells that it has committed the address.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from benchmarks.api import ApiProcess
from benchmarks.cluster import Balanced
from benchmarks.lab import NODE, PORT, ROOT, Commits, Lab
from benchmarks.load import TICKS, children, rss
from benchmarks.table import QUICK

SIZES = (100, 1_000) if QUICK else (100, 1_000, 10_000)
CHANGES = 50 if QUICK else 200
STORM = 1_000
"""Endpoint changes a second."""
STORM_SECONDS = 4.0 if QUICK else 12.0
MARKS = 10
"""Changes within a storm whose way to the kernel is timed."""
CONNECTS = 1_000 if QUICK else 3_000
LIMIT = 300.0

CONFIG = """\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: node-1
clusterCIDR: 10.128.0.0/9
nodePortAddresses: [{node}/32]
nftables: {{minSyncPeriod: 1ms, syncPeriod: 30s}}
conntrack: {{maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}}
clientConnection: {{kubeconfig: {kubeconfig}}}
"""


class Proxy:
    """The program under test on the node of a lab, and what is asked of it."""

    def __init__(self, command: list[str], size: int, stack: ExitStack) -> None:
        self.cluster = Balanced(size)
        self.lab = stack.enter_context(Lab())
        self.api = ApiProcess(size, enter=self.lab.node.enter, balanced=True)
        stack.callback(self.api.close)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        began = time.monotonic()
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*self.lab.node.enter, *command, "--config", self._configure(folder)],
                stdout=log,
                stderr=log,
                cwd=ROOT,
            )
        stack.callback(_end, process)
        self.pid = process.pid
        children = Children(self.pid)
        self._wait()
        self.start_seconds = time.monotonic() - began
        children.gone()
        self.start_cpu = cpu(self.pid)
        self.memory = (rss(self.pid), rss(self.pid, "VmHWM"), children.peak)

    def _configure(self, folder: Path) -> str:
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": self.api.url}}],
            "users": [{"name": "u", "user": {"token": "x"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "c",
        }
        (folder / "kubeconfig").write_text(json.dumps(kubeconfig))
        path = folder / "config.yaml"
        path.write_text(CONFIG.format(node=NODE, kubeconfig=folder / "kubeconfig"))
        return str(path)

    def _wait(self) -> None:
        """Wait until a client connects through the last Service."""
        address = self.cluster.address(self.cluster.services - 1)
        script = (
            "import socket, time\n"
            f"end = time.monotonic() + {LIMIT}\n"
            "while time.monotonic() < end:\n"
            f"    try: socket.create_connection(('{address}', 80), 0.2); break\n"
            "    except OSError: time.sleep(0.02)\n"
            "else: raise SystemExit('no rules yet')\n"
        )
        self.lab.client.run(sys.executable, "-c", script)

    def changes(self, orders: Callable[[int], tuple[str, str]]) -> tuple[list[float], float]:
        """Give orders to the API one after another.

        Args:
            orders: Order and the address that the kernel gets by it, by number.

        Returns:
            Milliseconds from the order to the kernel, sorted, and milliseconds of CPU of one.
        """
        commits = Commits(self.lab.node)
        spent, found = cpu(self.pid), []
        for number in range(CHANGES):
            order, address = orders(number)
            commits.expect(address)
            began = time.monotonic()
            self.api.order(order)
            found.append((commits.seen() - began) * 1e3)
        spent = cpu(self.pid) - spent
        commits.close()
        return sorted(found), spent / CHANGES * 1e3

    def storm(self) -> tuple[float, float]:
        """Change many endpoints a second; the longest lag in seconds, and CPU in cores."""
        commits = Commits(self.lab.node)
        self.api.order(f"stir {STORM}")
        began, spent, lags = time.monotonic(), cpu(self.pid), []
        for number in range(MARKS):
            while time.monotonic() < began + STORM_SECONDS * (number + 1) / MARKS:
                time.sleep(0.01)
            mark = 90_000 + number
            commits.expect(self.cluster.newcomer(mark))
            ordered = time.monotonic()
            self.api.order(f"swap {number} {mark}")
            lags.append(commits.seen() - ordered)
        busy = (cpu(self.pid) - spent) / (time.monotonic() - began)
        commits.close()
        return max(lags), busy

    def connects(self) -> dict[str, list[float]]:
        """Give sorted microseconds of connects, direct and through Services."""
        numbers = range(0, self.cluster.services, max(1, self.cluster.services // 100))
        targets = {
            "direct": [(self.cluster.endpoints(one)[0], PORT) for one in numbers],
            "service": [(self.cluster.address(one), 80) for one in numbers],
        }
        done = subprocess.run(
            [*self.lab.client.enter, sys.executable, "-m", "benchmarks.firstpacket", str(CONNECTS)],
            input=json.dumps(targets),
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        found: dict[str, list[float]] = json.loads(done.stdout)
        return found


class Children:
    """The most memory that a child of a process ever had, as far as is seen 100 times a second."""

    def __init__(self, pid: int) -> None:
        self.peak = 0.0
        "MiB."
        self._pid = pid
        self._alive: list[int] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(0.01) or self._alive:
            self._alive = children(self._pid)
            for child in self._alive:
                with suppress(OSError):  # it has ended meanwhile
                    self.peak = max(self.peak, rss(child, "VmHWM"))

    def gone(self) -> None:
        """Wait until there are none, and look no more."""
        self._over.set()
        self._thread.join()


def cpu(pid: int) -> float:
    """CPU seconds of a process and of all its children so far, those that ended included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(one) for one in fields[11:15]) / TICKS


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def programs() -> dict[str, list[str]]:
    """Give the commands that are measured, the peer first."""
    found = {"svcdns": [sys.executable, "-m", "svcdns", "proxy"]}
    peer = os.environ.get("KUBE_PROXY") or shutil.which("kube-proxy")
    return {"kube-proxy": [peer], **found} if peer else found


def measure() -> None:
    missing = [one for one in ("ip", "nft", "nsenter", "unshare") if not shutil.which(one)]
    if missing:
        print(f"\nnftables: left out, not installed: {' '.join(missing)}")
        return
    commands = programs()
    print("\nnftables: two ports and ten endpoints a Service; times from outside the proxy")
    if len(commands) == 1:
        print("kube-proxy is not here (KUBE_PROXY=path): connects are compared with direct ones")
    columns = (
        "services", "sync s", "CPU s", "RSS MiB", "peak MiB", "nft MiB",
        "add p50", "add p99", "CPU ms", "swap p50", "swap p99", "CPU ms",
        "lag s", "cores", "p50 us", "direct", "p99 us", "direct",
    )  # fmt: skip
    print("add, swap: milliseconds from the API to the kernel; lag: at 1,000 swaps a second")
    print("p50, p99: a TCP connect through a Service, and to its endpoint directly")
    print(" " * 11 + "".join(f"{one:>9}" for one in columns))
    for size in SIZES:
        for name, command in commands.items():
            print(f"{name:11}{size:9,}" + _row(command, size), flush=True)


def _row(command: list[str], size: int) -> str:
    with ExitStack() as stack:
        proxy = Proxy(command, size, stack)
        cluster = proxy.cluster
        add, add_cpu = proxy.changes(lambda n: (f"serve {size + n}", cluster.address(size + n)))
        swap, swap_cpu = proxy.changes(lambda n: (f"swap {n % size} {n}", cluster.newcomer(n)))
        connects = proxy.connects()
        lag, busy = proxy.storm()
    times = [
        value
        for at in (0.5, 0.99)
        for value in (_at(connects["service"], at), _at(connects["direct"], at))
    ]
    return (
        f"{proxy.start_seconds:9.2f}{proxy.start_cpu:9.2f}"
        + "".join(f"{one:9.1f}" for one in proxy.memory)
        + f"{statistics.median(add):9.2f}{_at(add, 0.99):9.2f}{add_cpu:9.2f}"
        f"{statistics.median(swap):9.2f}{_at(swap, 0.99):9.2f}{swap_cpu:9.2f}"
        f"{lag:9.2f}{busy:9.2f}" + "".join(f"{one:9.1f}" for one in times)
    )


def _at(found: list[float], share: float) -> float:
    """Give a quantile of sorted values."""
    return found[min(len(found) - 1, int(len(found) * share))]


if __name__ == "__main__":
    measure()
