"""What the sockets of relayed TCP connections are told, at their beginning and at their end."""

import socket
from struct import pack

KEEPALIVE_IDLE_SECONDS = 120
"""Then the kernel begins to ask whether the peer still lives; no idle limit beyond that (R94).

How often and how many times it asks stays the kernel's choice: each further option costs a system
call for every connection."""

RESET = pack("ii", 1, 0)
"""``struct linger``: closing sends RST."""


def tune(sock: socket.SocketType) -> None:
    """Set what both sides of a relay want; accepted sockets inherit it from the listener.

    Raises:
        OSError: The kernel refuses.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS)
