"""Real clients against ``svcdns up``, from a namespace with the resolv.conf of a Pod.

Each client resolves what Pods resolve: a short name, a headless Service with 120 endpoints, SRV,
PTR, an ExternalName, a missing name, and a name outside through the search path.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.namespaces import Namespace, program, require_root

ROOT = Path(__file__).parents[2]

WEB = "10.96.0.10"
DB = [f"10.1.{number // 100}.{number % 100 + 1}" for number in range(120)]
OUTSIDE = "203.0.113.10"

MANIFESTS = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: prod}}
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: prod}}
spec:
  clusterIP: {WEB}
  ports: [{{name: http, port: 80}}]
---
apiVersion: v1
kind: Service
metadata: {{name: db, namespace: prod}}
spec:
  clusterIP: None
  ports: [{{name: pg, port: 5432}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: db-1
  namespace: prod
  labels: {{kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{{name: pg, port: 5432, protocol: TCP}}]
endpoints:
{chr(10).join(f"- addresses: [{address}]" for address in DB)}
---
apiVersion: v1
kind: Service
metadata: {{name: ext, namespace: prod}}
spec: {{type: ExternalName, externalName: www.example.net}}
"""

RESOLV_CONF = """\
search prod.svc.cluster.local svc.cluster.local cluster.local
nameserver 127.0.0.1
options ndots:5
"""

UPSTREAM = """
import dns.message, dns.rrset, socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 5399))
while True:
    wire, peer = sock.recvfrom(4096)
    query = dns.message.from_wire(wire)
    answer = dns.message.make_response(query)
    name, kind = query.question[0].name, query.question[0].rdtype
    if str(name).lower() == "www.example.net.":
        if kind == 1:
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "203.0.113.10"))
    else:
        answer.set_rcode(3)
    soa = "ns.example.net. host.example.net. 1 7200 1800 86400 60"
    if not answer.answer:
        answer.authority.append(dns.rrset.from_text("example.net.", 60, "IN", "SOA", soa))
    sock.sendto(answer.to_wire(), peer)
"""

MUSL = r"""
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) {
    struct addrinfo hints, *found, *one;
    char text[64];
    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    int error = getaddrinfo(argv[1], 0, &hints, &found);
    if (error) { fprintf(stderr, "%s\n", gai_strerror(error)); return 2; }
    for (one = found; one; one = one->ai_next)
        puts(inet_ntop(AF_INET, &((struct sockaddr_in *)one->ai_addr)->sin_addr, text, sizeof text));
    return 0;
}
"""


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespace]:
    require_root()
    home = tmp_path_factory.mktemp("clients")
    (home / "manifests").mkdir()
    (home / "manifests" / "all.yaml").write_text(MANIFESTS)
    space = Namespace(f"svcdns-pod-{os.getpid()}")
    servers = []
    try:
        space.address("10.244.0.7/24", "fd00:244::7/64")
        space.resolv_conf(RESOLV_CONF)
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        servers.append(
            space.start(sys.executable, "-c", UPSTREAM, env=env, log=home / "upstream.log")
        )
        up = [sys.executable, "-m", "svcdns", "up", str(home / "manifests"), "--no-proxy"]
        up += ["--dns-port", "53", "--upstream", "127.0.0.1:5399"]
        servers.append(space.start(*up, env=env, log=home / "svcdns.log"))
        _wait_for_dns(space, home / "svcdns.log")
        yield space
    finally:
        for server in servers:
            server.send_signal(signal.SIGTERM)
        for server in servers:
            server.wait(60)
        space.close()


def _wait_for_dns(space: Namespace, log: Path) -> None:
    probe = (
        "import dns.resolver;"
        "dns.resolver.resolve('web.prod.svc.cluster.local.', 'A', lifetime=0.5);"
        "dns.resolver.resolve('www.example.net.', 'A', lifetime=0.5)"
    )
    deadline = time.monotonic() + 60
    while space.run(sys.executable, "-c", probe).returncode:
        assert time.monotonic() < deadline, log.read_text()


Lookup = Callable[[Namespace, str], list[str]]


def _addresses(text: str) -> list[str]:
    return re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", text)


def _command(*command: str, skip: str = r"127\.0\.0\.1") -> Lookup:
    """Resolve by a program that prints addresses; *skip* are those of the server itself."""

    def lookup(space: Namespace, name: str) -> list[str]:
        program(command[0])
        found = space.run(*command, name)
        return [one for one in _addresses(found.stdout) if not re.fullmatch(skip, one)]

    return lookup


def _python(code: str) -> Lookup:
    def lookup(space: Namespace, name: str) -> list[str]:
        return _addresses(space.run(sys.executable, "-c", code, name).stdout)

    return lookup


def _node(code: str) -> Lookup:
    def lookup(space: Namespace, name: str) -> list[str]:
        return _addresses(space.run(program("node"), "-e", code, name).stdout)

    return lookup


GETADDRINFO = """
import socket, sys
found = socket.getaddrinfo(sys.argv[1], 80, socket.AF_INET, socket.SOCK_STREAM)
print(*[entry[4][0] for entry in found])
"""
DNSPYTHON = """
import dns.resolver, sys
print(*dns.resolver.resolve(sys.argv[1], "A", search=True))
"""
CARES = """
import sys, threading, pycares
done = threading.Event()
found = []
def answered(result, error):
    if result is not None:
        found.extend(node.addr[0].decode() if isinstance(node.addr[0], bytes) else node.addr[0] for node in result.nodes)
    done.set()
channel = pycares.Channel()
channel.getaddrinfo(sys.argv[1], None, family=2, callback=answered)
done.wait(30)
print(*found)
"""
NODE_LOOKUP = (
    "require('dns').lookup(process.argv[1], {all: true, family: 4}, "
    "(error, found) => console.log(error ? '' : found.map(one => one.address).join(' ')))"
)
NODE_RESOLVE = (
    "require('dns').resolve4(process.argv[1], "
    "(error, found) => console.log(error ? '' : found.join(' ')))"
)

SEARCHING: dict[str, Lookup] = {
    "dig": _command("dig", "+search", "+short"),
    "nslookup": _command("nslookup", skip=r"127\.0\.0\.1"),
    "host": _command("host", "-t", "A"),
    "getent": _command("getent", "ahostsv4"),
    "python": _python(GETADDRINFO),
    "dnspython": _python(DNSPYTHON),
    "c-ares": _python(CARES),
    "node lookup": _node(NODE_LOOKUP),
}
"Clients that walk the search path."

PLAIN: dict[str, Lookup] = {
    "kdig": _command("kdig", "+short"),
    "drill": _command("drill", "-a", skip=r"127\.0\.0\.1"),
    "node resolve": _node(NODE_RESOLVE),
}
"Clients that take names as they are."


@pytest.fixture(scope="module")
def musl(tmp_path_factory: pytest.TempPathFactory) -> Lookup:
    home = tmp_path_factory.mktemp("musl")
    (home / "lookup.c").write_text(MUSL)
    build = [program("musl-gcc"), "-static", "-o", str(home / "lookup"), str(home / "lookup.c")]
    subprocess.run(build, check=True, capture_output=True)
    return _command(str(home / "lookup"))


def _busybox(space: Namespace, name: str) -> list[str]:
    found = space.run(program("busybox"), "nslookup", "-type=a", name).stdout
    return [one for one in _addresses(found) if one != "127.0.0.1"]


@pytest.mark.parametrize("client", SEARCHING)
def test_a_short_name_is_found_through_the_search_path(pod: Namespace, client: str) -> None:
    assert set(SEARCHING[client](pod, "web")) == {WEB}


@pytest.mark.parametrize("client", [*SEARCHING, *PLAIN])
def test_clients_with_tcp_get_all_120_endpoints(pod: Namespace, client: str) -> None:
    lookup = {**SEARCHING, **PLAIN}[client]

    assert sorted(set(lookup(pod, "db.prod.svc.cluster.local"))) == sorted(DB)


@pytest.mark.parametrize("client", SEARCHING)
def test_an_external_name_leads_outside(pod: Namespace, client: str) -> None:
    assert set(SEARCHING[client](pod, "ext")) == {OUTSIDE}


@pytest.mark.parametrize("client", SEARCHING)
def test_an_outside_name_survives_the_search_path(pod: Namespace, client: str) -> None:
    assert set(SEARCHING[client](pod, "www.example.net")) == {OUTSIDE}


@pytest.mark.parametrize("client", [*SEARCHING, *PLAIN])
def test_a_missing_name_is_missing(pod: Namespace, client: str) -> None:
    lookup = {**SEARCHING, **PLAIN}[client]

    assert lookup(pod, "missing.prod.svc.cluster.local") == []


def test_musl_finds_names_and_as_many_endpoints_as_a_datagram_holds(
    pod: Namespace, musl: Lookup
) -> None:
    """Musl before 1.2.4 has no TCP: an empty truncated answer would leave it with nothing."""
    assert musl(pod, "web") == [WEB]
    assert set(musl(pod, "ext")) == {OUTSIDE}
    assert set(musl(pod, "www.example.net")) == {OUTSIDE}
    assert musl(pod, "missing") == []
    many = set(musl(pod, "db"))
    assert len(many) >= 25
    assert many <= set(DB)


def test_busybox_finds_names_and_as_many_endpoints_as_a_datagram_holds(pod: Namespace) -> None:
    assert set(_busybox(pod, "web.prod.svc.cluster.local")) == {WEB}
    assert set(_busybox(pod, "ext.prod.svc.cluster.local")) == {OUTSIDE}
    assert _busybox(pod, "missing.prod.svc.cluster.local") == []
    many = set(_busybox(pod, "db.prod.svc.cluster.local"))
    assert len(many) >= 25
    assert many <= set(DB)


SRV = "_http._tcp.web.prod.svc.cluster.local"


@pytest.mark.parametrize(
    "command",
    [
        ("dig", "+short", "SRV", SRV),
        ("kdig", "+short", SRV, "SRV"),
        ("drill", SRV, "SRV"),
        ("host", "-t", "SRV", SRV),
        ("nslookup", "-type=SRV", SRV),
    ],
)
def test_srv_names_port_and_target(pod: Namespace, command: tuple[str, ...]) -> None:
    program(command[0])
    said = pod.run(*command).stdout

    assert re.search(r"\b0\s+100\s+80\s+web\.prod\.svc\.cluster\.local\b", said), said


def test_node_reads_srv_and_ptr(pod: Namespace) -> None:
    code = (
        f"const dns = require('dns').promises; (async () => {{"
        f"console.log(JSON.stringify(await dns.resolveSrv('{SRV}')));"
        f"console.log(JSON.stringify(await dns.reverse('{WEB}')));}})()"
    )
    said = pod.run(program("node"), "-e", code).stdout

    assert '"port":80' in said
    assert '"web.prod.svc.cluster.local"' in said


@pytest.mark.parametrize(
    "command",
    [
        ("dig", "+short", "-x", WEB),
        ("host", WEB),
        ("kdig", "+short", "-x", WEB),
        ("nslookup", WEB),
        ("drill", "-x", WEB),
        ("getent", "hosts", WEB),
        (sys.executable, "-c", f"import socket; print(socket.gethostbyaddr('{WEB}')[0])"),
    ],
)
def test_an_address_points_back_to_its_service(pod: Namespace, command: tuple[str, ...]) -> None:
    program(command[0])
    said = pod.run(*command).stdout

    assert "web.prod.svc.cluster.local" in said


def test_the_missing_family_is_no_error(pod: Namespace) -> None:
    """A client that asks for both families must get the one there is (rule C2)."""
    code = "import socket; print(*{entry[0] for entry in socket.getaddrinfo('web', 80)})"
    said = pod.run(sys.executable, "-c", code)

    assert said.stdout.split() == [str(socket.AF_INET)], said.stderr
