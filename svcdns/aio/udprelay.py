"""Relaying UDP: a session for each client address and frontend, with a socket of its own.

The session's socket is connected to one endpoint, so that answers find their client and the kernel
reports when the endpoint is not there (ICMP port unreachable).  A datagram that meets such an
endpoint is sent to another one; when there is none, the client gets the error
(:mod:`svcdns.aio.refusal`).

Sessions end when they idle.  Envoy waits 60 s, kube-proxy's old mode 250 ms (rule R133), the
kernel's conntrack 30 s before and 120 s after a flow has shown that it is a stream.  Like conntrack
we tell a flow (QUIC: 60 s, under which its clients send keep-alives) from a question with its
answer (DNS: its source port is not used again; 10 s outlast a resolver's repetition).
"""

import asyncio
import errno
import socket
from collections import OrderedDict
from collections.abc import Callable
from itertools import takewhile

from svcdns.aio.poller import LEVEL, Poller
from svcdns.aio.refusal import Refuser
from svcdns.proxy.balancer import Endpoint
from svcdns.proxy.listeners import Need
from svcdns.proxy.served import Served

FLOW_SECONDS = 60.0
"""Idle time of a session with more than one datagram in some direction (Envoy's default)."""

EXCHANGE_SECONDS = 10.0
"""Idle time of a session with at most one datagram in each direction."""

SWEEP_SECONDS = 2.0
"""Resolution of the idle times."""

SESSIONS_LIMIT = 16_384
"""Sessions at most, one descriptor each; beyond it the one longest idle goes."""

DATAGRAM_OCTETS = 65_535
"""More than fits into a datagram (65,507 over IPv4)."""

DATAGRAMS = 64
"""Datagrams taken from one socket in one turn."""

SESSION_BUFFER_OCTETS = 1 << 20
"""Receive buffer asked for; the kernel gives at most ``net.core.rmem_max``."""


class UdpRelay:
    """All UDP sessions of the process."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        warn: Callable[[str], None],
        limit: int = SESSIONS_LIMIT,
    ) -> None:
        self.poller = Poller(loop)
        self.refuser = Refuser()
        self.clock = loop.time
        self.limit = limit
        self.dropped = 0
        "Datagrams that could not be passed on: buffers full, or nobody to pass them to."
        self.evicted = 0
        "Sessions that ended because of the limit."
        self.sessions: OrderedDict[UdpSession, None] = OrderedDict()
        "The one longest idle first."
        self._loop = loop
        self._warn = warn
        self._sweeper: asyncio.TimerHandle | None = None
        self._warned = False

    def start(self) -> None:
        """Serve datagrams from now on."""
        self.poller.start()
        self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def stop(self) -> None:
        """End all sessions."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for session in list(self.sessions):
            session.close()
        self.refuser.close()
        self.poller.stop()

    def open(
        self, frontend: "UdpFrontend", client: tuple[str, int], tried: list[Endpoint]
    ) -> "UdpSession | None":
        """Begin a session for *client*; None when no endpoint or no descriptor is to be had."""
        now = self.clock()
        if len(self.sessions) >= self.limit:
            self._evict()
        while True:
            endpoint = frontend.served.pick(frontend.need, client[0], now, tried)
            if endpoint is None:
                return None
            try:
                sock = self._connected(endpoint, frontend.need.listener.family)
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE) and self.sessions:
                    self._short(error)
                    self._evict()
                    continue
                frontend.served.failed(endpoint, now)
                tried.append(endpoint)
                continue
            session = UdpSession(self, frontend, client, endpoint, sock)
            try:
                self.poller.add(session.descriptor, session, LEVEL)
            except OSError as error:
                sock.close()
                self._short(error)
                return None
            self.sessions[session] = None
            endpoint.active += 1
            endpoint.connections += 1
            return session

    @staticmethod
    def _connected(endpoint: Endpoint, family: int) -> socket.socket:
        kind = socket.AF_INET if family == 4 else socket.AF_INET6
        sock = socket.socket(kind, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            sock.connect(endpoint.sockaddr)
        except OSError:
            sock.close()
            raise
        return sock

    def _short(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            self._warn(f"UDP sessions end early to make room for new ones: {error.strerror}")

    def _evict(self) -> None:
        """End the session longest idle."""
        next(iter(self.sessions)).close()
        self.evicted += 1

    def _sweep(self) -> None:
        now = self.clock()
        idle = takewhile(lambda session: session.last <= now - EXCHANGE_SECONDS, self.sessions)
        for session in [session for session in idle if session.expires() <= now]:
            session.close()
        self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def rehome(self, served: Served) -> None:
        """End sessions whose endpoint serves no more, so that their clients get another one.

        Endpoints that merely lost to policy or topology keep theirs (rules R90, R92); when none is
        left to go to everything stays as it is (rule R91).
        """
        if not served.plan.serving:
            return
        for session in list(self.sessions):
            if session.frontend.served is served and not served.still_serving(
                session.endpoint.backend
            ):
                session.close()


class UdpFrontend:
    """The socket that clients send to, and their sessions."""

    def __init__(self, relay: UdpRelay, sock: socket.socket, need: Need, served: Served) -> None:
        self.sock = sock
        self.need = need
        self.served = served
        self.sessions: dict[tuple[str, int], UdpSession] = {}
        self._relay = relay

    def ready(self, events: int) -> None:
        """Pass on what clients have sent, within bounds."""
        receive, sessions, relay = self.sock.recvfrom, self.sessions, self._relay
        now = relay.clock()
        for _ in range(DATAGRAMS):
            try:
                data, client = receive(DATAGRAM_OCTETS)
            except BlockingIOError:
                return
            except OSError:
                continue  # an error of a datagram sent earlier; the next call goes on
            session = sessions.get(client)
            if session is None:
                session = relay.open(self, client, [])
                if session is None:
                    relay.dropped += 1
                    continue
                sessions[client] = session
            session.forward(data, now)

    def answer(self, data: bytes, client: tuple[str, int]) -> None:
        """Send *data* to *client* from the address it asked."""
        try:
            self.sock.sendto(data, client)
        except OSError:
            self._relay.dropped += 1

    def refuse(self, client: tuple[str, int], octets: int) -> None:
        """Tell *client* that no endpoint took its datagram."""
        self._relay.dropped += 1
        listener = self.need.listener
        self._relay.refuser.refuse(client, (listener.address, listener.port), octets)

    def forget(self) -> None:
        """End all sessions; clients that go on get new ones."""
        for session in list(self.sessions.values()):
            session.close()

    def close(self) -> None:
        """End all sessions and close the socket."""
        self.forget()
        self._relay.poller.close(self.sock)


class UdpSession:
    """A client's datagrams to one endpoint, and back."""

    __slots__ = (
        "_burst",
        "_relay",
        "_sock",
        "_tried",
        "_unanswered",
        "client",
        "closed",
        "descriptor",
        "endpoint",
        "frontend",
        "last",
        "received",
        "sent",
    )

    def __init__(
        self,
        relay: UdpRelay,
        frontend: UdpFrontend,
        client: tuple[str, int],
        endpoint: Endpoint,
        sock: socket.socket,
    ) -> None:
        self._relay = relay
        self._sock = sock
        self._burst = 1
        self._tried: list[Endpoint] = []
        self._unanswered: bytes | None = None
        self.frontend = frontend
        self.client = client
        self.endpoint = endpoint
        self.descriptor = sock.fileno()
        self.last = relay.clock()
        self.sent = 0
        self.received = 0
        self.closed = False

    def expires(self) -> float:
        """Tell when the session has idled for long enough."""
        flow = self.sent > 1 or self.received > 1
        return self.last + (FLOW_SECONDS if flow else EXCHANGE_SECONDS)

    def forward(self, data: bytes, now: float) -> None:
        """Send a client's datagram to the endpoint."""
        self.last = now
        self._relay.sessions.move_to_end(self)
        self.sent += 1
        if not self.received:
            self._unanswered = data
        try:
            self.endpoint.sent += self._sock.send(data)
        except ConnectionRefusedError:
            self._unanswered = data
            self._refused()
        except OSError:
            self._relay.dropped += 1

    def ready(self, events: int) -> None:
        """Pass on what the endpoint has sent.

        One datagram is taken at first and more when there were more last time: a question with one
        answer is not worth a system call that finds nothing.
        """
        receive = self._sock.recv
        for _ in range(self._burst):
            try:
                data = receive(DATAGRAM_OCTETS)
            except BlockingIOError:
                self._burst = 1
                return
            except OSError:
                self._refused()
                return
            if not self.received:
                self.frontend.served.balancer.succeeded(self.endpoint)
                self._unanswered = None
                self._tried.clear()
            self.received += 1
            self.last = self._relay.clock()
            self._relay.sessions.move_to_end(self)
            self.endpoint.received += len(data)
            self.frontend.answer(data, self.client)
        self._burst = min(self._burst * 2, DATAGRAMS)

    def _refused(self) -> None:
        """The endpoint is not there: go on with another one, with the datagram that was lost."""
        frontend, data, tried = self.frontend, self._unanswered, [*self._tried, self.endpoint]
        frontend.served.failed(self.endpoint, self._relay.clock())
        self.close()
        if data is None:
            return
        heir = self._relay.open(frontend, self.client, tried)
        if heir is None:
            frontend.refuse(self.client, len(data))
            return
        frontend.served.retries += 1
        heir._tried = tried
        frontend.sessions[self.client] = heir
        heir.forward(data, self._relay.clock())

    def close(self) -> None:
        """End the session; the client's next datagram begins another one."""
        if self.closed:
            return
        self.closed = True
        self.endpoint.active -= 1
        self._relay.sessions.pop(self, None)
        if self.frontend.sessions.get(self.client) is self:
            del self.frontend.sessions[self.client]
        self._relay.poller.close(self._sock)
