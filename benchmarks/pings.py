"""What a relayed connection costs one client in time: added latency, and reloads under way."""

import os
import signal
import socket
import statistics
import time
from contextlib import ExitStack

PAYLOAD = bytes(64)
PINGS = 1500
"""Questions of one round."""

CONNECTIONS = 200
RELOADS = 10
RELOAD_SECONDS = 0.2
"""Between two reloads."""


def latency(targets: dict[str, str], port: int, rounds: int) -> None:
    """Print the time of an answer by way of each target, and what it is over the first one."""
    times: dict[str, list[float]] = {name: [] for name in targets}
    for _ in range(rounds):
        for name, host in targets.items():
            with _connected(host, port) as sock:
                times[name] += [_ping(sock) for _ in range(PINGS)]
    base = None
    for name, found in times.items():
        middle = statistics.median(found) * 1e6
        late = statistics.quantiles(found, n=100)[98] * 1e6
        if base is None:
            base = middle
            print(f"{'latency, ' + name:27}p50 {middle:7.1f} us   p99 {late:7.1f} us")
        else:
            print(
                f"{'latency, ' + name:27}p50 {middle:7.1f} us   p99 {late:7.1f} us"
                f"   added p50 {middle - base:6.1f} us"
            )


def reload(host: str, port: int, pid: int, services: int) -> None:
    """Print how many open connections break while all services get other endpoints again."""
    broken, answered, slowest = 0, 0, 0.0
    with ExitStack() as stack:
        socks = [stack.enter_context(_connected(host, port)) for _ in range(CONNECTIONS)]
        for _ in range(RELOADS):
            os.kill(pid, signal.SIGUSR1)
            until = time.monotonic() + RELOAD_SECONDS
            while time.monotonic() < until:
                for sock in list(socks):
                    try:
                        slowest = max(slowest, _ping(sock))
                        answered += 1
                    except OSError:
                        broken += 1
                        socks.remove(sock)
    print(
        f"{RELOADS} reloads of {services:,} services: {broken} of {CONNECTIONS} connections broken,"
        f" {answered:,} answers, the slowest after {slowest * 1e3:.0f} ms"
    )


def _connected(host: str, port: int) -> socket.socket:
    sock = socket.create_connection((host, port), timeout=5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _ping(sock: socket.socket) -> float:
    """Send a question and wait for its answer; seconds.

    Raises:
        OSError: The connection is broken, or there is no answer.
    """
    began = time.perf_counter()
    sock.sendall(PAYLOAD)
    if not sock.recv(len(PAYLOAD)):
        raise ConnectionError("closed")
    return time.perf_counter() - began
