"""The TCP and TLS listeners: frames in, answers out, in whatever order they are ready.

Connections live long (NodeLocal DNSCache forwards everything over a few of them), so queries are
read ahead and an answer may overtake a slower one (RFC 7766 §6.2.1.1); CoreDNS answers a
connection's queries one by one.  Everything a client can pile up is bounded: queries under way on
a connection, octets that it does not read, connections, and time; and clients that read as fast as
they ask take turns with everything else.
"""

import socket
import ssl

from svcdns.aio.acceptor import Acceptor
from svcdns.aio.connections import Connections, Limits
from svcdns.aio.stream import Responder, Settle, StreamConnection
from svcdns.aio.turns import Turns
from svcdns.plugins.commands import Transport


class StreamListener:
    """One listening socket and the server it feeds.

    The server can be exchanged while connections are open: a reload costs none of them.
    """

    def __init__(
        self,
        sock: socket.socket,
        server: Responder,
        settle: Settle,
        *,
        transport: Transport = Transport.TCP,
        limits: Limits | None = None,
        turns: Turns | None = None,
    ) -> None:
        """Serve *sock* from :meth:`start` on.

        Args:
            sock: From :func:`svcdns.aio.binding.open_stream`.
            server: Answers; may be replaced at any time.
            settle: Carries out an :class:`Ask`; never raises.
            transport: For metrics and logs.
            limits: Of every connection from now on; may be replaced at any time.
            turns: Shared with the other listeners of this loop.
        """
        self.sock = sock
        self.server = server
        self.limits = limits or Limits()
        self.settle = settle
        self.transport = transport
        self.turns = turns or Turns()
        self.connections: Connections[StreamConnection] = Connections()
        self._acceptor = Acceptor(sock, lambda: StreamConnection(self))

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        """Accept connections from now on; called again, with other TLS settings from now on.

        Args:
            tls: For DNS over TLS (RFC 7858).

        Raises:
            OSError: The socket cannot listen.
        """
        await self._acceptor.start(tls)

    async def stop(self, grace: float = 5.0) -> None:
        """Accept nothing more, let queries under way be answered, close.

        Args:
            grace: Seconds for the answers (CoreDNS stops servers gracefully for 5).
        """
        self._acceptor.stop()
        await self.connections.finish(grace)
        self.close()

    def close(self) -> None:
        """Close at once; queries under way are not answered."""
        self._acceptor.close()
        self.connections.abort()
