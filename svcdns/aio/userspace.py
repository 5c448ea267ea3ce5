"""The userspace data path: a plan comes in, sockets open and close, relays carry the traffic.

What a client sees is what kube-proxy shows it (rule R50): a service without endpoints is a refused
connection, because its socket is closed; a dropped one is silence, because a filter in the kernel
discards what reaches its socket.  Two things cannot be had here: unused addresses of a ServiceCIDR
are refused where kube-proxy drops them (rule R25), and endpoints see this process as their client
unless they ask for the PROXY protocol (section 8 of the rules, "US").

Connections outlive everything but their own ends: plans, removed endpoints (rule R94), removed
services.  ``drain_seconds`` bounds that on request.
"""

import asyncio
import logging
import random as randomness
from collections.abc import Callable
from dataclasses import dataclass

from svcdns.aio.poller import LEVEL
from svcdns.aio.sockets import BACKLOG, admit, listen, raise_descriptor_limit
from svcdns.aio.tcpconnection import Closed
from svcdns.aio.tcprelay import TcpListener, TcpRelay
from svcdns.aio.udprelay import SESSIONS_LIMIT, UdpFrontend, UdpRelay
from svcdns.metrics import Registry
from svcdns.proxy.balancer import Algorithm, Endpoint, Random, algorithm
from svcdns.proxy.capture import holds
from svcdns.proxy.condense import condense
from svcdns.proxy.listeners import Key, Listener, Need, Surroundings, Unbindable, Wants, diff
from svcdns.proxy.model import ForwardingPlan, ServicePlan
from svcdns.proxy.outlier import EjectionRules
from svcdns.proxy.proxyprotocol import VERSIONS
from svcdns.proxy.repeat import EMPTY_RESPONSE, NEVER
from svcdns.proxy.served import Served, networks
from svcdns.proxy.topology import MAX_WEIGHT, hint_weight
from svcdns.proxy.traffic import publish, publish_dropped
from svcdns.proxy.udplife import MAX_RESPONSES, OPEN_END, responses

DESCRIPTORS_KEPT = 128
"""Descriptors left to the rest of the process: API connections, DNS sockets, pipes for splicing."""

Bind = Callable[[str, int, str], tuple[str, int]]
"""Address, port and protocol of a frontend to the address and port that are bound for it."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a plan."""

    opened: tuple[Listener, ...]
    closed: tuple[Listener, ...]
    listening: int
    "Sockets open now."
    failed: tuple[Unbindable, ...]
    "Frontends without a socket, and why; tried again with the next plan."


def _as_it_is(address: str, port: int, protocol: str) -> tuple[str, int]:
    return address, port


class UserspaceProxy:
    """Forwards by a plan, without privileges."""

    def __init__(
        self,
        *,
        registry: Registry,
        log: logging.Logger | None = None,
        bind: Bind = _as_it_is,
        random: Random = randomness.random,
        around: Surroundings | None = None,
        rules: EjectionRules | None = None,
        access_log: bool = False,
        drain_seconds: float | None = None,
    ) -> None:
        """Open nothing yet: that is :meth:`start` and :meth:`apply`.

        Args:
            registry: Where ``svcdns_proxy_*`` metrics go.
            log: For warnings and, when asked for, the access log.
            bind: Where a frontend's socket really is, when not at its own address and port.
            random: Source of the balancers' draws.
            around: Node-port addresses, and which clients count as this node's own.
            rules: Ejection and slow start.
            access_log: Whether each connection and UDP session is logged when it is over.
            drain_seconds: After this connections to removed endpoints are reset; None: never.
        """
        self.services: dict[Key, Served] = {}
        self._log = log or logging.getLogger("svcdns.proxy")
        self._bind = bind
        self._random = random
        self._around = around or Surroundings()
        self._wants = Wants(self._around)
        self._rules = rules
        self._access_log = access_log
        self._drain_seconds = drain_seconds
        self._needs: dict[Listener, Need] = {}
        self._open: dict[Listener, TcpListener | UdpFrontend] = {}
        self._refused: frozenset[Unbindable] = frozenset()
        self._leaving: set[Served] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._descriptors = 0
        self._tcp: TcpRelay | None = None
        self._udp: UdpRelay | None = None
        self._registry = registry
        registry.before_scrape(self._publish)

    async def start(self) -> None:
        """Be ready for plans."""
        loop = asyncio.get_running_loop()
        descriptors = raise_descriptor_limit()
        sessions = min(SESSIONS_LIMIT, descriptors // 4)
        access = self._log_closed if self._access_log else None
        self._descriptors = descriptors - DESCRIPTORS_KEPT - sessions
        self._tcp = TcpRelay(loop, warn=self._log.warning, access=access)
        self._udp = UdpRelay(loop, warn=self._log.warning, access=access, limit=sessions)
        self._tcp.start()
        self._udp.start()

    def surround(self, around: Surroundings) -> None:
        """Know the node anew; sockets follow with the next plan, and connections stay."""
        self._around = around
        self._wants = Wants(around)
        own = networks(around.own_networks)
        for served in self.services.values():
            served.own = own

    def apply(self, plan: ForwardingPlan) -> Applied:
        """Forward by *plan* from now on; sockets that mean the same before and after stay open.

        One frontend that cannot be had never stops the others.
        """
        wanted = self._wants.of(plan)
        change = diff(self._needs, wanted.sockets)
        self._update_services(plan)
        for listener in change.close:
            self._close(listener)
        failed = list(wanted.unbindable)
        for need in change.retarget:
            self._retarget(need, failed)
        opened = [need.listener for need in change.open if self._listen(need, failed)]
        self._running().limit = max((self._descriptors - len(self._open)) // 2, 8)
        self._complain(failed)
        return Applied(tuple(opened), change.close, len(self._open), tuple(failed))

    def _complain(self, failed: list[Unbindable]) -> None:
        """Say what is wrong with frontends when it begins to be, not with every plan."""
        new = [f"{one.service}: {one.reason}" for one in failed if one not in self._refused]
        said, details = condense(new, "frontends have no socket")
        for line in said:
            self._log.warning("%s", line)
        for line in details:
            self._log.debug("%s", line)
        self._refused = frozenset(failed)

    def _update_services(self, plan: ForwardingPlan) -> None:
        now = self._running().clock()
        own = networks(self._around.own_networks)
        for key in self.services.keys() - plan.services.keys():
            served = self.services.pop(key)
            self._let_go(served, served.update(_emptied(served.plan), now))
            self._leaving.add(served)
        for key, service in plan.services.items():
            known = self.services.get(key)
            if known is None:
                self.services[key] = Served(service, now, self._random, own=own, rules=self._rules)
                self._check(service)
            elif known.plan is not service and known.plan != service:
                self._let_go(known, known.update(service, now))
                self._check(service)
        self._leaving = {served for served in self._leaving if served.leaving}

    def _check(self, service: ServicePlan) -> None:
        """Warn about annotations that mean nothing."""
        if algorithm(service.balance) is None:
            self._log.warning(
                "%s: svcdns.io/balance: %r is none of %s; power-of-two is used",
                service.id, service.balance, ", ".join(Algorithm),
            )  # fmt: skip
        if service.proxy_protocol and service.proxy_protocol not in VERSIONS:
            self._log.warning(
                "%s: svcdns.io/proxy-protocol: %r is none of %s; no header is sent",
                service.id, service.proxy_protocol, ", ".join(VERSIONS),
            )  # fmt: skip
        if service.hint_weight and not hint_weight(service.hint_weight):
            self._log.warning(
                "%s: svcdns.io/hint-weight: %r is no number from 2 to %d; hints filter",
                service.id, service.hint_weight, MAX_WEIGHT,
            )  # fmt: skip
        if service.retry not in ("", EMPTY_RESPONSE, NEVER):
            self._log.warning(
                "%s: svcdns.io/retry: %r is neither %s nor %s; what is harmless is said twice",
                service.id, service.retry, EMPTY_RESPONSE, NEVER,
            )  # fmt: skip
        if responses(service.responses, ()) is None:
            self._log.warning(
                "%s: svcdns.io/responses: %r is neither %s nor a number from 1 to %d; "
                "sessions end when they idle",
                service.id, service.responses, OPEN_END, MAX_RESPONSES,
            )  # fmt: skip

    def _let_go(self, served: Served, gone: list[Endpoint]) -> None:
        """Begin the drain of endpoints that left, and give their UDP clients to others."""
        assert self._udp is not None
        if served.plan.id.protocol == "UDP":
            self._udp.rehome(served)
        elif gone and self._drain_seconds is not None:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(self._drain_seconds, self._cut, frozenset(gone))
            self._timers = {t for t in self._timers if t.when() > loop.time()} | {timer}

    def _cut(self, gone: frozenset[Endpoint]) -> None:
        for connection in list(self._running().connections):
            if connection.endpoint in gone:
                connection.close("the endpoint was removed", reset=True)

    def _listen(self, need: Need, failed: list[Unbindable]) -> bool:
        listener = need.listener
        address, port = self._bind(listener.address, listener.port, listener.protocol)
        tcp, udp = self._running(), self._udp
        assert udp is not None
        served = self.services[need.key]
        target: TcpListener | UdpFrontend
        try:
            captured = holds(self._around.captured, address)
            opened = listen(need, address, port, captured=captured)
            try:
                if listener.protocol == "TCP":
                    target = TcpListener(tcp, opened, need, served)
                    if not opened.plugged:
                        tcp.accepting.add(opened.sock.fileno(), target, LEVEL)
                else:
                    target = UdpFrontend(udp, opened.sock, need, served)
                    udp.poller.add(opened.sock.fileno(), target, LEVEL)
            except OSError:
                opened.sock.close()
                raise
        except (OSError, ValueError) as error:
            reason = _why(address, port, listener, error)
            failed.append(Unbindable(listener, str(need.key[0]), reason))
            return False
        self._open[listener] = target
        self._needs[listener] = need
        return True

    def _retarget(self, need: Need, failed: list[Unbindable]) -> None:
        target = self._open[need.listener]
        if target.need.sources != need.sources:
            if isinstance(target, TcpListener) and not target.opened.filtered:
                self._close(need.listener)
                self._listen(need, failed)
                return
            try:
                admit(target.sock, need)
            except PermissionError:
                self._close(need.listener)
                self._listen(need, failed)
                return
            except (OSError, ValueError) as error:
                # Whom a socket lets in must not be wider than what was asked for: close it.
                self._close(need.listener)
                failed.append(Unbindable(need.listener, str(need.key[0]), str(error)))
                return
        served = self.services[need.key]
        if isinstance(target, UdpFrontend) and target.served is not served:
            target.forget()  # these were flows to another service
        target.need = need
        target.served = served
        self._needs[need.listener] = need

    def _close(self, listener: Listener) -> None:
        target = self._open.pop(listener)
        del self._needs[listener]
        match target:
            case TcpListener():
                if not target.opened.plugged:
                    target.accept(BACKLOG)  # closing would reset those who wait in the queue
                self._running().accepting.close(target.sock)
            case UdpFrontend():
                target.close()

    async def stop(self, grace: float) -> None:
        """Accept nothing more, let connections end for *grace* seconds, then reset the rest."""
        tcp, udp = self._running(), self._udp
        assert udp is not None
        for listener in list(self._open):
            self._close(listener)
        if tcp.connections:
            try:
                async with asyncio.timeout(grace):
                    await tcp.idle.wait()
            except TimeoutError:
                self._log.warning("%d connections are cut after %g s", len(tcp.connections), grace)
        for timer in self._timers:
            timer.cancel()
        tcp.stop()
        udp.stop()

    def _running(self) -> TcpRelay:
        if self._tcp is None:
            raise RuntimeError("UserspaceProxy.start() comes before everything else")
        return self._tcp

    def _log_closed(self, line: Closed) -> None:
        self._log.info(
            "%s %s:%d -> %s:%d -> %s up=%d down=%d seconds=%.6f attempts=%d %s",
            line.service, *line.client, *line.frontend,
            "{}:{}".format(*line.endpoint) if line.endpoint else "-",
            line.octets_up, line.octets_down, line.seconds, line.attempts, line.reason,
        )  # fmt: skip

    def _publish(self) -> None:
        tcp = self._tcp
        if tcp is None:
            return
        for connection in tcp.connections:
            connection.fold()
        services = [*self.services.values(), *self._leaving]
        for served in services:
            served.retire()
        publish(self._registry, services, tcp.clock())
        if self._udp is not None:
            publish_dropped(self._registry, self._udp.dropped())


def _emptied(plan: ServicePlan) -> ServicePlan:
    """Give the plan of a service that is gone: nothing to forward to."""
    return ServicePlan(id=plan.id, family=plan.family, frontends=())


def _why(address: str, port: int, listener: Listener, error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    hint = (
        "; ports below 1024 need CAP_NET_BIND_SERVICE" if isinstance(error, PermissionError) else ""
    )
    return f"cannot listen on {address} port {port}/{listener.protocol}: {text}{hint}"
