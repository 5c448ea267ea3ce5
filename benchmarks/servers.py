"""The servers that are compared: each started alone, on one core, with one worker."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks import questions
from benchmarks.api import ApiProcess
from benchmarks.cluster import ZONE, Cluster
from benchmarks.load import SERVER_CORE, pinned
from tests.support.ports import free_port

START_SECONDS = 60

SPREAD = ("one", "two")
"""svcdns with one process and with two, which run on whatever cores there are."""

COREFILE = """\
.:{port} {{
    errors
    ready 127.0.0.1:{ready}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        endpoint {api}
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }}
    prometheus 127.0.0.1:{metrics}
    forward . 127.0.0.1:{upstream}
    cache 30
    loop
    loadbalance
}}
"""
"""kubeadm's, but for its ports and where the API is."""

ENCRYPTED = "".join(
    f"""\
{scheme}://.:{{{scheme}}} {{{{
    errors
    tls {{certificates}}/cert.pem {{certificates}}/key.pem
    kubernetes cluster.local in-addr.arpa ip6.arpa {{{{
        endpoint {{api}}
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }}}}
    forward . 127.0.0.1:{{upstream}}
    cache 30
    loadbalance
}}}}
"""
    for scheme in ("tls", "https")
)
"""Behind :data:`COREFILE`: the same over TLS and over HTTPS."""

NO_API = "http://127.0.0.1:1"
"""For :mod:`benchmarks.serve`, which asks nobody."""

KNOT = """\
server:
    rundir: {folder}
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    tcp-max-clients: 1000
    background-workers: 1
database:
    storage: {folder}
log:
  - target: stderr
    any: error
zone:
"""

NSD = """\
server:
    ip-address: 127.0.0.1@{port}
    username: ""
    chroot: ""
    server-count: 1
    zonesdir: {folder}
    database: ""
    pidfile: {folder}/nsd.pid
    xfrdfile: {folder}/xfrd
    zonelistfile: {folder}/zones
    xfrdir: {folder}
    logfile: {folder}/log
    verbosity: 0
    rrl-ratelimit: 0
remote-control:
    control-enable: no
zone:
    name: {zone}
    zonefile: {file}
"""

UNBOUND = """\
server:
    interface: 127.0.0.1@{port}
    do-daemonize: no
    chroot: ""
    username: ""
    directory: {folder}
    pidfile: ""
    use-syslog: no
    logfile: {folder}/log
    num-threads: 1
    incoming-num-tcp: 1000
    msg-cache-size: 64m
    rrset-cache-size: 128m
    minimal-responses: yes
    do-not-query-localhost: no
    module-config: "iterator"
    local-zone: example. nodefault
    local-zone: {zone} static
    include: {folder}/data
remote-control:
    control-enable: no
forward-zone:
    name: example.
    forward-addr: 127.0.0.1@{upstream}
"""

UNBOUND_ENCRYPTED = """\
server:
    interface: 127.0.0.1@{tls}
    tls-port: {tls}
    interface: 127.0.0.1@{https}
    https-port: {https}
    tls-service-pem: {certificates}/cert.pem
    tls-service-key: {certificates}/key.pem
"""

DNSMASQ = """\
no-daemon
no-resolv
no-hosts
bind-interfaces
listen-address=127.0.0.1
port={port}
cache-size=10000
dns-forward-max=10000
local=/{zone}/
server=/example/127.0.0.1#{upstream}
addn-hosts={folder}/hosts
"""


@dataclass(slots=True)
class Running:
    """A server that answers."""

    name: str
    pid: int
    port: int
    ready: float
    "Seconds from its start to its first answer."
    tls: int = 0
    "The port of DNS over TLS, if it has one."
    https: int = 0


class Servers:
    """Starts servers when they are first asked for, and ends them all."""

    def __init__(self, cluster: Cluster, *, corefile: str = COREFILE) -> None:
        self.cluster = cluster
        self._template = corefile
        self._stack = ExitStack()
        self._running: dict[str, Running | None] = {}
        self._encrypted: dict[Path, tuple[int, int]] = {}
        "The ports of TLS and HTTPS, by the folder of a server."

    def __enter__(self) -> Self:
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._stack.close()

    def get(self, name: str) -> Running | None:
        """Give a server, started now if need be; ``None`` when this machine has no such program."""
        if name not in self._running:
            found = program(name)
            if found is None:
                print(f"{name} is not installed: left out", file=sys.stderr)
            self._running[name] = None if found is None else self._start(name, found)
        return self._running[name]

    def all(self, *names: str) -> list[Running]:
        """Give those servers that there are."""
        return [found for name in names if (found := self.get(name))]

    def start(self, name: str) -> Running:
        """Start one more of a kind."""
        found = program(name)
        assert found is not None, name
        return self._start(name, found)

    def stop(self, server: Running) -> None:
        """End a server before the others."""
        os.kill(server.pid, 15)
        self._running.pop(server.name, None)

    def _start(self, name: str, program: str) -> Running:
        port = free_port()
        folder = self.folder / f"{name}-{port}"
        folder.mkdir()
        tls, https = self._encrypted[folder] = free_port(), free_port()
        command = _COMMANDS[name](self, program, folder, port)
        if name == "upstream":
            command = pinned(max(0, (os.cpu_count() or 1) - 1), command)
        elif name not in SPREAD:
            command = pinned(SERVER_CORE, command)
        log = self._stack.enter_context((folder / "output").open("wb"))
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=_ROOT)
        self._stack.callback(_end, process)
        outside = name == "upstream" or "kubernetes" not in self._template
        name_asked = "www.site-0.example." if outside else self.cluster.name(0)
        while not _answers(port, questions.message(name_asked, questions.A)):
            if process.poll() is not None or time.monotonic() - started > START_SECONDS:
                output = (folder / "output").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{name} does not answer: {output}")
            time.sleep(0.01)
        ready = time.monotonic() - started
        return Running(name, process.pid, port, ready, tls, https)

    # -- one method for each program

    def upstream_port(self) -> int:
        found = self.get("upstream")
        if found is None:
            raise RuntimeError("the upstream needs knotd: apt-get install knot")
        return found.port

    def zone_file(self) -> Path:
        path = self.folder / "cluster.zone"
        if not path.exists():
            path.write_text("\n".join(self.cluster.zone()) + "\n")
        return path

    def svcdns(self, _program: str, folder: Path, port: int) -> list[str]:
        for kind, body in self.cluster.lists().items():
            (folder / f"{kind}.json").write_bytes(body)
        corefile = self._corefile(folder, port, NO_API)
        return [sys.executable, "-m", "benchmarks.serve", str(folder), "-conf", corefile]

    def coredns(self, program: str, folder: Path, port: int) -> list[str]:
        api = ApiProcess(self.cluster.services)
        self._stack.callback(api.close)
        return [program, "-conf", self._corefile(folder, port, api.url)]

    def two_processes(self, program: str, folder: Path, port: int) -> list[str]:
        command = self.svcdns(program, folder, port)
        path = folder / "Corefile"
        path.write_text(path.read_text().replace("    loop\n", "    loop\n    multisocket 2\n"))
        return command

    def _corefile(self, folder: Path, port: int, api: str) -> str:
        path = folder / "Corefile"
        tls, https = self._encrypted[folder]
        path.write_text(
            self._template.format(
                port=port,
                ready=free_port(),
                metrics=free_port(),
                upstream=self.upstream_port(),
                api=api,
                certificates=self.folder,
                tls=tls,
                https=https,
            )
        )
        return str(path)

    def knot(self, program: str, folder: Path, port: int) -> list[str]:
        text = KNOT.format(folder=folder, port=port)
        text += f"  - domain: {ZONE}\n    file: {self.zone_file()}\n    zonefile-sync: -1\n"
        return _configured(folder, text, [program, "-c"])

    def upstream(self, program: str, folder: Path, port: int) -> list[str]:
        """Knot again, as the resolver that knows the outside names."""
        lines = ["$TTL 3600", "@ SOA ns mail 1 7200 1800 86400 30", "@ NS ns", "ns A 192.0.2.1"]
        for number, name in enumerate(questions.outside_names()):
            lines += [f"{name} A 192.0.2.{number % 250}", f"{name} A 198.51.100.{number % 250}"]
        zone = folder / "example.zone"
        zone.write_text("\n".join(lines) + "\n")
        text = KNOT.format(folder=folder, port=port)
        text += f"  - domain: example.\n    file: {zone}\n    zonefile-sync: -1\n"
        return _configured(folder, text, [program, "-c"])

    def nsd(self, program: str, folder: Path, port: int) -> list[str]:
        text = NSD.format(folder=folder, port=port, zone=ZONE, file=self.zone_file())
        return _configured(folder, text, [program, "-d", "-c"])

    def unbound(self, program: str, folder: Path, port: int) -> list[str]:
        records = [
            f'local-data: "{self.cluster.name(number)} 30 IN A {self.cluster.address(number)}"'
            for number in range(self.cluster.services)
            if not self.cluster.headless(number)
        ]
        (folder / "data").write_text("\n".join(records) + "\n")
        text = UNBOUND.format(folder=folder, port=port, zone=ZONE, upstream=self.upstream_port())
        if ENCRYPTED in self._template:
            tls, https = self._encrypted[folder]
            text += UNBOUND_ENCRYPTED.format(tls=tls, https=https, certificates=self.folder)
        return _configured(folder, text, [program, "-d", "-c"])

    def dnsmasq(self, program: str, folder: Path, port: int) -> list[str]:
        hosts = [
            f"{self.cluster.address(number)} {self.cluster.name(number)[:-1]}"
            for number in range(self.cluster.services)
        ]
        (folder / "hosts").write_text("\n".join(hosts) + "\n")
        text = DNSMASQ.format(
            folder=folder, port=port, zone=ZONE.rstrip("."), upstream=self.upstream_port()
        )
        return _configured(folder, text, [program, "-u", "root", "-C"])


_ROOT = Path(__file__).parents[1]

_COMMANDS: dict[str, Callable[[Servers, str, Path, int], list[str]]] = {
    "svcdns": Servers.svcdns,
    "one": Servers.svcdns,
    "two": Servers.two_processes,
    "coredns": Servers.coredns,
    "knot": Servers.knot,
    "upstream": Servers.upstream,
    "nsd": Servers.nsd,
    "unbound": Servers.unbound,
    "dnsmasq": Servers.dnsmasq,
}


def program(name: str) -> str | None:
    """Find a server's program."""
    match name:
        case "svcdns" | "one" | "two":
            return sys.executable
        case "coredns":
            return os.environ.get("COREDNS") or shutil.which(name)
        case "knot" | "upstream":
            return shutil.which("knotd")
        case _:
            return shutil.which(name)


def _configured(folder: Path, text: str, command: list[str]) -> list[str]:
    path = folder / "conf"
    path.write_text(text)
    return [*command, str(path)]


def _answers(port: int, message: bytes) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.5)
        try:
            sock.connect(("127.0.0.1", port))
            sock.send(message)
            return sock.recv(4096)[3] & 0xF == 0
        except OSError:
            return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
