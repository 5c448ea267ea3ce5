"""A new order of addresses for every answer.

Name
----
*loadbalance*: gives A, AAAA and MX records in a random order, behind CNAMEs and other records.

Syntax
------
::

    loadbalance [round_robin | weighted FILE] {
        reload DURATION
        prefer CIDR...
    }

* ``round_robin``: every address comes first equally often.
* ``weighted FILE``: FILE has names, each followed by lines with an address and its weight from 1 to
  255; an address comes first as often as its weight says.  Addresses without a weight have 1.
* ``reload``: how often to look whether FILE has changed, 30s by default; 0 is never.  Only with
  ``weighted``.
* ``prefer``: addresses in these networks come before others.

Examples:
--------
::

    . {
        kubernetes cluster.local
        loadbalance round_robin
    }

Differences
-----------
* Answers that the server keeps ready come in up to 16 fixed orders that take turns, such that every
  address is first equally often.
* With ``prefer`` the other types of records stay where they are; CoreDNS puts them behind.

Parity: CoreDNS ``plugin/loadbalance`` (rule J19).
"""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from svcdns.corefile.options import Line, first
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import Rcode, RRType
from svcdns.dns.response import Response
from svcdns.plugins.base import Context, Handler, Need, Outcome, Reply, Request, WatchFile, then
from svcdns.plugins.loadbalanceweights import Network, Weights, arrange, parse, prefer
from svcdns.plugins.rotation import shuffle

NAME = "loadbalance"

RELOAD_SECONDS = 30.0
"""Between looks at a weight file, by default."""

_TRANSFERS = frozenset({RRType.AXFR, RRType.IXFR})
_WEIGHTED_TYPES = frozenset({RRType.A, RRType.AAAA, RRType.SRV})


class Loadbalance:
    """One ``loadbalance`` directive."""

    name = NAME

    def __init__(
        self,
        random: Callable[[], float],
        networks: Sequence[Network] = (),
        needs: tuple[Need, ...] = (),
    ) -> None:
        """Give addresses equal shares.

        Args:
            random: Uniform in [0, 1).
            networks: Preferred.
            needs: The weight file, if there is one.
        """
        self.needs = needs
        self.weights: Weights | None = None
        "``None``: equal shares."
        self._random = random
        self._networks = tuple(networks)

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Put the answer in another order, and have a stored one rotate."""
        qtype = request.query.qtype
        if qtype in _TRANSFERS or (self.weights is not None and qtype not in _WEIGHTED_TYPES):
            return proceed(request)
        outcome = proceed(request)
        if isinstance(outcome, Reply):
            return self._ordered(outcome, request.now)
        return then(outcome, self._ordered, request.now)

    def _ordered(self, outcome: Outcome, _now: float) -> Outcome:
        if not isinstance(outcome, Reply) or outcome.response.rcode != Rcode.NOERROR:
            return outcome
        if len(outcome.response.answer) + len(outcome.response.additional) < 2:
            return outcome
        if self.weights is None and not self._networks:
            response = shuffle(outcome.response, self._random)
            store = replace(outcome.store, rotate=True) if outcome.store else None
            return replace(outcome, response=response, store=store)
        # Orders that are not all alike cannot take turns, so each answer is made anew.
        return replace(outcome, response=self._made(outcome.response), store=None)

    def _made(self, response: Response) -> Response:
        if self.weights is None:
            response = shuffle(response, self._random)
        else:
            response = replace(
                response,
                answer=arrange(response.answer, self.weights, self._random),
                additional=arrange(response.additional, self.weights, self._random),
            )
        return replace(
            response,
            answer=prefer(response.answer, self._networks),
            additional=prefer(response.additional, self._networks),
        )


def setup(directives: tuple[Directive, ...], context: Context) -> Loadbalance:
    """Read the directive."""
    line = first(directives, context.warn)
    if line.word("round_robin", "weighted", default="round_robin") == "weighted":
        return _weighted(line, context)
    networks: list[Network] = []
    for option in line.options():
        if option.name != "prefer":
            raise option.unknown()
        networks += _networks(option)
    return Loadbalance(context.random, networks)


def _networks(option: Line) -> list[Network]:
    found = []
    while option.more:
        found.append(option.network())
    return found


def _weighted(line: Line, context: Context) -> Loadbalance:
    path, reload = context.path(line.word()), RELOAD_SECONDS
    networks: list[Network] = []
    for option in line.options():
        match option.name:
            case "reload":
                reload = option.duration(0)
            case "prefer":
                networks += _networks(option)
            case _:
                raise option.unknown()
    plugin = Loadbalance(
        context.random,
        networks,
        (WatchFile(path, reload, lambda content: _changed(plugin, path, content, context)),),
    )
    plugin.weights = {}
    try:
        plugin.weights = _parse(context.read(path), path)
    except OSError as error:
        if not reload:
            raise line.error(f"weight file open error: {path}") from error
        # The line of the log at the first look says so, too; the file may still come.
    except ValueError as error:
        raise line.error(str(error)) from error
    return plugin


def _changed(plugin: Loadbalance, path: str, content: bytes | None, context: Context) -> None:
    """Take a weight file into use; a bad one leaves the weights as they are."""
    if content is None:
        context.write("[WARNING] plugin/loadbalance: Failed to open weight file: " + path)
        return
    try:
        plugin.weights = _parse(content, path)
    except ValueError as error:
        context.write(f"[ERROR] plugin/loadbalance: {error}")
        return
    context.write(f"[INFO] plugin/loadbalance: Successfully reloaded weight file {path}")


def _parse(content: bytes, path: str) -> Weights:
    return parse(content.decode("utf-8", "replace"), path)
