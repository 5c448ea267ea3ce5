"""The probes: ``/health``, ``/ready`` and ``/metrics``.

One site for every address, whoever asked for it; on reload a site that stays keeps its socket and
gets new routes, so that no probe meets a closed port.
"""

import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeAlias

from aiohttp import web
from msgspec import Struct

from svcdns.aio import exposition
from svcdns.aio.addresses import reason
from svcdns.aio.binding import open_stream
from svcdns.aio.httpserver import HttpServer
from svcdns.errors import ConfigError
from svcdns.metrics import Registry
from svcdns.plugins.base import HttpAnswer, Need, ServeHttp, ServeMetrics

Route: TypeAlias = Callable[[], HttpAnswer | Awaitable[HttpAnswer]]


class Site(Struct, frozen=True):
    """What is served at one address."""

    routes: Mapping[str, Route]
    owner: str
    "Who asked for it, for messages: ``Corefile:7: health``."
    closes_first: bool = False


def sites(
    needs: Iterable[Need],
    registry: Registry,
    listening: Callable[[], bool] = lambda: True,
    expose: Callable[[], Awaitable[bytes]] | None = None,
) -> dict[str, Site]:
    """Gather what plugins want served, by address; several may share one.

    Args:
        needs: Of all plugins.
        registry: What ``/metrics`` shows.
        listening: Whether queries are taken.  CoreDNS says ready from the moment its plugins are,
            while its sockets are yet to be opened; a probe in between would send queries nowhere.
        expose: Writes what ``/metrics`` shows, when that is more than *registry*.
    """

    async def metrics() -> HttpAnswer:
        text = await (exposition.text(registry) if expose is None else expose())
        return HttpAnswer(200, text, exposition.CONTENT_TYPE)

    found: dict[str, Site] = {}
    for need in needs:
        match need:
            case ServeHttp(routes=wanted):
                first = need.closes_first
                routes: Mapping[str, Route] = _held(wanted, listening) if first else wanted
            case ServeMetrics():
                routes, first = {"/metrics": metrics}, False
            case _:
                continue
        directive = need.directive
        owner = f"{directive.file}:{directive.line}: {directive.name}"
        before = found.get(need.address)
        if before:
            routes, first = {**before.routes, **routes}, first and before.closes_first
            owner = before.owner
        found[need.address] = Site(routes, owner, first)
    return found


def _held(
    routes: Mapping[str, Callable[[], HttpAnswer]], listening: Callable[[], bool]
) -> dict[str, Route]:
    """Have ``/ready`` say no until queries are taken."""

    def held(route: Callable[[], HttpAnswer]) -> Route:
        def answer() -> HttpAnswer:
            found = route()
            if found.status == 200 and not listening():
                return HttpAnswer(503, b"listeners")
            return found

        return answer

    return {path: held(route) for path, route in routes.items()}


def split(address: str) -> tuple[str, int]:
    """Take ``:8080``, ``127.0.0.1:8080`` or ``[::1]:8080`` apart; ``localhost`` is 127.0.0.1.

    Raises:
        ConfigError: There is no port.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        raise ConfigError(f"{address}: expected ADDRESS:PORT")
    host = host.removeprefix("[").removesuffix("]")
    return ("127.0.0.1" if host == "localhost" else host, int(port))


class _Open:
    """A site with its socket."""

    def __init__(self, site: Site, sock: socket.socket) -> None:
        self.site = site
        self.sock = sock
        self.server = HttpServer(sock, self._handle)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        route = self.site.routes.get(request.path)
        if route is None:
            return web.Response(status=404, text="404 page not found\n")
        answer = route()
        if isinstance(answer, Awaitable):
            answer = await answer
        return web.Response(
            status=answer.status, body=answer.body, headers={"Content-Type": answer.content_type}
        )


class Sites:
    """The sites of a process."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}

    async def change(self, wanted: Mapping[str, Site]) -> None:
        """Serve exactly *wanted* from now on.

        Raises:
            ConfigError: An address cannot be had; then everything is as before.
        """
        opened: dict[str, _Open] = {}
        goes = [address for address in self._open if address not in wanted]
        try:
            for address, site in wanted.items():
                if address not in self._open:
                    beside = [self._open[one].sock for one in goes]
                    opened[address] = _Open(site, _bind(address, site.owner, beside))
        except ConfigError:
            for one in opened.values():
                one.sock.close()
            raise
        for one in opened.values():
            await one.server.start()
        for address in goes:
            await self._open.pop(address).server.close()
        self._open |= opened
        for address, site in wanted.items():
            self._open[address].site = site

    async def close(self, *, first_only: bool = False) -> None:
        """Close all sites, or those that go before the lame duck period."""
        for address, one in list(self._open.items()):
            if one.site.closes_first or not first_only:
                del self._open[address]
                await one.server.close()


def _bind(address: str, owner: str, goes: Iterable[socket.socket]) -> socket.socket:
    """Open a site's socket; what *goes* at its port stays until this one answers probes."""
    host, port = split(address)
    beside = [sock for sock in goes if sock.getsockname()[1] == port]
    try:
        for sock in beside:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        return open_stream(host, port, shared=bool(beside))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{owner}: listen tcp {address}: bind: {reason(error)}"
            " (is another server running? give the directive another address)"
        ) from error
