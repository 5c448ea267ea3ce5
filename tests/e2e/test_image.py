"""The images' file tree, started by the stock manifests' words, as a container runtime would.

No engine is needed: the tree is a plain directory, the namespaces and the security context are
those that a runtime sets up (:mod:`tests.support.container`).

An image that an engine has built is tried in the same way: ``SVCDNS_IMAGE`` names the directory
where its files are (``buildah mount``); it must have nft, so take the target ``proxy``.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.container import Container, Mount
from tests.support.deploy import DEPLOY, one_of, resources
from tests.support.namespaces import Namespace, program, require_root
from tests.support.rootfs import build

REPOSITORY = Path(__file__).parents[2]
API_PORT = 6443
SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"

NODE = "node-1"
BACKEND = "10.244.0.5"
WEB = "10.96.0.50"

OBJECTS = f"""\
apiVersion: v1
kind: Namespace
metadata: {{name: default}}
---
apiVersion: v1
kind: Node
metadata: {{name: {NODE}}}
spec: {{podCIDR: 10.244.0.0/24, podCIDRs: [10.244.0.0/24]}}
status: {{addresses: [{{type: InternalIP, address: 10.244.0.1}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: default}}
spec:
  type: ClusterIP
  clusterIP: {WEB}
  clusterIPs: [{WEB}]
  ports: [{{name: http, port: 80, protocol: TCP, targetPort: 8000}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web-x, namespace: default, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
ports: [{{name: http, port: 8000, protocol: TCP}}]
endpoints: [{{addresses: [{BACKEND}], conditions: {{ready: true}}, nodeName: {NODE}}}]
"""


@dataclass
class Pod:
    """A network namespace with an API server in it, and an image's tree."""

    node: Namespace
    root: Path
    mounts: list[Mount]
    directory: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *command: str, log: str) -> subprocess.Popen[bytes]:
        env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        process = self.node.start(*command, env=env, log=self.directory / log)
        self.processes.append(process)
        return process

    def run(self, container: Container) -> subprocess.Popen[bytes]:
        return self.start(*container.words(self.directory / "spec.json"), log="container.log")

    def api(self) -> None:
        """Start the API server."""
        objects = self.directory / "objects.yaml"
        objects.write_text(OBJECTS)
        self.start(
            sys.executable, "-m", "tests.support.incluster",
            str(self.directory / "api"), str(API_PORT), str(objects), log="api.log",
        )  # fmt: skip
        self.wait(lambda: (self.directory / "api" / "serving").exists())

    def http(self, url: str) -> str:
        """Give the status of a URL, ``000`` when nobody answers."""
        words = ("curl", "-s", "-o", "/dev/null", "-m", "20", "-w", "%{http_code}", url)
        return self.node.run(*words).stdout

    def dig(self, *words: str) -> str:
        words = ("dig", "+short", "+time=20", "+tries=1", "@127.0.0.1", *words)
        return self.node.run(*words).stdout.strip()

    def wait(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        """Look until it holds; each look is a program that takes its time."""
        deadline = time.monotonic() + seconds
        while not condition():
            ended = [one.args for one in self.processes if one.poll() is not None]
            if ended or time.monotonic() > deadline:
                pytest.fail(f"ended: {ended}\n{self.logs()}")

    def logs(self) -> str:
        return "\n".join(f"{one.name}:\n{one.read_text()}" for one in self.directory.glob("*.log"))

    def status(self, process: subprocess.Popen[bytes]) -> dict[str, str]:
        """Give /proc/PID/status of what the container runs: all of it is one process by execve."""
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait(60)
        self.node.close()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Mount]]:
    require_root("unshare", "mount", "openssl", "nft")
    if built := os.environ.get("SVCDNS_IMAGE"):
        return Path(built), [Mount(one, one) for one in ("/proc", "/dev/null", "/dev/urandom")]
    # pytest keeps its directories to root; the container's user must pass
    root = tmp_path_factory.mktemp("image")
    for parent in (root, *root.parents[:2]):
        parent.chmod(parent.stat().st_mode | 0o055)
    return root, build(root)


@pytest.fixture
def pod(tree: tuple[Path, list[Mount]], tmp_path: Path) -> Iterator[Pod]:
    for name in ("curl", "dig", "nft"):
        program(name)
    node = Namespace(f"svcdns-img-{os.getpid()}")
    node.address("10.244.0.1/24", f"{BACKEND}/32")
    (tmp_path / "api").mkdir()
    found = Pod(node, *tree, tmp_path)
    try:
        yield found
    finally:
        found.close()


def _config_map(directory: Path, data: dict[str, str]) -> Path:
    """Lay files out as kubelet mounts a ConfigMap: links through ``..data``."""
    inside = directory / "..2026_11_21"
    inside.mkdir(parents=True)
    (directory / "..data").symlink_to(inside.name)
    for name, text in data.items():
        (inside / name).write_text(text)
        (directory / name).symlink_to(f"..data/{name}")
    for one in (directory, inside):
        one.chmod(0o755)
    return directory


def _coredns(pod: Pod) -> Container:
    """Start of kubeadm's Deployment: arguments, mounts, environment and security context."""
    data = one_of(resources(DEPLOY / "dns"), "ConfigMap")["data"]
    config = _config_map(pod.directory / "config", data)
    account = pod.directory / "api" / "serviceaccount"
    account.mkdir(exist_ok=True)
    return Container(
        str(pod.root),
        ["/coredns", "-conf", "/etc/coredns/Corefile"],
        [
            *pod.mounts,
            Mount(str(config), "/etc/coredns"),
            Mount(str(account), SERVICE_ACCOUNT),
        ],
        {
            "PATH": "/usr/local/bin:/usr/bin",
            "HOME": "/",
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(API_PORT),
        },
        uid=65532,
        capabilities=["NET_BIND_SERVICE"],
    )


@pytest.mark.slow
def test_the_dns_image_serves_as_nobody_from_a_root_that_is_read_only(pod: Pod) -> None:
    pod.node.run("sysctl", "-w", "net.ipv4.ip_unprivileged_port_start=1024")
    pod.api()
    process = pod.run(_coredns(pod))

    pod.wait(lambda: pod.http("http://127.0.0.1:8181/ready") == "200")
    # the first 200 is true: the sockets answer
    assert pod.dig("web.default.svc.cluster.local", "A") == WEB
    assert pod.dig("+tcp", "web.default.svc.cluster.local", "A") == WEB
    status = pod.status(process)
    assert status["Uid"].split() == ["65532"] * 4
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 1 << 10
    assert status["NoNewPrivs"] == "1"
    assert pod.http("http://127.0.0.1:8080/health") == "200"
    assert pod.http("http://127.0.0.1:9153/metrics") == "200"

    process.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    answers: list[tuple[float, bool]] = []
    while process.poll() is None:
        answered = pod.dig("web.default.svc.cluster.local", "A") == WEB
        answers.append((time.monotonic() - asked, answered))
    assert process.returncode == 0, pod.logs()
    # "lameduck 5s": every question of these five seconds has its answer
    assert answers[0][1]
    assert [at for at, answered in answers if not answered and at < 5.0] == []
    assert answers[-1][0] > 5.0


@pytest.mark.slow
def test_the_dns_image_is_alive_but_not_ready_while_there_is_no_api_server(pod: Pod) -> None:
    process = pod.run(_coredns(pod))
    (pod.directory / "api" / "serviceaccount" / "token").write_text("none")

    pod.wait(lambda: pod.http("http://127.0.0.1:8080/health") == "200")
    pod.wait(lambda: pod.http("http://127.0.0.1:8181/ready") == "503")
    assert process.poll() is None


def test_the_dns_image_does_not_start_without_the_right_that_it_needs(pod: Pod) -> None:
    """As CoreDNS's own image: the kernel refuses the program (EPERM) when all is dropped."""
    whole = _coredns(pod)
    bare = Container(whole.root, whole.command, whole.mounts, whole.env, uid=65532)

    process = pod.run(bare)
    assert process.wait(60) != 0
    assert "Operation not permitted" in pod.logs()


def test_another_command_of_the_image_needs_no_right(pod: Pod) -> None:
    whole = _coredns(pod)
    command = ["/usr/local/bin/svcdns", "check", "/etc/coredns/Corefile"]

    process = pod.run(Container(whole.root, command, whole.mounts, whole.env, uid=65532))
    assert process.wait(60) == 0, pod.logs()


KUBEADM_PROXY = """\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection:
  acceptContentTypes: ""
  burst: 0
  contentType: ""
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
  qps: 0
clusterCIDR: 10.244.0.0/16
configSyncPeriod: 0s
conntrack:
  maxPerCore: null
  min: null
  tcpBeLiberal: false
  tcpCloseWaitTimeout: null
  tcpEstablishedTimeout: null
  udpStreamTimeout: 0s
  udpTimeout: 0s
detectLocal:
  bridgeInterface: ""
  interfaceNamePrefix: ""
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: ""
iptables:
  localhostNodePorts: null
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 0s
  syncPeriod: 0s
kind: KubeProxyConfiguration
metricsBindAddress: ""
mode: "nftables"
nodePortAddresses: null
oomScoreAdj: null
portRange: ""
showHiddenMetricsForVersion: ""
"""
"""What kubeadm writes into the ConfigMap kube-proxy (``kubectl get cm``), for a cluster with
podSubnet 10.244.0.0/16 and mode nftables."""


@pytest.mark.slow
def test_the_proxy_image_forwards_as_kubeadms_daemonset_starts_it(pod: Pod) -> None:
    pod.api()
    pod.node.run("ip", "route", "add", "default", "dev", "eth0")
    config = one_of(resources(DEPLOY / "proxy"), "ConfigMap")["data"]["kubeconfig.conf"]
    files = {
        "config.conf": KUBEADM_PROXY,
        "kubeconfig.conf": config.replace(
            "https://control-plane.example:6443", f"https://127.0.0.1:{API_PORT}"
        ),
    }
    (pod.directory / "lock").touch()
    backend = pod.directory / "www"
    backend.mkdir()
    (backend / "index.html").write_text("from the backend")
    pod.start(
        sys.executable, "-m", "http.server", "--bind", BACKEND, "-d", str(backend), "8000",
        log="backend.log",
    )  # fmt: skip
    sbin = Path("/usr/sbin")
    process = pod.run(
        Container(
            str(pod.root),
            [
                "/usr/local/bin/kube-proxy",
                "--config=/var/lib/kube-proxy/config.conf",
                f"--hostname-override={NODE}",
            ],
            [
                *pod.mounts,
                Mount(str(sbin), str(sbin)),
                Mount(str(_config_map(pod.directory / "config", files)), "/var/lib/kube-proxy"),
                Mount(str(pod.directory / "api" / "serviceaccount"), SERVICE_ACCOUNT),
                Mount(str(pod.directory / "lock"), "/run/xtables.lock", writable=True),
            ],
            {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin", "HOME": "/", "NODE_NAME": NODE},
            uid=0,
            capabilities=["NET_ADMIN", "NET_BIND_SERVICE", "SYS_MODULE"],
            no_new_privileges=False,
            read_only=False,
        )
    )

    pod.wait(lambda: pod.http(f"http://{WEB}/") == "200")
    assert pod.node.run("curl", "-s", f"http://{WEB}/").stdout == "from the backend"
    assert pod.http("http://127.0.0.1:10256/healthz") == "200"
    assert pod.node.run("curl", "-s", "http://127.0.0.1:10249/proxyMode").stdout == "nftables"

    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0, pod.logs()
    # rule R105: the rules stay
    assert pod.http(f"http://{WEB}/") == "200"
