"""Follows a client's search path in one query.

Name
----
*autopath*: when a name with the first domain of the client's search path does not exist, tries the
other domains at once and answers with the first name that exists, behind a CNAME from the name
that was asked for.

Syntax
------
::

    autopath [ZONE...] RESOLV-CONF

RESOLV-CONF is a file, ``@erratic`` for tests, or ``@kubernetes``: then the path is that of the Pod
with the client's address (its namespace, ``svc``, the cluster zone, and what ``/etc/resolv.conf``
of this machine says), which needs ``pods verified``.

Examples:
--------
::

    . {
        autopath @kubernetes
        kubernetes cluster.local {
            pods verified
        }
        forward . /etc/resolv.conf
    }

Metrics
-------
``coredns_autopath_success_total`` {server}.

Differences
-----------
* A question for the search domain itself passes by; CoreDNS answers it with SERVFAIL.

Parity: CoreDNS ``plugin/autopath``, ``plugin/kubernetes/autopath.go`` (rule J22).
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from msgspec.structs import replace

from svcdns.corefile.options import Line, last
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import Rcode, RRType
from svcdns.dns.name import MAX_NAME, ROOT, from_text, is_subdomain, join
from svcdns.dns.response import Record
from svcdns.metrics import Cell
from svcdns.plugins.base import (
    Ask,
    Context,
    Failed,
    Handler,
    Need,
    Outcome,
    Plugin,
    Reply,
    Request,
    then,
)
from svcdns.plugins.kubernetes import Kubernetes
from svcdns.zones.options import PodMode

NAME = "autopath"

RESOLV_CONF = "/etc/resolv.conf"
"""Where the search path of this machine is."""

_KUBERNETES = "kubernetes"


@runtime_checkable
class AutoPather(Protocol):
    """A plugin that has one search path for all clients."""

    @property
    def search_path(self) -> tuple[bytes, ...]:
        """Lower-case wire names, the root at the end."""


class Autopath:
    """One ``autopath`` directive."""

    name = NAME

    def __init__(
        self,
        zones: tuple[bytes, ...],
        search: tuple[bytes, ...],
        success: Cell,
        *,
        source: str,
        line: Line,
    ) -> None:
        self._zones = zones
        self._search = search
        self._success = success
        self._line = line
        self._source = source
        self._kubernetes: Kubernetes | None = None
        self.by_client = source == _KUBERNETES
        "Whether the path is that of the client's Pod, *search* only its end."

    @property
    def needs(self) -> tuple[Need, ...]:
        """Nothing."""
        return ()

    def meet(self, siblings: Sequence[Plugin]) -> None:
        """Find the plugin that knows the path.

        Raises:
            CorefileError: It is there and knows none.
        """
        if not self._source:
            return
        if not self.by_client:
            self._find(siblings)
            return
        for plugin in siblings:
            if isinstance(plugin, Kubernetes):
                self._kubernetes = plugin
        if not self._pods_known:
            self._line.warn(
                "@kubernetes has no effect without kubernetes and its option 'pods verified' in the"
                " same server block"
            )

    def _find(self, siblings: Sequence[Plugin]) -> None:
        """Take the path of another plugin than ``kubernetes``; without it there is none."""
        self._search = ()
        found = [plugin for plugin in siblings if plugin.name == self._source]
        if not found:
            self._line.warn(f"@{self._source} has no effect without {self._source} in the block")
        elif isinstance(found[0], AutoPather):
            self._search = found[0].search_path
        else:
            raise self._line.error(f"{self._source} does not implement the AutoPather interface")

    @property
    def _pods_known(self) -> bool:
        """Whether there is anything to look a client's Pod up in."""
        found = self._kubernetes
        return found is not None and found.zones.options.pods is PodMode.VERIFIED

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Walk the path when the question is for its first domain; else pass it on."""
        query = request.query
        if not any(is_subdomain(query.name, zone) for zone in self._zones):
            return proceed(request)
        search = self._path(request)
        if not search or query.name == search[0] or not is_subdomain(query.name, search[0]):
            return self._pass(request, proceed)
        base = query.qname[: len(query.qname) - len(search[0])]
        names = [base + domain for domain in search if len(base) + len(domain) <= MAX_NAME]
        return _Walk(request, proceed, names, self._success).step(0)

    def _path(self, request: Request) -> tuple[bytes, ...]:
        """Give the domains to try, the root at the end; none: this client has no path."""
        if not self.by_client:
            return self._search
        kubernetes = self._kubernetes
        if kubernetes is None or not self._pods_known:
            return ()
        zone = kubernetes.zones.match(request.query.name)
        pods = kubernetes.cluster.index.pods_at(request.client.address)
        if zone is None or not pods:
            return ()
        svc = join((b"svc",), zone)
        return (join((pods[0][0].encode(),), svc), svc, zone, *self._search)

    def _pass(self, request: Request, proceed: Handler) -> Outcome:
        """Pass on; a denial is this client's alone, because another one may have a path."""

        def own(outcome: Outcome, _now: float) -> Outcome:
            if isinstance(outcome, Reply) and outcome.response.rcode == Rcode.NXDOMAIN:
                return replace(outcome, store=None)
            return outcome

        outcome = proceed(request)
        return then(outcome, own, request.now) if self.by_client else outcome


class _Walk:
    """One question on its way along the path."""

    def __init__(
        self, request: Request, proceed: Handler, names: list[bytes], success: Cell
    ) -> None:
        self._request = request
        self._proceed = proceed
        self._names = names
        self._success = success
        self._first: Outcome | None = None
        self._background: tuple[Ask, ...] = ()

    def step(self, number: int) -> Outcome:
        """Ask for one of the names, and for the next one if it does not exist."""
        name = self._names[number]
        query = replace(self._request.query, qname=name, name=name.lower())
        outcome = self._proceed(replace(self._request, query=query))
        return then(outcome, lambda found, now: self._judge(number, found, now), self._request.now)

    def _judge(self, number: int, outcome: Outcome, now: float) -> Outcome:
        self._request = replace(self._request, now=now)
        self._first = self._first or outcome
        match outcome:
            case Reply(response=response) if response.rcode != Rcode.NXDOMAIN:
                return self._found(outcome, number)
            case Reply(background=background):
                self._background += background
            case Failed(reason=""):
                pass
            case _:
                return outcome
        if number + 1 < len(self._names):
            return self.step(number + 1)
        # Nowhere: the client goes on by itself.
        if isinstance(self._first, Reply):
            return replace(self._first, store=None, background=self._background)
        return self._first

    def _found(self, reply: Reply, number: int) -> Outcome:
        self._success.value += 1
        background = (*self._background, *reply.background)
        if number == 0:
            # The name that was asked for exists: everybody gets this answer, path or not.
            return replace(reply, background=background)
        qname = self._request.query.qname
        response = reply.response
        if response.answer:
            first = response.answer[0]
            alias = Record(qname, RRType.CNAME, first.ttl, first.owner)
            response = replace(response, answer=(alias, *response.answer))
        return replace(reply, response=response, store=None, background=background)


def setup(directives: tuple[Directive, ...], context: Context) -> Autopath:
    """Read the directive."""
    line = last(directives, context.warn)
    if not line.more:
        raise line.error("no resolv-conf specified")
    *zones, source = line.rest()
    line.end()
    named = Line(replace(line.directive, args=tuple(zones)), warn=context.warn)
    served = named.zones(context.zones)
    success = context.registry.counter(
        "coredns_autopath_success_total",
        "Queries answered for another name of the search path, or the first.",
        ("server",),
    ).cell(context.server)
    plugin = source[1:] if source.startswith("@") else ""
    if plugin:
        search = _search(_host(context))
    else:
        search = _search(context.read(source))
        if not search:
            # A machine without a search path is no mistake of the Corefile; CoreDNS starts, too.
            context.warn(f"plugin/{NAME}: {source} has no search path, so there is none to follow")
    return Autopath(served, (*search, ROOT), success, source=plugin, line=line)


def _host(context: Context) -> bytes:
    try:
        return context.read(RESOLV_CONF)
    except OSError:
        return b""  # CoreDNS does without as well


def _search(resolv_conf: bytes) -> tuple[bytes, ...]:
    """Give the search path of a resolv.conf; the last ``search`` or ``domain`` counts."""
    found: tuple[bytes, ...] = ()
    for text in resolv_conf.decode("utf-8", "replace").splitlines():
        words = text.partition("#")[0].partition(";")[0].split()
        if len(words) > 1 and words[0] in ("search", "domain"):
            domains = words[1:] if words[0] == "search" else words[1:2]
            found = tuple(_domains(domains))
    return found


def _domains(texts: Sequence[str]) -> list[bytes]:
    found = []
    for text in texts:
        try:
            found.append(from_text(text.lower()))
        except ValueError:
            continue  # a typo on this machine is no reason not to serve
    return [name for name in found if name != ROOT]
