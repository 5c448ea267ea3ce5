"""The readiness probe.

Name
----
*ready*: ``GET /ready`` says ``OK`` with status 200 when every plugin that can be unready has been
ready, and until then status 503 with the names of those that are not.

Syntax
------
::

    ready [ADDRESS] {
        monitor until-ready | continuously
    }

* ADDRESS: ``:8181`` by default.
* ``monitor``: a plugin that was ready once is not asked again (default), or always is.

Examples:
--------
::

    . {
        ready
        kubernetes cluster.local
    }

Differences
-----------
None known.  Of our plugins ``kubernetes`` can be unready, until everything was listed once.

Parity: CoreDNS ``plugin/ready`` (corefile-features e).
"""

from collections.abc import Sequence
from typing import Protocol, cast, runtime_checkable

from svcdns.corefile.options import once
from svcdns.corefile.syntax import Directive
from svcdns.plugins.base import Context, HttpAnswer, Plugin, ServeHttp
from svcdns.plugins.passive import Passive

NAME = "ready"

DEFAULT_ADDRESS = ":8181"


@runtime_checkable
class Readiness(Protocol):
    """A plugin that can be unready."""

    name: str

    @property
    def ready(self) -> bool:
        """Whether it can do its work."""


class _Board:
    """Who has to be ready for one address, over all blocks of a configuration."""

    def __init__(self, *, continuously: bool) -> None:
        self.continuously = continuously
        self._waiting: list[Readiness] = []

    def add(self, plugins: Sequence[object]) -> None:
        self._waiting += [plugin for plugin in plugins if isinstance(plugin, Readiness)]

    def answer(self) -> HttpAnswer:
        unready = [plugin for plugin in self._waiting if not plugin.ready]
        if not self.continuously:
            self._waiting = unready
        if not unready:
            return HttpAnswer(200, b"OK")
        names = sorted({plugin.name for plugin in unready})
        return HttpAnswer(503, ",".join(names).encode())


class Ready(Passive):
    """One ``ready`` directive."""

    def __init__(self, address: str, board: _Board, directive: Directive) -> None:
        routes = {"/ready": board.answer}
        super().__init__(NAME, ServeHttp(address, routes, directive, closes_first=True))
        self._board = board

    def meet(self, siblings: Sequence[Plugin]) -> None:
        """Note which plugins of the block can be unready."""
        self._board.add(siblings)


def setup(directives: tuple[Directive, ...], context: Context) -> Ready:
    """Read the directive."""
    line = once(directives)
    address = line.listen(DEFAULT_ADDRESS)
    continuously = False
    for option in line.options():
        if option.name != "monitor":
            raise option.unknown()
        continuously = option.word("until-ready", "continuously") == "continuously"
    shared = context.shared if context.shared is not None else {}
    board = cast("_Board", shared.setdefault((NAME, address), _Board(continuously=continuously)))
    return Ready(address, board, line.directive)
