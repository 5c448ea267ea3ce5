"""``svcdns check``: what a Corefile or a proxy configuration amounts to, without starting it.

The exit status is 0 when a server would start with every file, 1 when not, 2 for wrong usage.
"""

import argparse
import json
import os
import random
import re
import sys
import time
from collections.abc import Callable, Hashable
from pathlib import Path

import msgspec

from svcdns.aio import certificates
from svcdns.aio.corefiles import load_imports, parse_file, read_text
from svcdns.aio.interfaces import interfaces
from svcdns.corefile.migration import migrate
from svcdns.corefile.overlap import listeners
from svcdns.corefile.parser import parse
from svcdns.corefile.printer import print_corefile
from svcdns.corefile.syntax import ServerBlock
from svcdns.dns.name import from_text
from svcdns.errors import ConfigError, CorefileError
from svcdns.metrics import Registry
from svcdns.plugins import bind, root
from svcdns.plugins.base import Context, Plugin
from svcdns.plugins.clusters import Clusters
from svcdns.plugins.kubernetes import Kubernetes
from svcdns.plugins.report import Report, inspect, to_text
from svcdns.plugins.tls import Tls

HELP = """\
Read Corefiles and KubeProxyConfigurations as a server would, and say for each file whether it
would start, what is supported, translated, ignored or refused, and at which line."""

_PROXY_CONFIGURATION = re.compile(r"\bkind\b[\"' \t]*:[\"' \t]*KubeProxyConfiguration\b")
_YAML_NAME = (".yaml", ".yml", ".json")
_YAML_BEGINNING = re.compile(
    r"""(?: \s | \#.*\n )* (?: ---\s | %YAML | \{ \s* ["}] | ["']? [A-Za-z][\w.-]* ["']? : \s )""",
    re.VERBOSE,
)
"""A Corefile begins with zones, ``(snippet)``, ``import`` or ``{$VARIABLE}``: a colon in it has a
port behind it, or ``//``."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="a file, or stdin")
    parser.add_argument(
        "--output",
        choices=("text", "json"),
        default="text",
        help="the report's form (default: text)",
    )
    parser.add_argument(
        "--migrate",
        action="store_true",
        help="print the Corefile in today's words, imports in place, instead of the report",
    )
    parser.add_argument(
        "-dns.port",
        dest="port",
        type=int,
        default=53,
        metavar="N",
        help="port of server blocks without one (default: 53)",
    )


def run(args: argparse.Namespace) -> int:
    """Check the files; the exit status."""
    if args.migrate:
        return _migrate(args.files, args.port)
    reports = [_check(file, args.port) for file in args.files]
    if args.output == "json":
        # Names of files need not be text, which this writes as escapes.
        print(json.dumps(msgspec.to_builtins(reports), indent=2))
    else:
        print("\n".join([to_text(report) for report in reports]), end="")
    return 0 if all(report.starts for report in reports) else 1


def _migrate(files: list[str], port: int) -> int:
    for file in files:
        blocks = _parse(file, port, _say)
        migrated = migrate(blocks)
        for change in migrated.changes:
            _say(str(change))
        print(print_corefile(migrated.blocks), end="")
    reports = [_check(file, port) for file in files if file != "stdin"]
    for report in reports:
        for error in report.errors:
            _say(f"svcdns check: it would not start: {error}")
    return 0 if all(report.starts for report in reports) else 1


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _parse(file: str, port: int, warn: Callable[[str], None]) -> tuple[ServerBlock, ...]:
    try:
        return parse_file(file, warn, default_port=port)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror or error}") from error


def _check(file: str, port: int) -> Report:
    warnings: list[str] = []
    try:
        text = read_text(file)
        if _is_yaml(file, text):
            return _check_proxy(file, text)
        blocks = parse(text, file, os.environ, load_imports, warnings.append, default_port=port)
    except OSError as error:
        return Report(file, "unreadable", False, errors=(f"{file}: {error.strerror or error}",))
    except CorefileError as error:
        return Report(file, "Corefile", False, (), tuple(warnings), (str(error),))
    clusters = Clusters(time.time)
    shared: dict[Hashable, object] = {}

    def context_of(number: int, block: ServerBlock, warn: Callable[[str], None]) -> Context:
        return Context(
            zones=tuple(dict.fromkeys(from_text(key.zone) for key in block.keys)),
            server=str(listeners(block)[0]),
            registry=Registry(),
            read=lambda path: Path(path).read_bytes(),
            random=random.random,
            warn=warn,
            wall=time.time,
            block=number,
            shared=shared,
            clusters=clusters,
            root=_root(block),
            view=next((one.args[0] for one in block.named("view") if one.args), ""),
        )

    found = interfaces()

    def place(block: ServerBlock) -> object:
        return bind.addresses(block.named("bind"), found)

    return inspect(file, blocks, context_of, warnings, _try_out, place)


def _root(block: ServerBlock) -> str:
    try:
        return root.path(block.named("root"))
    except CorefileError:
        return ""  # told when the directive is set up


def _is_yaml(file: str, text: str) -> bool:
    """Tell a configuration of the proxy, broken or not, from a Corefile."""
    return (
        file.endswith(_YAML_NAME)
        or _PROXY_CONFIGURATION.search(text) is not None
        or _YAML_BEGINNING.match(text) is not None
    )


def _try_out(plugin: Plugin) -> None:
    """Read what set-ups leave to those who use it: certificates, and whether kubeconfigs exist."""
    if isinstance(plugin, Tls):
        certificates.context(plugin, [])
    elif isinstance(plugin, Kubernetes):
        _find_kubeconfig(plugin.cluster.source.kubeconfig)


def _find_kubeconfig(paths: str) -> None:
    """Raise what a start would raise, when none of the files is there."""
    if paths and not any(Path(path).exists() for path in paths.split(":")):
        raise ConfigError(f"kubeconfig {paths}: no such file")


def _check_proxy(file: str, text: str) -> Report:
    # Imported late: who checks a Corefile does not wait for the proxy.
    from svcdns.proxy import configfile
    from svcdns.proxy.config import resolve
    from svcdns.proxy.kubeproxyconfig import KIND

    try:
        raw, warnings = configfile.read(text, file)
        options = resolve(raw, file)
    except ConfigError as error:
        return Report(file, KIND, False, errors=(str(error),))
    said = (*warnings, *options.warnings)
    if not options.master:
        try:
            _find_kubeconfig(options.kubeconfig)
        except ConfigError as error:
            # A ConfigMap's configuration names a file of the Pod, and is checked elsewhere.
            said += (f"clientConnection.{error} on this machine; the proxy needs it where it runs",)
    return Report(file, KIND, True, warnings=said)
