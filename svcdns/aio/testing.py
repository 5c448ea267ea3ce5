"""A service network for the tests of other people's software, in a thread of its own.

DNS and the userspace proxy on loopback, as in ``svcdns up``, from manifests or objects that the
test gives; what the test changes is in force when the call returns.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Coroutine, Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec
import yaml
from msgspec import Struct

from svcdns.aio.echo import EchoEndpoints
from svcdns.aio.environment import environment
from svcdns.aio.explain import ask_server
from svcdns.aio.forwarding import NODE_ADDRESS, Forwarding, can_bind, first_port
from svcdns.aio.freeport import free_port
from svcdns.aio.listeners import Listeners
from svcdns.aio.manifests import SUFFIXES
from svcdns.aio.up import SOURCE, Settings, corefile
from svcdns.aio.upstream import Upstreams
from svcdns.corefile.parser import parse
from svcdns.dns.constants import rcode_text, type_number
from svcdns.dns.name import from_text
from svcdns.dns.text import rdata_to_text, record_to_text
from svcdns.errors import ConfigError, ManifestError
from svcdns.kube.inventory import Inventory
from svcdns.kube.manifests import parse as parse_manifest
from svcdns.kube.overview import Reach, bound_port
from svcdns.metrics import Registry
from svcdns.plugins.build import Configuration, build
from svcdns.plugins.clusters import Clusters
from svcdns.plugins.order import NAMES

START_SECONDS = 20.0
"""After which a network that does not come up is an error; so is a change that does not end."""

TRIES = 5
"""Ports that are tried: another program may take a free one before we do."""

SLICE = "svcdns-test"
"""Ends the names of slices that :meth:`ServiceNetwork.endpoints` makes."""

T = TypeVar("T")

log = logging.getLogger(__name__)


class Answer(Struct, frozen=True):
    """What the DNS server said."""

    rcode: str
    "``NOERROR``, ``NXDOMAIN``…"
    records: tuple[str, ...]
    "The answer section as zone text."
    data: tuple[str, ...]
    "Data of the records of the type that was asked for: addresses, for A."


class ServiceNetwork:
    """``with ServiceNetwork() as network:``; every method may be called from any thread."""

    def __init__(
        self, *, zone: str = "cluster.local", upstreams: Iterable[str] = (), proxy: bool = True
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            zone: The cluster zone.
            upstreams: Resolvers for names outside; without any they are refused.
            proxy: Whether cluster IPs are forwarded, or only named.
        """
        self._settings = Settings(Path(), zone=zone, upstreams=tuple(upstreams), proxy=proxy)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._live, name="svcdns", daemon=True)
        self._up: Future[None] = Future()
        self._changes = 0

    @property
    def dns_address(self) -> str:
        """Address of the DNS server."""
        return self._settings.dns_address

    @property
    def dns_port(self) -> int:
        """Port of the DNS server, UDP and TCP; a free one."""
        return self._settings.dns_port

    def __enter__(self) -> Self:
        """Start, and wait until queries are answered.

        Raises:
            ConfigError: It does not come up.
        """
        self._thread.start()
        self._up.result(START_SECONDS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all sockets and end the thread."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._over.set)
        self._thread.join(START_SECONDS)

    # what a test does

    def apply(self, *manifests: str | Path | Mapping[str, Any]) -> None:
        """Add objects, or replace those of the same name; in force on return.

        Args:
            manifests: YAML text, a file or directory of manifests, or objects as mappings.

        Raises:
            ConfigError: Something cannot be read; nothing of this call is taken then.
        """
        found = [one for given in manifests for one in _texts(given)]
        self._wait(self._apply(found))

    def endpoints(self, service: str, *backends: str) -> None:
        """Say what is behind a Service from now on; in force on return.

        The Service has no selector, or no Pods; its ports lead to the ports given here.

        Args:
            service: ``NAMESPACE/NAME``, or ``NAME`` in ``default``.
            backends: ``ADDRESS:PORT`` each; none at all: the Service has no endpoints.

        Raises:
            ConfigError: There is no such Service, or a backend is not as it must be.
        """
        namespace, name = _key(service)
        self._wait(self._set_endpoints(namespace, name, [_backend(one) for one in backends]))

    def delete(self, kind: str, name: str) -> None:
        """Remove an object: ``delete("Service", "web")``; in force on return.

        Args:
            kind: As the API calls it.
            name: ``NAMESPACE/NAME``, or ``NAME`` in ``default`` (or cluster-wide).
        """
        self._wait(self._delete(kind, *_key(name)))

    def address(self, service: str, port: str | int | None = None) -> tuple[str, int]:
        """Say where to connect to reach a Service.

        Args:
            service: ``NAMESPACE/NAME``, or ``NAME`` in ``default``.
            port: Name or number of one of its ports; the first one when it is left out.

        Returns:
            Its cluster IP and the port that is bound there: another one than the Service's where
            that is privileged and we are not.

        Raises:
            ConfigError: There is no such Service or port.
        """
        return self._wait(self._address(*_key(service), port))

    def ask(self, name: str, type_: str = "A") -> Answer:
        """Put a question to the DNS server.

        Raises:
            ConfigError: The question is none, or there is no answer.
        """
        qtype = type_number(type_)
        if qtype is None:
            raise ConfigError(f"{type_!r} is no type of record")
        try:
            qname = from_text(name)
        except ValueError as error:
            raise ConfigError(f"{name!r} is no domain name: {error}") from error
        message = ask_server(self.dns_address, self.dns_port, qname, qtype)
        return Answer(
            rcode_text(message.rcode),
            tuple(record_to_text(one) for one in message.answer),
            tuple(
                rdata_to_text(one.rrtype, one.rdata)
                for one in message.answer
                if one.rrtype == qtype
            ),
        )

    # inside the thread

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None, "the network has been entered"
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_SECONDS)

    def _live(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if self._up.done():
                log.exception("the service network has died")
            else:
                self._up.set_exception(error)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        upstreams = Upstreams()
        listeners = Listeners(upstreams.settle)
        try:
            configuration = await self._listen(listeners, upstreams)
            self._store = configuration.clusters[0].store
            self._reach = Reach(
                self.dns_address, self.dns_port, self._settings.zone, True, first_port()
            )
            reserved = (self.dns_address, NODE_ADDRESS)
            self._inventory = Inventory(self._store, reserved=reserved, bindable=can_bind)
            self._inventory.settle()
            self._store.listed |= self._store.wanted
            await self._carry()
        finally:
            await listeners.stop()
            await upstreams.close()

    async def _carry(self) -> None:
        """Forward and echo until it is over."""
        echo = EchoEndpoints(self._store)
        await echo.start()
        forwarding = Forwarding(self._store, self._settings.node, self._reach, Registry())
        if self._settings.proxy:
            await forwarding.start()
        following = asyncio.ensure_future(echo.run())
        self._up.set_result(None)
        try:
            await self._over.wait()
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            if self._settings.proxy:
                await forwarding.stop()
            await echo.stop()

    async def _listen(self, listeners: Listeners, upstreams: Upstreams) -> Configuration:
        """Take a port that nobody has, for UDP and TCP."""
        fault: ConfigError | None = None
        for _ in range(TRIES):
            self._settings = msgspec.structs.replace(
                self._settings, dns_port=free_port(NODE_ADDRESS)
            )
            configuration = self._configure(upstreams)
            try:
                await listeners.change(configuration.servers)
            except ConfigError as error:
                configuration.close()
                fault = error
            else:
                return configuration
        assert fault is not None
        raise fault

    def _configure(self, upstreams: Upstreams) -> Configuration:
        here = environment(
            Registry(),
            Clusters(time.time),
            write=lambda line: log.info("%s", line),
            spawn=lambda ask: upstreams.carry_out(ask, lambda _outcome: None),
        )
        text = corefile(self._settings)
        blocks = parse(text, SOURCE, {}, lambda _pattern, _file: [], here.warn, known=NAMES)
        return build(blocks, here)

    async def _apply(self, texts: list[tuple[str, bytes]]) -> None:
        manifests = []
        for where, content in texts:
            self._changes += 1
            try:  # the number keeps later changes behind earlier ones, and is nobody's business
                manifest = parse_manifest(content, f"{self._changes:06d} {where}")
            except ManifestError as error:
                raise ManifestError(
                    where, error.line, error.message, subject=error.subject
                ) from error
            for notice in manifest.notices:
                if notice.message.startswith("left out"):
                    raise ConfigError(f"{where}:{notice.line}: {notice.subject}: {notice.message}")
            manifests.append(manifest)
        for manifest in manifests:
            self._inventory.put(manifest)
        await self._settle()

    async def _set_endpoints(
        self, namespace: str, name: str, backends: list[tuple[str, int]]
    ) -> None:
        service = self._store.services.get((namespace, name))
        if service is None:
            raise ConfigError(f"there is no Service {namespace}/{name}")
        objects = [
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": f"{name}-{SLICE}-{number}",
                    "namespace": namespace,
                    "labels": {"kubernetes.io/service-name": name},
                },
                "addressType": "IPv6" if ":" in address else "IPv4",
                "ports": [
                    {"name": port.name or "", "port": target, "protocol": port.protocol}
                    for port in service.ports
                ],
                "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            }
            for number, (address, target) in enumerate(backends)
        ]
        content = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": objects}).encode()
        # one file for each Service, so that the next call takes the place of this one
        file = f"endpoints of {namespace}/{name}"
        manifest = parse_manifest(content, file)
        for notice in manifest.notices:
            raise ConfigError(f"{file}: {notice.message}")
        self._inventory.put(manifest)
        await self._settle()

    async def _delete(self, kind: str, namespace: str, name: str) -> None:
        for file in sorted(self._inventory.files):
            manifest = self._inventory.file(file)
            manifest.objects = [
                one
                for one in manifest.objects
                if one.kind != kind or one.key not in ((namespace, name), ("", name))
            ]
        await self._settle()

    async def _address(self, namespace: str, name: str, port: str | int | None) -> tuple[str, int]:
        service = self._store.services.get((namespace, name))
        if service is None or not service.addresses:
            raise ConfigError(f"there is no Service {namespace}/{name} with a cluster IP")
        for one in service.ports:
            if port is None or port in (one.name, one.port):
                return service.addresses[0], bound_port(service, one, self._reach)
        raise ConfigError(f"Service {namespace}/{name} has no port {port!r}")

    async def _settle(self) -> None:
        for notice in self._inventory.settle().notices:
            log.info("%s", notice)
        # The proxy applies in the next turn of the loop what changed in this one; demo endpoints
        # bind in the one after that.
        for _ in range(3):
            await asyncio.sleep(0)


def _texts(given: str | Path | Mapping[str, Any]) -> Iterable[tuple[str, bytes]]:
    """Give the manifests behind what a test gave, each with a name."""
    match given:
        case str() if given.endswith(SUFFIXES) and "\n" not in given:
            raise ConfigError(f"{given!r} is text, no manifest; a file is Path({given!r})")
        case str():
            return [("text", given.encode())]
        case Path():
            files = [given]
            if given.is_dir():
                files = sorted(one for one in given.rglob("*") if one.suffix in SUFFIXES)
            try:
                return [(str(one), one.read_bytes()) for one in files]
            except OSError as error:
                raise ConfigError(f"{error.filename}: {(error.strerror or '').lower()}") from error
        case _:
            return [("object", yaml.safe_dump(dict(given)).encode())]


def _key(text: str) -> tuple[str, str]:
    namespace, _, name = text.rpartition("/")
    return namespace or "default", name


def _backend(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(f"{text!r}: a backend is ADDRESS:PORT")
    return host.strip("[]"), int(port)
