"""``svcdns proxy``: the service proxy, with kube-proxy's flags and configuration file."""

import argparse
import asyncio
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

import msgspec
import yaml

from svcdns import __version__
from svcdns.errors import ProxyConfigError
from svcdns.kube.store import Store
from svcdns.proxy import dump
from svcdns.proxy.config import ProxyOptions, resolve
from svcdns.proxy.configfile import read
from svcdns.proxy.flags import FLAGS, GONE, SOURCE, Type, overlay, run_flag
from svcdns.proxy.model import NodeView
from svcdns.proxy.plan import build

HELP = """\
The service proxy: forwards connections to Services as kube-proxy does.

Takes kube-proxy's flags, with one dash or two, and its configuration file. With --config the file
decides; beside it count only --proxy-mode, --hostname-override, --master, --service-cidrs, -v and
the flags about the run."""


class Running(Protocol):
    """What :mod:`svcdns.aio.proxy` offers."""

    async def run(self, options: ProxyOptions) -> int:
        """Proxy until told to stop; the exit status."""

    async def snapshot(self, options: ProxyOptions) -> tuple[Store, NodeView]:
        """Read the cluster once."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare kube-proxy's flags, and those for looking at the plan."""
    for flag in FLAGS:
        # Without a value a switch is true, as in Go.
        switch: dict[str, Any] = {"nargs": "?", "const": "true"} if flag.type is Type.SWITCH else {}
        parser.add_argument(
            f"-{flag.name}",
            f"--{flag.name}",
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
    parser.add_argument("--output", choices=("table", "json"), default="table", help="of --dump")


def run(args: argparse.Namespace) -> int:
    """Proxy until told to stop, or do one of the things that end at once.

    Raises:
        ConfigError: The flags, the file or what they name cannot be used.
    """
    options = options_of(args)
    target = _given(args).get("write-config-to")
    if target:
        return _write_config(options, target)
    proxy = cast("Running", import_module("svcdns.aio.proxy"))
    if args.dump:
        for warning in options.warnings:
            print(warning, file=sys.stderr)
        store, node = asyncio.run(proxy.snapshot(options))
        plan = build(store, node, options.plan)
        print(dump.as_json(plan) if args.output == "json" else dump.table(plan), end="")
        return 0
    return asyncio.run(proxy.run(options))


def options_of(args: argparse.Namespace) -> ProxyOptions:
    """Put the file and the flags together.

    Raises:
        ProxyConfigError: One of them cannot be used.
    """
    given = _given(args)
    file = given.get("config", "")
    raw, warnings = read(_text(file), file) if file else ({}, ())
    merged, ignored = overlay(raw, given, file=file)
    return resolve(
        merged,
        file or SOURCE,
        warnings=(*warnings, *ignored),
        master=given.get("master", ""),
        cleanup=bool(run_flag(given, "cleanup")),
        init_only=bool(run_flag(given, "init-only")),
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
        return Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise ProxyConfigError(file, "", (error.strerror or str(error)).lower()) from error
    except UnicodeDecodeError as error:
        raise ProxyConfigError(file, "", f"not UTF-8 at octet {error.start}") from error


def _write_config(options: ProxyOptions, target: str) -> int:
    document = msgspec.to_builtins(options.configuration)
    text = yaml.safe_dump(document, default_flow_style=False, sort_keys=True)
    try:
        Path(target).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ProxyConfigError(target, "", (error.strerror or str(error)).lower()) from error
    print(f"wrote the configuration to {target}", file=sys.stderr)
    return 0
