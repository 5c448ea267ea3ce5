"""Labels about a query, for the plugins that it meets.

Name
----
*metadata*: has plugins that know something about a query say it, under labels ``PLUGIN/NAME``.

Syntax
------
::

    metadata [ZONES...]

* ZONES: only for names in these zones; those of the server block by default.

``log`` writes labels with ``{/PLUGIN/NAME}``, ``view`` reads them with ``metadata('PLUGIN/NAME')``.

Examples:
--------
::

    . {
        metadata
        log . "{remote} {name} {/view/name}"
        view internal {
            expr incidr(client_ip(), '10.0.0.0/8')
        }
        forward . 172.31.0.10
    }

Differences
-----------
Answers of a block with this directive are never answered from the table of ready answers, because
labels may depend on the client, so it costs more than in CoreDNS.

Parity: CoreDNS ``plugin/metadata``.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from msgspec.structs import replace

from svcdns.corefile.options import once
from svcdns.corefile.syntax import Directive
from svcdns.dns.name import is_subdomain
from svcdns.plugins.base import Context, Handler, Need, Outcome, Plugin, Reply, Request, then

NAME = "metadata"


@runtime_checkable
class Provider(Protocol):
    """A plugin that knows something about queries before it has seen them."""

    def metadata(self, request: Request) -> Mapping[str, str]:
        """Give labels ``PLUGIN/NAME`` and their values, quickly."""
        ...


class Metadata:
    """One ``metadata`` directive."""

    name = NAME
    needs: tuple[Need, ...] = ()

    def __init__(self, zones: tuple[bytes, ...]) -> None:
        self._zones = zones
        self._providers: tuple[Provider, ...] = ()

    def meet(self, siblings: Sequence[Plugin]) -> None:
        """Note which plugins of the block have something to say."""
        self._providers = tuple(
            plugin for plugin in siblings if plugin is not self and isinstance(plugin, Provider)
        )

    def collect(self, request: Request) -> dict[str, str] | None:
        """Give what is known about a query; ``None`` for names of other zones."""
        name = request.query.name
        if not any(is_subdomain(name, zone) for zone in self._zones):
            return None
        labels: dict[str, str] = {}
        for provider in self._providers:
            labels.update(provider.metadata(request))
        return labels

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Give the query its labels; plugins that it meets may add their own."""
        labels = self.collect(request)
        if labels is None:
            return proceed(request)
        return then(proceed(replace(request, metadata=labels)), _once, request.now)


def _once(outcome: Outcome, _now: float) -> Outcome:
    if isinstance(outcome, Reply) and outcome.store is not None:
        return replace(outcome, store=None)
    return outcome


def setup(directives: tuple[Directive, ...], context: Context) -> Metadata:
    """Read the directive."""
    line = once(directives, context.warn)
    zones = line.zones(context.zones)
    line.end()
    return Metadata(zones)
