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
        resolver IP[:PORT]...
    }

* FROM: names at and below it are forwarded.
* ``next``, ``next_on_nodata``: such answers are left to the next ``forward`` of the block.
* ``force_tcp`` takes precedence over ``prefer_udp``.
* TO: up to 15 upstreams: IP, IP:PORT, ``dns://``, ``tls://`` or ``https://`` in front, the path of
  a file in the form of resolv.conf, or a host name, also behind ``dns://`` and ``tls://``.
* ``resolver``: who is asked for host names, every 30 seconds; those of /etc/resolv.conf by default.

Examples:
--------
::

    . {
        forward . /etc/resolv.conf {
            max_concurrent 1000
        }
    }

Labels
------
With ``metadata`` in the block, ``forward/upstream`` is the address of the upstream that was asked
last.

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
* A resolv.conf is read again when it changes, and so are the files of ``tls``, without a reload.
* Cookies, keepalive and padding of the client concern its own connection and are not sent on.
* ``max_idle_conns`` is accepted and without effect; connections to an upstream are bounded anyway.
* A host name that cannot be looked up does not keep the server from starting: queries get SERVFAIL
  until it is found.  Names are absolute, a search path is not tried.

Parity: CoreDNS ``plugin/forward`` (rule J21).
"""

from collections.abc import Sequence
from functools import partial

from svcdns.corefile.options import Line, each
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import Rcode
from svcdns.dns.name import is_subdomain
from svcdns.plugins.base import (
    Ask,
    Context,
    Failed,
    Handler,
    Need,
    Outcome,
    Periodic,
    Request,
    then,
)
from svcdns.plugins.forwardattempts import Attempts
from svcdns.plugins.forwardoptions import (
    MAX_UPSTREAMS,
    NAME,
    Options,
    Target,
    find_target,
    read_nameservers,
    read_options,
)
from svcdns.plugins.forwardtargets import Targets
from svcdns.plugins.proxies import Proxies, Proxy, ProxyMetrics


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
        self.proxies = Proxies(ProxyMetrics(context.registry, NAME), options.policy, context.random)
        self.targets = Targets(targets, options, self.proxies, context)
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
        """What keeps the upstreams current, and health checks."""
        needs = self.targets.needs
        if self.options.max_fails == 0:
            return needs
        return (*needs, Periodic(NAME, self.options.check.interval, self._probe))

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
        attempts = Attempts(self.proxies, self.options, request, proceed, self.broken)
        return then(attempts.next(request.now), self._end, request.now)

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
    lines = each(directives, context.warn)
    forwards = [_read(line, context) for line in lines]
    last = forwards[-1].options
    if last.next_rcodes or last.next_on_nodata:
        # CoreDNS asks the next plugin only if that is another `forward` (forward.go ServeDNS).
        lines[-1].warn("`next` has no effect without another `forward` behind it")
        last.next_rcodes, last.next_on_nodata = frozenset(), False
    return Forwards(forwards)


def _read(line: Line, context: Context) -> Forward:
    zones = line.zone()
    words = line.rest(at_least=1)
    options = read_options(line)
    options.tls = tuple([context.path(path) for path in options.tls])
    for path in options.tls:
        context.read(path)  # a file that is missing is told with its line
    targets = [_find_target(line, word, options, context) for word in words]
    forward = Forward(zones, targets, options, context)
    for target in targets:
        if target.path:
            content = context.read(target.path)
            found = read_nameservers(content, target.transport, options)
            forward.targets.found(target, found)
    if not forward.proxies.all and not any(target.host for target in targets):
        raise line.error(f"no nameservers found: {' '.join(words)!r}")
    if len(forward.proxies.all) > MAX_UPSTREAMS:
        raise line.error(f"more than {MAX_UPSTREAMS} TOs configured: {len(forward.proxies.all)}")
    return forward


def _find_target(line: Line, word: str, options: Options, context: Context) -> Target:
    try:
        return find_target(word, options, context.read)
    except ValueError as error:
        raise line.error(str(error)) from error
