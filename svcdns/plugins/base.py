"""The vocabulary between plugins, the chain and the shells.

A query travels down the chain as a :class:`Request`; an :data:`Outcome` travels back up.  A
plugin that changes answers on their way up uses :func:`then`, which works the same whether the
answer is there already or an upstream has to be asked first.

Parity: CoreDNS ``plugin/plugin.go`` (Handler, Next), with its return codes made into types.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Protocol, TypeAlias

from msgspec import Struct

from svcdns.corefile.syntax import Directive
from svcdns.dns.name import ROOT
from svcdns.dns.query import Query
from svcdns.dns.response import Response
from svcdns.metrics import Cell, Registry
from svcdns.plugins.clusters import Cluster, Clusters
from svcdns.plugins.commands import Command, Result, Transport
from svcdns.plugins.slices import Slices

Owner: TypeAlias = Hashable
"""What a stored answer depends on; see :mod:`svcdns.zones.owners`."""

FOREVER = float("inf")

Renew: TypeAlias = Callable[[float], tuple[int, float] | None]
"""What a stored answer is at a time (monotonic seconds) when its own is over: the same but for the
TTL of all its records, in seconds, until the time that comes with it.  ``None``: it is over."""

_UDP = Transport.UDP  # a member of an enum costs more to look up than the comparison


class Client(Struct, frozen=True, gc=False):
    """Who asks, and which address of ours was asked."""

    address: str
    port: int
    transport: Transport = Transport.UDP
    local_address: str = ""
    local_port: int = 53

    @property
    def family(self) -> str:
        """CoreDNS's ``family`` label: ``1`` for IPv4, ``2`` for IPv6."""
        return "2" if ":" in self.address else "1"

    @property
    def udp(self) -> bool:
        """Whether the answer must fit a datagram."""
        return self.transport is _UDP

    @property
    def proto(self) -> str:
        """CoreDNS's ``proto`` label: what is below TLS and HTTPS is TCP (``request.Proto``)."""
        return "udp" if self.transport is _UDP else "tcp"


class Request(Struct, frozen=True, gc=False):
    """A query on its way down a chain."""

    query: Query
    client: Client
    now: float
    "Monotonic seconds."
    resolve: "Handler"
    "The whole server again, for CNAME targets (rule E1); bounded in depth by the server."
    zone: bytes = ROOT
    "The zone of the server block that took the query, lower-case."
    metadata: dict[str, str] | None = None
    "Labels of the ``metadata`` plugin; shared by all plugins of one query."


class Storable(Struct, frozen=True, gc=False):
    """Leave to keep an answer in the answer table."""

    owners: tuple[Owner, ...] = ()
    "The answer dies when one of these changes."
    until: float = FOREVER
    "Monotonic seconds: it dies then at the latest."
    rotate: bool = False
    "Whether address records are to come in a new order each time (``loadbalance``)."
    cells: tuple[Cell, ...] = ()
    "Counters that every answer from the table adds one to."
    repeats: int = 0
    """Octets of the question's end, a label and a zone, that all other names in the answer end in:
    the label in lower case, the zone as in the question (A7).  0: that is not known to be so."""
    renew: Renew | None = None
    """Asked at *until*.  A plugin that changes TTLs on their way up takes this away."""


class Ask(Struct, frozen=True):
    """Something to be done outside before there is an answer."""

    command: Command
    resume: Callable[[Result, float], "Outcome"]
    "Called with the result and the time (monotonic seconds)."


class Reply(Struct, frozen=True):
    """An answer that a plugin wrote."""

    response: Response
    plugin: str = ""
    "Who wrote it, for ``coredns_dns_responses_total``."
    store: Storable | None = None
    "``None``: for this client, this time only."
    background: tuple[Ask, ...] = ()
    "Work that nobody waits for (prefetching)."


class Failed(Struct, frozen=True):
    """An error that no plugin wrote an answer for; the server writes a bare one (rule J7)."""

    rcode: int
    reason: str = ""
    "For ``errors``; empty when there is nothing to say."
    plugin: str = ""


class Drop(Struct, frozen=True):
    """No answer at all."""


class Stream(Struct, frozen=True):
    """Several messages, for zone transfers over TCP (RFC 5936)."""

    responses: Iterable[Response]
    plugin: str = ""


class Rendered(Struct, frozen=True, gc=False):
    """What a server sends: messages as bytes, none for no answer.  No plugin sees this one."""

    wires: tuple[bytes, ...] | Iterable[bytes] = ()


Outcome: TypeAlias = Reply | Failed | Drop | Stream | Ask | Rendered
Handler: TypeAlias = Callable[[Request], Outcome]


def then(outcome: Outcome, change: Callable[[Outcome, float], Outcome], now: float) -> Outcome:
    """Apply *change* to the outcome, now or when it is there.

    Args:
        outcome: What the rest of the chain returned.
        change: From a finished outcome and the time to an outcome; never sees an :class:`Ask`.
        now: Monotonic seconds.
    """
    if isinstance(outcome, Reply):
        return change(outcome, now)  # what a Struct is costs more to deny than to affirm
    if isinstance(outcome, Ask):
        ask = outcome
        return Ask(ask.command, lambda result, at: then(ask.resume(result, at), change, at))
    return change(outcome, now)


class WatchFile(Struct, frozen=True):
    """Have *changed* called with a file's content at start and whenever it differs."""

    path: str
    interval: float
    "Seconds between looks; 0 reads it once."
    changed: Callable[[bytes | None], Iterator[None] | None]
    "``None``: the file is missing or cannot be read.  May give work to be done in slices."


class WatchDirectory(Struct, frozen=True):
    """Have *changed* called with the files below a directory, at start and whenever they differ."""

    path: str
    interval: float
    "Seconds between looks; 0 looks once."
    wanted: Callable[[str], bool]
    "Whether a file counts, by its path."
    changed: Callable[[Mapping[str, bytes]], Iterator[None] | None]
    "Contents by path; empty when the directory is missing.  May give work to be done in slices."


class Periodic(Struct, frozen=True):
    """Have *run* called from time to time, and carry out what it returns."""

    name: str
    interval: float
    "Seconds."
    run: Callable[[float], tuple[Ask, ...]]


class HttpAnswer(Struct, frozen=True):
    """What an HTTP probe gets."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    "Further ones."


class ServeHttp(Struct, frozen=True):
    """Listen on *address* (``:8080``, ``127.0.0.1:9153``) and answer GET on these paths."""

    address: str
    routes: Mapping[str, Callable[[], HttpAnswer]]
    directive: Directive
    closes_first: bool = False
    "Closed at the start of the lame duck period (``ready``), not at its end."


class ServeMetrics(Struct, frozen=True):
    """Serve the configuration's registry as Prometheus text at *address* (``prometheus``)."""

    address: str
    directive: Directive


class LameDuck(Struct, frozen=True):
    """Go on answering for *seconds* after SIGTERM (``health``)."""

    seconds: float


class Reload(Struct, frozen=True):
    """Look for a new Corefile every *interval* seconds, plus or minus *jitter*."""

    interval: float
    jitter: float


class ClusterSource(Struct, frozen=True):
    """Keep a cluster's copy filled from its source (``kubernetes``)."""

    cluster: Cluster


Need: TypeAlias = (
    WatchFile
    | WatchDirectory
    | Periodic
    | ServeHttp
    | ServeMetrics
    | LameDuck
    | Reload
    | ClusterSource
)


class Plugin(Protocol):
    """One link of a chain."""

    name: str

    @property
    def needs(self) -> tuple[Need, ...]:
        """What the shell has to provide while this plugin's configuration is in force."""
        ...

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Answer, or have the rest of the chain answer: ``proceed(request)``."""
        ...


def _unheard(_line: str) -> None:
    """Stand in for a log where nobody listens."""


def _unstored(_owners: Iterable[Owner]) -> None:
    """Stand in for the answer tables where there are none."""


def _stopped() -> float:
    """Stand in for a clock where no time passes."""
    return 0.0


class Context(Struct, frozen=True):
    """What a plugin's set-up may know and use; everything from outside is an argument."""

    zones: tuple[bytes, ...]
    "The zones of the server block, lower-case wire names."
    server: str
    "CoreDNS's ``server`` label: ``dns://:53``."
    registry: Registry
    read: Callable[[str], bytes]
    "Read a file named in the Corefile; raises OSError."
    random: Callable[[], float]
    "Uniform in [0, 1)."
    warn: Callable[[str], None]
    "Say something about the configuration, once, in the log at start."
    wall: Callable[[], float]
    "Seconds since the epoch, for SOA serials and zone files; monotonic time comes with a Request."
    block: int = 0
    "Number of the server block, counted from 0."
    shared: dict[Hashable, object] | None = None
    "One per configuration: what blocks share (the cluster of several ``kubernetes``)."
    local_addresses: tuple[str, ...] = ()
    "Addresses of this machine that the block is reached at, without loopback (rule F14)."
    clusters: Clusters | None = None
    "Copies of clusters by source, for ``kubernetes``."
    write: Callable[[str], None] = _unheard
    "Put one line into the log while serving, level and all: ``[ERROR] plugin/errors: …``."
    alike: Callable[[str], None] | None = None
    "As *write*, for what every process of this server has to say; None: there is one process."
    clock: Callable[[], float] = _stopped
    "Monotonic seconds, for what has to be timed more finely than a Request's *now* (``log``)."
    changed: Callable[[Iterable[Owner]], None] = _unstored
    "Ends the stored answers that depend on an owner (``hosts``: its file was read again)."
    root: str = ""
    "The directory of ``root``, where relative paths start; empty: the current one."
    hostname: str = "localhost"
    "Of this machine (``nsid``, ``chaos``)."
    view: str = ""
    "CoreDNS's ``view`` label: the name that the block's ``view`` gives it."
    processors: int = 1
    "That this process may use (``multisocket``)."
    kin: str = ""
    "Random text that only the processes of this server know (``loop``); empty: there is one."

    @property
    def tell(self) -> Callable[[str], None]:
        """Put a line into the log that other processes of this server may have to say as well."""
        return self.alike or self.write

    def path(self, text: str) -> str:
        """Give the path that an option means, below *root* unless it is absolute."""
        if text.startswith("/") or not self.root:
            return text
        return f"{self.root.rstrip('/')}/{text}"


Setup: TypeAlias = Callable[[tuple[Directive, ...], Context], Plugin | Slices[Plugin | None] | None]
"""All directives of one name in a block, to a plugin (or ``None``: nothing in the chain).

What takes long (``file``) is done in slices.

Raises:
    CorefileError: With the directive's file and line.
"""
