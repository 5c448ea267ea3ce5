"""The userspace proxy as a sidecar: in a Pod's network, cluster IPs are captured by a local route.

The Pod is ``p1`` of the world; an application of its own listens on every address at 8080 and 9090.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, Self

import pytest

from tests.support.flows import ADDRESSES, endpoint, port, service, slice_of
from tests.support.waiting import blocking_until as until
from tests.support.world import Place, World

DEADLINE = 60.0
"""Seconds for the proxy to end."""

ROOT = Path(__file__).parents[2]
WEB, WEB6, DNS = "10.96.5.5", "fd00:10:96::5", "10.96.0.10"
CIDRS = "10.96.0.0/12,fd00:10:96::/108"
WITHOUT = ("setpriv", "--bounding-set=-net_admin,-net_raw", "--inh-caps=-net_admin,-net_raw")

CONFIG = """\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: userspace
hostnameOverride: node-1
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
nftables: {minSyncPeriod: 10ms, syncPeriod: 1s}
clientConnection: {kubeconfig: %s}
"""

KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "%s"}}]
users: [{name: u, user: {token: x}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
"""


class Pod:
    """The Pod with an API server that it reaches, and the proxy when it runs."""

    def __init__(self, place: Place, path: Path) -> None:
        self.place = place
        self.log = path / "log"
        self.config = path / "config.yaml"
        self.proxy: subprocess.Popen[bytes] | None = None
        self.api = subprocess.Popen(
            [*place.enter, sys.executable, "-m", "tests.support.remoteapi"],
            cwd=ROOT, env=environment(), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self.api.stdout
        (path / "kubeconfig").write_text(KUBECONFIG % self.api.stdout.readline().strip())
        self.config.write_text(CONFIG % (path / "kubeconfig"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.proxy:
            self.end()
        if self.routes():
            self.once("--cleanup", "--proxy-mode=userspace", f"--capture-cidrs={CIDRS}")
            assert not self.routes()
        self.api.kill()
        self.api.communicate()

    def put(self, *objects: dict[str, Any], delete: tuple[str, ...] = ()) -> None:
        assert self.api.stdin
        assert self.api.stdout
        self.api.stdin.write(json.dumps({"put": objects, "delete": delete}) + "\n")
        self.api.stdin.flush()
        assert self.api.stdout.readline() == "\n"

    def start(self, *arguments: str, prefix: tuple[str, ...] = ()) -> None:
        self.log.write_text("")
        with self.log.open("w") as log:
            self.proxy = subprocess.Popen(
                [*self.place.enter, *prefix, *self.command("--config", str(self.config)),
                 *arguments],
                cwd=ROOT, env=environment(), stderr=log,
            )  # fmt: skip
        until(lambda: "carried out" in self.said(), f"the proxy starts: {self.said()}")

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "svcdns", "proxy", *arguments]

    def once(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.place.enter, *self.command(*arguments)],
            cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    def end(self) -> int:
        assert self.proxy
        self.proxy.send_signal(signal.SIGTERM)
        self.proxy.communicate(timeout=DEADLINE)
        status, self.proxy = self.proxy.returncode, None
        return status

    def said(self) -> str:
        return self.log.read_text()

    def connect(self, address: str, number: int = 80, protocol: str = "TCP") -> Any:
        ((outcome,),) = self.place.ask([[protocol, address, number, 1, 10]])
        return outcome

    def reaches(self, pod: str, address: str, number: int = 80, protocol: str = "TCP") -> bool:
        outcome = self.connect(address, number, protocol)
        return isinstance(outcome, list) and outcome[0] == pod

    def routes(self) -> str:
        shown = [
            self.place.run("ip", family, "route", "show", "table", "local", "proto", "83")
            for family in ("-4", "-6")
        ]
        return "".join(shown)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def pod(world: World, tmp_path: Path) -> Iterator[Pod]:
    with Pod(world["p1"], tmp_path) as found:
        found.put(
            service("web", WEB),
            slice_of("web", [endpoint("p3")]),
            service("web6", WEB6),
            slice_of("web6", [endpoint("p4", family=6)], family=6),
            service("dns", DNS, ports=[port("dns", 53, "UDP")]),
            slice_of("dns", [endpoint("p3")], ports=[
                {"name": "dns", "protocol": "UDP", "port": 8080}]),
        )  # fmt: skip
        yield found


def test_the_application_reaches_services_of_both_families_and_protocols(pod: Pod) -> None:
    assert not pod.reaches("p3", WEB)
    pod.start(f"--capture-cidrs={CIDRS}")
    assert pod.reaches("p3", WEB)
    assert pod.reaches("p4", WEB6)
    assert pod.reaches("p3", DNS, 53, "UDP")
    assert pod.connect(WEB, 81) == "refused"
    assert pod.connect("10.96.77.77") == "refused"


BIG = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect((sys.argv[1], 53))
sock.settimeout(5)
answers = 0
for _ in range(12):
    try:
        sock.send(bytes(1400))
        answers += sock.recv(100).startswith(b"p3 ")
    except OSError as error:
        print(error)
print(answers)
"""


@pytest.fixture
def narrow_link(world: World) -> Iterator[None]:
    """Let packets of 1400 octets not fit on the way to the other node."""
    world["node"].run("ip", "link", "set", "to-node-2", "mtu", "1300")
    try:
        yield
    finally:
        world["node"].run("ip", "link", "set", "to-node-2", "mtu", "1500")


@pytest.mark.usefixtures("narrow_link")
def test_a_router_that_wants_smaller_datagrams_does_not_cost_the_flow_its_endpoint(
    pod: Pod,
) -> None:
    """Its ICMP message is reported to the session's socket, and is no fault of the endpoint."""
    pod.put(slice_of("dns", [endpoint("p3"), endpoint("p2", "unready")], ports=[
        {"name": "dns", "protocol": "UDP", "port": 8080}]))  # fmt: skip
    pod.start(f"--capture-cidrs={CIDRS}")
    said = pod.place.run(sys.executable, "-c", BIG, DNS).split()
    assert int(said[-1]) >= 10, said
    metrics = pod.place.run(
        sys.executable,
        "-c",
        "import urllib.request as u;"
        "print(u.urlopen('http://127.0.0.1:10249/metrics').read().decode())",
    )
    failures = [line for line in metrics.splitlines() if "_endpoint_failures_total{" in line]
    assert {float(line.split()[-1]) for line in failures} == {0.0}


def test_the_route_goes_with_the_proxy_that_made_it(pod: Pod) -> None:
    pod.start(f"--capture-cidrs={CIDRS}")
    assert "10.96.0.0/12" in pod.routes()
    assert "fd00:10:96::/108" in pod.routes()
    assert pod.end() == 0
    assert pod.routes() == ""


def test_an_init_container_relieves_the_proxy_of_the_privilege(pod: Pod) -> None:
    done = pod.once("--proxy-mode=userspace", "--init-only", f"--capture-cidrs={CIDRS}")
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    pod.start(f"--capture-cidrs={CIDRS}", prefix=WITHOUT)
    assert "10.96.0.0/12 is local already" in pod.said()
    assert pod.reaches("p3", WEB)
    assert pod.reaches("p4", WEB6)
    assert pod.end() == 0
    assert "10.96.0.0/12" in pod.routes(), "it was not ours to take back"


def test_without_the_privilege_nothing_starts_and_it_is_said_what_is_missing(pod: Pod) -> None:
    done = subprocess.run(
        [*pod.place.enter, *WITHOUT, *pod.command("--config", str(pod.config)),
         f"--capture-cidrs={CIDRS}"],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0
    assert "cannot be made local: operation not permitted; that needs NET_ADMIN" in done.stderr


class TestPortsOfTheApplication:
    """It listens on every address at 8080, which a Service has as well."""

    @pytest.fixture(autouse=True)
    def service_at_the_same_port(self, pod: Pod) -> None:
        pod.put(
            service("same", "10.96.8.8", ports=[port(number=8080)]),
            slice_of("same", [endpoint("p3")]),
        )

    def test_it_is_not_disturbed_and_the_others_are_served(self, pod: Pod, world: World) -> None:
        pod.start(f"--capture-cidrs={CIDRS}")
        assert "cannot listen on 10.96.8.8 port 8080/TCP" in pod.said()
        assert pod.reaches("p3", WEB)
        ((outcome,),) = world["p2"].ask([["TCP", ADDRESSES[4]["p1"], 8080, 1, 10]])
        assert outcome[0] == "p1"

    def test_who_calls_the_service_meets_the_application_itself(self, pod: Pod) -> None:
        """What docs/userspace.md warns of: the address is local, and a wildcard takes it."""
        pod.start(f"--capture-cidrs={CIDRS}", "--exclude-ports=8080")
        assert "cannot listen" not in pod.said()
        assert "ports left to other programs, whatever Services have them: 8080" in pod.said()
        assert pod.reaches("p1", "10.96.8.8", 8080)


BIND = """
import socket, sys
sock = socket.socket(socket.AF_INET, getattr(socket, sys.argv[1]))
sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(sys.argv[2]))
try:
    sock.bind(("0.0.0.0", 7070))
    if sys.argv[1] == "SOCK_STREAM":
        sock.listen()
    print("bound")
except OSError as error:
    print(error.strerror)
"""


class TestAnApplicationThatStartsLater:
    """Most do: sidecars are up before it."""

    @pytest.fixture(autouse=True)
    def service_at_its_port(self, pod: Pod) -> None:
        pod.put(
            service("tcp", "10.96.7.1", ports=[port(number=7070)]),
            slice_of("tcp", [endpoint("p3")]),
            service("udp", "10.96.7.2", ports=[port("udp", 7070, "UDP")]),
            slice_of("udp", [endpoint("p3")],
                     ports=[{"name": "udp", "protocol": "UDP", "port": 8080}]),
        )  # fmt: skip

    def test_it_cannot_have_a_port_of_ours_unless_we_leave_it(self, pod: Pod) -> None:
        tries = list(product(("SOCK_STREAM", "SOCK_DGRAM"), "01"))
        pod.start(f"--capture-cidrs={CIDRS}")
        said = [pod.place.run(sys.executable, "-c", BIND, *one).strip() for one in tries]
        assert said == ["Address already in use"] * 4
        pod.end()
        pod.start(f"--capture-cidrs={CIDRS}", "--exclude-ports=7070")
        said = [pod.place.run(sys.executable, "-c", BIND, *one).strip() for one in tries]
        assert said == ["bound"] * 4


def test_thousands_of_frontends_come_and_go(pod: Pod) -> None:
    pod.start(f"--capture-cidrs={CIDRS}")
    many = [f"10.97.{n >> 8}.{n & 255}" for n in range(2500)]
    for n, address in enumerate(many):
        pod.put(service(f"s{n}", address), slice_of(f"s{n}", [endpoint("p3")]))
    until(lambda: pod.reaches("p3", many[-1]), "the last one is served")
    assert all(pod.reaches("p3", address) for address in many[::100])
    for n in range(0, 2500, 2):
        pod.put(delete=(f"Service/shop/s{n}", f"EndpointSlice/shop/s{n}-v4"))
    until(lambda: pod.connect(many[2498]) == "refused", "the last one is gone")
    assert pod.connect(many[0]) == "refused"
    assert all(pod.reaches("p3", address) for address in many[1::100])
    assert pod.reaches("p3", WEB)
