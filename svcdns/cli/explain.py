"""``svcdns explain``: the answer to a question, and the way to it."""

import argparse
import asyncio
import json
import sys
from pathlib import Path

import msgspec

from svcdns.aio import explain as shell
from svcdns.aio import up
from svcdns.aio.corefilesource import CorefileSource
from svcdns.cli import values
from svcdns.corefile.parser import parse
from svcdns.corefile.syntax import ServerBlock
from svcdns.dns.constants import rcode_text, type_number
from svcdns.dns.name import from_text
from svcdns.dns.reverse import name_of
from svcdns.dns.text import record_to_text
from svcdns.errors import ConfigError
from svcdns.plugins import explaintext
from svcdns.plugins.base import Client
from svcdns.plugins.build import Configuration
from svcdns.plugins.explain import (
    Explanation,
    candidates,
    default_type,
    explain,
    search_path,
    spelled,
    with_search,
)
from svcdns.plugins.explainquery import Attempt, ask
from svcdns.plugins.kubernetes import Kubernetes
from svcdns.plugins.order import NAMES
from svcdns.plugins.server import Server
from svcdns.proxy.model import NodeView, PlanOptions

HELP = """\
Answer a question and say why: which server block and plugin, which Service, which EndpointSlices,
which endpoints are left out and for what reason, and where a connection would go.

Objects come from a directory of manifests as 'svcdns up' reads it (without any flag: the bundled
demo), from saved objects, or from the cluster that a Corefile or a kubeconfig names."""

DNS_PORT = 53

CLUSTER_SECONDS = 30.0
"""How long a cluster is waited for."""

STOCK = """\
.:53 {{
    kubernetes {zone} in-addr.arpa ip6.arpa {{
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }}
    forward . /etc/resolv.conf
}}
"""
"""kubeadm's, as far as it decides answers; stands for the Corefile where only a kubeconfig is
given."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("name", metavar="NAME", help="a name, or an address for its PTR")
    parser.add_argument("type", nargs="?", metavar="TYPE", help="its type (default: A, or PTR)")
    parser.add_argument("--manifests", metavar="DIR", help="a directory of manifests")
    parser.add_argument(
        "--objects", action="append", metavar="FILE",
        help="saved objects: what 'kubectl get ns,svc,endpointslices,nodes -A -o yaml' printed",
    )  # fmt: skip
    parser.add_argument(
        "-conf", "--conf", metavar="FILE",
        help="the Corefile; without --manifests and --objects the cluster that it names is read",
    )  # fmt: skip
    parser.add_argument(
        "--kubeconfig", metavar="FILE",
        help="read the cluster of this kubeconfig; with -conf in place of the one that it names",
    )  # fmt: skip
    parser.add_argument(
        "--zone", default="cluster.local", metavar="ZONE",
        help="the cluster zone, where no Corefile says it (default: cluster.local)",
    )  # fmt: skip
    parser.add_argument(
        "--from-namespace", metavar="NS", help="search for the name as a Pod of this Namespace does"
    )
    parser.add_argument(
        "--node", default="", metavar="NAME", help="the node that a connection comes from"
    )
    parser.add_argument(
        "--client", default="127.0.0.1", metavar="ADDRESS", help="who asks, for acl and view"
    )
    parser.add_argument(
        "--server", metavar="ADDRESS[:PORT]", help="put the question to a running server as well"
    )
    parser.add_argument(
        "--output", choices=("text", "json"), default="text", help="the form (default: text)"
    )


def run(args: argparse.Namespace) -> int:
    """Explain; the exit status is 1 when a running server's answer is another one.

    Raises:
        ConfigError: The question, the Corefile or the objects cannot be read.
    """
    _check(args)
    blocks = _blocks(args)
    configuration = shell.configure(blocks)
    servers = [one for one in configuration.servers if one.listen.scheme == "dns"]
    if not servers:
        raise ConfigError(f"{args.conf}: the Corefile has no server for plain DNS, which is asked")
    _fill(args, configuration)
    explanation = _explain(args, configuration, servers[0], blocks)
    said, differs = _said(args, explanation)
    if args.output == "json":
        document = msgspec.to_builtins(explanation) | ({"server": said} if said else {})
        print(json.dumps(document, indent=2))  # a Corefile's name need not be text
    else:
        print(explaintext.to_text(explanation), end="")
        print("".join(f"{line}\n" for line in said), end="")
    return 1 if differs else 0


def _check(args: argparse.Namespace) -> None:
    """Check the flags, and that they go together.

    Raises:
        ConfigError: They do not, or one of them cannot be used.
    """
    sources = {"--manifests": [args.manifests], "--objects": args.objects or ()}
    sources |= {"--kubeconfig": [args.kubeconfig]}
    for flag, paths in ({"-conf": [args.conf]} | sources).items():
        if "" in paths:
            raise ConfigError(f"{flag}: the name of the file is empty")
    given = [flag for flag, paths in sources.items() if any(paths)]
    if len(given) > 1:
        raise ConfigError(f"{' and '.join(given)}: objects come from one of them")
    args.zone = values.zone("--zone", args.zone)
    args.client = values.address("--client", args.client)
    if args.from_namespace is not None:
        values.namespace("--from-namespace", args.from_namespace)
    if args.server is not None:
        values.endpoint("--server", args.server, DNS_PORT)


def _blocks(args: argparse.Namespace) -> tuple[ServerBlock, ...]:
    def warn(line: str) -> None:
        print(line, file=sys.stderr)

    if args.conf:
        loaded = CorefileSource(args.conf, known=NAMES).read()
        for warning in loaded.warnings:
            warn(warning)
        return loaded.blocks
    if args.kubeconfig:
        source, text = "built in", STOCK.format(zone=args.zone)
    else:
        settings = up.Settings(Path(), zone=args.zone, upstreams=())
        settings = msgspec.structs.replace(settings, upstreams=up.machine_upstreams(settings))
        source, text = up.SOURCE, up.corefile(settings)
    return parse(text, source, {}, lambda _pattern, _file: [], warn, known=NAMES)


def _fill(args: argparse.Namespace, configuration: Configuration) -> None:
    if args.objects:
        for line in shell.fill_from_objects(configuration, args.objects):
            print(line, file=sys.stderr)
    elif args.manifests or not (args.conf or args.kubeconfig):
        directory = Path(args.manifests) if args.manifests else up.demo_directory()
        shell.fill_from_manifests(configuration, directory)
    else:
        path = args.kubeconfig or ""
        asyncio.run(shell.fill_from_clusters(configuration, CLUSTER_SECONDS, kubeconfig=path))


def _explain(
    args: argparse.Namespace,
    configuration: Configuration,
    server: Server,
    blocks: tuple[ServerBlock, ...],
) -> Explanation:
    plugins = [one for one in configuration.plugins if isinstance(one, Kubernetes)]
    zone = spelled(plugins[0].zones.options.primary) if plugins else args.zone
    search = search_path(args.from_namespace, zone) if args.from_namespace else ()
    client = Client(args.client, 40000)
    attempts: list[Attempt] = []
    for name in _names(args.name, search):
        qtype = _type(args.type) if args.type is not None else default_type(name)
        attempts.append(ask(server, blocks, name, qtype, client))
        if attempts[-1].answered:
            break
    options = PlanOptions(loopback_node_ports=True, hint_weights=True)
    found = explain(tuple(attempts), plugins, _node(args, configuration), options)
    return with_search(found, search)


def _names(text: str, search: tuple[str, ...]) -> list[bytes]:
    if not text:
        raise ConfigError("NAME is empty: name what to explain, '.' for the root")
    try:
        return [name_of(text)]
    except ValueError:
        pass  # no address, so a name
    try:
        return candidates(text, search)
    except ValueError as error:
        raise ConfigError(f"{text!r} is no domain name: {error}") from error


def _type(text: str) -> int:
    number = type_number(text)
    if number is None:
        raise ConfigError(f"{text!r} is no type of record")
    return number


def _node(args: argparse.Namespace, configuration: Configuration) -> NodeView:
    nodes = configuration.clusters[0].store.nodes if configuration.clusters else {}
    name = args.node or min((name for _, name in nodes), default="")
    if args.node and nodes and ("", args.node) not in nodes:
        raise ConfigError(f"--node: there is no Node {args.node}")
    return NodeView.from_node(name, nodes.get(("", name)))


def _said(args: argparse.Namespace, explanation: Explanation) -> tuple[list[str], bool]:
    """Put the question to the running server; say what it said, and whether that differs."""
    if not args.server:
        return [], False
    last = explanation.attempts[-1]
    address, port = values.endpoint("--server", args.server, DNS_PORT)
    qtype = type_number(last.type)
    assert qtype is not None
    message = shell.ask_server(address, port, from_text(last.name), qtype)
    records = sorted(record_to_text(record) for record in message.answer)
    found, expected = ([_timeless(one) for one in some] for some in (records, sorted(last.answer)))
    result = "NODATA" if not (message.rcode or message.answer) else rcode_text(message.rcode)
    # TTLs of a cache count down, and who asks upstreams knows more than we do.
    same = last.result == "unknown" or (result, found) == (last.result, expected)
    verdict = "as explained" if same else "NOT as explained"
    if last.result == "unknown":
        verdict = "which nothing here can confirm"
    said = [f"server {args.server} says: {result}, {verdict}", *(f"    {one}" for one in records)]
    return said, not same


def _timeless(record: str) -> tuple[str, str]:
    owner, _ttl, rest = record.split(" ", 2)
    return owner, rest
