"""Ports of the loopback interface that nobody uses."""

import itertools
import random
import socket
from collections.abc import Iterator

FIRST, LAST = 20000, 30000
"""Below node ports, which tests write down as numbers, and the ports that the kernel gives to clients."""

_START = random.SystemRandom().randrange(FIRST, LAST)
_UNTRIED: Iterator[int] = itertools.cycle((*range(_START, LAST), *range(FIRST, _START)))
"""In turn: one that was given away may not be bound yet when the next one is asked for."""


def free_port() -> int:
    """Give a port that is free for UDP and TCP, over IPv4 and IPv6."""
    for port in _UNTRIED:
        with (
            socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as datagram,
            socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as stream,
        ):
            try:
                datagram.bind(("::", port))
                stream.bind(("::", port))
            except OSError:
                continue
            return port
    raise AssertionError("a cycle does not end")
