import socket

import pytest

from svcdns.aio.freeport import free_port
from tests.support.inside import run


def test_a_port_is_free_for_both_protocols() -> None:
    port = free_port("127.0.0.1")
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as sock:
            sock.bind(("127.0.0.1", port))


@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
def test_a_port_that_one_protocol_has_is_not_free(kind: str) -> None:
    """In a machine that has four ports, all but one taken."""
    printed = run(f"""
import socket
from pathlib import Path
from svcdns.aio.freeport import free_port

Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40003")
taken = [socket.socket(socket.AF_INET, socket.{kind}) for _ in range(3)]
for port, sock in zip((40000, 40001, 40003), taken):
    sock.bind(("127.0.0.1", port))
print([free_port("127.0.0.1") for _ in range(20)] == [40002] * 20)
""")
    assert printed == "True\n"


def test_an_address_of_another_machine_has_none() -> None:
    with pytest.raises(OSError, match="assign"):
        free_port("192.0.2.1")
