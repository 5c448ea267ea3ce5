"""A listening socket that may change its TLS settings without a gap.

asyncio's own server is not used because it has no bounds: without descriptors it writes a traceback
for each place of the backlog, every second, and handshakes that do not end pile up for as long as
there are descriptors.
"""

import asyncio
import errno
import logging
import math
import socket
import ssl
from collections.abc import Callable

log = logging.getLogger(__name__)

BACKLOG = 1024
"""Connections that the kernel keeps for us until we accept them."""

HANDSHAKE_SECONDS = 3.0
"""For a TLS handshake; asyncio allows a minute, CoreDNS its read time-out (rule J12)."""

SHUTDOWN_SECONDS = 5.0
"""For a client to read the last answers and close its TLS, too (rule J12, as for any answer);
asyncio waits half a minute for it."""

MOST_OPENING = 512
"""Handshakes under way, some 170 KB each; the one that takes longest makes room for a new one."""

PAUSE_SECONDS = 1.0
"""Until the next try when there are no descriptors (net/http of Go waits up to a second, too)."""

TELL_SECONDS = 60.0
"""Between two lines about that."""

_AT_ONCE = 4
"""Connections accepted between two looks at everything else; their handshakes go on in between."""

_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Acceptor:
    """Makes connections of one socket into protocols."""

    def __init__(self, sock: socket.socket, factory: Callable[[], asyncio.BaseProtocol]) -> None:
        """Take charge of *sock*, which is bound.

        Args:
            sock: Closed by :meth:`close`.
            factory: Makes the protocol of a connection.
        """
        self.sock = sock
        self._factory = factory
        self._tls: ssl.SSLContext | None = None
        self._opening: dict[asyncio.Task[None], socket.socket | None] = {}
        "The oldest one first, with the socket as long as no transport has it."
        self._pause: asyncio.TimerHandle | None = None
        self._told = -math.inf
        "When it was last said that there are no descriptors."

    async def start(self, tls: ssl.SSLContext | None) -> None:
        """Accept connections from now on, with these settings; those that are open stay.

        Raises:
            OSError: The socket cannot listen.
        """
        self.sock.listen(BACKLOG)
        self._tls = tls
        if self._pause is None:
            asyncio.get_running_loop().add_reader(self.sock, self._accept)

    def stop(self) -> None:
        """Accept nothing more."""
        if self.sock.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self.sock)
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        for task in self._opening:
            task.cancel()

    def close(self) -> None:
        """Accept nothing more, and let the port go."""
        self.stop()
        self.sock.close()

    def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(_AT_ONCE):
            try:
                sock, _address = self.sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _NO_ROOM:
                    self._wait(error)
                    return
                continue  # the client was gone before (accept(2))
            sock.setblocking(False)
            if len(self._opening) >= MOST_OPENING:
                oldest = next(iter(self._opening))
                self._forget(oldest)
                oldest.cancel()
            task = loop.create_task(self._open(sock))
            self._opening[task] = sock
            task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        sock = self._opening.pop(task, None)
        if sock is not None:
            sock.close()

    async def _open(self, sock: socket.socket) -> None:
        task, tls = asyncio.current_task(), self._tls
        assert task is not None
        self._opening[task] = None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._factory,
                sock,
                ssl=tls,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if tls else None,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS if tls else None,
            )
        except OSError as error:  # ssl.SSLError and time-outs are some
            log.debug("a connection did not come about: %s", error)

    def _wait(self, error: OSError) -> None:
        """Leave clients with the kernel until others have closed; say so now and then."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self.sock)
        self._pause = loop.call_later(PAUSE_SECONDS, self._go_on)
        if loop.time() - self._told >= TELL_SECONDS:
            self._told = loop.time()
            where = self.sock.getsockname()
            log.error(
                "%s:%s takes no connections for now: %s (raise the limit of open files,"
                " or lower the limit of connections)",
                where[0], where[1], error.strerror,
            )  # fmt: skip

    def _go_on(self) -> None:
        self._pause = None
        asyncio.get_running_loop().add_reader(self.sock, self._accept)
