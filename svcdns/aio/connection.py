"""One API server under the credentials of now, which can be read again.

In the order of events of a rotated token or authority: the server answers 401, or TLS fails; the
reflector asks for a reload; the next request goes out under what the files hold then.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from svcdns.aio.apiserver import ApiServer, ClientMetrics, Deadline, Limits
from svcdns.aio.credentials import load
from svcdns.errors import ApiUnavailable, CredentialsError
from svcdns.kube.requests import Query
from svcdns.kube.source import ApiSource

RELOAD_SECONDS = 1.0
"""Several kinds are refused at the same moment; their wishes within this time are one."""


class Connection:
    """Sends requests for all kinds of one source."""

    def __init__(
        self,
        source: ApiSource,
        metrics: ClientMetrics,
        log: logging.Logger,
        clock: Callable[[], float],
        environ: Mapping[str, str],
        service_account: Path,
    ) -> None:
        self._source = source
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._environ = environ
        self._service_account = service_account
        self._limits = Limits(source, clock())
        self._server: ApiServer | None = None
        self._loaded = 0.0
        self._lock = asyncio.Lock()

    @property
    def url(self) -> str:
        """Where the server is; empty before :meth:`open`."""
        return self._server.url if self._server else ""

    async def open(self) -> None:
        """Load the credentials and use them from now on.

        Raises:
            CredentialsError: They cannot be used; what was in use before stays in use.
        """
        access = await load(
            self._source,
            self._environ,
            warn=self._log.warning,
            service_account=self._service_account,
        )
        old = self._server
        self._server = ApiServer(
            access,
            self._limits,
            self._metrics,
            user_agent=self._source.user_agent,
            clock=self._clock,
        )
        self._loaded = self._clock()
        if old:
            await old.retire()

    async def reload(self) -> None:
        """Read the credentials again; what cannot be read is logged, and the old ones stay."""
        async with self._lock:
            if self._clock() - self._loaded < RELOAD_SECONDS:
                return
            try:
                await self.open()
            except CredentialsError as error:
                # Counts as an attempt: the other kinds would fail in the same way.
                self._loaded = self._clock()
                self._log.error("credentials cannot be read again, the old ones stay: %s", error)

    @asynccontextmanager
    async def get(
        self, path: str, query: Query, deadline: Deadline
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Send a request; see :meth:`ApiServer.get`."""
        if self._server is None:
            raise ApiUnavailable(0, "", "the connection is closed")
        async with self._server.get(path, query, deadline) as chunks:
            yield chunks

    async def close(self) -> None:
        """Drop everything."""
        server, self._server = self._server, None
        if server:
            await server.close()
