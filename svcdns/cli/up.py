"""``svcdns up``: a directory of manifests as a working service network on loopback."""

import argparse
import re
import shutil
import sys
from ipaddress import ip_address
from pathlib import Path

from svcdns.aio import directloop, logs
from svcdns.aio.up import Settings, Up, demo_directory
from svcdns.cli import values
from svcdns.errors import ConfigError
from svcdns.hostport import host_port
from svcdns.plugins.forwardoptions import (
    MAX_UPSTREAMS,
    Options,
    find_target,
    read_nameservers,
)
from svcdns.proxy.top import UP_METRICS_ADDRESS

HELP = """\
Manifests in DIR become a working service network on loopback: DNS, cluster IPs, balancing.

Reads Namespace, Service, Pod, EndpointSlice, Endpoints and Node from *.yaml, *.yml and *.json, and
follows edits.  No cluster, no root.  Without DIR it serves the bundled demo."""

_WORD = re.compile(r"[^\s{}#\"]+")
"""What stands in a Corefile as it is."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "directory", nargs="?", metavar="DIR", help="directory (or file) of manifests"
    )
    parser.add_argument(
        "--dns-address", default="127.0.0.1", metavar="A",
        help="address of the DNS server (default: 127.0.0.1)",
    )  # fmt: skip
    parser.add_argument(
        "--dns-port", type=int, default=1053, metavar="N",
        help="port of the DNS server, UDP and TCP (default: 1053)",
    )  # fmt: skip
    parser.add_argument(
        "--no-proxy", action="store_true",
        help="DNS only: nothing is forwarded, and addresses stay as the manifests give them",
    )  # fmt: skip
    parser.add_argument(
        "--zone", default="cluster.local", metavar="ZONE",
        help="the cluster zone (default: cluster.local)",
    )  # fmt: skip
    parser.add_argument(
        "--upstream", action="append", metavar="RESOLVER",
        help="resolver for other names, as in 'forward' (repeatable; 'none' for none; "
        "default: those of /etc/resolv.conf)",
    )  # fmt: skip
    parser.add_argument(
        "--node", default="", metavar="NAME",
        help="the Node to be, for traffic policies and topology (default: the first declared)",
    )  # fmt: skip
    parser.add_argument(
        "-v", "--verbose", action="store_true",
        help="log every detail, also each line of what is otherwise summed up in one",
    )  # fmt: skip
    parser.add_argument(
        "--access-log", action="store_true",
        help="log each forwarded connection and UDP session when it is over",
    )  # fmt: skip
    parser.add_argument(
        "--metrics-address", metavar="A:N",
        help="address and port of /metrics, for 'svcdns top' and Prometheus; 'none' for none"
        f" (default: {UP_METRICS_ADDRESS} if it is free)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Serve in the foreground until Ctrl-C.

    Raises:
        ConfigError: A flag, the directory or a port cannot be used.
    """
    settings = settings_of(args)
    writer = logs.set_up(debug=args.verbose)
    try:
        return directloop.run(Up(settings, writer).run())
    finally:
        writer.flush()


def settings_of(args: argparse.Namespace) -> Settings:
    """Check the flags.

    Raises:
        ConfigError: One of them cannot be used.
    """
    if args.directory == "":
        raise ConfigError("DIR is empty: name a directory of manifests, or none for the demo")
    return Settings(
        Path(args.directory) if args.directory else demo_directory(),
        values.address("--dns-address", args.dns_address),
        values.port("--dns-port", args.dns_port),
        values.zone("--zone", args.zone),
        _upstreams(args),
        not args.no_proxy,
        args.node,
        _metrics_address(args.metrics_address),
        _program(),
        args.access_log,
    )


def _program() -> str:
    """Tell how this program is called from here: often it is not on PATH."""
    called = Path(sys.argv[0])
    if called.name != "svcdns" or shutil.which("svcdns"):
        return "svcdns"
    return str(called)


def _upstreams(args: argparse.Namespace) -> tuple[str, ...] | None:
    """Check ``--upstream``; None: not given, empty: none."""
    words: list[str] = args.upstream or []
    if not words:
        return None
    if "none" in words:
        if len(words) > 1:
            raise ConfigError("--upstream: 'none' stands alone, without another resolver")
        return ()
    if len(words) > MAX_UPSTREAMS:
        raise ConfigError(f"--upstream: {len(words)} resolvers, where {MAX_UPSTREAMS} may be")
    for word in words:
        try:
            _try_upstream(word, (args.dns_address, args.dns_port))
        except (ValueError, OSError) as error:
            raise ConfigError(f"--upstream: {word!r} is not a resolver: {error}") from error
    return tuple(words)


def _try_upstream(word: str, own: tuple[str, int]) -> None:
    """Read a resolver as the plugin ``forward`` will.

    Raises:
        ValueError: It is none, or the server at *own* itself.
    """
    if not _WORD.fullmatch(word):
        raise ValueError('it is empty, or has blanks or one of {}#"')
    target = find_target(word, Options(), _content)
    if target.upstream and (target.upstream.address, target.upstream.port) == own:
        raise ValueError("it is this server itself")
    if target.path and not read_nameservers(_content(target.path), target.transport, Options()):
        raise ValueError("the file names no 'nameserver' with an address")


def _content(path: str) -> bytes:
    return Path(path).read_bytes()


def _metrics_address(text: str | None) -> str | None:
    """Check ``--metrics-address``; None: not given, empty: none."""
    if text is None or text == "none":
        return text and ""
    host, _, number = text.rpartition(":")
    try:
        address = str(ip_address(host.removeprefix("[").removesuffix("]") or "127.0.0.1"))
        port = int(number)
    except ValueError as error:
        what = f"--metrics-address: {text!r} is not ADDRESS:PORT, as {UP_METRICS_ADDRESS}"
        raise ConfigError(what) from error
    return host_port(address, values.port("--metrics-address", port))
