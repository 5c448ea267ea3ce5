"""Ports of the loopback interface that nobody uses."""

import random
import socket

FIRST, LAST = 20000, 32000
"""Below the ports that the kernel gives to clients, which come and go at any time."""


def free_port() -> int:
    """Give a port that is free for UDP and TCP, over IPv4 and IPv6."""
    while True:
        port = random.randint(FIRST, LAST)
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
