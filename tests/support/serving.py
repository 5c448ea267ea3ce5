"""Servers for tests: plugins in, decoded answers out."""

from collections.abc import Callable, Sequence
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode

from svcdns.dns.name import ROOT
from svcdns.dns.query import Query, parse
from svcdns.metrics import Registry
from svcdns.plugins.accounts import Accounts
from svcdns.plugins.answers import DEFAULT_LIMIT
from svcdns.plugins.base import (
    Ask,
    Client,
    Failed,
    Handler,
    Need,
    Outcome,
    Plugin,
    Rendered,
    Request,
)
from svcdns.plugins.chain import Block
from svcdns.plugins.commands import Exchange, Transport
from svcdns.plugins.server import Listen, Server

CLIENT = Client("127.0.0.1", 40000)
TCP_CLIENT = Client("127.0.0.1", 40000, Transport.TCP)


class Scripted:
    """A plugin that does what a function says, and counts its queries."""

    def __init__(
        self, answer: Callable[[Request, Handler], Outcome], name: str = "scripted"
    ) -> None:
        self.name = name
        self.asked: list[Request] = []
        self._answer = answer

    @property
    def needs(self) -> tuple[Need, ...]:
        return ()

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        self.asked.append(request)
        return self._answer(request, proceed)


def always(outcome: Outcome, name: str = "scripted") -> Scripted:
    return Scripted(lambda request, proceed: outcome, name)


def asking(outcome: Callable[[object], Outcome], name: str = "scripted") -> Scripted:
    """A plugin that has to ask outside first; *outcome* gets the result."""
    command = Exchange(None, b"", 1.0)  # type: ignore[arg-type]  # nobody carries it out
    return Scripted(
        lambda request, proceed: Ask(command, lambda result, now: outcome(result)), name
    )


def server_of(
    *blocks: Block | Sequence[Plugin],
    registry: Registry | None = None,
    spawned: list[Ask] | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Server:
    """Make a server; a bare list of plugins is a block for the root zone."""
    found = [block if isinstance(block, Block) else Block((ROOT,), list(block)) for block in blocks]

    def panic(question: str, error: Exception) -> None:
        raise error

    return Server(
        Listen("dns", (), 53),
        found,
        accounts=Accounts("dns://:53", registry or Registry()),
        clock=lambda: 0.0,
        panic=panic,
        spawn=(spawned if spawned is not None else []).append,
        limit=limit,
    )


def question(text: str, **settings: Any) -> bytes:
    """Make a query message of ``name TYPE``; *settings* are dnspython's, and ``cd``, ``rd``."""
    name, rrtype = text.split()
    cd, rd = settings.pop("cd", False), settings.pop("rd", True)
    message = dns.message.make_query(dns.name.from_text(name), rrtype, **settings)
    if cd:
        message.flags |= dns.flags.CD
    if not rd:
        message.flags &= ~dns.flags.RD
    return message.to_wire()


def answer(
    server: Server, text: str, client: Client = CLIENT, **settings: Any
) -> dns.message.Message:
    """Ask a server and decode its one answer with dnspython."""
    rendered = server.respond(question(text, **settings), client, 0.0)
    assert isinstance(rendered, Rendered)
    (wire,) = rendered.wires
    return dns.message.from_wire(wire)


def rows(message: dns.message.Message) -> tuple[str, str, list[str], list[str], list[str]]:
    """Give rcode, flags and the three sections as sorted zone text."""
    answers, authority, additional = (
        sorted(line for rrset in section for line in rrset.to_text().split("\n"))
        for section in (message.answer, message.authority, message.additional)
    )
    flags = dns.flags.to_text(message.flags).lower()
    return dns.rcode.to_text(message.rcode()), flags, answers, authority, additional


def request(text: str) -> Request:
    query = parse(question(text))
    assert isinstance(query, Query)
    return Request(query, CLIENT, 0.0, lambda request: Failed(2))
