"""``svcdns dns``: the cluster DNS server, with CoreDNS's flags.

Parity: CoreDNS ``coremain/run.go`` (corefile-features c).
"""

import argparse
import asyncio
import logging
from collections.abc import Callable, Coroutine
from importlib import import_module
from typing import Any, cast

from svcdns.aio import logs
from svcdns.aio.app import App, Settings
from svcdns.aio.banner import version_lines
from svcdns.aio.corefilesource import CorefileSource
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
    parser.add_argument("extra", nargs="*", help=argparse.SUPPRESS)


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
    corefile = CorefileSource(
        args.conf,
        port=args.port,
        known=NAMES,
        warn=lambda text: writer.write(f"[WARNING] {text}"),
    )

    settings = Settings(corefile, _feed, quiet=args.quiet, pidfile=args.pidfile)
    try:
        return asyncio.run(App(settings, writer).run())
    finally:
        writer.flush()


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
