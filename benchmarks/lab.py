"""A client, a node and its pods in three network namespaces, joined by veth pairs.

The node routes between the other two.  Every address of :data:`PODS` is local to the pods' place,
where one server answers for all of them, so there are as many endpoints as wanted.
"""

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[1]
PODS = "10.128.0.0/9"
CLIENT, GATEWAY, NODE, BEHIND = "10.80.0.2", "10.80.0.1", "10.81.0.1", "10.81.0.2"
PORT = 8080

SERVER = f"""
import socket
sock = socket.create_server(("0.0.0.0", {PORT}), backlog=4096)
print("ready", flush=True)
while True:
    sock.accept()[0].close()
"""


class Place:
    """One network namespace, as long as its holder lives."""

    def __init__(self, *program: str) -> None:
        flags = "-n" if os.geteuid() == 0 else "-rn"
        self.holder = subprocess.Popen(
            ["unshare", flags, sys.executable, "-c", *(program or (HOLD,))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.holder.stdout is not None
        assert self.holder.stdout.readline() == "ready\n", "no network namespaces here"
        self.run("ip", "link", "set", "lo", "up")

    @property
    def enter(self) -> list[str]:
        """Command prefix that runs a program here."""
        return ["nsenter", "-t", str(self.holder.pid), "-n"]

    def run(self, *command: str) -> str:
        done = subprocess.run([*self.enter, *command], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    def close(self) -> None:
        self.holder.kill()
        self.holder.communicate()


HOLD = "print('ready', flush=True); input()"


class Lab:
    """The three places; ``with Lab() as lab``."""

    def __enter__(self) -> Self:
        self.node, self.client, self.pods = Place(), Place(), Place(SERVER)
        self._join(self.client, CLIENT, GATEWAY, "client")
        self._join(self.pods, BEHIND, NODE, "pods")
        self.pods.run("ip", "route", "add", "local", PODS, "dev", "lo")
        self.node.run("ip", "route", "add", PODS, "via", BEHIND)
        self.node.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for place in (self.client, self.pods, self.node):
            place.close()

    def _join(self, place: Place, address: str, gateway: str, name: str) -> None:
        self.node.run(
            "ip", "link", "add", name, "type", "veth",
            "peer", "name", "eth0", "netns", str(place.holder.pid),
        )  # fmt: skip
        for where, link, own in ((self.node, name, gateway), (place, "eth0", address)):
            where.run("ip", "address", "add", f"{own}/24", "dev", link)
            where.run("ip", "link", "set", link, "up")
        place.run("ip", "route", "add", "default", "via", gateway)


class Commits:
    """Sees what the kernel commits to nftables in a place, whoever did it."""

    def __init__(self, place: Place) -> None:
        self._process = subprocess.Popen(
            [*place.enter, sys.executable, "-m", "benchmarks.commits"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self._say("")

    def expect(self, address: str) -> None:
        """Look out for a commit with an IPv4 address from now on."""
        self._say(address)

    def seen(self) -> float:
        """Wait for it; monotonic seconds at which the kernel told."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line or line == "never":
            raise RuntimeError("the change never reached the kernel")
        return float(line)

    def _say(self, text: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()
        self._process.stdout.readline()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
