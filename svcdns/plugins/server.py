"""A server: all blocks of one listener, from a packet to the packets of an answer.

The shells look in :meth:`Server.table` first and call :meth:`Server.respond` for what is not there.
  Both ends of a query are here: what a server answers before any plugin sees the query
(malformed messages, wrong class, unknown EDNS version), and what it makes of an outcome (size
limits, bare errors, storing, counting).

Parity: CoreDNS ``core/dnsserver/server.go`` (rules J1 to J11).
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, cycle

from msgspec import Struct
from msgspec.structs import replace

from svcdns.dns.alike import (
    NAME_AT,
    Shared,
    adapt,
    capitals,
    case_free,
    common,
    plain_name,
    repeats_zone,
    respell,
)
from svcdns.dns.constants import Rcode, RRClass, type_text
from svcdns.dns.name import ROOT, to_text
from svcdns.dns.query import Query, Rejected, parse
from svcdns.dns.render import bare, render
from svcdns.dns.response import Response
from svcdns.plugins.accounts import Accounts
from svcdns.plugins.answers import DEFAULT_LIMIT, LARGEST, AnswerTable, Entry, Tally
from svcdns.plugins.base import (
    Ask,
    Client,
    Drop,
    Failed,
    Outcome,
    Owner,
    Rendered,
    Reply,
    Request,
    Stream,
    then,
)
from svcdns.plugins.chain import Block, Router
from svcdns.plugins.commands import Transport
from svcdns.plugins.rotation import orders, turning

DEPTH_LIMIT = 8
"""Queries inside a query (CNAME targets asked of the whole server) before we give up."""

CROWDED = 64
"""The last part of the room for stored answers: there one has to go for each one that comes."""

NOTHING = Rendered()
"""No answer."""

_ANY_CLASS = frozenset({"chaos", "forward"})
"""Plugins that open a listener to classes other than IN (rule J4, register K17)."""


class Listen(Struct, frozen=True):
    """Where a server listens."""

    scheme: str
    "``dns``, ``tls`` or ``https``."
    addresses: tuple[str, ...]
    "Empty: all."
    port: int


class Server:
    """One listener's blocks, tables and counters."""

    def __init__(
        self,
        listen: Listen,
        blocks: Iterable[Block],
        *,
        accounts: Accounts,
        clock: Callable[[], float],
        panic: Callable[[str, Exception], None],
        spawn: Callable[[Ask], None],
        limit: int = DEFAULT_LIMIT,
    ) -> None:
        """Serve *blocks*.

        Args:
            listen: For the label of metrics, and for the shell.
            blocks: In the order of the Corefile.
            accounts: Where queries are counted.
            clock: Monotonic seconds.
            spawn: Carries out what nobody waits for.
            limit: Stored answers, for all kinds of sockets together.
            panic: Told the question and the exception when a plugin has a bug (rule J7).
        """
        self.listen = listen
        self.blocks = tuple(blocks)
        self.label = accounts.server
        self.accounts = accounts
        self._router = Router(self.blocks)
        self._clock = clock
        self._panic = panic
        self._spawn = spawn
        self._any_class = any(
            plugin.name in _ANY_CLASS for block in self.blocks for plugin in block.plugins
        )
        # Who gets a stored answer is not asked which block is for him, so views rule it out.
        self._stores = not any(block.filters for block in self.blocks)
        self._limit = limit
        self._crowded = limit - limit // CROWDED
        self._tables: dict[tuple[Transport, str], AnswerTable] = {}
        self._entries: list[dict[bytes, Entry]] = []
        "Of each table."
        self._resolve = self._resolver(1)

    def table(self, transport: Transport, family: str) -> AnswerTable:
        """Give the answers for one kind of socket; *family* as in :attr:`Client.family`."""
        found = self._tables.get((transport, family))
        if found is None:
            found = self._tables[transport, family] = AnswerTable(self._limit)
            self._entries.append(found.entries)
        return found

    @property
    def _stored(self) -> int:
        """Answers in all tables together, which have to stay within the limit."""
        return sum(map(len, self._entries))

    def drop(self, owners: Iterable[Owner]) -> None:
        """Forget stored answers that depend on *owners*."""
        if self._tables:
            touched = tuple(owners)
            for table in self._tables.values():
                table.drop(touched)

    def forget(self) -> None:
        """Forget all stored answers (the cluster is synced now, a file has changed)."""
        for table in self._tables.values():
            table.clear()

    def respond(
        self, wire: bytes, client: Client, now: float, shared: Shared | None = None
    ) -> Rendered | Ask:
        """Answer one message.

        Args:
            wire: What arrived; anything at all.
            client: Who sent it.
            now: Monotonic seconds.
            shared: What :func:`~svcdns.dns.alike.common` gives for it, if that is known.

        Returns:
            Messages to send, or something to be done first, whose end is a :class:`Rendered`.
        """
        query = parse(wire)
        match query:
            case Query():
                return self._serve(query, client, now, shared or common(wire[2:]))
            case Rejected():
                return Rendered((query.wire,))
            case None:
                return NOTHING

    def _serve(self, query: Query, client: Client, now: float, shared: Shared) -> Rendered | Ask:
        refusal = self._refusal(query)
        if refusal is not None:
            return self._finish_bare(query, client, refusal)
        request = Request(query, client, now, self._resolve)
        route = self._router.route(request)
        if route is None:
            return self._finish_bare(query, client, Rcode.REFUSED)
        block, zone = route
        if zone != ROOT:
            request = Request(query, client, now, self._resolve, zone)
        try:
            outcome = block.handler(request)
            if isinstance(outcome, Reply) or not isinstance(outcome, Ask):
                return self._finish(request, block, outcome, shared)
        except Exception as error:  # noqa: BLE001 - a plugin's bug costs its query, not the server
            return self._bug(request, block, error, shared)

        def finish(outcome: Outcome, _at: float) -> Outcome:
            return self._finish(request, block, outcome, shared)

        asked = then(outcome, finish, now)
        assert isinstance(asked, Ask)
        return self._guarded(asked, request, block, shared)

    def _refusal(self, query: Query) -> int | None:
        if query.edns is not None and query.edns.version != 0:
            return Rcode.BADVERS
        if query.qclass != RRClass.IN and not self._any_class:
            return Rcode.REFUSED
        return None

    def _guarded(self, ask: Ask, request: Request, block: Block, shared: Shared) -> Ask:
        """Have a bug that shows only after an upstream's answer cost its query alone, too."""

        def resume(result: object, now: float) -> Outcome:
            try:
                outcome = ask.resume(result, now)  # type: ignore[arg-type]  # passed through
            except Exception as error:  # noqa: BLE001 - as above
                return self._bug(request, block, error, shared)
            if isinstance(outcome, Ask):
                return self._guarded(outcome, request, block, shared)
            return outcome

        return Ask(ask.command, resume)

    def _bug(self, request: Request, block: Block, error: Exception, shared: Shared) -> Rendered:
        self.accounts.count_panic()
        self._panic(describe(request.query), error)
        return self._finish(request, block, Failed(Rcode.SERVFAIL), shared)

    def _resolver(self, depth: int) -> Callable[[Request], Outcome]:
        """Answer queries that plugins have of their own, as another client's would be (E1)."""

        def resolve(request: Request) -> Outcome:
            if depth > DEPTH_LIMIT:
                return Failed(Rcode.SERVFAIL, "too many lookups inside one query")
            nested = replace(request, resolve=self._resolver(depth + 1))
            route = self._router.route(nested)
            if route is None:
                return Failed(Rcode.REFUSED)
            block, zone = route
            return block.handler(replace(nested, zone=zone))

        return resolve

    def _finish(self, request: Request, block: Block, outcome: Outcome, shared: Shared) -> Rendered:
        query, client = request.query, request.client
        limit = query.limit(udp=client.udp)
        match outcome:
            case Reply():
                response = outcome.response
                answer = render(query, response, limit=limit)
                tally = self.accounts.tally(
                    client,
                    query,
                    request.zone,
                    block.view,
                    outcome.plugin,
                    response.rcode,
                    len(answer),
                    outcome.store.cells if outcome.store else (),
                )
                tally.made += 1
                if outcome.store is not None and self._stores and len(answer) <= LARGEST:
                    self._store(request, outcome, answer, shared, tally)
                rendered = Rendered((answer,))
                for ask in outcome.background:
                    self._spawn(ask)
            case Failed(rcode=rcode, plugin=plugin):
                answer = bare(query, rcode)
                self.accounts.tally(
                    client, query, request.zone, block.view, plugin, rcode, len(answer)
                ).made += 1
                rendered = Rendered((answer,))
            case Stream(responses=responses):
                rendered = Rendered(self._stream(query, responses, limit))
            case Drop():
                rendered = NOTHING
            case _:
                raise AssertionError(f"no outcome of a chain: {outcome!r}")
        self.accounts.observe(request.zone, block.view, self._clock() - request.now)
        return rendered

    def _stream(self, query: Query, responses: Iterable[Response], limit: int) -> Iterator[bytes]:
        for response in responses:
            yield render(query, response, limit=limit)

    def _finish_bare(self, query: Query, client: Client, rcode: int) -> Rendered:
        answer = bare(query, rcode)
        self.accounts.tally(client, query, b"", "", "", rcode, len(answer)).made += 1
        return Rendered((answer,))

    def _store(
        self, request: Request, reply: Reply, answer: bytes, shared: Shared, tally: Tally
    ) -> None:
        store, query, client = reply.store, request.query, request.client
        assert store is not None
        response = reply.response
        key, end, cookie = shared
        table = self.table(client.transport, client.family)
        before = self._stored
        if not table.admits(key, crowded=before >= self._crowded):
            return
        repeats = 0 if case_free(query.name, response) else 1
        echoes = not response.options and response.rcode <= 0xF
        if (cookie and not echoes) or not plain_name(query.qname):
            return
        tail = answer[2:]
        if end and repeats:
            if not repeats_zone(query.name, response, store.repeats):
                return
            key, repeats = capitals(key, end), store.repeats
            respelt = respell(tail, key, end, repeats)
            if respelt is None:
                return
            tail = respelt
        if end or cookie:
            tail = adapt(tail, key, end, cookie)
        rotation, renew = None, store.renew
        if store.rotate:
            at = NAME_AT + len(query.qname) + 4
            rotation = turning(tail, at, len(response.answer))
            if rotation is None:
                rotation = self._turning(request, response, shared)
                renew = renew if rotation is None else None
        entry = Entry(tail, tally, store.owners, store.until, rotation, repeats, renew)
        table.put(key, entry)
        if before >= self._limit and self._stored > self._limit:
            max(self._tables.values(), key=lambda one: len(one.entries)).shed()

    def _turning(
        self, request: Request, response: Response, shared: Shared
    ) -> Iterator[bytes] | None:
        """Give all orders of an answer, each written when it is wanted for the first time."""
        others = orders(response)
        second = next(others, None)
        if second is None:
            return None
        key, end, cookie = shared
        limit = request.query.limit(udp=request.client.udp)
        every = chain((response, second), others)
        tails = (render(request.query, one, limit=limit)[2:] for one in every)
        return cycle(adapt(tail, key, end, cookie) if end or cookie else tail for tail in tails)


def describe(query: Query) -> str:
    """Name a question for a log line."""
    return f"{to_text(query.qname)} {type_text(query.qtype)}"
