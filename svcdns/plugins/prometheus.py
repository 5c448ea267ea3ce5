"""The metrics endpoint.

Name
----
*prometheus*: serves the process's metrics at ``/metrics``, with CoreDNS's names and labels.

Syntax
------
::

    prometheus [ADDRESS] {
        runtime_metrics
    }

* ADDRESS: ``localhost:9153`` by default.  Several blocks may name the same one.
* ``runtime_metrics``: accepted; the Go runtime's metrics have nothing to stand for here.

Examples:
--------
::

    . {
        prometheus :9153
    }

Metrics
-------
``coredns_build_info{version, revision, goversion}`` and
``coredns_plugin_enabled{server, zone, view, name}``; the server counts ``coredns_dns_*``.

Differences
-----------
There are ``process_*`` metrics, and no ``go_*`` ones.  Queries are counted whether the block has
this directive or not.

Parity: CoreDNS ``plugin/metrics`` (corefile-features d).
"""

from collections.abc import Sequence

from svcdns import __version__
from svcdns.corefile.options import once
from svcdns.corefile.syntax import Directive
from svcdns.dns.name import to_text
from svcdns.plugins.base import Context, Plugin, ServeMetrics
from svcdns.plugins.passive import Passive

NAME = "prometheus"

DEFAULT_ADDRESS = "localhost:9153"


class Prometheus(Passive):
    """One ``prometheus`` directive."""

    def __init__(self, address: str, directive: Directive, context: Context) -> None:
        super().__init__(NAME, ServeMetrics(address, directive))
        self._context = context
        self._enabled = context.registry.gauge(
            "coredns_plugin_enabled",
            "Which plugins a server block has.",
            ("server", "zone", "view", "name"),
        )
        context.registry.gauge(
            "coredns_build_info",
            "Version, revision and language of this server.",
            ("version", "revision", "goversion"),
        ).cell(__version__, "", "").value = 1

    def meet(self, siblings: Sequence[Plugin]) -> None:
        """Show the block's plugins."""
        view = next((str(one.view) for one in siblings if hasattr(one, "view")), "")
        for zone in self._context.zones:
            for plugin in siblings:
                labels = (self._context.server, to_text(zone), view, plugin.name)
                self._enabled.cell(*labels).value = 1


def setup(directives: tuple[Directive, ...], context: Context) -> Prometheus:
    """Read the directive."""
    line = once(directives)
    address = line.listen(DEFAULT_ADDRESS)
    for option in line.options():
        if option.name != "runtime_metrics":
            raise option.unknown()
    return Prometheus(address, line.directive, context)
