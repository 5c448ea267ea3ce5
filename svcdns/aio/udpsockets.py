"""Sockets for UDP sessions, which are used again.

To take a socket from a session that is over and make it as good as new costs half of what a new one
does, and registers nothing.
"""

import socket

from svcdns.aio.datagrams import renew
from svcdns.aio.poller import LEVEL, Poller

SPARES = 64
"""Sockets kept for each family: what one batch of datagrams may ask for."""


class UdpSockets:
    """Gives sockets that the poller watches, and takes them back."""

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self._spares: dict[int, list[_Spare]] = {4: [], 6: []}

    def take(self, family: int) -> socket.socket:
        """Give a socket without port or peer; who takes it retargets the poller.

        Raises:
            OSError: No descriptors, memory or watches.
        """
        spares = self._spares[family]
        if spares:
            return spares.pop().sock
        try:
            return self._new(family)
        except OSError:
            if not any(self._spares.values()):
                raise
        self.close_spares()  # those of the other family
        return self._new(family)

    def _new(self, family: int) -> socket.socket:
        kind = socket.AF_INET if family == 4 else socket.AF_INET6
        sock = socket.socket(kind, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._poller.add(sock.fileno(), _Spare(self, sock, family), LEVEL)
        except OSError:
            sock.close()
            raise
        return sock

    def put_back(self, sock: socket.socket, family: int) -> None:
        """Take a socket that nobody needs any more."""
        spares = self._spares[family]
        if len(spares) < SPARES and renew(sock):
            spare = _Spare(self, sock, family)
            self._poller.retarget(sock.fileno(), spare)
            spares.append(spare)
        else:
            self._poller.close(sock)

    def close_spares(self) -> None:
        """Give the descriptors of all spare sockets back."""
        for spares in self._spares.values():
            for spare in spares:
                self._poller.close(spare.sock)
            spares.clear()

    def discard(self, spare: "_Spare") -> None:
        """Close a spare socket that something has arrived at."""
        spares = self._spares[spare.family]
        if spare in spares:
            spares.remove(spare)
            self._poller.close(spare.sock)


class _Spare:
    """A socket that waits for its next session."""

    __slots__ = ("_sockets", "family", "sock")

    def __init__(self, sockets: UdpSockets, sock: socket.socket, family: int) -> None:
        self._sockets = sockets
        self.sock = sock
        self.family = family

    def ready(self, events: int) -> None:
        """What was under way when the socket lost its port is for nobody, and not for the next."""
        self._sockets.discard(self)
