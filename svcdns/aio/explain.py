"""Where an explanation gets its objects and, on request, a server's own answer."""

import asyncio
import logging
import secrets
import socket
import time
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path

from msgspec.structs import replace

from svcdns.aio.environment import environment
from svcdns.aio.forwarding import NODE_ADDRESS, can_bind
from svcdns.aio.manifests import ManifestDirectory
from svcdns.corefile.syntax import ServerBlock
from svcdns.dns.matching import answers, question_end
from svcdns.dns.message import Message, build_query, parse_response
from svcdns.errors import ConfigError
from svcdns.kube.inventory import Inventory
from svcdns.kube.manifests import parse
from svcdns.kube.metadata import Metadata
from svcdns.kube.mirroring import Endpoints
from svcdns.kube.objects import Namespace
from svcdns.kube.source import ApiSource
from svcdns.kube.store import Store
from svcdns.metrics import Registry
from svcdns.plugins.build import Configuration, build
from svcdns.plugins.clusters import Clusters

ANSWER_SECONDS = 3.0
"""How long a running server is waited for before it is asked again."""

TRIES = 3
"""How often it is asked (dig's ``+tries``): datagrams get lost, and machines stall."""

LOOK = 0.05
"""Seconds between looks whether a cluster has been listed."""

log = logging.getLogger(__name__)


def configure(blocks: Sequence[ServerBlock]) -> Configuration:
    """Make a configuration that nobody serves; what plugins would log goes nowhere.

    Raises:
        ConfigError: The Corefile cannot be used.
    """
    here = environment(
        Registry(), Clusters(time.time), write=lambda _line: None, spawn=lambda _ask: None
    )
    return build(blocks, here)


def fill_from_manifests(configuration: Configuration, directory: Path) -> None:
    """Read a directory as ``svcdns up`` does, with the addresses that it would give.

    Raises:
        ConfigError: There is no such directory.
    """
    for cluster in configuration.clusters:
        inventory = Inventory(cluster.store, reserved=(NODE_ADDRESS,), bindable=can_bind)
        ManifestDirectory(directory, inventory).load()
        cluster.store.listed |= cluster.store.wanted


def fill_from_objects(configuration: Configuration, files: Iterable[str]) -> list[str]:
    """Read saved objects, as they are; give what has to be said about them.

    Raises:
        ConfigError: A file cannot be read.
    """
    said: list[str] = []
    for file in files:
        try:
            manifest = parse(Path(file).read_bytes(), file)
        except OSError as error:
            raise ConfigError(f"{file}: {(error.strerror or str(error)).lower()}") from error
        said += [str(notice) for notice in manifest.notices]
        if not manifest.objects:
            said.append(f"{file}: holds no object that DNS or the proxy reads")
        for cluster in configuration.clusters:
            for one in manifest.objects:
                if not isinstance(one.object, Endpoints):
                    cluster.store.apply(one.object)
    for cluster in configuration.clusters:
        cluster.store.listed |= cluster.store.wanted
        said += _declare_namespaces(cluster.store)
    return said


def _declare_namespaces(store: Store) -> list[str]:
    """Have the Namespaces of Services, where none was saved: without them no name exists."""
    used = sorted({namespace for namespace, _ in store.services})
    if store.namespaces or not used:
        return []
    for name in used:
        store.apply(Namespace(Metadata(name)))
    return [f"no Namespace was saved: those of Services are taken to exist: {', '.join(used)}"]


async def fill_from_clusters(
    configuration: Configuration, seconds: float, *, kubeconfig: str = ""
) -> None:
    """Read every cluster that the configuration names, once.

    Args:
        configuration: Whose stores are filled.
        seconds: How long that may take.
        kubeconfig: Leads to the API in place of what the configuration says, unless empty.

    Raises:
        ConfigError: One of them was not listed within *seconds*.
    """
    feed = import_module("svcdns.aio.feed").feed
    tasks = [
        asyncio.ensure_future(feed(source, one.store, log=log, registry=Registry()))
        for one in configuration.clusters
        for source in [_by_kubeconfig(one.source, kubeconfig) if kubeconfig else one.source]
    ]
    try:
        async with asyncio.timeout(seconds):
            while not all(one.store.synced for one in configuration.clusters):
                for task in tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(LOOK)
    except TimeoutError as error:
        missing = sorted(
            str(kind)
            for one in configuration.clusters
            for kind in one.store.wanted - one.store.listed
        )
        raise ConfigError(
            f"the API did not list {', '.join(missing)} within {seconds:g} s"
        ) from error
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _by_kubeconfig(source: ApiSource, path: str) -> ApiSource:
    """Have the same objects come by way of a kubeconfig."""
    return replace(source, endpoint="", tls=(), kubeconfig=path, context="")


def _answer(sock: socket.socket, wire: bytes) -> bytes:
    """Send a query until something comes back.

    Raises:
        OSError: Nothing does.
    """
    for _ in range(TRIES - 1):
        sock.send(wire)
        try:
            return sock.recv(65535)
        except TimeoutError:
            pass  # the datagram was lost, or somebody is late
    sock.send(wire)
    return sock.recv(65535)


def ask_server(address: str, port: int, qname: bytes, qtype: int) -> Message:
    """Put a question to a running server over UDP, again when no answer comes.

    Raises:
        ConfigError: It does not answer.
    """
    wire = build_query(qname, qtype, ident=secrets.randbelow(65536), size=4096)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    where = f"server {address} port {port}"
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.settimeout(ANSWER_SECONDS)
            sock.connect((address, port))
            found = _answer(sock, wire)
            if not answers(wire, question_end(wire), found):
                raise ConfigError(f"{where}: sent something that is no answer to the question")
    except OSError as error:
        raise ConfigError(f"{where}: {(error.strerror or str(error)).lower()}") from error
    message = parse_response(found)
    if message is None:
        raise ConfigError(f"{where}: sent a malformed answer")
    return message
