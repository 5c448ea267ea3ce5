"""Forgetting flows in a real kernel."""

import shutil

import pytest

from tests.support.inside import run


@pytest.mark.parametrize(
    ("family", "address"), [(4, "127.0.0.1"), (6, "::1")], ids=["IPv4", "IPv6"]
)
def test_stale_flows_are_forgotten_and_others_stay(family: int, address: str) -> None:
    if not shutil.which("conntrack"):
        pytest.skip("conntrack is not installed")
    printed = run(f"""
import contextlib, re, socket
from svcdns.aio import conntrack
from svcdns.proxy.conntrack import Sweep

rules = "add table inet t\\nadd chain inet t c {{ type filter hook output priority 0 ; }}\\n"
rules += "add rule inet t c ct state new counter\\n"
subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
kind = socket.AF_INET6 if {family} == 6 else socket.AF_INET
with contextlib.ExitStack() as open_sockets:
    servers = [open_sockets.enter_context(socket.socket(kind, socket.SOCK_DGRAM)) for _ in range(3)]
    for server in servers:
        server.bind(("{address}", 0))
        client = open_sockets.enter_context(socket.socket(kind, socket.SOCK_DGRAM))
        client.sendto(b"?", server.getsockname())
    gone, kept, other = [server.getsockname()[1] for server in servers]

    def known():
        flows = subprocess.run(
            ["conntrack", "-L", "-p", "udp", "-f", "ipv{family}"],
            capture_output=True, text=True, check=True,
        ).stdout
        asked = {{int(re.search(r"dport=([0-9]+)", flow)[1]) for flow in flows.splitlines()}}
        return [name for name, port in (("gone", gone), ("kept", kept), ("other", other)) if port in asked]

    sweep = Sweep({family}, {{
        ("{address}", gone): frozenset({{("{address}", 1)}}),
        ("{address}", kept): frozenset({{("{address}", kept)}}),
    }})
    print(known())
    print([asyncio.run(conntrack.forget(sweep)) for _ in range(2)])
    print(known())
""")
    # The flow to the third port is nobody's business.
    assert printed == "['gone', 'kept', 'other']\n[1, 0]\n['kept', 'other']\n"
