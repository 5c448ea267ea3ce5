"""``svcdns dns``: the cluster DNS server, with CoreDNS's flags, and with those of node-cache.

Parity: CoreDNS ``coremain/run.go`` (corefile-features c); kubernetes/dns
``cmd/node-cache/main.go``.
"""

import argparse
import asyncio
import logging
import os
from collections.abc import Callable, Coroutine
from importlib import import_module
from typing import Any, cast

from svcdns.aio import logs
from svcdns.aio.app import App, Settings
from svcdns.aio.banner import version_lines
from svcdns.aio.corefilesource import CorefileSource
from svcdns.aio.nodecache import NodeCache, NodeCacheSettings
from svcdns.errors import ConfigError
from svcdns.kube.source import ApiSource
from svcdns.kube.store import Store
from svcdns.metrics import Registry
from svcdns.plugins.order import NAMES

HELP = "The cluster DNS server; takes CoreDNS's flags and reads its Corefile."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare CoreDNS's flags."""
    parser.add_argument(
        "-conf", "--conf", default="", metavar="FILE",
        help="Corefile to load, or 'stdin' (default: ./Corefile, or a server that says whoami)",
    )  # fmt: skip
    parser.add_argument(
        "-dns.port", "--dns.port", "-p", "--p", dest="port", type=_port, default=53, metavar="PORT",
        help="port of server blocks that name none (default: 53)",
    )  # fmt: skip
    parser.add_argument(
        "-pidfile", "--pidfile", default="", metavar="FILE", help="file to write the process ID to"
    )
    for name, text in (
        ("plugins", "list the plugins and exit"),
        ("quiet", "say nothing at start"),
        ("version", "show the version and exit"),
    ):
        parser.add_argument(
            f"-{name}", f"--{name}", nargs="?", const=True, default=False, type=_boolean,
            metavar="true|false", help=text,
        )  # fmt: skip
    _add_node_cache_arguments(parser)
    parser.add_argument("extra", nargs="*", help=argparse.SUPPRESS)


def _add_node_cache_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare NodeLocal DNSCache's flags; ``-localip`` turns the server into one."""
    group = parser.add_argument_group("as a NodeLocal DNSCache")
    for name, default, text in (
        ("localip", "", "addresses to put on an interface and to serve, with commas between"),
        ("interfacename", "nodelocaldns", "the interface to make (default: nodelocaldns)"),
        ("basecorefile", "/etc/coredns/Corefile.base", "template of the Corefile"),
        ("kubednscm", "/etc/kube-dns", "where the ConfigMap kube-dns is mounted"),
        ("upstreamsvc", "kube-dns", "Service that leads to the cluster DNS server"),
    ):
        group.add_argument(f"-{name}", f"--{name}", default=default, metavar="TEXT", help=text)
    for name, number, text in (
        ("syncinterval", 60, "seconds between checks of the network (default: 60)"),
        ("health-port", 8080, "port that health checks use (default: 8080)"),
    ):
        group.add_argument(
            f"-{name}", f"--{name}", type=int, default=number, metavar="N", help=text
        )
    for name, on, text in (
        ("setupinterface", True, "whether to make the interface (default: true)"),
        ("setupiptables", True, "whether to keep packets out of connection tracking (true)"),
        ("skipteardown", False, "whether the network stays as it is at exit (default: false)"),
    ):
        group.add_argument(
            f"-{name}", f"--{name}", nargs="?", const=True, default=on, type=_boolean,
            metavar="true|false", help=text,
        )  # fmt: skip
    for name in ("metrics-listen-address", "corefile", "initialdelay", "setupebtables"):
        # Read, and without effect here: metrics are those of the Corefile, -conf names the file.
        group.add_argument(f"-{name}", f"--{name}", nargs="?", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal ends it.

    Raises:
        ConfigError: The Corefile cannot be used, or a port not be had.
    """
    if args.extra:
        raise ConfigError(f"extra command line arguments: [{' '.join(args.extra)}]")
    if args.version:
        print("\n".join(version_lines()))
        return 0
    if args.plugins:
        print(_plugins())
        return 0
    writer = logs.set_up()
    cache = _node_cache(args) if args.localip else None
    corefile = CorefileSource(
        args.conf,
        port=args.port,
        known=NAMES,
    )

    settings = Settings(corefile, _feed, quiet=args.quiet, pidfile=args.pidfile)
    try:
        return asyncio.run(_serve(App(settings, writer), cache))
    finally:
        writer.flush()


def _node_cache(args: argparse.Namespace) -> NodeCache:
    """Set the node's network up for a cache, and make its Corefile."""
    settings = NodeCacheSettings(
        args.localip,
        corefile=args.conf or "/etc/Corefile",
        template=args.basecorefile,
        kube_dns=args.kubednscm,
        upstream_service=args.upstreamsvc,
        pidfile=args.pidfile,
        interface=args.interfacename,
        port=args.port,
        health_port=args.health_port,
        interval=args.syncinterval,
        make_interface=args.setupinterface,
        untrack=args.setupiptables,
        tear_down=not args.skipteardown,
    )
    args.conf = settings.corefile
    cache = NodeCache(settings, os.environ)
    cache.prepare()
    return cache


async def _serve(app: App, cache: NodeCache | None) -> int:
    if cache is None:
        return await app.run()
    serving = asyncio.create_task(app.run())
    keeping = asyncio.create_task(cache.keep())
    try:
        # Keeping never ends by itself; when it dies, so does the server.
        await asyncio.wait({serving, keeping}, return_when=asyncio.FIRST_COMPLETED)
        if keeping.done():
            keeping.result()
        return await serving
    finally:
        for task in (serving, keeping):
            task.cancel()
        await asyncio.gather(serving, keeping, return_exceptions=True)
        cache.tear_down()


def _feed(source: ApiSource, store: Store, registry: Registry) -> Coroutine[Any, Any, None]:
    """Keep a store filled; the API's client is large, and imported for this only."""
    feed = cast("Callable[..., Coroutine[Any, Any, None]]", import_module("svcdns.aio.feed").feed)
    return feed(source, store, log=logging.getLogger("plugin/kubernetes"), registry=registry)


def _plugins() -> str:
    """List plugins as CoreDNS does."""
    lines = ["Server types:", "  dns", "", "Other plugins:"]
    return "\n".join([*lines, *[f"  dns.{name}" for name in sorted(NAMES)]])


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"invalid port {text!r}")


def _boolean(text: str) -> bool:
    """Read a boolean as Go's flag package does."""
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise argparse.ArgumentTypeError(f"invalid boolean value {text!r}")
