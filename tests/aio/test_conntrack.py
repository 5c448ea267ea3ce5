"""Forgetting flows in a real kernel."""

import pytest

from tests.support.inside import run


@pytest.mark.parametrize(
    ("family", "address"), [(4, "127.0.0.1"), (6, "::1")], ids=["IPv4", "IPv6"]
)
def test_stale_flows_are_forgotten_and_others_stay(family: int, address: str) -> None:
    printed = run(f"""
import socket
from svcdns.aio import conntrack
from svcdns.proxy.conntrack import Sweep

rules = "add table inet t\\nadd chain inet t c {{ type filter hook output priority 0 ; }}\\n"
rules += "add rule inet t c ct state new counter\\n"
subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
kind = socket.AF_INET6 if {family} == 6 else socket.AF_INET
ports = []
for number in range(3):
    server = socket.socket(kind, socket.SOCK_DGRAM)
    server.bind(("{address}", 0))
    ports.append(server.getsockname()[1])
    client = socket.socket(kind, socket.SOCK_DGRAM)
    client.sendto(b"?", ("{address}", ports[-1]))
    server.close()
    client.close()

gone, kept, other = ports
sweep = Sweep({family}, {{
    ("{address}", gone): frozenset({{("{address}", 1)}}),
    ("{address}", kept): frozenset({{("{address}", kept)}}),
}})
print([asyncio.run(conntrack.forget(sweep)) for _ in range(2)])
""")
    # The flow to the third port is nobody's business.
    assert printed == "[1, 0]\n"
