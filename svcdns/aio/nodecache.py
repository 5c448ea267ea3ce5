"""What NodeLocal DNSCache does around its DNS server: interface, untracked packets, Corefile.

The addresses of ``-localip`` are put on an interface, so that the server can bind them; packets to
them are kept out of connection tracking once the server is up; the Corefile is made from its
template again whenever that or the ConfigMap ``kube-dns`` changes, and the server's own ``reload``
takes it up.

Parity: kubernetes/dns ``cmd/node-cache/app``.
"""

import asyncio
import logging
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from svcdns.corefile.nodecache import fill, local_addresses, read_kube_dns, service_variable
from svcdns.corefile.nodecache import untracked as untracked_rules
from svcdns.errors import ConfigError

log = logging.getLogger("plugin/node-cache")

TABLE = "svcdns-node-cache"

LOOK = 10.0
"""Seconds between looks at the template and the ConfigMap (DefaultConfigSyncPeriod)."""

STARTS = 5.0
"""Seconds that the pidfile is waited for before the network is set up (runPeriodic)."""

LOOK_FOR_PIDFILE = 0.2
"""Seconds between looks for it."""

COMMAND_SECONDS = 20.0
"""After which ``ip`` or ``nft`` is given up on."""


class NodeCacheSettings(Struct, frozen=True):
    """The flags of node-cache."""

    local: str
    "``-localip``."
    corefile: str = "/etc/Corefile"
    "``-conf``: what is made."
    template: str = "/etc/coredns/Corefile.base"
    kube_dns: str = "/etc/kube-dns"
    upstream_service: str = "kube-dns"
    pidfile: str = ""
    interface: str = "nodelocaldns"
    port: int = 53
    health_port: int = 8080
    interval: float = 60.0
    "Seconds between checks of the network."
    make_interface: bool = True
    untrack: bool = True
    tear_down: bool = True


class NodeCache:
    """The surroundings of one server."""

    def __init__(self, settings: NodeCacheSettings, environ: Mapping[str, str]) -> None:
        """Read the flags.

        Raises:
            ConfigError: An address of ``-localip`` is none.
        """
        self._settings = settings
        self.local = local_addresses(settings.local)
        self._cluster_dns = environ.get(service_variable(settings.upstream_service), "")
        self._written: str | None = None
        self._holder = settings.interface

    def prepare(self) -> None:
        """Make the Corefile and the interface, before the server starts.

        Raises:
            ConfigError: The Corefile cannot be made, or the addresses cannot be had.
        """
        self._write()
        if self._settings.make_interface:
            self._ensure_interface()

    async def keep(self) -> None:
        """Keep Corefile and network as they should be, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_template())
            group.create_task(self._keep_network())

    async def _follow_template(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            try:
                self._write()
            except ConfigError as error:
                log.error("%s; the Corefile stays as it was", error)

    async def _keep_network(self) -> None:
        await self._started()
        while True:
            try:
                await asyncio.to_thread(self._ensure_network)
            except ConfigError as error:
                log.error("%s", error)
            await asyncio.sleep(self._settings.interval)

    async def _started(self) -> None:
        """Wait for the server to be up, so that rules never lead to nobody."""
        if not self._settings.pidfile:
            await asyncio.sleep(self._settings.interval)
            return
        running = Path(self._settings.pidfile).exists
        with suppress(TimeoutError):
            async with asyncio.timeout(STARTS):
                while not running():  # noqa: ASYNC110 - a file tells nobody
                    await asyncio.sleep(LOOK_FOR_PIDFILE)
                return
        log.warning("timed out waiting for pidfile, networking setup will delay")
        await asyncio.sleep(self._settings.interval)

    def tear_down(self) -> None:
        """Take the network back, unless told not to."""
        if not self._settings.tear_down:
            return
        log.info("Tearing down")
        if self._settings.untrack:
            family = "ip6" if ":" in self.local[0] else "ip"
            _take_back("nft", "delete", "table", family, TABLE)
        if not self._settings.make_interface:
            return
        if self._holder == self._settings.interface:
            _take_back("ip", "link", "delete", self._holder)
        else:
            for address in self.local:
                _take_back("ip", "address", "delete", _network(address), "dev", self._holder)

    def _write(self) -> None:
        settings = self._settings
        try:
            template = Path(settings.template).read_text(encoding="utf-8")
            kube_dns = read_kube_dns(_files(Path(settings.kube_dns)))
            made = fill(
                template,
                self.local,
                cluster_dns=self._cluster_dns,
                kube_dns=kube_dns,
                port=settings.port,
            )
            if made == self._written:
                return
            Path(settings.corefile).write_text(made, encoding="utf-8")
        except OSError as error:
            what = f"{error.filename}: {(error.strerror or str(error)).lower()}"
            raise ConfigError(f"could not make {settings.corefile}: {what}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{settings.template}: not UTF-8 at octet {error.start}") from error
        self._written = made
        upstreams = " ".join(kube_dns.upstream_nameservers) or "/etc/resolv.conf"
        log.info(
            "Updated Corefile with %d custom stubdomains and upstream servers %s",
            len(kube_dns.stub_domains),
            upstreams,
        )

    def _ensure_network(self) -> None:
        if self._settings.make_interface:
            self._ensure_interface()
        if self._settings.untrack:
            rules = untracked_rules(
                self.local,
                table=TABLE,
                port=self._settings.port,
                health_port=self._settings.health_port,
            )
            _run("nft", "-f", "-", given=rules)

    def _ensure_interface(self) -> None:
        name = self._settings.interface
        if self._holder == name:
            try:
                _run("ip", "link", "show", "dev", name)
            except ConfigError:
                self._add_interface(name)
        for address in self.local:
            _run("ip", "address", "replace", _network(address), "dev", self._holder)

    def _add_interface(self, name: str) -> None:
        try:
            _run("ip", "link", "add", name, "type", "dummy")
            log.info("Added interface - %s", name)
        except ConfigError as error:
            # The addresses are this node's on any interface; a kernel may lack dummies.
            log.warning("%s; using lo instead", error)
            self._holder = "lo"


def _files(directory: Path) -> dict[str, bytes]:
    """Read a mounted ConfigMap; one that is optional may be missing."""
    if not directory.is_dir():
        return {}
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


def _network(address: str) -> str:
    return f"{address}/{128 if ':' in address else 32}"


def _take_back(*command: str) -> None:
    """Undo one thing; an address that stays leads the node's queries to nobody, so it is told."""
    try:
        _run(*command)
    except ConfigError as error:
        log.warning("could not be taken back: %s", error)


def _run(*command: str, given: str = "") -> None:
    try:
        done = subprocess.run(
            command,
            input=given,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"{' '.join(command)}: {error}") from error
    if done.returncode:
        raise ConfigError(f"{' '.join(command)}: {done.stderr.strip()}")
