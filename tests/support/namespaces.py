"""Network namespaces that a test makes and removes, with a resolv.conf of their own."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


class Namespace:
    """One network namespace with a loopback interface."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._etc = Path("/etc/netns") / name
        self._run("ip", "netns", "add", name)
        self._run(*self.inside("ip", "link", "set", "lo", "up"))

    def address(self, *addresses: str) -> None:
        """Give an interface these addresses: without one, glibc asks for none (AI_ADDRCONFIG).

        A pair of veth ends stands in for a dummy interface, which not every kernel has.
        """
        self._run(*self.inside("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1"))
        for end in ("eth0", "eth1"):
            self._run(*self.inside("ip", "link", "set", end, "up"))
        for address in addresses:
            flags = ["nodad"] if ":" in address else []
            self._run(*self.inside("ip", "address", "add", address, "dev", "eth0", *flags))

    def resolv_conf(self, text: str) -> None:
        """Give the namespace an /etc/resolv.conf of its own."""
        self._etc.mkdir(parents=True, exist_ok=True)
        (self._etc / "resolv.conf").write_text(text)

    def inside(self, *command: str) -> list[str]:
        """Give the command line that runs *command* inside."""
        return ["ip", "netns", "exec", self.name, *command]

    def run(self, *command: str, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a command inside and give what it said; its exit status is the caller's business."""
        return subprocess.run(
            self.inside(*command), capture_output=True, text=True, timeout=seconds, check=False
        )

    def start(self, *command: str, env: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
        """Start a server inside."""
        with log.open("wb") as output:
            return subprocess.Popen(self.inside(*command), env=env, stdout=output, stderr=output)

    def close(self) -> None:
        """Remove the namespace."""
        subprocess.run(["ip", "netns", "delete", self.name], capture_output=True, check=False)
        shutil.rmtree(self._etc, ignore_errors=True)

    def _run(self, *command: str) -> None:
        subprocess.run(command, capture_output=True, check=True)


def require_root(*programs: str) -> None:
    """Skip, saying why, where namespaces cannot be made or a program is missing."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    missing = [program for program in ("ip", *programs) if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def program(name: str) -> str:
    """Give a program's path, or skip."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"not installed: {name}")
    return found
