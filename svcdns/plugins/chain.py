"""Plugins in a row: a server block's chain, and which block a query goes to.

Parity: CoreDNS ``core/dnsserver/server.go`` (ServeDNS) and ``plugin/plugin.go`` (NextOrFailure).
"""

from collections.abc import Callable, Sequence
from functools import partial

from svcdns.dns.constants import Rcode, RRType
from svcdns.dns.name import ROOT, is_subdomain
from svcdns.plugins.base import Failed, Handler, Outcome, Plugin, Request

NO_NEXT_PLUGIN = "no next plugin found"
"""CoreDNS's words for the end of a chain (rule G5)."""

Filter = Callable[[Request], bool]
"""Whether a block takes a query (``view``)."""


def _end(last: str, request: Request) -> Outcome:
    return Failed(Rcode.SERVFAIL, f"plugin/{last}: {NO_NEXT_PLUGIN}", last)


def _refuse(request: Request) -> Outcome:
    return Failed(Rcode.REFUSED)


def link(plugins: Sequence[Plugin]) -> Handler:
    """Make one handler of plugins, the first one first; without any, all is refused (J6)."""
    if not plugins:
        return _refuse
    handler: Handler = partial(_end, plugins[-1].name)
    for plugin in reversed(plugins):
        handler = partial(plugin.serve, proceed=handler)
    return handler


class Block:
    """A server block as a server uses it."""

    __slots__ = ("beside", "filters", "handler", "plugins", "view", "zones")

    def __init__(
        self,
        zones: tuple[bytes, ...],
        plugins: Sequence[Plugin],
        *,
        view: str = "",
        filters: Sequence[Filter] = (),
        beside: Sequence[Plugin] = (),
    ) -> None:
        self.zones = zones
        self.plugins = tuple(plugins)
        self.beside = tuple(beside)
        "Plugins that see no queries, with settings for the listeners (``tls``, ``timeouts``)."
        self.handler = link(plugins)
        self.view = view
        "Name of the block's ``view``, for metrics; empty without one."
        self.filters = tuple(filters)

    def takes(self, request: Request) -> bool:
        """Whether the block's views let the query in."""
        return all(check(request) for check in self.filters)


class Router:
    """Chooses the block with the longest zone that matches, then the first view (rule J6)."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._zones: dict[bytes, list[Block]] = {}
        for block in blocks:
            for zone in block.zones:
                self._zones.setdefault(zone, []).append(block)
        # Far fewer than names have labels.
        self._lengths = sorted({len(zone) for zone in self._zones}, reverse=True)

    def route(self, request: Request) -> tuple[Block, bytes] | None:
        """Give the block and its zone for a query, or ``None``: nobody serves the name.

        DS belongs to the parent side of a cut, so the *shortest* zone but the root gets it.
        """
        name = request.query.name
        zones = self._zones
        wants_parent = request.query.qtype == RRType.DS
        found: tuple[Block, bytes] | None = None
        for length in self._lengths:
            zone = name[-length:]
            blocks = zones.get(zone)
            if blocks is None or (zone == ROOT and found):
                continue
            if zone != ROOT and not is_subdomain(name, zone):
                continue
            block = _first(blocks, request)
            if block is not None:
                found = (block, zone)
                if not wants_parent:
                    return found
        return found


def _first(blocks: Sequence[Block], request: Request) -> Block | None:
    """Give the first block whose views let the query in."""
    for block in blocks:
        if not block.filters or block.takes(request):
            return block
    return None
