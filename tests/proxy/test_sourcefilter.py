import socket
from struct import iter_unpack

import pytest

from svcdns.proxy.sourcefilter import program


def run(code: bytes, source: str) -> bool:
    """Interpret the program the way the kernel does, on a packet from *source*."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    packet = bytes(8 if ":" in source else 12) + socket.inet_pton(family, source)
    instructions = list(iter_unpack("=HBBI", code))
    at = accumulator = 0
    while True:
        operation, jump_true, jump_false, constant = instructions[at]
        at += 1
        match operation:
            case 0x20:
                offset = constant - 0xFFF00000
                accumulator = int.from_bytes(packet[offset : offset + 4], "big")
            case 0x54:
                accumulator &= constant
            case 0x15:
                at += jump_true if accumulator == constant else jump_false
            case 0x06:
                return bool(constant)
            case _:
                raise AssertionError(f"unknown instruction {operation:#x}")


CASES = [
    ("nobody", (), 4, "192.0.2.1", False),
    ("everybody", ("0.0.0.0/0",), 4, "192.0.2.1", True),
    ("R44 listed", ("198.51.100.0/24",), 4, "198.51.100.7", True),
    ("R44 not listed", ("198.51.100.0/24",), 4, "198.51.101.7", False),
    ("second network", ("10.0.0.0/8", "192.0.2.0/30"), 4, "192.0.2.3", True),
    ("just outside", ("10.0.0.0/8", "192.0.2.0/30"), 4, "192.0.2.4", False),
    ("one address", ("192.0.2.1/32",), 4, "192.0.2.1", True),
    ("host bits set", ("192.0.2.77/24",), 4, "192.0.2.1", True),
    ("R46 other family cannot match", ("2001:db8::/32",), 4, "192.0.2.1", False),
    ("v6", ("2001:db8::/32",), 6, "2001:db8:1::1", True),
    ("v6 outside", ("2001:db8::/32",), 6, "2001:db9::1", False),
    ("v6 long prefix", ("2001:db8:0:1::/64",), 6, "2001:db8:0:1:f::1", True),
    ("v6 long prefix outside", ("2001:db8:0:1::/64",), 6, "2001:db8:0:2::1", False),
    ("v6 address", ("2001:db8::1/128", "fd00::/8"), 6, "2001:db8::1", True),
    ("v6 second", ("2001:db8::1/128", "fd00::/8"), 6, "fd12::1", True),
    ("v6 everybody", ("::/0",), 6, "fd12::1", True),
]


@pytest.mark.parametrize(("name", "networks", "family", "source", "let_in"), CASES)
def test_who_is_let_in(
    name: str, networks: tuple[str, ...], family: int, source: str, let_in: bool
) -> None:
    assert run(program(networks, family), source) is let_in


def test_more_networks_than_the_kernel_takes_are_refused() -> None:
    many = [f"10.{n // 256}.{n % 256}.0/24" for n in range(1100)]
    with pytest.raises(ValueError, match="too many source ranges"):
        program(many, 4)
