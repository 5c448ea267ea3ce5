"""Relaying UDP: a session for each client address and frontend, with a socket of its own.

The session's socket is connected to one endpoint, so that answers find their client and the kernel
reports when the endpoint is not there (ICMP port unreachable).  A datagram that meets such an
endpoint is sent to another one; when there is none, the client gets the error
(:mod:`svcdns.aio.refusal`).

When a session is over says :mod:`svcdns.proxy.udplife`.
"""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Callable
from itertools import takewhile

from svcdns.aio.datagrams import Name, boxes
from svcdns.aio.directloop import hub
from svcdns.aio.poller import Poller
from svcdns.aio.refusal import Refuser
from svcdns.aio.tcpconnection import OURS, SHORTAGES, Closed
from svcdns.aio.udpsession import UdpSession
from svcdns.aio.udpsockets import UdpSockets
from svcdns.proxy.balancer import Endpoint
from svcdns.proxy.listeners import Need
from svcdns.proxy.served import Served
from svcdns.proxy.udplife import EXCHANGE_SECONDS

SWEEP_SECONDS = 2.0
"""Resolution of the idle times."""

SESSIONS_LIMIT = 16_384
"""Sessions at most, one descriptor each; beyond it the one longest idle goes."""


class UdpRelay:
    """All UDP sessions of the process."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        warn: Callable[[str], None],
        access: Callable[[Closed], None] | None = None,
        limit: int = SESSIONS_LIMIT,
        batches: bool | None = None,
    ) -> None:
        """Watch nothing yet.

        Args:
            loop: Serves the sockets.
            warn: Takes a line for the log.
            access: Takes each session when it is over.
            limit: Sessions at most.
            batches: Whether to move many datagrams with one call; by default if that is possible.
        """
        self.inbox, self.outbox = boxes(batches=batches)
        self.poller = Poller(loop, outer=hub(loop), before=self._begin, after=self.outbox.flush)
        self.sockets = UdpSockets(self.poller)
        self.refuser = Refuser()
        self.clock = loop.time
        self.access = access
        self.limit = limit
        self.now = loop.time()
        "When the batch of events that is being served began."
        self.round = 0
        "Number of that batch."
        self.undeliverable = 0
        self.evicted = 0
        "Sessions that ended because of the limit."
        self.sessions: OrderedDict[UdpSession, None] = OrderedDict()
        "The one longest idle first."
        self._loop = loop
        self._warn = warn
        self._sweeper: asyncio.TimerHandle | None = None
        self._warned = False

    @property
    def dropped(self) -> int:
        """Datagrams that could not be passed on: buffers full, or nobody to pass them to."""
        return self.undeliverable + self.outbox.refused

    def _begin(self) -> None:
        """Note when a batch of events begins: one look at the clock serves all its datagrams."""
        self.now = self.clock()
        self.round += 1

    def start(self) -> None:
        """Serve datagrams from now on."""
        self.poller.start()
        self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def stop(self) -> None:
        """End all sessions."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for session in list(self.sessions):
            session.close("stopped")
        self.sockets.close_spares()
        self.refuser.close()
        self.poller.stop()

    def open(self, frontend: "UdpFrontend", name: Name, tried: list[Endpoint]) -> UdpSession | None:
        """Begin a session for a client; None when no endpoint or no descriptor is to be had."""
        if len(self.sessions) >= self.limit:
            self._evict()
        family = frontend.need.listener.family
        try:
            sock = self.sockets.take(family)
        except OSError as error:
            self._short(error)
            return None
        endpoint = self._connect(sock, frontend, self.inbox.host(name), tried)
        if endpoint is None:
            self.sockets.put_back(sock, family)
            return None
        session = UdpSession(self, frontend, name, endpoint, sock, len(tried) + 1)
        self.poller.retarget(sock.fileno(), session)
        self.sessions[session] = None
        endpoint.active += 1
        endpoint.connections += 1
        return session

    def _connect(
        self, sock: socket.socket, frontend: "UdpFrontend", host: str, tried: list[Endpoint]
    ) -> Endpoint | None:
        """Connect to an endpoint for the client at *host*; None when there is none to be had."""
        while True:
            endpoint = frontend.served.pick(frontend.need, host, self.now, tried)
            if endpoint is None:
                return None
            try:
                sock.connect(endpoint.sockaddr)
            except OSError as error:
                if error.errno in OURS:
                    self._short(error)
                    return None
                frontend.served.failed(endpoint, self.now)
                tried.append(endpoint)
                continue
            return endpoint

    def _short(self, error: OSError) -> None:
        """Make room for the next session when there was none for this one."""
        if not self._warned:
            self._warned = True
            self._warn(f"UDP sessions end early to make room for new ones: {error.strerror}")
        if error.errno in SHORTAGES:
            if self.sessions:
                self._evict()
            self.sockets.close_spares()

    def _evict(self) -> None:
        """End the session longest idle."""
        self.evicted += 1
        session = next(iter(self.sessions))
        self.sockets.put_back(session.leave("made room"), session.frontend.need.listener.family)

    def _sweep(self) -> None:
        now = self.clock()
        idle = takewhile(lambda session: session.last <= now - EXCHANGE_SECONDS, self.sessions)
        for session in [session for session in idle if session.expires() <= now]:
            session.close("idle")
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
                session.close("the endpoint was removed")


class UdpFrontend:
    """The socket that clients send to, and their sessions."""

    def __init__(self, relay: UdpRelay, sock: socket.socket, need: Need, served: Served) -> None:
        self.sock = sock
        self.need = need
        self.served = served
        self.sessions: dict[Name, UdpSession] = {}
        self._relay = relay

    def ready(self, events: int) -> None:
        """Pass on what clients have sent, within bounds."""
        sessions, relay = self.sessions, self._relay
        try:
            arrived = relay.inbox.receive(self.sock)
        except OSError:
            return  # an error of a datagram sent earlier; whatever waits is reported again
        for name, data in arrived:
            session = sessions.get(name)
            if session is None:
                session = relay.open(self, name, [])
                if session is None:
                    relay.undeliverable += 1
                    continue
                sessions[name] = session
            session.forward(data)

    def refuse(self, client: tuple[str, int], octets: int) -> None:
        """Tell *client* that no endpoint took its datagram."""
        self._relay.undeliverable += 1
        listener = self.need.listener
        self._relay.refuser.refuse(client, (listener.address, listener.port), octets)

    def forget(self) -> None:
        """End all sessions; clients that go on get new ones."""
        for session in list(self.sessions.values()):
            session.close("the frontend is gone")

    def close(self) -> None:
        """End all sessions and close the socket."""
        self.forget()
        self._relay.poller.close(self.sock)
