"""Counts the transactions that touch our tables, whoever made them.

The kernel tells everybody who listens what a transaction changed.  So others may write their own
tables as often as they like, which concerns nobody, and what concerns ours is known at once.
"""

import errno
import socket
from collections.abc import Iterable

from svcdns.proxy.ctnetlink import NETFILTER
from svcdns.proxy.nft import Table
from svcdns.proxy.nftnetlink import Batches

GROUP = 1 << 6
"""``NFNLGRP_NFTABLES``, the seventh group, as a bit."""

RECEIVE_OCTETS = 1 << 18
BUFFER_OCTETS = 4 << 20
"""What the kernel keeps for us until the next look; a second of 1,000 changes takes 1 MB."""

_SO_RCVBUFFORCE = 33


class Monitor:
    """Listens from the first :meth:`count` on."""

    def __init__(self, tables: Iterable[Table]) -> None:
        self._batches = Batches(tables)
        self._sock: socket.socket | None = None
        self._lost = 0

    def count(self) -> int:
        """Give a number that grows by one with every transaction that touches one of the tables.

        It grows by more when the kernel had too much to tell and some of it was lost.

        Raises:
            OSError: The kernel does not tell.
        """
        if self._sock is None:
            self._sock = _listening()
        while True:
            try:
                self._batches.feed(self._sock.recv(RECEIVE_OCTETS))
            except BlockingIOError:
                return self._batches.count + self._lost
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._lost += 1 << 32

    def close(self) -> None:
        """Listen no more."""
        if self._sock:
            self._sock.close()
            self._sock = None


def _listening() -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    sock = socket.socket(socket.AF_NETLINK, kind, NETFILTER)
    try:
        sock.bind((0, GROUP))
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER_OCTETS)
        except PermissionError:  # of a user namespace
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_OCTETS)
    except OSError:
        sock.close()
        raise
    return sock
