"""The attempts for one query that is forwarded: which upstream next, and what its answer means.

Parity: CoreDNS ``plugin/forward/forward.go`` (ServeDNS; rule J21).
"""

from collections.abc import Callable

from msgspec.structs import replace

from svcdns.dns.constants import AD, CD, RD, EdnsOption, Rcode
from svcdns.dns.message import Message, build_query, parse_response, to_response
from svcdns.dns.query import Query
from svcdns.plugins.base import Ask, Failed, Handler, Outcome, Reply, Request
from svcdns.plugins.commands import Exchange, Exchanged, Result, Transport, Unanswered
from svcdns.plugins.forwardoptions import NAME, Options
from svcdns.plugins.proxies import Proxies, Proxy

TOTAL_SECONDS = 5.0
"""All attempts for one query together (rule J21)."""

NO_HEALTHY = "no healthy proxies"
"""CoreDNS's words."""

_HOP_BY_HOP = frozenset({EdnsOption.COOKIE, EdnsOption.TCP_KEEPALIVE, EdnsOption.PADDING})
"""RFC 7873 §5, RFC 7828 §3.2, RFC 7830: between a client and its server only."""


class Attempts:
    """The attempts for one query (CoreDNS plugin/forward/forward.go ServeDNS)."""

    __slots__ = (
        "_at",
        "_attempts",
        "_broken",
        "_deadline",
        "_down",
        "_list",
        "_maximum",
        "_options",
        "_proceed",
        "_proxies",
        "_proxy",
        "_reason",
        "_request",
        "_transport",
        "_truncated",
        "_wire",
    )  # fmt: skip

    def __init__(
        self,
        proxies: Proxies,
        options: Options,
        request: Request,
        proceed: Handler,
        broken: Callable[[], Proxy | None],
    ) -> None:
        """Begin.

        Args:
            proxies: The upstreams of the directive.
            options: Of the directive.
            request: The query.
            proceed: The rest of the chain.
            broken: Chooses an upstream when all are down, or none.
        """
        self._proxies = proxies
        self._options = options
        self._broken = broken
        self._request = request
        self._proceed = proceed
        self._list = [proxy for proxy in proxies.order() if not proxy.looping]
        self._maximum = options.max_connect_attempts or 2 * len(self._list)
        self._deadline = request.now + TOTAL_SECONDS
        self._wire = query_wire(request.query)
        self._at = self._down = self._attempts = 0
        self._reason = ""
        self._proxy: Proxy | None = None
        self._truncated: Message | None = None
        plain = request.client.udp or options.prefer_udp
        self._transport = Transport.UDP if plain and not options.force_tcp else Transport.TCP

    def next(self, now: float) -> Outcome:
        """Ask the next upstream, or give up."""
        if not self._list and self._proxies.all:
            names = " ".join(proxy.address for proxy in self._proxies.all)
            return Failed(Rcode.REFUSED, f"{names} sends queries back to this server", NAME)
        if not self._list or now >= self._deadline or self._attempts >= self._maximum:
            return Failed(Rcode.SERVFAIL, self._reason or NO_HEALTHY, NAME)
        proxy = self._choose()
        if proxy is None:
            return Failed(Rcode.SERVFAIL, self._reason or NO_HEALTHY, NAME)
        self._attempts += 1
        self._proxy = proxy
        if self._request.metadata is not None:
            # The last upstream that was asked, as in CoreDNS plugin/forward/forward.go.
            self._request.metadata["forward/upstream"] = proxy.address
        return self._exchange(proxy, self._transport, now)

    def _choose(self) -> Proxy | None:
        while True:
            if self._at >= len(self._list):
                self._at = self._down = 0
            proxy = self._list[self._at]
            self._at += 1
            if not proxy.down(self._options.max_fails):
                return proxy
            self._down += 1
            if self._down >= len(self._list):
                return self._broken()

    def _exchange(self, proxy: Proxy, transport: Transport, now: float) -> Ask:
        options = self._options
        upstream = proxy.stream if transport is Transport.TCP else proxy.upstream
        timeout = min(options.read_timeout, self._deadline - now)
        command = Exchange(upstream, self._wire, timeout, options.expire, options.max_age)
        return Ask(command, self._answered)

    def _answered(self, result: Result, now: float) -> Outcome:
        proxy = self._proxy
        assert proxy is not None
        message = parse_response(result.wire) if isinstance(result, Exchanged) else None
        if message is None:
            return self._unanswered(result, proxy, now)
        assert isinstance(result, Exchanged)
        asked = (
            proxy.stream if self._truncated or self._transport is Transport.TCP else proxy.upstream
        )
        proxy.answered(result, message.rcode, asked.transport)
        if message.tc and asked.transport is Transport.UDP and now < self._deadline:
            self._truncated = message
            return self._exchange(proxy, Transport.TCP, now)
        self._truncated = None
        return self._decide(message, now)

    def _unanswered(self, result: Result, proxy: Proxy, now: float) -> Outcome:
        if isinstance(result, Unanswered):
            self._reason = result.reason
            blame = not result.ours
        else:
            self._reason = f"{proxy.address}: the answer is malformed"
            blame = True
        if self._truncated is not None:
            # Half an answer, marked as such, is better than none: the client may try TCP itself.
            return Reply(to_response(self._truncated), NAME)
        if blame and self._options.max_fails:
            proxy.suspect = True
        return self.next(now)

    def _decide(self, message: Message, now: float) -> Outcome:
        options = self._options
        if message.rcode in options.failover and self._at < len(self._list):
            return self.next(now)
        nodata = message.rcode == Rcode.NOERROR and not message.answer
        if message.rcode in options.next_rcodes or (options.next_on_nodata and nodata):
            return self._proceed(replace(self._request, now=now))
        return Reply(to_response(message), NAME)


def query_wire(query: Query) -> bytes:
    """Make the message for an upstream of a client's query."""
    edns = query.edns
    if edns is None:
        return build_query(
            query.qname,
            query.qtype,
            query.qclass,
            rd=query.flags & RD != 0,
            cd=query.flags & CD != 0,
            ad=query.flags & AD != 0,
        )
    return build_query(
        query.qname,
        query.qtype,
        query.qclass,
        rd=query.flags & RD != 0,
        cd=query.flags & CD != 0,
        ad=query.flags & AD != 0,
        size=edns.size,
        do=edns.do,
        options=tuple([option for option in edns.options if option[0] not in _HOP_BY_HOP]),
    )
