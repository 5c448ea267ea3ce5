"""GET requests to an API server, answered whole or as a stream of chunks.

Everything that aiohttp, TLS or a socket may raise becomes an error of :mod:`svcdns.errors` here.
What is asked, and what follows from an answer, is decided elsewhere
(:mod:`svcdns.kube.requests`, :mod:`svcdns.kube.reflector`).
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp

from svcdns.aio.addresses import reason
from svcdns.aio.credentials import Access
from svcdns.errors import ApiError, ApiUnavailable, CredentialsError
from svcdns.kube.decode import status_error
from svcdns.kube.ratelimit import TokenBucket
from svcdns.kube.reflector import UNTRUSTED
from svcdns.kube.requests import Query
from svcdns.kube.source import ApiSource
from svcdns.metrics import Registry

CONNECT_SECONDS = 5.0
"""To establish TCP."""

HANDSHAKE_SECONDS = 10.0
"""To establish everything, TLS included; the server's own limit is 10 s as well."""

KEEPALIVE = {
    socket.TCP_KEEPIDLE: 15,  # seconds of silence before the first probe
    socket.TCP_KEEPINTVL: 5,  # seconds between probes
    socket.TCP_KEEPCNT: 3,  # probes without an answer
    socket.TCP_USER_TIMEOUT: 30_000,  # milliseconds that sent octets may stay unacknowledged
}
"""A peer that vanished is noticed after 30 s, as client-go does with HTTP/2 pings."""

READ_BUFFER_OCTETS = 256 << 10
"""Octets that aiohttp gathers before it stops reading."""

CHUNK_OCTETS = 64 << 10
"""Octets that are given out at once: 30 EndpointSlices, cut into lines in 10 us."""

MAX_ERROR_OCTETS = 64 << 10
"""Octets of an error's body that are read; Status objects are small."""

_T = TypeVar("_T")

# prometheus.DefBuckets, seconds.
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Stalled(Exception):
    """Nothing arrived before the deadline; what follows from that the reflector decides."""


Deadline = Callable[[], float]
"""Gives the monotonic second at which silence becomes :class:`Stalled`; asked before each read."""


class ClientMetrics:
    """The counters of client-go, under CoreDNS's or kube-proxy's names.

    Parity: CoreDNS ``plugin/kubernetes/metrics.go``; component-base ``metrics/prometheus/
    restclient``.
    """

    def __init__(self, registry: Registry, prefix: str) -> None:
        """Declare them; *prefix* is ``coredns_kubernetes_`` or empty."""
        self.requests = registry.counter(
            f"{prefix}rest_client_requests_total",
            "Counter of Kubernetes requests by status code, method and host.",
            ("code", "method", "host"),
        )
        self.duration = registry.histogram(
            f"{prefix}rest_client_request_duration_seconds",
            "Kubernetes requests latency in seconds by verb and host.",
            _BOUNDS,
            ("verb", "host"),
        )
        self.limited = registry.histogram(
            f"{prefix}rest_client_rate_limiter_duration_seconds",
            "Client side rate limiter latency in seconds by verb and host.",
            _BOUNDS,
            ("verb", "host"),
        )


class Limits:
    """What we allow ourselves, over all connections to one server (rule G9)."""

    def __init__(self, source: ApiSource, now: float) -> None:
        self.bucket = TokenBucket(source.qps, source.burst, now)
        self.inflight = asyncio.Semaphore(source.max_inflight) if source.max_inflight else None


class ApiServer:
    """One server, as one user."""

    def __init__(
        self,
        access: Access,
        limits: Limits,
        metrics: ClientMetrics,
        *,
        user_agent: str,
        clock: Callable[[], float],
    ) -> None:
        self.url = access.url
        self._access = access
        self._limits = limits
        self._metrics = metrics
        self._host = urlsplit(access.url).netloc
        self._clock = clock
        self._active = 0
        self._retired = False
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=access.context or True, limit=0, socket_factory=_keepalive_socket
            ),
            timeout=aiohttp.ClientTimeout(
                total=None, connect=HANDSHAKE_SECONDS, sock_connect=CONNECT_SECONDS
            ),
            # On one network, compression costs more than it saves.
            headers={
                "User-Agent": user_agent,
                "Accept": "application/json",
                "Accept-Encoding": "identity",
            },
            read_bufsize=READ_BUFFER_OCTETS,
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def retire(self) -> None:
        """Close when the last request under way has ended."""
        self._retired = True
        if not self._active:
            await self.close()

    @asynccontextmanager
    async def get(
        self, path: str, query: Query, deadline: Deadline
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Send a request; give the body of a good answer, chunk by chunk.

        Args:
            path: Of the collection.
            query: Its parameters.
            deadline: When silence is too long.

        Raises:
            ApiError: The server refuses, cannot be reached, or the answer breaks off.
            Stalled: The deadline passed.
        """
        await self._admit()
        watching = ("watch", "true") in query
        slot = None if watching else self._limits.inflight
        if slot:
            await slot.acquire()
        self._active += 1
        try:
            response = await self._request(path, query, deadline)
            try:
                yield self._chunks(response, deadline)
            finally:
                response.close()
        finally:
            if slot:
                slot.release()
            self._active -= 1
            if self._retired and not self._active:
                await self.close()

    async def _admit(self) -> None:
        # Watches have no slot of max_inflight: they last, and would keep the lists out for ever.
        delay = self._limits.bucket.reserve(self._clock())
        self._metrics.limited.histogram("GET", self._host).observe(delay)
        if delay:
            await asyncio.sleep(delay)

    async def _request(self, path: str, query: Query, deadline: Deadline) -> aiohttp.ClientResponse:
        try:
            authorization = self._access.authorization()
        except CredentialsError as error:
            raise ApiUnavailable(0, "", str(error)) from error
        started = self._clock()
        code = "<error>"  # client-go's word for no answer
        try:
            response = await self._within(
                deadline,
                self._session.get(
                    self._access.url + path,
                    params=query,
                    headers={"Authorization": authorization} if authorization else None,
                    server_hostname=self._access.server_hostname or None,
                    proxy=self._access.proxy or None,
                    allow_redirects=False,
                ),
            )
            code = str(response.status)
        finally:
            self._metrics.requests.cell(code, "GET", self._host).value += 1
            self._metrics.duration.histogram("GET", self._host).observe(self._clock() - started)
        if response.status != 200:
            try:
                raise await self._refusal(response, deadline)
            finally:
                response.close()
        return response

    async def _refusal(self, response: aiohttp.ClientResponse, deadline: Deadline) -> ApiError:
        body = bytearray()
        async for chunk in self._chunks(response, deadline):
            body += chunk
            if len(body) > MAX_ERROR_OCTETS:
                break
        retry_after = response.headers.get("Retry-After", "")
        # The API server gives seconds; a date, which HTTP allows too, is left to our own backoff.
        seconds = float(retry_after) if retry_after.isdecimal() else None
        return status_error(bytes(body[:MAX_ERROR_OCTETS]), response.status, seconds)

    async def _chunks(
        self, response: aiohttp.ClientResponse, deadline: Deadline
    ) -> AsyncIterator[bytes]:
        while chunk := await self._within(deadline, response.content.read(CHUNK_OCTETS)):
            yield chunk

    async def _within(self, deadline: Deadline, work: Awaitable[_T]) -> _T:
        limit = asyncio.timeout(max(0.0, deadline() - self._clock()))
        try:
            async with limit:
                return await work
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Our own timeout is an OSError too.
            if limit.expired():
                raise Stalled from error
            raise _unavailable(error) from error


def _unavailable(error: Exception) -> ApiUnavailable:
    """Say why there is no answer."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    for one in (cause, error, error.__cause__, error.__context__):
        if isinstance(one, ssl.SSLCertVerificationError):
            text = f"tls: failed to verify certificate: {one.verify_message}"
            return ApiUnavailable(0, UNTRUSTED, text)
        if isinstance(one, ssl.SSLError):
            return ApiUnavailable(0, UNTRUSTED, f"tls: {one.reason or one}")
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
        return ApiUnavailable(0, "", "the server cut the connection")
    return ApiUnavailable(0, "", reason(cause))


def _keepalive_socket(info: aiohttp.AddrInfoType) -> socket.socket:
    made = socket.socket(info[0], info[1], info[2])
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE.items():
        made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made
