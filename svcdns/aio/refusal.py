"""Passing "port unreachable" on to UDP clients, where the kernel lets us.

That takes a raw socket, that is CAP_NET_RAW.  Without it a client whose endpoints are all dead
meets silence; a service that is known to have none is refused in either case, by its closed socket.
"""

import socket

from svcdns.proxy.icmp import port_unreachable

_SOL_RAW, _ICMP_FILTER, _ICMP6_FILTER = 255, 1, 1


class Refuser:
    """Sends ICMP errors in the name of frontends."""

    def __init__(self) -> None:
        self._sockets = {family: _raw(family) for family in (4, 6)}

    @property
    def able(self) -> bool:
        """Whether there is a raw socket at all."""
        return any(self._sockets.values())

    def refuse(self, client: tuple[str, int], frontend: tuple[str, int], octets: int) -> bool:
        """Tell *client* that nobody took its datagram of so many octets; False when we cannot."""
        sock = self._sockets[6 if ":" in client[0] else 4]
        if sock is None:
            return False
        try:
            sock.sendto(port_unreachable(client[:2], frontend, octets), (client[0], 0))
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close the sockets."""
        for sock in self._sockets.values():
            if sock is not None:
                sock.close()


def _raw(family: int) -> socket.socket | None:
    """Open a raw socket that sends and hears nothing; None without the privilege."""
    try:
        if family == 4:
            sock = socket.socket(
                socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMP
            )
            sock.setsockopt(_SOL_RAW, _ICMP_FILTER, b"\xff" * 4)
        else:
            sock = socket.socket(
                socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMPV6
            )
            sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, b"\xff" * 32)
    except OSError:
        return None
    return sock
