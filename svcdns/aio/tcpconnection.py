"""One relayed TCP connection: find an endpoint that answers, then tie two legs together.

A client that was accepted waits, unread, until an endpoint has taken the connection: a connect
that is refused or takes too long goes to the next endpoint before the client can notice.  When all
endpoints have been tried they are tried again, after 0.1, 0.2 and 0.4 s, by the plan of that
moment: one that has just been born may not have been in the plan yet.

Precedents: kube-proxy's old userspace mode tried 4 times with 250 ms, 500 ms, 1 s, 2 s, each on the
next endpoint (rule R131); HAProxy 3 retries, the last on another server, 1 s apart on the same one;
Envoy's connect time-out is 5 s.
"""

import errno
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from svcdns.aio.pipes import PipePool
from svcdns.aio.poller import EDGE, EDGE_IN, Poller
from svcdns.aio.tcpleg import Leg
from svcdns.aio.tcpoptions import RESET, tune
from svcdns.proxy.balancer import Endpoint
from svcdns.proxy.listeners import Need
from svcdns.proxy.proxyprotocol import header
from svcdns.proxy.repeat import REPEATS
from svcdns.proxy.served import Served

ATTEMPT_SECONDS = (0.25, 0.5, 1.0, 2.0)
"""Time-outs of the attempts while another endpoint is left to try (rule R131)."""

LAST_ATTEMPT_SECONDS = 5.0
"""Time-out when this endpoint is the only one left (Envoy): a lost SYN is sent again after 1 s."""

CONNECT_DEADLINE_SECONDS = 10.0
"""After this the client is given up, however many endpoints there are."""

ROUNDS = 4
"""How often each endpoint is tried (HAProxy: 3 retries); 0.7 s later a dead service is admitted."""

TURN_AROUND_SECONDS = 0.1
"""First pause before endpoints are tried again; it doubles.  Also how long shortages are waited."""

SHORTAGES = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC))
"""The process or the machine has no more of something."""

OURS = SHORTAGES | {errno.EADDRNOTAVAIL, errno.EAGAIN, errno.EACCES, errno.EPERM}
"""Errors of connect that say nothing about the endpoint."""

_STREAM = int(socket.SOCK_STREAM | socket.SOCK_NONBLOCK)


@dataclass(frozen=True, slots=True)
class Closed:
    """What is known about a connection when it is over: a line of the access log."""

    service: str
    client: tuple[str, int]
    frontend: tuple[str, int]
    endpoint: tuple[str, int] | None
    "None when no endpoint took the connection."
    octets_up: int
    "From the client to the endpoint."
    octets_down: int
    seconds: float
    attempts: int
    reason: str


class Relay(Protocol):
    """What a connection needs of the relay it is part of."""

    poller: Poller
    pipes: PipePool
    clock: Callable[[], float]
    access: Callable[[Closed], None] | None

    def connecting(self, connection: "Connection") -> None:
        """Watch over the deadline of *connection*."""

    def connected(self, connection: "Connection") -> None:
        """Stop watching over it."""

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Call *action* after some time."""

    def wait(self, connection: "Connection") -> None:
        """Let it dial again at its :attr:`Connection.resume_at`."""

    def starves(self, connection: "Connection", what: str) -> None:
        """Let it dial before anything more is accepted."""

    def over(self, connection: "Connection") -> None:
        """Count it out."""


class Connection:
    """A client and the endpoint that was found for it."""

    __slots__ = (
        "_attempt_began",
        "_attempts",
        "_began",
        "_client",
        "_client_leg",
        "_endpoint",
        "_endpoint_leg",
        "_need",
        "_relay",
        "_repeats",
        "_round",
        "_served",
        "_short",
        "_tried",
        "_unsent",
        "_upstream",
        "address",
        "attempt_ends",
        "closed",
        "pipes",
        "poller",
        "resume_at",
    )

    def __init__(
        self,
        relay: Relay,
        need: Need,
        served: Served,
        client: socket.SocketType,
        address: tuple[str, int],
    ) -> None:
        self.poller = relay.poller
        self.pipes = relay.pipes
        self.closed = False
        self.address = address
        self.attempt_ends = 0.0
        self.resume_at = 0.0
        self._relay = relay
        self._need = need
        self._served = served
        self._client = client
        self._upstream: socket.SocketType | None = None
        self._client_leg: Leg | None = None
        self._endpoint_leg: Leg | None = None
        self._endpoint: Endpoint | None = None
        self._tried: list[Endpoint] = []
        self._round = 1
        self._repeats = 0
        self._attempts = 0
        self._short = False
        self._unsent = b""
        self._began = relay.clock()
        self._attempt_began = self._began

    @property
    def endpoint(self) -> Endpoint | None:
        """Where the connection goes, or is being opened to."""
        return self._endpoint

    def dial(self) -> None:
        """Begin to connect to the next endpoint that can be tried."""
        relay, served = self._relay, self._served
        now = relay.clock()
        while True:
            if now - self._began >= CONNECT_DEADLINE_SECONDS:
                self._give_up("no endpoint answered in time")
                return
            endpoint = served.pick(self._need, self.address[0], now, self._tried)
            if endpoint is None:
                self._out_of_endpoints(now)
                return
            try:
                upstream = self._new_socket()
            except OSError as error:
                relay.starves(self, str(error.strerror))
                return
            code = self._connect(upstream, endpoint)
            if code in (0, errno.EINPROGRESS):
                self._attempt(endpoint, upstream, now)
                return
            upstream.close()
            self._tried.append(endpoint)
            if code in OURS:
                self._short = True
            else:
                served.failed(endpoint, now)

    def _new_socket(self) -> socket.SocketType:
        family = socket.AF_INET if self._need.listener.family == 4 else socket.AF_INET6
        sock = socket.SocketType(family, _STREAM)
        try:
            tune(sock)
        except OSError:
            sock.close()
            raise
        return sock

    def _connect(self, upstream: socket.SocketType, endpoint: Endpoint) -> int:
        """Connect and register; the error number."""
        code = upstream.connect_ex(endpoint.sockaddr)
        if code in (0, errno.EINPROGRESS):
            try:
                self.poller.add(upstream.fileno(), self, EDGE)
            except OSError as error:
                return error.errno or errno.ENOMEM
        return code

    def _attempt(self, endpoint: Endpoint, upstream: socket.SocketType, now: float) -> None:
        self._endpoint, self._upstream = endpoint, upstream
        endpoint.active += 1
        self._attempt_began = now
        others = len(self._served.balancer.endpoints) - len(self._tried) > 1
        patience = ATTEMPT_SECONDS[min(self._attempts, 3)] if others else LAST_ATTEMPT_SECONDS
        self.attempt_ends = min(now + patience, self._began + CONNECT_DEADLINE_SECONDS)
        self._attempts += 1
        if self._attempts > 1:
            self._served.retries += 1
        self._relay.connecting(self)

    def ready(self, events: int) -> None:
        """Serve an event of the endpoint's socket while connecting."""
        assert self._upstream is not None
        error = 0
        if events & (select.EPOLLERR | select.EPOLLHUP):
            error = self._upstream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not error:
            if events & select.EPOLLOUT:
                self._connected(events & ~select.EPOLLOUT)
            return
        self._abandon(blame=error not in OURS)
        self.dial()

    def timed_out(self) -> None:
        """Try the next endpoint, unless this one did answer and its event waits for its turn."""
        assert self._upstream is not None
        try:
            self._upstream.getpeername()
        except OSError:
            self._abandon(blame=True)
            self.dial()

    def _abandon(self, *, blame: bool) -> None:
        endpoint, upstream = self._endpoint, self._upstream
        assert endpoint is not None
        assert upstream is not None
        self._relay.connected(self)
        self.poller.close(upstream)
        self._upstream = self._endpoint = None
        endpoint.active -= 1
        self._tried.append(endpoint)
        if blame:
            self._served.failed(endpoint, self._relay.clock())
        else:
            self._short = True

    def _out_of_endpoints(self, now: float) -> None:
        if not self._tried:
            self._give_up("no endpoints")
        elif self._short or self._round < ROUNDS:
            pause = TURN_AROUND_SECONDS * 2 ** min(self._round - 1, ROUNDS)
            self._round += 1
            self._short = False
            self._tried.clear()
            self._pause(now + pause)
        else:
            self._give_up("no endpoint takes connections")

    def _pause(self, until: float) -> None:
        self.resume_at = until
        self._relay.wait(self)

    def _give_up(self, reason: str) -> None:
        self._served.failures += 1
        self.close(reason, reset=True)

    def _connected(self, events: int) -> None:
        relay, served = self._relay, self._served
        endpoint, upstream = self._endpoint, self._upstream
        assert endpoint is not None
        assert upstream is not None
        relay.connected(self)
        served.connected(endpoint, relay.clock() - self._attempt_began)
        near = self._client_leg = Leg(self, self._client, upstream, outbound=False)
        far = self._endpoint_leg = Leg(self, upstream, self._client, outbound=True)
        near.peer, far.peer = far, near
        near.keeps = far.keeps = served.repeatable
        self.poller.retarget(far.descriptor, far)
        if served.plan.proxy_protocol:
            self._introduce(upstream)
        unsent, self._unsent = self._unsent, b""
        if unsent:
            near.push(unsent)
        else:  # the request is usually there by now: moving it at once saves a turn
            near.pump(False)
        if self._client_leg is not near or self.closed:
            return
        try:
            self.poller.add(near.descriptor, near, EDGE_IN)
        except OSError as error:
            self.close(f"proxy: {error.strerror}", reset=True)
            return
        if events:
            far.ready(events)  # an endpoint that speaks first; edges are reported once

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Call *action* after some time."""
        self._relay.later(seconds, action)

    def start_over(self, unsent: bytes, *, blame: bool) -> bool:
        """Dial again: the endpoint left the connection before anything had passed it.

        The client, who has said *unsent*, is served by new legs.  Who resets is to *blame*.
        """
        near, endpoint, upstream = self._client_leg, self._endpoint, self._upstream
        now = self._relay.clock()
        if now - self._began >= CONNECT_DEADLINE_SECONDS or near is None:
            return False
        if unsent:
            self._repeats += 1
            if self._repeats > REPEATS:
                return False
        assert endpoint is not None
        assert upstream is not None
        self._unsent = unsent
        self._client_leg = self._endpoint_leg = self._endpoint = self._upstream = None
        self.poller.forget(near.descriptor)
        self.poller.close(upstream)
        endpoint.active -= 1
        self._tried.append(endpoint)
        if blame:
            self._served.failed(endpoint, now)
        self.dial()
        return True

    def _introduce(self, upstream: socket.SocketType) -> None:
        listener = self._need.listener
        client = (self.address[0], self.address[1])
        try:
            words = header(
                self._served.plan.proxy_protocol, client, (listener.address, listener.port)
            )
            upstream.send(words)  # fits: nothing was sent before
        except ValueError:
            pass  # refused with a warning when the plan was applied
        except OSError:
            pass  # it is gone already, and its own event says so

    def fold(self) -> None:
        """Add what was moved since last time to the endpoint's counts."""
        near, far, endpoint = self._client_leg, self._endpoint_leg, self._endpoint
        if near is None or far is None or endpoint is None:
            return
        endpoint.sent += near.octets - near.folded
        endpoint.received += far.octets - far.folded
        near.folded, far.folded = near.octets, far.octets

    def close(self, reason: str, *, reset: bool = False) -> None:
        """End the connection, with RST in both directions if *reset*."""
        if self.closed:
            return
        self.closed = True
        self.fold()
        near, far, endpoint = self._client_leg, self._endpoint_leg, self._endpoint
        for leg in (near, far):
            if leg is not None:
                leg.release()
        for sock in (self._client, self._upstream):
            if sock is not None:
                if reset:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                self.poller.close(sock)
        if endpoint is not None:
            endpoint.active -= 1
        self._relay.over(self)
        if self._relay.access is not None:
            self._relay.access(self._line(reason))

    def _line(self, reason: str) -> Closed:
        near, far, endpoint = self._client_leg, self._endpoint_leg, self._endpoint
        return Closed(
            service=str(self._served.plan.id),
            client=(self.address[0], self.address[1]),
            frontend=(self._need.listener.address, self._need.listener.port),
            endpoint=endpoint.sockaddr if endpoint else None,
            octets_up=near.octets if near else 0,
            octets_down=far.octets if far else 0,
            seconds=self._relay.clock() - self._began,
            attempts=self._attempts,
            reason=reason,
        )
