"""``svcdns up``: a directory of manifests as a working service network on loopback."""

import argparse
import asyncio
import re
from ipaddress import ip_address
from pathlib import Path

from svcdns.aio import logs
from svcdns.aio.up import Settings, Up, demo_directory
from svcdns.errors import ConfigError
from svcdns.hostport import host_port
from svcdns.proxy.top import UP_METRICS_ADDRESS

HELP = """\
Manifests in DIR become a working service network on loopback: DNS, cluster IPs, balancing.

Reads Namespace, Service, Pod, EndpointSlice, Endpoints and Node from *.yaml, *.yml and *.json, and
follows edits.  No cluster, no root.  Without DIR it serves the bundled demo."""

_ZONE = re.compile(r"[a-z0-9_]([-a-z0-9_.]*[a-z0-9_])?")
_UPSTREAM = re.compile(r"[^\s{}#\"]+")


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
    writer = logs.set_up()
    try:
        return asyncio.run(Up(settings, writer).run())
    finally:
        writer.flush()


def settings_of(args: argparse.Namespace) -> Settings:
    """Check the flags.

    Raises:
        ConfigError: One of them cannot be used.
    """
    try:
        address = str(ip_address(args.dns_address))
    except ValueError as error:
        raise ConfigError(f"--dns-address: {args.dns_address!r} is not an IP address") from error
    if not 0 < args.dns_port < 65536:
        raise ConfigError(f"--dns-port: must be 1 to 65535, not {args.dns_port}")
    zone = args.zone.lower().removesuffix(".")
    if not _ZONE.fullmatch(zone) or ".." in zone:
        raise ConfigError(f"--zone: {args.zone!r} is not a domain name")
    upstreams: tuple[str, ...] | None = None
    if args.upstream:
        upstreams = tuple(one for one in args.upstream if one != "none")
        for one in upstreams:
            if not _UPSTREAM.fullmatch(one):
                raise ConfigError(f"--upstream: {one!r} is not a resolver")
    directory = Path(args.directory) if args.directory else demo_directory()
    return Settings(
        directory,
        address,
        args.dns_port,
        zone,
        upstreams,
        not args.no_proxy,
        args.node,
        _metrics_address(args.metrics_address),
        args.access_log,
    )


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
    if not 0 < port < 65536:
        raise ConfigError(f"--metrics-address: the port must be 1 to 65535, not {port}")
    return host_port(address, port)
