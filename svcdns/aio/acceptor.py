"""A listening socket that may change its TLS settings without a gap."""

import asyncio
import socket
import ssl
from collections.abc import Callable

BACKLOG = 1024
"""Connections that the kernel keeps for us until we accept them."""

HANDSHAKE_SECONDS = 3.0
"""For a TLS handshake; asyncio allows a minute, CoreDNS its read time-out (rule J12)."""

SHUTDOWN_SECONDS = 5.0
"""For a client to read the last answers and close its TLS, too (rule J12, as for any answer);
asyncio waits half a minute for it."""


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
        self._server: asyncio.Server | None = None

    async def start(self, tls: ssl.SSLContext | None) -> None:
        """Accept connections from now on, with these settings; those that are open stay.

        The kernel's socket is one, descriptors of it come and go with the settings; so a client
        finds it open at any time.

        Raises:
            OSError: The socket cannot listen.
        """
        before = self._server
        twin = self.sock.dup()
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._factory,
                sock=twin,
                ssl=tls,
                backlog=BACKLOG,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if tls else None,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS if tls else None,
            )
        except BaseException:
            twin.close()
            raise
        if before:
            before.close()

    def stop(self) -> None:
        """Accept nothing more."""
        if self._server:
            self._server.close()
            self._server = None

    def close(self) -> None:
        """Accept nothing more, and let the port go."""
        self.stop()
        self.sock.close()
