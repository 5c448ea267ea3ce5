"""One question through the servers of a Corefile, with a note of every plugin it passes.

Nothing is carried out: where an answer needs somebody else, it is said who would be asked.
"""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from svcdns.corefile.syntax import ServerBlock
from svcdns.dns.constants import RD, Rcode, rcode_text, type_text
from svcdns.dns.name import to_text
from svcdns.dns.query import Query
from svcdns.dns.response import Record
from svcdns.dns.text import record_to_text
from svcdns.hostport import host_port
from svcdns.plugins.base import (
    Ask,
    Client,
    Drop,
    Failed,
    Handler,
    Need,
    Outcome,
    Plugin,
    Reply,
    Request,
    Stream,
)
from svcdns.plugins.chain import Block, Router
from svcdns.plugins.commands import Command, Delay, Exchange, Fetch, ReadZone, Unanswered
from svcdns.plugins.server import Server

MAX_ASKS = 16
"""Tries of a plugin that never gives up."""

MAX_NESTING = 8
"""Questions inside a question (rule E6)."""


class Attempt(Struct, frozen=True, rename="camel"):
    """What one name got."""

    name: str
    type: str
    result: str
    "An rcode, ``NODATA``, ``no answer``, or ``unknown`` when an upstream decides."
    answer: tuple[str, ...] = ()
    "Zone text."
    authority: tuple[str, ...] = ()
    additional: tuple[str, ...] = ()
    server: str = ""
    "``dns://:53``; empty when no server block takes the name."
    zone: str = ""
    "The server block's zone that matched."
    block: str = ""
    "File and line of the server block."
    passed: tuple[str, ...] = ()
    "Plugins that saw the question, in order; nested questions follow."
    plugin: str = ""
    "The one that answered, or that would ask."
    asks: tuple[str, ...] = ()
    "What would be done outside, in words."
    reason: str = ""

    @property
    def answered(self) -> bool:
        """Whether a resolver stops looking here."""
        return bool(self.answer) or self.result == "unknown"


class _Noted:
    """A plugin, and a note that it was asked."""

    def __init__(self, plugin: Plugin, passed: list[str]) -> None:
        self.name = plugin.name
        self._plugin = plugin
        self._passed = passed

    @property
    def needs(self) -> tuple[Need, ...]:
        return ()

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        self._passed.append(self.name)
        return self._plugin.serve(request, proceed)


def ask(
    server: Server, sources: Sequence[ServerBlock], qname: bytes, qtype: int, client: Client
) -> Attempt:
    """Put one question to a server.

    Args:
        server: Of a configuration that nobody else uses.
        sources: The server blocks that the configuration was made of.
        qname: Wire name.
        qtype: Its type.
        client: Who asks; ``acl`` and ``view`` look at that.
    """
    passed: list[str] = []
    router = Router([_noted(block, passed) for block in server.blocks])
    query = Query(0, RD, qname, qtype, name=qname.lower())
    request = Request(query, client, 0.0, _resolver(router, 1))
    route = router.route(request)
    name, type_ = to_text(qname), type_text(qtype)
    if route is None:
        refused = "no server block is for this name"
        return Attempt(name, type_, rcode_text(Rcode.REFUSED), reason=refused)
    block, zone = route
    outcome = block.handler(replace(request, zone=zone))
    attempt = _attempt(name, type_, outcome, passed)
    where = _source(sources, zone, server, block.view)
    return replace(attempt, server=server.label, zone=to_text(zone), block=where)


def _noted(block: Block, passed: list[str]) -> Block:
    plugins = [_Noted(plugin, passed) for plugin in block.plugins]
    return Block(block.zones, plugins, view=block.view, filters=block.filters)


def _resolver(router: Router, depth: int) -> Handler:
    def resolve(request: Request) -> Outcome:
        if depth > MAX_NESTING:
            return Failed(Rcode.SERVFAIL, "too many lookups inside one query")
        nested = replace(request, resolve=_resolver(router, depth + 1))
        route = router.route(nested)
        if route is None:
            return Failed(Rcode.REFUSED)
        block, zone = route
        return block.handler(replace(nested, zone=zone))

    return resolve


def _attempt(name: str, type_: str, outcome: Outcome, passed: list[str]) -> Attempt:
    noted = tuple(passed)
    last = noted[-1] if noted else ""
    outcome, asks = _alone(outcome)
    if asks:
        # What is there without the one that would be asked: a CNAME in front, mostly.
        known = outcome.response.answer if isinstance(outcome, Reply) else ()
        return Attempt(name, type_, "unknown", _texts(known), passed=noted, plugin=last, asks=asks)
    match outcome:
        case Reply(response=response, plugin=plugin):
            empty = response.rcode == Rcode.NOERROR and not response.answer
            return Attempt(
                name,
                type_,
                "NODATA" if empty else rcode_text(response.rcode),
                _texts(response.answer),
                _texts(response.authority),
                _texts(response.additional),
                passed=noted,
                plugin=plugin,
            )
        case Failed(rcode=rcode, reason=reason, plugin=plugin):
            result = rcode_text(rcode)
            return Attempt(name, type_, result, passed=noted, plugin=plugin or last, reason=reason)
        case Stream(plugin=plugin):
            return Attempt(name, type_, "a zone transfer", passed=noted, plugin=plugin)
        case Drop():
            return Attempt(name, type_, "no answer", passed=noted, plugin=last)
        case _:
            raise AssertionError(f"no outcome of a chain: {outcome!r}")


def _alone(outcome: Outcome) -> tuple[Outcome, tuple[str, ...]]:
    """Go on as if nobody answered; say who would have been asked, each once."""
    asks: dict[str, None] = {}
    for _ in range(MAX_ASKS):
        if not isinstance(outcome, Ask):
            break
        asks[_words(outcome.command)] = None
        outcome = outcome.resume(Unanswered("explain asks nobody"), 0.0)
    return outcome, tuple(asks)


def _texts(records: Sequence[Record]) -> tuple[str, ...]:
    return tuple(record_to_text(record) for record in records)


def _words(command: Command) -> str:
    match command:
        case Exchange(upstream=upstream):
            where = host_port(upstream.address, upstream.port)
            return f"ask {where} over {upstream.transport}"
        case Fetch(method=method, url=url):
            return f"{method} {url}"
        case Delay(seconds=seconds):
            return f"wait for {seconds:g} s"
        case ReadZone(upstream=upstream):
            return f"transfer a zone from {upstream.address}"


def _source(sources: Sequence[ServerBlock], zone: bytes, server: Server, view: str) -> str:
    """Find where the block stands that serves a zone at a server's port."""
    text = to_text(zone)
    for block in sources:
        views = [directive.args[0] for directive in block.named("view") if directive.args]
        if view and view not in views:
            continue
        for key in block.keys:
            if (key.scheme, key.zone, key.port) == (server.listen.scheme, text, server.listen.port):
                return f"{block.file}:{block.line}"
    return ""
