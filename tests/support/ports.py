"""Ports of the loopback interface that nobody uses."""

import socket


def free_port() -> int:
    """Give a port that is free for UDP and TCP, over IPv4 and IPv6."""
    while True:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as datagram:
            datagram.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            datagram.bind(("::", 0))
            port = int(datagram.getsockname()[1])
            with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as stream:
                try:
                    stream.bind(("::", port))
                except OSError:
                    continue
                return port
