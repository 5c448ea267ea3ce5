"""Classic BPF programs that let only some sources reach a socket; everybody else meets silence.

The kernel runs such a program on every packet for a socket, for a listening TCP socket on the SYN
already, before there is a connection.  That gives user space, without any privilege, what a
firewall calls DROP (rules R44 and R50).

Spec: Linux ``Documentation/networking/filter.rst`` and ``include/uapi/linux/filter.h``.
"""

from collections.abc import Iterable
from ipaddress import ip_network
from struct import Struct

_INSTRUCTION = Struct("=HBBI")
"""``struct sock_filter``: code, jump if true, jump if false, constant."""

_LOAD_WORD = 0x20
_AND = 0x54
_JUMP_EQUAL = 0x15
_RETURN = 0x06
_NETWORK_HEADER = 0xFFF00000
"""``SKF_NET_OFF``: offsets from here count from the IP header, wherever the packet pointer is."""

_SOURCE_OFFSET = {4: 12, 6: 8}
_ALL = 0xFFFFFFFF

INSTRUCTION_OCTETS = _INSTRUCTION.size
INSTRUCTIONS_LIMIT = 4096
"""``BPF_MAXINSNS``."""


def program(networks: Iterable[str], family: int) -> bytes:
    """Compile the program that accepts packets from *networks* and drops all others.

    Args:
        networks: CIDRs; those of the other family cannot match and are left out.
        family: 4 or 6.

    Raises:
        ValueError: There are more networks than the kernel takes instructions for.
    """
    code = b""
    for text in networks:
        network = ip_network(text, strict=False)
        if network.version == family:
            code += _match(network.network_address.packed, network.netmask.packed, family)
    code += _instruction(_RETURN, 0)
    if len(code) > INSTRUCTIONS_LIMIT * INSTRUCTION_OCTETS:
        raise ValueError("too many source ranges for a socket filter")
    return code


def _match(address: bytes, mask: bytes, family: int) -> bytes:
    """Return from the program if the source is in one network, else fall through."""
    words = [
        (offset, int.from_bytes(mask[offset : offset + 4], "big"))
        for offset in range(0, len(address), 4)
    ]
    words = [(offset, bits) for offset, bits in words if bits]
    code = b""
    left = 3 * len(words)
    for offset, bits in words:
        value = int.from_bytes(address[offset : offset + 4], "big")
        code += _instruction(_LOAD_WORD, _NETWORK_HEADER + _SOURCE_OFFSET[family] + offset)
        code += _instruction(_AND, bits)
        left -= 3
        code += _instruction(_JUMP_EQUAL, value, if_false=left + 1)
    return code + _instruction(_RETURN, _ALL)


def _instruction(code: int, constant: int, *, if_false: int = 0) -> bytes:
    return _INSTRUCTION.pack(code, 0, if_false, constant)
