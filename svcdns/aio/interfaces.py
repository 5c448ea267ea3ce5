"""Addresses of this machine by interface, from the kernel (rtnetlink)."""

import os
import socket
import struct

_GETADDR = 22
_NEWADDR = 20
_DONE = 3
_ERROR = 2
_REQUEST_DUMP = 0x301
_IFA_ADDRESS = 1
_IFA_LOCAL = 2
_LINK_SCOPE = 253
_MESSAGE = struct.Struct("=IHHII")
_ADDRESS = struct.Struct("=BBBBI")
_ATTRIBUTE = struct.Struct("=HH")


def interfaces() -> dict[str, tuple[str, ...]]:
    """Give the addresses of every interface that has some; link-local ones with their scope.

    Returns:
        Addresses by interface name; empty where the kernel does not tell.
    """
    found: dict[str, list[str]] = {}
    try:
        for index, scope, address in _dump():
            name = socket.if_indextoname(index)
            if scope == _LINK_SCOPE and ":" in address:
                address += f"%{name}"
            found.setdefault(name, []).append(address)
    except OSError:
        return {}
    return {name: tuple(addresses) for name, addresses in found.items()}


def _dump() -> list[tuple[int, int, str]]:
    """Ask for all addresses: interface index, scope, address."""
    request = _MESSAGE.pack(_MESSAGE.size + _ADDRESS.size, _GETADDR, _REQUEST_DUMP, 1, 0)
    found: list[tuple[int, int, str]] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        sock.settimeout(2.0)
        sock.bind((0, 0))
        sock.send(request + _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0))
        while True:
            data = sock.recv(1 << 16)
            at = 0
            while at + _MESSAGE.size <= len(data):
                size, kind, _, _, _ = _MESSAGE.unpack_from(data, at)
                if kind == _DONE:
                    return found
                if kind == _ERROR or size < _MESSAGE.size:
                    raise OSError(os.strerror(5))
                if kind == _NEWADDR:
                    found += _address(data[at + _MESSAGE.size : at + size])
                at += (size + 3) & ~3


def _address(data: bytes) -> list[tuple[int, int, str]]:
    family, _, _, scope, index = _ADDRESS.unpack_from(data)
    values: dict[int, bytes] = {}
    at = _ADDRESS.size
    while at + _ATTRIBUTE.size <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, at)
        if size < _ATTRIBUTE.size:
            break
        values[kind] = data[at + _ATTRIBUTE.size : at + size]
        at += (size + 3) & ~3
    # On a point-to-point link IFA_ADDRESS is the other end.
    value = values.get(_IFA_LOCAL) or values.get(_IFA_ADDRESS)
    if value is None or family not in (socket.AF_INET, socket.AF_INET6):
        return []
    return [(index, scope, socket.inet_ntop(family, value))]
