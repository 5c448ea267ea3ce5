"""A cluster's network in namespaces: two nodes, four pods and a host outside.

Addresses are those of :mod:`tests.support.flows`.  Everything is in namespaces of the test's own,
made with ``unshare -rn``, so no root is needed and nothing of the machine is touched; they vanish
with the processes in them.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.flows import ADDRESSES

AGENT = Path(__file__).with_name("agent.py")
PODS = {"p1": "node", "p2": "node", "p3": "node-2", "p4": "node-2"}
PORTS = ("8080", "9090")
PASSED = "7777"
"""Port on which the host outside answers whatever the node let pass to it."""


def missing() -> str:
    """Say why there can be no world here; empty when there can."""
    for program in ("unshare", "ip", "nft", "nsenter"):
        if not shutil.which(program):
            return f"{program} is not installed"
    made = subprocess.run(
        ["unshare", "-rn", "nft", "list", "tables"], capture_output=True, text=True, check=False
    )
    return made.stderr.strip()


class Place:
    """One network namespace and the agent in it."""

    def __init__(self, name: str, inside: "Place | None", ports: Iterable[str]) -> None:
        self.name = name
        prefix = inside.enter if inside else []
        flags = "-n" if inside else "-rn"
        self.process = subprocess.Popen(
            [*prefix, "unshare", flags, sys.executable, str(AGENT), name, *ports],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        assert self.process.stdout.readline() == "ready\n"

    @property
    def enter(self) -> list[str]:
        """Command prefix that runs a program in this place."""
        return ["nsenter", "-t", str(self.process.pid), "-U", "-n", "--preserve-credentials"]

    def run(self, *command: str, given: str | bytes = "") -> str:
        """Run a program here; fail when it fails."""
        given = given.encode() if isinstance(given, str) else given
        done = subprocess.run(
            [*self.enter, *command], input=given, capture_output=True, check=False, timeout=60
        )
        assert done.returncode == 0, f"{command}: {done.stderr.decode()[:2000]}"
        return done.stdout.decode()

    def ask(self, flows: list[Any]) -> list[list[Any]]:
        """Let the agent try connections."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(flows) + "\n")
        self.process.stdin.flush()
        found: list[list[Any]] = json.loads(self.process.stdout.readline())
        return found

    def close(self) -> None:
        """End the agent, and with it the namespace."""
        self.process.kill()
        self.process.communicate()


class World:
    """The places, by name: ``node``, ``node-2``, ``p1`` to ``p4`` and ``external``."""

    def __init__(self) -> None:
        self.places: dict[str, Place] = {}

    def __enter__(self) -> Self:
        try:
            node = self.places["node"] = Place("node", None, ())
            for name in ("node-2", *PODS, "external"):
                ports = (*PORTS, PASSED) if name == "external" else PORTS if name in PODS else ()
                self.places[name] = Place(name, node, ports)
            self._wire()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for place in reversed(self.places.values()):
            place.close()

    def __getitem__(self, name: str) -> Place:
        return self.places[name]

    def _wire(self) -> None:
        for name, place in self.places.items():
            place.run("ip", "link", "set", "lo", "up")
            place.run("sh", "-c", SYSCTLS)
            if name.startswith("node"):
                for family in (4, 6):
                    place.run("ip", "addr", "add", ADDRESSES[family][name], "dev", "lo")
        for pod, host in PODS.items():
            self._link(host, pod)
        self._link("node", "node-2")
        self._link("node", "external")
        node, outside = self["node"], self["external"]
        for family in (4, 6):
            remote = f"10.244.2.0/24 via {ADDRESSES[4]['node-2']}"
            if family == 6:
                remote = "fd00:10:244:2::/64 via fe80::2 dev to-node-2"
            node.run("ip", f"-{family}", "route", "add", *remote.split())
            via = ["via", ADDRESSES[4]["external"]] if family == 4 else ["via", "fe80::2"]
            node.run("ip", f"-{family}", "route", "add", "default", *via, "dev", "to-external")
            # Whatever the node lets pass ends here and is answered.
            outside.run(
                "ip", f"-{family}", "route", "add", "local", "default", "dev", "lo", "table", "9"
            )
            outside.run("ip", f"-{family}", "rule", "add", "iif", "uplink", "lookup", "9")
        outside.run(
            "nft",
            "-f",
            "-",
            given="table inet passed {\n chain in {\n type nat hook prerouting priority -100;\n"
            f" meta l4proto {{ tcp, udp }} ct state new redirect to :{PASSED}\n }}\n}}\n",
        )

    def _link(self, near: str, far: str) -> None:
        """Join two places; the far one has all its routes through the near one."""
        a, b = self[near], self[far]
        a.run(
            "ip", "link", "add", f"to-{far}", "type", "veth",
            "peer", "name", "uplink", "netns", str(b.process.pid),
        )  # fmt: skip
        commands_a = [f"link set to-{far} up", f"addr add fe80::1/64 dev to-{far} nodad"]
        commands_b = ["link set uplink up", "addr add fe80::2/64 dev uplink nodad"]
        if not far.startswith("node"):
            commands_b += [f"addr add {ADDRESSES[4][far]}/32 dev uplink"]
            commands_b += [f"addr add {ADDRESSES[6][far]}/128 dev uplink nodad"]
        commands_a += [f"route add {ADDRESSES[4][far]} dev to-{far}"]
        commands_a += [f"-6 route add {ADDRESSES[6][far]} via fe80::2 dev to-{far}"]
        gateway = ADDRESSES[4][near]
        source = {4: f"src {ADDRESSES[4][far]}", 6: f"src {ADDRESSES[6][far]}"}
        commands_b += [f"route add {gateway} dev uplink {source[4]}"]
        commands_b += [f"route add default via {gateway} dev uplink {source[4]}"]
        commands_b += [f"-6 route add default via fe80::1 dev uplink {source[6]}"]
        for place, commands in ((a, commands_a), (b, commands_b)):
            for command in commands:
                place.run("ip", *command.split())


SYSCTLS = """
set +e
for x in all default; do echo 0 > /proc/sys/net/ipv4/conf/$x/rp_filter; done
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
echo 0 > /proc/sys/net/ipv4/icmp_ratelimit
echo 0 > /proc/sys/net/ipv6/icmp/ratelimit
echo 1000000 > /proc/sys/net/ipv4/icmp_msgs_per_sec
echo 100000 > /proc/sys/net/ipv4/icmp_msgs_burst
exit 0
"""
