"""HTTP for a few pages that anybody who reaches us may ask for: probes, metrics, health checks.

What a stranger can make us keep or write is bounded.  aiohttp by itself holds a connection for an
hour, one that never asks for ever, and writes a traceback for each request that is no HTTP.
"""

import logging
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web

from svcdns.aio.acceptor import Acceptor

MOST_CONNECTIONS = 256
"""Of one address; the one that was opened first makes room, so that probes always get in."""

IDLE_SECONDS = 75.0
"""Between two requests on a connection: Prometheus keeps its own from one scrape to the next."""

GRACE_SECONDS = 1.0
"""For answers under way when an address is closed."""

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

log = logging.getLogger(__name__)

_unheard = logging.getLogger(f"{__name__}.requests")
"""aiohttp's: a traceback for every malformed request is nothing that a person can act on."""
_unheard.setLevel(logging.CRITICAL)


class HttpServer:
    """The pages of one address."""

    def __init__(self, sock: socket.socket, handler: Handler) -> None:
        """Serve *sock*, which is bound, from :meth:`start` on.

        Args:
            sock: Closed by :meth:`close`.
            handler: Answers a request; a bug in it is logged and costs that request.
        """
        self._handler = handler
        self._server = web.Server(
            self._answer, access_log=None, logger=_unheard, keepalive_timeout=IDLE_SECONDS
        )
        self._runner = web.ServerRunner(self._server, shutdown_timeout=GRACE_SECONDS)
        self._acceptor = Acceptor(sock, self._admit)

    async def start(self) -> None:
        """Accept connections from now on.

        Raises:
            OSError: The socket cannot listen.
        """
        await self._runner.setup()
        await self._acceptor.start(None)

    async def close(self) -> None:
        """Accept nothing more; answers under way have :data:`GRACE_SECONDS`."""
        self._acceptor.close()
        await self._runner.cleanup()

    def _admit(self) -> web.RequestHandler:
        connections = self._server.connections
        # Those that are closing are among the first, and still counted.
        for one in connections[: max(0, len(connections) + 1 - MOST_CONNECTIONS)]:
            one.force_close()
        return self._server()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._handler(request)
        except Exception:
            log.exception("a bug in the page %s", request.path)
            return web.Response(status=500, text="500 internal server error\n")
