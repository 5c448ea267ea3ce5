"""``svcdns proxy``: the service proxy, with kube-proxy's flags and configuration file."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

import msgspec
import yaml

from svcdns import __version__
from svcdns.aio import directloop
from svcdns.errors import ProxyConfigError
from svcdns.kube.manifests import parse
from svcdns.kube.mirroring import Endpoints
from svcdns.kube.store import Store
from svcdns.proxy import dump
from svcdns.proxy.config import ProxyOptions, resolve
from svcdns.proxy.configfile import Raw, read
from svcdns.proxy.flags import FLAGS, GONE, SOURCE, Type, flag_of, overlay, run_flag
from svcdns.proxy.model import NodeView
from svcdns.proxy.plan import build

HELP = """\
The service proxy: forwards connections to Services as kube-proxy does.

Takes kube-proxy's flags, with one dash or two, and its configuration file. With --config the file
decides; beside it count only --proxy-mode, --hostname-override, --master, --service-cidrs,
--capture-cidrs, --exclude-ports, --access-log, -v and the flags about the run."""


class Running(Protocol):
    """What :mod:`svcdns.aio.proxy` offers."""

    async def run(
        self, options: ProxyOptions, *, file: str, read: Callable[[], ProxyOptions]
    ) -> int:
        """Proxy until told to stop, or until *read* gives other options; the exit status."""

    async def snapshot(self, options: ProxyOptions) -> tuple[Store, NodeView]:
        """Read the cluster once."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare kube-proxy's flags, and those for looking at the plan."""
    for flag in FLAGS:
        # Without a value a switch is true, as in Go.
        switch: dict[str, Any] = {"nargs": "?", "const": "true"} if flag.type is Type.SWITCH else {}
        spelled = (f"--{flag.name}", f"-{flag.name}")
        parser.add_argument(
            *(spelled if len(flag.name) > 1 else reversed(spelled)),
            dest=f"flag:{flag.name}",
            metavar="BOOL" if switch else "VALUE",
            action="append" if flag.type is Type.LIST else "store",
            help=flag.help or argparse.SUPPRESS,
            **switch,
        )
    for name in sorted(GONE):
        parser.add_argument(
            f"-{name}",
            f"--{name}",
            dest=f"flag:{name}",
            nargs="?",
            const="true",
            help=argparse.SUPPRESS,
        )
    parser.add_argument("--version", action="version", version=f"svcdns {__version__}")
    parser.add_argument(
        "--dump", action="store_true", help="print what every address leads to, and exit"
    )
    parser.add_argument(
        "--objects",
        action="extend",
        nargs="+",
        metavar="FILE",
        help="for --dump: read objects from manifests, or from what "
        "'kubectl get svc,endpointslices,nodes,servicecidrs -A -o yaml' printed, not from the API",
    )
    parser.add_argument(
        "--output", choices=("table", "json"), default="table", help="of --dump (default: table)"
    )


def run(args: argparse.Namespace) -> int:
    """Proxy until told to stop, or do one of the things that end at once.

    Raises:
        ConfigError: The flags, the file or what they name cannot be used.
    """
    options = options_of(args)
    target = _given(args).get("write-config-to")
    if target:
        return _write_config(options, target)
    if args.dump:
        return _dump(options, args.objects or (), args.output)
    file = _given(args).get("config", "")
    return directloop.run(_running().run(options, file=file, read=lambda: options_of(args)))


def _running() -> Running:
    return cast("Running", import_module("svcdns.aio.proxy"))


def _dump(options: ProxyOptions, files: Iterable[str], output: str) -> int:
    for warning in options.warnings:
        print(warning, file=sys.stderr)
    if files:
        store = _objects(files)
        node = _node(store, options)
    else:
        store, node = asyncio.run(_running().snapshot(options))
    plan = build(store, node, options.plan)
    print(dump.as_json(plan) if output == "json" else dump.table(plan), end="")
    return 0


def _objects(files: Iterable[str]) -> Store:
    """Fill a store from manifests; what is wrong with them goes to standard error."""
    store = Store()
    for file in files:
        manifest = parse(_octets(file), file)
        for notice in manifest.notices:
            print(notice, file=sys.stderr)
        for one in manifest.objects:
            if not isinstance(one.object, Endpoints):  # rule R6
                store.apply(one.object)
    return store


def _node(store: Store, options: ProxyOptions) -> NodeView:
    """Find whose view to take: the node of ``--hostname-override``, or the only one there is."""
    names = sorted(name for _, name in store.nodes)
    name = options.node_name(names[0] if len(names) == 1 else "")
    if not name:
        known = f" (one of {', '.join(names)})" if names else ""
        raise ProxyConfigError(
            SOURCE, "--hostname-override", f"say whose view of the objects to take{known}"
        )
    return NodeView.from_node(name, store.nodes.get(("", name)), bind_address=options.bind_address)


def options_of(args: argparse.Namespace) -> ProxyOptions:
    """Put the file and the flags together.

    Raises:
        ProxyConfigError: One of them cannot be used.
    """
    given = _given(args)
    file = given.get("config", "")
    raw, warnings = read(_text(file), file) if file else ({}, ())
    merged, ignored = overlay(raw, given, file=file)
    try:
        return _resolve(merged, file, (*warnings, *ignored), given)
    except ProxyConfigError as error:
        flag = flag_of(error.path, given, file=file)
        if flag is None:
            raise
        raise ProxyConfigError(SOURCE, f"--{flag}", error.message) from error


def _resolve(raw: Raw, file: str, warnings: tuple[str, ...], given: dict[str, str]) -> ProxyOptions:
    return resolve(
        raw,
        file or SOURCE,
        warnings=warnings,
        master=given.get("master", ""),
        cleanup=bool(run_flag(given, "cleanup")),
        cleanup_kube_proxy=bool(run_flag(given, "cleanup-kube-proxy")),
        init_only=bool(run_flag(given, "init-only")),
        capture=run_flag(given, "capture-cidrs") or (),
        exclude_ports=run_flag(given, "exclude-ports") or (),
        access_log=bool(run_flag(given, "access-log")),
        service_cidrs=run_flag(given, "service-cidrs") or (),
    )


def _given(args: argparse.Namespace) -> dict[str, str]:
    """Collect the flags on the command line, by name; a list that is given twice is joined."""
    found = {}
    for name, text in vars(args).items():
        if name.startswith("flag:") and text is not None:
            found[name.removeprefix("flag:")] = ",".join(text) if isinstance(text, list) else text
    return found


def _text(file: str) -> str:
    try:
        return _octets(file).decode()
    except UnicodeDecodeError as error:
        raise ProxyConfigError(file, "", f"not UTF-8 at octet {error.start}") from error


def _octets(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise ProxyConfigError(file, "", (error.strerror or str(error)).lower()) from error


def _write_config(options: ProxyOptions, target: str) -> int:
    document = msgspec.to_builtins(options.configuration)
    text = yaml.safe_dump(document, default_flow_style=False, sort_keys=True)
    try:
        Path(target).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ProxyConfigError(target, "", (error.strerror or str(error)).lower()) from error
    print(f"wrote the configuration to {target}", file=sys.stderr)
    return 0
