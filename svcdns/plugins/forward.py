"""Queries for others to answer.

Name
----
*forward*: sends queries to upstream resolvers, over UDP, TCP, TLS or HTTPS.

Syntax
------
::

    forward FROM TO... {
        except IGNORED_NAMES...
        force_tcp
        prefer_udp
        expire DURATION
        max_age DURATION
        max_idle_conns INTEGER
        read_timeout DURATION
        max_fails INTEGER
        max_connect_attempts INTEGER
        doh_method GET|POST
        tls CERT KEY CA
        tls_servername NAME
        policy random|round_robin|sequential
        health_check DURATION [no_rec] [domain FQDN]
        max_concurrent MAX
        next RCODE...
        next_on_nodata
        failfast_all_unhealthy_upstreams
        failover RCODE...
        source_address IP
    }

* FROM: names at and below it are forwarded.
* TO: up to 15 upstreams: IP, IP:PORT, ``dns://``, ``tls://`` or ``https://`` in front, or the path
  of a file in the form of resolv.conf.

Examples:
--------
::

    . {
        forward . /etc/resolv.conf {
            max_concurrent 1000
        }
    }

Metrics
-------
``coredns_forward_max_concurrent_rejects_total``, ``coredns_forward_healthcheck_broken_total``,
``coredns_proxy_request_duration_seconds{proxy_name, to, rcode}``,
``coredns_proxy_healthcheck_failures_total{proxy_name, to}``,
``coredns_proxy_conn_cache_hits_total`` and ``_misses_total{proxy_name, to, proto}``.

Differences
-----------
* A truncated answer is asked for again over TCP at once, also without ``prefer_udp``.
* Beyond ``max_concurrent`` the answer is SERVFAIL, not REFUSED: clients try again or elsewhere.
* An answer that does not fit the query is passed over while the right one may still come, and then
  another upstream is asked (RFC 5452 §9.1); CoreDNS answers FORMERR.
* An upstream that did not answer a query is asked last until it answers a probe.
* A resolv.conf is read again when it changes.
* Cookies, keepalive and padding of the client concern its own connection and are not sent on.
* ``max_idle_conns`` and ``resolver`` are accepted and without effect; connections to an upstream
  are bounded anyway, and host names as TO are not supported.

Parity: CoreDNS ``plugin/forward`` (rule J21).
"""

from collections.abc import Sequence
from functools import partial

from msgspec.structs import replace

from svcdns.corefile.options import Line, each
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import AD, CD, RD, EdnsOption, Rcode
from svcdns.dns.message import Message, build_query, parse_response, to_response
from svcdns.dns.name import is_subdomain
from svcdns.dns.query import Query
from svcdns.plugins.base import (
    Ask,
    Context,
    Exchange,
    Exchanged,
    Failed,
    Handler,
    Need,
    Outcome,
    Periodic,
    Reply,
    Request,
    Result,
    Transport,
    Unanswered,
    Upstream,
    WatchFile,
    then,
)
from svcdns.plugins.forwardoptions import (
    MAX_UPSTREAMS,
    NAME,
    Options,
    Target,
    read_nameservers,
    read_options,
    read_target,
)
from svcdns.plugins.proxies import Proxies, Proxy, ProxyMetrics

TOTAL_SECONDS = 5.0
"""All attempts for one query together (rule J21)."""

RESOLV_CONF_SECONDS = 5.0
"""Between looks at a resolv.conf."""

NO_HEALTHY = "no healthy proxies"
"""CoreDNS's words."""

_HOP_BY_HOP = frozenset({EdnsOption.COOKIE, EdnsOption.TCP_KEEPALIVE, EdnsOption.PADDING})
"""RFC 7873 §5, RFC 7828 §3.2, RFC 7830: between a client and its server only."""


class Forward:
    """One ``forward`` directive."""

    name = NAME

    def __init__(
        self,
        zones: tuple[bytes, ...],
        targets: Sequence[Target],
        options: Options,
        context: Context,
    ) -> None:
        self.zones = zones
        self.options = options
        self._context = context
        self.proxies = Proxies(ProxyMetrics(context.registry, NAME), options.policy, context.random)
        self._targets = tuple(targets)
        self._from_files: dict[str, list[Upstream]] = {}
        self.under_way = 0
        self._rejects = context.registry.counter(
            "coredns_forward_max_concurrent_rejects_total",
            "Queries rejected because too many were under way.",
        ).cell()
        self._broken = context.registry.counter(
            "coredns_forward_healthcheck_broken_total",
            "Queries for which all upstreams were down.",
        ).cell()

    @property
    def needs(self) -> tuple[Need, ...]:
        """The files that name upstreams, and health checks."""
        files = tuple(
            WatchFile(target.path, RESOLV_CONF_SECONDS, self._watcher(target))
            for target in self._targets
            if target.path
        )
        if self.options.max_fails == 0:
            return files
        return (*files, Periodic(NAME, self.options.check.interval, self._probe))

    def use(self, target: Target, content: bytes) -> int:
        """Take the upstreams of a file; give how many it names."""
        found = read_nameservers(content, target.transport, self.options)
        if found:
            self._from_files[target.path] = found
            upstreams: list[Upstream] = []
            for one in self._targets:
                if one.upstream is not None:
                    upstreams.append(one.upstream)
                else:
                    upstreams += self._from_files.get(one.path, ())
            self.proxies.change(upstreams)
        return len(found)

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Ask an upstream about names of ours; leave the others to the next plugin."""
        name = request.query.name
        if not self._is_ours(name):
            return proceed(request)
        maximum = self.options.max_concurrent
        if maximum and self.under_way >= maximum:
            self._rejects.value += 1
            reason = f"concurrent queries exceeded maximum {maximum}"
            return Failed(Rcode.SERVFAIL, reason, NAME)
        self.under_way += 1
        return then(_Attempts(self, request, proceed).next(request.now), self._end, request.now)

    def broken(self) -> Proxy | None:
        """Choose an upstream although all are down, or none when the Corefile says so."""
        self._broken.value += 1
        return None if self.options.failfast else self.proxies.any()

    def _end(self, outcome: Outcome, _now: float) -> Outcome:
        self.under_way -= 1
        return outcome

    def _is_ours(self, name: bytes) -> bool:
        if not any(is_subdomain(name, zone) for zone in self.zones):
            return False
        return not any(is_subdomain(name, zone) for zone in self.options.excepts)

    def _probe(self, _now: float) -> tuple[Ask, ...]:
        return self.proxies.probes(self.options.check, force_tcp=self.options.force_tcp)

    def _watcher(self, target: Target) -> "_FileUse":
        return _FileUse(self, target, self._context)


class _FileUse:
    """Takes a resolv.conf into use whenever it changes."""

    def __init__(self, forward: Forward, target: Target, context: Context) -> None:
        self._forward = forward
        self._target = target
        self._context = context

    def __call__(self, content: bytes | None) -> None:
        path = self._target.path
        before = {proxy.upstream for proxy in self._forward.proxies.all}
        if content is None or not self._forward.use(self._target, content):
            self._context.write(
                f"[WARNING] plugin/forward: {path} names no nameserver any more;"
                " the upstreams stay as they are"
            )
            return
        after = self._forward.proxies.all
        if {proxy.upstream for proxy in after} != before:
            names = " ".join(proxy.address for proxy in after)
            self._context.write(f"[INFO] plugin/forward: {path} changed, upstreams are {names}")


class _Attempts:
    """The attempts for one query (CoreDNS plugin/forward/forward.go ServeDNS)."""

    __slots__ = (
        "_at",
        "_attempts",
        "_deadline",
        "_down",
        "_forward",
        "_list",
        "_maximum",
        "_proceed",
        "_proxy",
        "_reason",
        "_request",
        "_transport",
        "_truncated",
        "_wire",
    )  # fmt: skip

    def __init__(self, forward: Forward, request: Request, proceed: Handler) -> None:
        options = forward.options
        self._forward = forward
        self._request = request
        self._proceed = proceed
        self._list = [proxy for proxy in forward.proxies.order() if not proxy.looping]
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
        if not self._list and self._forward.proxies.all:
            names = " ".join(proxy.address for proxy in self._forward.proxies.all)
            return Failed(Rcode.REFUSED, f"{names} sends queries back to this server", NAME)
        if now >= self._deadline or self._attempts >= self._maximum:
            return Failed(Rcode.SERVFAIL, self._reason or NO_HEALTHY, NAME)
        proxy = self._choose()
        if proxy is None:
            return Failed(Rcode.SERVFAIL, self._reason or NO_HEALTHY, NAME)
        self._attempts += 1
        self._proxy = proxy
        return self._exchange(proxy, self._transport, now)

    def _choose(self) -> Proxy | None:
        while True:
            if self._at >= len(self._list):
                self._at = self._down = 0
            proxy = self._list[self._at]
            self._at += 1
            if not proxy.down(self._forward.options.max_fails):
                return proxy
            self._down += 1
            if self._down >= len(self._list):
                return self._forward.broken()

    def _exchange(self, proxy: Proxy, transport: Transport, now: float) -> Ask:
        options = self._forward.options
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
        if blame and self._forward.options.max_fails:
            proxy.suspect = True
        return self.next(now)

    def _decide(self, message: Message, now: float) -> Outcome:
        options = self._forward.options
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


class Forwards:
    """All ``forward`` directives of a block, one behind the other."""

    name = NAME

    def __init__(self, forwards: Sequence[Forward]) -> None:
        self.forwards = tuple(forwards)

    @property
    def needs(self) -> tuple[Need, ...]:
        """What all of them need."""
        return tuple(need for forward in self.forwards for need in forward.needs)

    @property
    def proxies(self) -> tuple[Proxy, ...]:
        """All upstreams there are now, for ``loop``."""
        return tuple(proxy for forward in self.forwards for proxy in forward.proxies.all)

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Have the first directive that takes the name answer."""
        handler = proceed
        for forward in reversed(self.forwards):
            handler = partial(forward.serve, proceed=handler)
        return handler(request)


def setup(directives: tuple[Directive, ...], context: Context) -> Forwards:
    """Read the directives, in the order of the file."""
    return Forwards([_read(line, context) for line in each(directives)])


def _read(line: Line, context: Context) -> Forward:
    zones = line.zone()
    words = line.rest(at_least=1)
    options = read_options(line)
    if options.force_tcp and options.prefer_udp:
        raise line.error("force_tcp and prefer_udp exclude each other")
    targets = []
    for word in words:
        try:
            targets.append(read_target(word, options))
        except ValueError as error:
            raise line.error(str(error)) from error
    forward = Forward(zones, targets, options, context)
    upstreams = [target.upstream for target in targets if target.upstream is not None]
    forward.proxies.change(upstreams)
    for target in targets:
        if target.path:
            _read_file(line, forward, target, context)
    if len(forward.proxies.all) > MAX_UPSTREAMS:
        raise line.error(f"more than {MAX_UPSTREAMS} TOs configured: {len(forward.proxies.all)}")
    return forward


def _read_file(line: Line, forward: Forward, target: Target, context: Context) -> None:
    try:
        content = context.read(target.path)
    except OSError as error:
        raise line.error(f"not an IP address or file: {target.path!r}") from error
    if not forward.use(target, content):
        raise line.error(f"no nameservers found: {target.path!r}")
