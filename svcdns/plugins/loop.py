"""Upstreams that lead back to us.

Name
----
*loop*: finds upstreams that send our queries back to this server, and stops using them.

Syntax
------
::

    loop

At start, for half a minute or until it has answered, every upstream of the block's ``forward`` gets
a query for a random name that nobody else can know.  Who sends it back to us is a loop.  With
``multisocket`` it may come back to another process, which knows the name by a part that all of them
have in common, and answers with a record that none but them can write.

Examples:
--------
::

    . {
        loop
        forward . /etc/resolv.conf
    }

Differences
-----------
CoreDNS ends the process.  Here the log names the upstream, queries for it are refused when there is
no other one, everything else goes on, and when the loop is gone the upstream is used again.  The
usual cause is a resolv.conf that names 127.0.0.53 (systemd-resolved) or this very server.

Parity: CoreDNS ``plugin/loop``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from svcdns.corefile.options import once
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import Rcode, RRType
from svcdns.dns.message import build_query
from svcdns.dns.name import MAX_NAME, ROOT, join, labels
from svcdns.dns.rdata import hinfo
from svcdns.dns.response import Record, Response
from svcdns.plugins.base import (
    Ask,
    Context,
    Drop,
    Failed,
    Handler,
    Need,
    Outcome,
    Periodic,
    Plugin,
    Reply,
    Request,
)
from svcdns.plugins.commands import Exchange, Exchanged, Result
from svcdns.plugins.proxies import Proxy

NAME = "loop"

PATIENCE_SECONDS = 30.0
"""How long an upstream that does not answer is asked (CoreDNS: 30 s)."""

LOOK_SECONDS = 2.0
AGAIN_SECONDS = 30.0
"""Between looks whether a loop is gone."""

TIMEOUT = 2.0

_PROBE_DIGITS = 1 << 62


@runtime_checkable
class Forwarding(Protocol):
    """A plugin that sends queries to upstreams."""

    name: str

    @property
    def proxies(self) -> tuple[Proxy, ...]:
        """The upstreams there are now."""


@dataclass(slots=True)
class _Watched:
    """What is known of one upstream."""

    since: float
    due: float
    name: bytes = b""
    "Of the probe under way; empty: none."
    returned: bool = False


class Loop:
    """One ``loop`` directive."""

    name = NAME

    def __init__(
        self,
        zone: bytes,
        random: Callable[[], float],
        write: Callable[[str], None],
        kin: str = "",
    ) -> None:
        self._zone = zone if len(zone) < MAX_NAME - 50 else ROOT
        self._random = random
        self._write = write
        self._kin = kin.encode()
        self._sign = hinfo(b"svcdns", b"loop-" + self._kin)
        self._forwarding: list[Forwarding] = []
        self._watched: dict[Proxy, _Watched] = {}
        self._names: dict[bytes, Proxy] = {}
        self.needs: tuple[Need, ...] = (Periodic(NAME, LOOK_SECONDS, self.look),)

    def meet(self, siblings: Sequence[Plugin]) -> None:
        """Note who forwards in this block."""
        self._forwarding = [one for one in siblings if isinstance(one, Forwarding)]

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Recognise our own probes."""
        query = request.query
        if query.qtype != RRType.HINFO:
            return proceed(request)
        if query.name in self._names:
            client = request.client
            where = f"{client.address}:{client.port} -> {client.local_address}:{client.local_port}"
            self._found(self._names[query.name], where)
            return Failed(Rcode.REFUSED, plugin=NAME)
        if self._kin and self._kin in labels(query.name)[1:2]:
            record = Record(query.qname, RRType.HINFO, 0, self._sign)
            return Reply(Response(answer=(record,)), plugin=NAME)
        return proceed(request)

    def _found(self, proxy: Proxy, where: str) -> None:
        self._watched[proxy].returned = True
        if proxy.looping:
            return
        proxy.looping = True
        self._write(
            f"[ERROR] plugin/loop: Loop ({where}) detected: upstream"
            f" {proxy.address} sends queries back to this server and is not used any more;"
            " name another resolver in 'forward' (a resolv.conf with 127.0.0.53 is the usual"
            " cause)"
        )

    def look(self, now: float) -> tuple[Ask, ...]:
        """Give the probes that are due."""
        proxies = [proxy for one in self._forwarding for proxy in one.proxies]
        for gone in self._watched.keys() - proxies:
            self._names.pop(self._watched.pop(gone).name, None)
        asks = []
        for proxy in proxies:
            watched = self._watched.get(proxy)
            if watched is None:
                watched = self._watched[proxy] = _Watched(now, now)
            if not watched.name and now >= watched.due:
                asks.append(self._probe(proxy, watched))
        return tuple(asks)

    def _probe(self, proxy: Proxy, watched: _Watched) -> Ask:
        chance = [str(int(self._random() * _PROBE_DIGITS)).encode() for _ in range(2)]
        watched.name = join([chance[0], self._kin or chance[1]], self._zone)
        watched.returned = False
        self._names[watched.name] = proxy
        wire = build_query(watched.name, RRType.HINFO)

        def resume(result: Result, now: float) -> Outcome:
            self._probed(proxy, watched, result, now)
            return Drop()

        return Ask(Exchange(proxy.upstream, wire, TIMEOUT), resume)

    def _probed(self, proxy: Proxy, watched: _Watched, result: Result, now: float) -> None:
        self._names.pop(watched.name, None)
        watched.name = b""
        if isinstance(result, Exchanged) and self._kin and self._sign in result.wire:
            self._found(proxy, "by way of another process")
        if watched.returned:
            watched.due = now + AGAIN_SECONDS
        elif isinstance(result, Exchanged):
            watched.due = float("inf")
            if proxy.looping:
                proxy.looping = False
                self._write(f"[INFO] plugin/loop: upstream {proxy.address} is used again")
        elif proxy.looping:
            watched.due = now + AGAIN_SECONDS
        elif now - watched.since > PATIENCE_SECONDS:
            watched.due = float("inf")
        else:
            watched.due = now


def setup(directives: tuple[Directive, ...], context: Context) -> Loop:
    """Read the directive."""
    once(directives).end()
    zone = context.zones[0] if context.zones else ROOT
    return Loop(zone, context.random, context.write, context.kin)
