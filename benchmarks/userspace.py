"""The userspace data path against HAProxy (TCP) and nginx (UDP), each with one thread.

Usage: ``python -m benchmarks.userspace [--seconds N] [--rounds N]``.

Peer and svcdns carry the same work between the same clients and servers, in turn, in one run; each
row is the median of the rounds.  The machine is shared by client, proxy and server, so beside the
rate there is the CPU time of the proxy's process per unit of work, which is what it costs whatever
else runs.  Needs haproxy, nginx (with its stream module), wrk and iperf3; what is missing is said.
"""

import argparse
import json
import math
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from benchmarks import pings

ROOT = Path(__file__).parents[1]
HOST = "127.33.0.1"
HTTP, CLOSING, BULK, ECHO, ECHO_OPEN, ECHO_ONCE, PING = range(18080, 18087)
"Ports of the servers; a proxy listens at the same number on its own address."

PROXIES = {"svcdns": "127.33.1.1", "peer": "127.33.1.2"}
TICKS = os.sysconf("SC_CLK_TCK")

OTHERS = 1000
"""Services beside those that are measured; SIGUSR1 replaces all their endpoints."""

SVCDNS = """
import asyncio, signal, sys
from svcdns.aio.directloop import run
from svcdns.aio.userspace import UserspaceProxy
from svcdns.metrics import Registry
from svcdns.proxy.model import Backend, Exposure, ForwardingPlan, Frontend, PortId, ServicePlan

host, front, others, *ports = sys.argv[1:]
once = int(ports[-1].strip("u"))
generation = 0

def plan(port, protocol, front=front, name="p", target=None):
    backends = (Backend(host, target or port),)
    return ServicePlan(
        id=PortId("bench", f"{name}{port}", "", protocol), family=4,
        frontends=(Frontend(Exposure.CLUSTER_IP, front, port),),
        cluster=backends, any_usable=True, serving=backends,
        responses="1" if port == once else "",
    )

def whole():
    plans = [plan(int(p.strip("u")), "UDP" if "u" in p else "TCP") for p in ports]
    target = 1 + generation % 9
    plans += [plan(20000 + n, "TCP", "127.33.2.1", "other", target) for n in range(int(others))]
    return ForwardingPlan({(p.id, 4): p for p in plans}, {})

def reload(proxy):
    global generation
    generation += 1
    assert not proxy.apply(whole()).failed

async def main():
    proxy = UserspaceProxy(registry=Registry())
    await proxy.start()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, reload, proxy)
    assert not proxy.apply(whole()).failed
    await asyncio.Event().wait()

run(main())
"""

HAPROXY = """
global
    nbthread 1
    maxconn 4000
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    option splice-auto
"""

NGINX_HTTP = """
worker_processes 1; daemon off; pid {folder}/http.pid; error_log /dev/null;
events {{ worker_connections 8192; }}
http {{
    access_log off; keepalive_requests 1000000000;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{ listen {host}:{http} backlog=4096; location / {{ return 200 "ok"; }} }}
    server {{ listen {host}:{closing} backlog=4096; keepalive_timeout 0;
              location / {{ return 200 "ok"; }} }}
}}
"""

NGINX_STREAM = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
worker_processes 1; daemon off; pid {folder}/stream.pid; error_log /dev/null;
events {{ worker_connections 16384; }}
stream {{
    server {{ listen {front}:{echo} udp; proxy_pass {host}:{echo}; proxy_timeout 60s; }}
    server {{ listen {front}:{open} udp; proxy_pass {host}:{open}; proxy_responses 1; }}
    server {{ listen {front}:{once} udp; proxy_pass {host}:{once}; proxy_responses 1; }}
}}
"""

UDP_ECHO = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
s.bind((sys.argv[1], int(sys.argv[2])))
while True:
    s.sendto(*s.recvfrom(65535))
"""

TCP_ECHO = """
import socket, sys, threading

def echo(sock):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while data := sock.recv(65535):
        sock.sendall(data)

server = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=1024)
while True:
    threading.Thread(target=echo, args=(server.accept()[0],), daemon=True).start()
"""


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


def cpu_seconds(pid: int) -> float:
    """Give user and system time of a process and its children that are alive."""
    total = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(path.parent.name) == pid or int(fields[1]) == pid:
            total += int(fields[11]) + int(fields[12])
    return total / TICKS


def wait_for(host: str, port: int) -> None:
    for _ in range(200):
        with socket.socket() as sock:
            if sock.connect_ex((host, port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on {host} port {port}")


def wrk(connections: int, port: int) -> Callable[[str, float], float]:
    """Requests done in the time."""

    def measure(front: str, seconds: float) -> float:
        url = f"http://{front}:{port}/"
        command = ["wrk", "-t1", f"-c{connections}", f"-d{math.ceil(seconds)}s", url]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = re.search(r"(\d+) requests in", text)
        assert found, text
        if errors := re.search(r"(Socket errors.*|Non-2xx.*)", text):
            print(f"  {front}: {errors[0]}", file=sys.stderr)
        return float(found[1])

    return measure


def iperf(front: str, seconds: float) -> float:
    """Gigabits moved in the time."""
    command = ["iperf3", "-J", "-c", front, "-p", str(BULK), "-t", str(math.ceil(seconds))]
    report = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return float(report["end"]["sum_received"]["bytes"]) * 8 / 1e9


def flows(front: str, seconds: float) -> float:
    """Datagrams sent and answered in the time, 32 clients that keep their sockets."""
    return datagrams(front, ECHO, seconds, fresh=False)


def exchanges(front: str, seconds: float) -> float:
    """The same, but every question comes from a new source port, and has one answer."""
    return datagrams(front, ECHO_ONCE, seconds, fresh=True)


def open_exchanges(front: str, seconds: float) -> float:
    """The same, but svcdns has not been told that there is one answer.

    nginx has: it would run out of sockets.
    """
    return datagrams(front, ECHO_OPEN, seconds, fresh=True)


def datagrams(front: str, port: int, seconds: float, *, fresh: bool) -> float:
    def new() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.connect((front, port))
        sock.settimeout(1)
        return sock

    window = 32
    socks = [new() for _ in range(window)]
    done, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        for sock in socks:
            # An ICMP error for an earlier question comes with the next call: no answer to that.
            with suppress(ConnectionError):
                sock.send(b"question" * 5)
        for index, sock in enumerate(socks):
            with suppress(TimeoutError, ConnectionError):
                sock.recv(1000)
                done += 1
            if fresh:
                sock.close()
                socks[index] = new()
    for sock in socks:
        sock.close()
    return done


WORK: dict[str, tuple[str, Callable[[str, float], float]]] = {
    "keep-alive, 64 connections": ("request", wrk(64, HTTP)),
    "keep-alive, 1 connection": ("request", wrk(1, HTTP)),
    "new connections": ("connection", wrk(64, CLOSING)),
    "bulk": ("Gbit", iperf),
    "UDP flows": ("datagram", flows),
    "UDP exchanges": ("exchange", exchanges),
    "UDP exchanges, open end": ("exchange", open_exchanges),
}


def serve(stack: ExitStack, folder: Path) -> dict[str, dict[str, int]]:
    """Start servers and proxies; the proxies' process ids by kind of work and name."""
    ports_by_use = {
        "http": HTTP, "closing": CLOSING, "echo": ECHO, "open": ECHO_OPEN, "once": ECHO_ONCE,
    }  # fmt: skip
    names = {"folder": folder, "host": HOST, **ports_by_use}
    (folder / "http.conf").write_text(NGINX_HTTP.format(**names))
    (folder / "stream.conf").write_text(NGINX_STREAM.format(**names, front=PROXIES["peer"]))
    listen = "listen p{1}\n    bind {0}:{1} backlog 4096\n    server s {2}:{1}\n"
    stanzas = [listen.format(PROXIES["peer"], port, HOST) for port in (HTTP, CLOSING, BULK, PING)]
    (folder / "haproxy.cfg").write_text(HAPROXY + "".join(stanzas))
    stack.enter_context(running("nginx", "-p", str(folder), "-c", str(folder / "http.conf")))
    stack.enter_context(running("iperf3", "-s", "-B", HOST, "-p", str(BULK)))
    for port in (ECHO, ECHO_OPEN, ECHO_ONCE):
        stack.enter_context(running(sys.executable, "-c", UDP_ECHO, HOST, str(port)))
    stack.enter_context(running(sys.executable, "-c", TCP_ECHO, HOST, str(PING)))
    ports = [str(port) for port in (HTTP, CLOSING, BULK, PING)]
    ports += [f"{port}u" for port in (ECHO, ECHO_OPEN, ECHO_ONCE)]
    own = running(sys.executable, "-c", SVCDNS, HOST, PROXIES["svcdns"], str(OTHERS), *ports)
    ours = stack.enter_context(own).pid
    haproxy = stack.enter_context(running("haproxy", "-db", "-f", str(folder / "haproxy.cfg"))).pid
    stream = running("nginx", "-p", str(folder), "-c", str(folder / "stream.conf"))
    nginx = stack.enter_context(stream).pid
    for host in (HOST, *PROXIES.values()):
        wait_for(host, HTTP)
    return {"TCP": {"svcdns": ours, "peer": haproxy}, "UDP": {"svcdns": ours, "peer": nginx}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each row and proxy")
    parser.add_argument("--only", default="", help="rows whose name has this text")
    options = parser.parse_args()
    measure(options.seconds, options.rounds, options.only)


def measure(seconds: float = 1.5, rounds: int = 3, only: str = "") -> None:
    """Print the table, or which programs are missing for it."""
    missing = [name for name in ("haproxy", "nginx", "wrk", "iperf3") if not shutil.which(name)]
    if missing:
        print(f"no measurement of the userspace data path: install {' '.join(missing)}")
        return
    print("\nUserspace data path; peer: HAProxy with one thread, nginx stream for UDP")
    head = ("work", "unit", "svcdns/s", "peer/s", "ratio", "svcdns us", "peer us", "CPU ratio")
    print("{:27}{:>11}{:>12}{:>12}{:>8}{:>11}{:>10}{:>11}".format(*head))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        processes = serve(stack, Path(folder))
        for name, (unit, work) in WORK.items():
            if only in name:
                ids = processes["UDP" if name.startswith("UDP") else "TCP"]
                row(name, unit, work, ids, seconds, rounds)
        if only in "added latency":
            pings.latency({"direct": HOST, **PROXIES}, PING, rounds)
        if only in "reload":
            pings.reload(PROXIES["svcdns"], PING, processes["TCP"]["svcdns"], OTHERS)


def row(
    name: str,
    unit: str,
    measure: Callable[[str, float], float],
    ids: dict[str, int],
    seconds: float,
    rounds: int,
) -> None:
    rates: dict[str, list[float]] = {proxy: [] for proxy in PROXIES}
    costs: dict[str, list[float]] = {proxy: [] for proxy in PROXIES}
    for _ in range(rounds):
        for proxy, front in PROXIES.items():
            before, began = cpu_seconds(ids[proxy]), time.monotonic()
            done = measure(front, seconds)
            rates[proxy].append(done / (time.monotonic() - began))
            costs[proxy].append((cpu_seconds(ids[proxy]) - before) / max(done, 1e-9) * 1e6)
    rate = {proxy: statistics.median(values) for proxy, values in rates.items()}
    cost = {proxy: statistics.median(values) for proxy, values in costs.items()}
    if not all(cost.values()):
        raise SystemExit(f"{name}: a proxy was idle; does something else have its ports?")
    print(
        f"{name:27}{unit:>11}{rate['svcdns']:12,.1f}{rate['peer']:12,.1f}"
        f"{rate['svcdns'] / rate['peer']:8.2f}{cost['svcdns']:11,.1f}{cost['peer']:10,.1f}"
        f"{cost['svcdns'] / cost['peer']:11.2f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
