"""The proxy's HTTP: ``/healthz``, ``/metrics`` and the healthCheckNodePorts.

An address that cannot be bound is logged and tried again; everything else goes on (rule R84).  What
is answered is decided in :mod:`svcdns.proxy.health`.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from aiohttp import web
from msgspec import Struct

from svcdns.aio import exposition
from svcdns.aio.addresses import reason
from svcdns.aio.httpserver import HttpServer
from svcdns.errors import ConfigError
from svcdns.hostport import host_port
from svcdns.metrics import Registry
from svcdns.proxy import health
from svcdns.proxy.config import ProxyOptions
from svcdns.proxy.configfile import split_host_port
from svcdns.proxy.health import Answer, ProxyHealth
from svcdns.proxy.kubeproxyconfig import HEALTHZ_PORT, METRICS_PORT
from svcdns.proxy.metrics import ProxyMetrics
from svcdns.proxy.model import HealthCheck, NodePorts

RETRY_SECONDS = 5.0
"""Between attempts to bind what is taken; kube-proxy: 5 s."""

Handler: TypeAlias = Callable[[str], Awaitable[Answer | None]]
"""Answers a path; ``None``: there is no such page."""

Place: TypeAlias = tuple[str, int]

log = logging.getLogger(__name__)


class Wanted(Struct, frozen=True, eq=False):
    """Something to serve at one address."""

    what: str
    "For the log: ``health check of shop/web``."
    handler: Handler


class _Listener:
    """An open address."""

    def __init__(self, place: Place, handler: Handler) -> None:
        self.handler = handler
        family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
        sock = socket.create_server(place, family=family, dualstack_ipv6=False)
        sock.setblocking(False)
        self.server = HttpServer(sock, self._handle)

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        answer = await self.handler(request.path)
        if answer is None:
            return web.Response(status=404, text="404 page not found\n")
        return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers))


class ProxyHttp:
    """Serves the proxy's own pages and the health check ports of Services."""

    def __init__(
        self,
        options: ProxyOptions,
        proxy_health: ProxyHealth,
        metrics: ProxyMetrics,
        registry: Registry,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; :meth:`start` opens the addresses.

        Args:
            options: Where to listen.
            proxy_health: What ``/healthz`` tells.
            metrics: Counts the answers.
            registry: What ``/metrics`` shows.
            clock: Seconds since 1970.
        """
        self._options = options
        self._health = proxy_health
        self._metrics = metrics
        self._registry = registry
        self._clock = clock
        self._own = self._own_pages()
        self._checks: Mapping[tuple[str, str], HealthCheck] = {}
        self._wanted: dict[Place, Wanted] = {}
        self._open: dict[Place, _Listener] = {}
        self._refused: set[Place] = set()
        self._lock = asyncio.Lock()

    @property
    def refused(self) -> frozenset[Place]:
        """Addresses that are wanted and could not be bound at the last attempt."""
        return frozenset(self._refused)

    async def start(self) -> None:
        """Open the addresses of ``/healthz`` and ``/metrics``.

        Raises:
            ConfigError: One is taken, and ``bindAddressHardFail`` is set.
        """
        await self._serve(self._own)
        if self._refused and self._options.bind_address_hard_fail:
            taken = ", ".join(host_port(*place) for place in sorted(self._refused))
            raise ConfigError(f"cannot listen on {taken}, and bindAddressHardFail is set")

    async def update_checks(
        self, checks: Mapping[tuple[str, str], HealthCheck], node_ports: NodePorts
    ) -> None:
        """Serve exactly these healthCheckNodePorts from now on (rules R80, R81, R84)."""
        self._checks = dict(checks)
        wanted = dict(self._own)
        addresses = [*node_ports.addresses]
        addresses += [{4: "0.0.0.0", 6: "::"}[family] for family in node_ports.any_of]
        for key in sorted(checks):
            for address in addresses:
                self._want(wanted, (address, checks[key].port), key)
        await self._serve(wanted)

    def _want(self, wanted: dict[Place, Wanted], place: Place, key: tuple[str, str]) -> None:
        """Add a health check port, unless something else has the address."""
        what = f"health check of {key[0]}/{key[1]}"
        if place in wanted:
            log.error("%s: %s is taken by %s", what, host_port(*place), wanted[place].what)
            return

        async def handler(_path: str) -> Answer:
            return health.check_answer(self._checks.get(key), self._health.healthy(self._clock()))

        wanted[place] = Wanted(what, handler)

    async def run(self) -> None:
        """Try what could not be bound again, for ever."""
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            if self._refused:
                await self.retry()

    async def retry(self) -> None:
        """Try what could not be bound once more."""
        await self._serve(self._wanted)

    async def close(self) -> None:
        """Close all addresses."""
        await self._serve({})

    async def _serve(self, wanted: Mapping[Place, Wanted]) -> None:
        async with self._lock:
            self._wanted = dict(wanted)
            for place in [place for place in self._open if place not in wanted]:
                await self._open.pop(place).server.close()
            self._refused &= wanted.keys()
            for place, one in wanted.items():
                listener = self._open.get(place)
                if listener:
                    listener.handler = one.handler
                else:
                    await self._try(place, one)

    async def _try(self, place: Place, wanted: Wanted) -> None:
        try:
            listener = _Listener(place, wanted.handler)
        except OSError as error:
            if place not in self._refused:
                log.warning(
                    "%s: listen tcp %s: bind: %s; trying again every %g s",
                    wanted.what,
                    host_port(*place),
                    reason(error),
                    RETRY_SECONDS,
                )
            self._refused.add(place)
            return
        await listener.server.start()
        self._open[place] = listener
        if place in self._refused:
            log.info("%s: listening on %s now", wanted.what, host_port(*place))
            self._refused.discard(place)

    def _own_pages(self) -> dict[Place, Wanted]:
        pages: dict[Place, Wanted] = {}
        for text, port, what, handler in (
            (self._options.healthz_bind_address, HEALTHZ_PORT, "healthz", self._on_healthz),
            (self._options.metrics_bind_address, METRICS_PORT, "metrics", self._on_metrics),
        ):
            place = split_host_port(text, port)
            if place:
                pages[place[0] or "0.0.0.0", place[1]] = Wanted(what, handler)
        return pages

    async def _on_healthz(self, path: str) -> Answer | None:
        now = self._clock()
        match path:
            case "/healthz":
                answer = self._health.healthz(now)
            case "/livez":
                answer = self._health.livez(now)
            case _:
                return None
        self._metrics.answered(path, answer.status)
        return answer

    async def _on_metrics(self, path: str) -> Answer | None:
        match path:
            case "/metrics":
                body = await exposition.text(self._registry)
                return Answer(200, (("Content-Type", exposition.CONTENT_TYPE),), body)
            case "/healthz":
                return Answer(200, (("Content-Type", "text/plain; charset=utf-8"),), b"ok")
            case "/proxyMode":
                return health.proxy_mode(self._options.mode)
            case "/configz":
                return health.configz(self._options.configuration)
            case _:
                return None
