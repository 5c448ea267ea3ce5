"""``svcdns up``: manifests become a working service network on loopback, in one process.

The store is filled from a directory; the DNS server answers from it by way of an ordinary
Corefile, the userspace proxy forwards by an ordinary plan, and demo endpoints answer for Pods that
ask for them.  No cluster, no privileges; everything listens on loopback.
"""

import asyncio
import errno
import logging
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from svcdns.aio import exposition
from svcdns.aio.addresses import reason
from svcdns.aio.echo import EchoEndpoints
from svcdns.aio.environment import environment
from svcdns.aio.forwarding import NODE_ADDRESS, Forwarding, can_bind, first_port
from svcdns.aio.http import Site, Sites
from svcdns.aio.listeners import Listeners
from svcdns.aio.logs import LineWriter
from svcdns.aio.manifests import ManifestDirectory
from svcdns.aio.needs import spawn_all
from svcdns.aio.signals import Signals
from svcdns.aio.upstream import Upstreams
from svcdns.corefile.parser import parse
from svcdns.errors import ConfigError
from svcdns.kube.inventory import Inventory
from svcdns.kube.overview import Reach, render
from svcdns.kube.store import Store
from svcdns.metrics import Registry
from svcdns.plugins.base import HttpAnswer
from svcdns.plugins.build import Configuration, build
from svcdns.plugins.clusters import Clusters
from svcdns.plugins.commands import Transport
from svcdns.plugins.forwardoptions import Options, read_nameservers
from svcdns.plugins.order import NAMES
from svcdns.proxy.top import UP_METRICS_ADDRESS

RESOLV_CONF = Path("/etc/resolv.conf")

SOURCE = "svcdns up"
"""Stands for the Corefile that we write ourselves, in messages."""

TTL = 5
"""Seconds of cluster answers: edits are to be seen."""

log = logging.getLogger(__name__)


class Settings(Struct, frozen=True):
    """What the command line says."""

    directory: Path
    dns_address: str = "127.0.0.1"
    dns_port: int = 1053
    zone: str = "cluster.local"
    "Without a final dot."
    upstreams: tuple[str, ...] | None = None
    "Resolvers for everything else; ``None``: those of this machine, ``()``: none."
    proxy: bool = True
    node: str = ""
    "The Node whose view traffic policies and topology take; empty: the first that is declared."
    metrics_address: str | None = None
    "``ADDRESS:PORT`` that was asked for; empty: none; None: the usual one, if it is free."
    program: str = "svcdns"
    "How to call this program, for what people may try."
    access_log: bool = False
    "Whether each forwarded connection and UDP session is logged when it is over."


def demo_directory() -> Path:
    """Find the bundled demo: in an installed package, or in a source checkout.

    Raises:
        ConfigError: There is neither.
    """
    package = Path(str(files("svcdns")))
    for candidate in (package / "demo", package.parent / "config" / "demo"):
        if candidate.is_dir():
            return candidate
    raise ConfigError("the bundled demo is missing: name a directory of manifests")


def corefile(settings: Settings) -> str:
    """Write the Corefile that answers for the directory.

    Without upstreams the server is for the cluster's zones only: anything else is refused.
    """
    zones = [settings.zone, "in-addr.arpa", "ip6.arpa"]
    keys, outside = [f"{zone}:{settings.dns_port}" for zone in zones], ["", ""]
    if settings.upstreams:
        keys = [f".:{settings.dns_port}"]
        outside = [
            "\n        fallthrough in-addr.arpa ip6.arpa",
            f"\n    forward . {' '.join(settings.upstreams)}",
        ]
    return f"""\
{" ".join(keys)} {{
    bind {settings.dns_address}
    errors
    kubernetes {" ".join(zones)} {{
        pods insecure
        ttl {TTL}{outside[0]}
    }}{outside[1]}
    loadbalance
}}
"""


def machine_upstreams(settings: Settings, path: Path = RESOLV_CONF) -> tuple[str, ...]:
    """Name this machine's resolvers; none when it has none, or when that is ourselves."""
    try:
        content = path.read_bytes()
    except OSError:
        return ()
    servers = [one.address for one in read_nameservers(content, Transport.UDP, Options())]
    if not servers or (settings.dns_port == 53 and settings.dns_address in servers):
        return ()
    return (str(path),)


class Up:
    """One running service network."""

    def __init__(self, settings: Settings, writer: LineWriter) -> None:
        """Prepare; *writer* takes what people read."""
        if settings.upstreams is None:
            settings = replace(settings, upstreams=machine_upstreams(settings))
        self._settings = settings
        self._writer = writer
        self._registry = Registry()
        self._reach = Reach(
            settings.dns_address, settings.dns_port, settings.zone, settings.proxy, first_port()
        )

    async def run(self) -> int:
        """Serve until Ctrl-C or SIGTERM; the exit status.

        Raises:
            ConfigError: The directory cannot be read, or a port not be had.
        """
        signals = Signals()
        signals.catch()
        self._upstreams = Upstreams()
        listeners = Listeners(self._upstreams.settle)
        metrics = Sites()
        configuration = self._configure()
        try:
            store = configuration.clusters[0].store
            source = self._source(store)
            if not await self._read(source, signals):
                return self._stopped()
            self._check_node(store)
            await self._listen(listeners, configuration)
            await self._show_metrics(metrics)
            return await self._serve(store, source, configuration, signals)
        finally:
            await metrics.close()
            await listeners.stop()
            configuration.close()
            await self._upstreams.close()
            signals.release()
            self._writer.flush()

    def _configure(self) -> Configuration:
        here = environment(
            self._registry,
            Clusters(time.time),
            write=self._writer.write,
            spawn=lambda ask: self._upstreams.carry_out(ask, lambda _outcome: None),
        )
        text = corefile(self._settings)
        blocks = parse(text, SOURCE, {}, lambda _pattern, _file: [], here.warn, known=NAMES)
        return build(blocks, here)

    def _source(self, store: Store) -> ManifestDirectory:
        """Watch the directory; without a proxy, addresses are names' business only."""
        bindable: Callable[[str], bool] = can_bind if self._settings.proxy else lambda _: True
        reserved = (self._settings.dns_address, NODE_ADDRESS)
        inventory = Inventory(store, reserved=reserved, bindable=bindable)
        return ManifestDirectory(self._settings.directory, inventory)

    async def _read(self, source: ManifestDirectory, signals: Signals) -> bool:
        """Read the directory, however large; False when somebody ended that."""
        reading = asyncio.ensure_future(source.begin())
        wish = asyncio.ensure_future(signals.next())
        try:
            await asyncio.wait({reading, wish}, return_when=asyncio.FIRST_COMPLETED)
            if wish.done():
                return False
            await reading
            return True
        finally:
            for task in (wish, reading):
                task.cancel()
            await asyncio.gather(wish, reading, return_exceptions=True)

    def _check_node(self, store: Store) -> None:
        """Point out a ``--node`` that nothing declares: a misspelt one changes answers silently."""
        name = self._settings.node
        if name and ("", name) not in store.nodes:
            declared = ", ".join(sorted(one for _, one in store.nodes)) or "none"
            log.warning(
                "--node %s: no such Node is declared (declared: %s): its zone is not known, and"
                " only Pods with spec.nodeName %s are local", name, declared, name,
            )  # fmt: skip

    async def _listen(self, listeners: Listeners, configuration: Configuration) -> None:
        try:
            await listeners.change(configuration.servers)
        except ConfigError as error:
            cause = error.__cause__
            absent = isinstance(cause, OSError) and cause.errno == errno.EADDRNOTAVAIL
            flag = "--dns-address A takes address A" if absent else "--dns-port N takes port N"
            raise ConfigError(f"{error}; {flag} instead") from error

    async def _show_metrics(self, metrics: Sites) -> None:
        """Serve ``/metrics``.

        Nobody's service network fails for want of a page that nobody asked for, so a usual address
        that is taken is said, and that is all; one that was asked for has to be had.

        Raises:
            ConfigError: It cannot be.
        """
        wanted = self._settings.metrics_address
        if wanted == "":
            return

        async def page() -> HttpAnswer:
            return HttpAnswer(200, await exposition.text(self._registry), exposition.CONTENT_TYPE)

        address = wanted or UP_METRICS_ADDRESS
        try:
            await metrics.change({address: Site({"/metrics": page}, SOURCE)})
        except ConfigError as error:
            cause = error.__cause__
            why = reason(cause) if isinstance(cause, Exception) else str(error)
            text = f"--metrics-address: cannot listen on {address}: {why}"
            if wanted:
                raise ConfigError(f"{text}; 'none' for no metrics") from error
            log.warning("%s; going on without metrics, and without 'svcdns top'", text)
            return
        top = f"{self._settings.program} top"
        if address != UP_METRICS_ADDRESS:
            top = f"{top} {address}"
        self._reach = replace(self._reach, top=top)

    async def _serve(
        self,
        store: Store,
        source: ManifestDirectory,
        configuration: Configuration,
        signals: Signals,
    ) -> int:
        forwarding = None
        if self._settings.proxy:
            forwarding = Forwarding(
                store,
                self._settings.node,
                self._reach,
                self._registry,
                access_log=self._settings.access_log,
            )
            forwarding.check()
        echo = EchoEndpoints(store)
        await echo.start()
        try:
            if forwarding:
                await forwarding.start()
            self._introduce(store)
            needed = await spawn_all(configuration.needs, self._upstreams)
            work = [source.run(), echo.run(), *needed]
            tasks = [asyncio.ensure_future(one) for one in work]
            wish = asyncio.ensure_future(signals.next())
            try:
                done, _ = await asyncio.wait([wish, *tasks], return_when=asyncio.FIRST_COMPLETED)
                for task in done - {wish}:
                    task.result()  # work never ends; a bug in it ends the process
            finally:
                for task in (wish, *tasks):
                    task.cancel()
                await asyncio.gather(wish, *tasks, return_exceptions=True)
        finally:
            if forwarding:
                await forwarding.stop()
            await echo.stop()
        return self._stopped()

    def _stopped(self) -> int:
        self._writer.write("svcdns up: stopped")
        return 0

    def _introduce(self, store: Store) -> None:
        """Say what there is, and what to try."""
        write = self._writer.write
        write(f"svcdns up: {self._settings.directory} (edit it while this runs; Ctrl-C stops)")
        write("")
        write(render(store, self._reach))
        if self._settings.proxy and self._reach.first_port > 1:
            write("")
            write(
                f"Ports below {self._reach.first_port} need root here and are served where the"
                " table says (at N)."
            )
        write("")
        self._writer.flush()
