"""Server blocks to servers: runs every plugin's set-up and puts the parts together.

Parity: CoreDNS ``core/dnsserver/register.go`` (MakeServers, groupConfigsByListenAddr).
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from svcdns.corefile.overlap import check_overlap
from svcdns.corefile.schemes import check_schemes
from svcdns.corefile.syntax import Key, ServerBlock
from svcdns.dns.name import from_text
from svcdns.hostport import bracketed
from svcdns.kube.store import Delta, Store
from svcdns.metrics import Registry
from svcdns.plugins import bind, registry, root
from svcdns.plugins.accounts import Accounts
from svcdns.plugins.base import Ask, ClusterSource, Context, Need, Owner, Plugin, Request
from svcdns.plugins.chain import Block
from svcdns.plugins.clusters import Cluster, Clusters
from svcdns.plugins.kubernetes import owners_of
from svcdns.plugins.programming import Programming
from svcdns.plugins.server import Listen, Server
from svcdns.plugins.slices import Slices, finish


@runtime_checkable
class Meets(Protocol):
    """A plugin that wants to know the others of its block (``ready``, ``k8s_external``)."""

    def meet(self, siblings: Sequence[Plugin]) -> None:
        """Take note of the block's plugins, in order of execution; all are set up."""


@runtime_checkable
class Filters(Protocol):
    """A plugin that decides whether its block takes a query (``view``)."""

    view: str

    def admits(self, request: Request) -> bool:
        """Whether the block is for this query."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What the outside lends to a configuration."""

    registry: Registry
    clusters: Clusters
    "Outlives configurations."
    read: Callable[[str], bytes]
    random: Callable[[], float]
    "Uniform in [0, 1)."
    clock: Callable[[], float]
    "Monotonic seconds."
    wall: Callable[[], float]
    "Seconds since the epoch."
    warn: Callable[[str], None]
    write: Callable[[str], None]
    panic: Callable[[str, Exception], None]
    spawn: Callable[[Ask], None]
    "Carries out what nobody waits for."
    interfaces: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    "Addresses of this machine by interface name."
    hostname: str = "localhost"
    processors: int = 1
    "That this process may use."
    kin: str = ""
    "Random text that only the processes of this server know."
    alike: Callable[[str], None] | None = None
    "See :attr:`svcdns.plugins.base.Context.alike`."


@dataclass(slots=True)
class Configuration:
    """Everything a Corefile asks for, ready to be run."""

    servers: tuple[Server, ...]
    needs: tuple[Need, ...]
    plugins: tuple[Plugin, ...]
    "Of all blocks, in order of execution within each."
    registry: Registry
    clusters: tuple[Cluster, ...]
    "Copies that the servers answer from."
    _subscriptions: list[tuple[Store, Callable[[Delta], None]]]

    def close(self) -> None:
        """Let go of the stores, which outlive this configuration."""
        for store, subscriber in self._subscriptions:
            store.unsubscribe(subscriber)
        self._subscriptions.clear()


def build(blocks: Sequence[ServerBlock], environment: Environment) -> Configuration:
    """Make a configuration of parsed server blocks.

    Raises:
        CorefileError: A directive cannot be used; nothing stays behind.
    """
    return finish(build_slices(blocks, environment))


def build_slices(blocks: Sequence[ServerBlock], environment: Environment) -> Slices[Configuration]:
    """Make a configuration as :func:`build` does, a slice at a time (a reload)."""
    check_schemes(blocks, environment.warn)
    check_overlap(blocks)
    shared: dict[Hashable, object] = {}
    changes = _Changes()
    built = []
    for number, block in enumerate(blocks):
        addresses = bind.addresses(block.named("bind"), environment.interfaces)
        context = _context(block, number, addresses, environment, shared, changes.end)
        built.append(_Built(block, addresses, (yield from registry.build(block, context))))
    servers = changes.servers = _servers(built, environment)
    plugins = tuple(plugin for each in built for plugin in each.plugins)
    needs = tuple(need for plugin in plugins for need in plugin.needs)
    clusters = {
        need.cluster.source.identity: need.cluster
        for need in needs
        if isinstance(need, ClusterSource)
    }
    return Configuration(
        servers,
        needs,
        plugins,
        environment.registry,
        tuple(clusters.values()),
        _subscribe(clusters.values(), changes, environment),
    )


class _Changes:
    """Takes what has changed to the servers' stored answers."""

    def __init__(self) -> None:
        self.servers: tuple[Server, ...] = ()
        "None while plugins are set up: nothing is stored then."

    def end(self, owners: Iterable[Owner]) -> None:
        """Forget stored answers that depend on *owners*."""
        touched = tuple(owners)
        for server in self.servers:
            server.drop(touched)


def _context(
    block: ServerBlock,
    number: int,
    addresses: tuple[str, ...],
    environment: Environment,
    shared: dict[Hashable, object],
    changed: Callable[[Iterable[Owner]], None],
) -> Context:
    """Give what the set-ups of a block's plugins may know and use."""
    first = block.keys[0]
    return Context(
        zones=tuple(dict.fromkeys(from_text(key.zone) for key in block.keys)),
        server=label(first.scheme, addresses[0] if addresses else "", first.port),
        registry=environment.registry,
        read=environment.read,
        random=environment.random,
        warn=environment.warn,
        wall=environment.wall,
        block=number,
        shared=shared,
        local_addresses=_reachable(addresses, environment.interfaces),
        clusters=environment.clusters,
        write=environment.write,
        alike=environment.alike,
        clock=environment.clock,
        changed=changed,
        root=root.path(block.named("root")),
        hostname=environment.hostname,
        view=next((one.args[0] for one in block.named("view") if one.args), ""),
        processors=environment.processors,
        kin=environment.kin,
    )


class _Built:
    """One server block with its plugins."""

    def __init__(
        self, block: ServerBlock, addresses: tuple[str, ...], plugins: tuple[Plugin, ...]
    ) -> None:
        self.source = block
        self.addresses = addresses
        self.plugins = plugins
        for plugin in self.plugins:
            if isinstance(plugin, Meets):
                plugin.meet(self.plugins)
        self.filters = [plugin for plugin in self.plugins if isinstance(plugin, Filters)]

    def block(self, zones: tuple[bytes, ...]) -> Block:
        """Give the block as one of its servers sees it."""
        return Block(
            zones,
            [plugin for plugin in self.plugins if _serves(plugin)],
            view=self.filters[0].view if self.filters else "",
            filters=[plugin.admits for plugin in self.filters],
            beside=[plugin for plugin in self.plugins if not _serves(plugin)],
        )

    def listens(self) -> Iterator[tuple[Listen, Key]]:
        """Give every address and zone the block is reached at."""
        for key in self.source.keys:
            for address in self.addresses or ("",):
                yield Listen(key.scheme, (address,) if address else (), key.port), key


def _serves(plugin: Plugin) -> bool:
    """Whether a plugin takes part in queries."""
    return bool(getattr(plugin, "serves", True))


def _servers(built: Sequence[_Built], environment: Environment) -> tuple[Server, ...]:
    zones: dict[Listen, dict[int, list[bytes]]] = {}
    for number, each in enumerate(built):
        for listen, key in each.listens():
            zones.setdefault(listen, {}).setdefault(number, []).append(from_text(key.zone))
    return tuple(
        Server(
            listen,
            [built[number].block(tuple(names)) for number, names in members.items()],
            accounts=Accounts.of(
                label(listen.scheme, "".join(listen.addresses), listen.port), environment.registry
            ),
            clock=environment.clock,
            panic=environment.panic,
            spawn=environment.spawn,
        )
        for listen, members in zones.items()
    )


def _subscribe(
    clusters: Iterable[Cluster], changes: _Changes, environment: Environment
) -> list[tuple[Store, Callable[[Delta], None]]]:
    """Have every change of a cluster end the stored answers that it touches."""

    def ended(delta: Delta) -> None:
        changes.end(owners_of(delta))

    subscriptions: list[tuple[Store, Callable[[Delta], None]]] = []
    for cluster in clusters:
        programming = Programming(cluster.store, environment.registry, environment.wall)
        # Counted behind: what is in the answers is what counts.
        subscriptions += [(cluster.store, ended), (cluster.store, programming)]
    for store, subscriber in subscriptions:
        store.subscribe(subscriber)
    return subscriptions


def _reachable(
    bound: tuple[str, ...], interfaces: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """Give the addresses a client elsewhere can ask: no loopback, no link-local ones (F14)."""
    candidates = bound or [address for found in interfaces.values() for address in found]
    outside = [
        address
        for address in candidates
        if address not in ("0.0.0.0", "::", "::1") and not address.startswith(("127.", "fe80:"))
    ]
    return tuple(dict.fromkeys(outside))


def label(scheme: str, address: str, port: int) -> str:
    """Write CoreDNS's ``server`` label: ``dns://:53``, ``dns://[::1]:53``."""
    host = bracketed(address)
    return f"{scheme}://{host}:{port}"
