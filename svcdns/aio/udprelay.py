"""Relaying UDP: a session for each client address and frontend, with a socket of its own.

The session's socket is connected to one endpoint, so that answers find their client and the kernel
reports when the endpoint is not there (ICMP port unreachable).  A datagram that meets such an
endpoint is sent to another one; when there is none, the client gets the error
(:mod:`svcdns.aio.refusal`).

When a session is over says :mod:`svcdns.proxy.udplife`, which one makes room for another
:mod:`svcdns.proxy.sessions`.
"""

import asyncio
import errno
import socket
from collections.abc import Callable

from svcdns.aio.datagrams import Name, boxes
from svcdns.aio.directloop import hub
from svcdns.aio.poller import Poller
from svcdns.aio.refusal import Refuser
from svcdns.aio.sockets import overflowed
from svcdns.aio.tcpconnection import OURS, SHORTAGES, Closed
from svcdns.aio.udpsession import UdpSession
from svcdns.aio.udpsockets import UdpSockets
from svcdns.proxy.balancer import Endpoint
from svcdns.proxy.listeners import Need
from svcdns.proxy.served import Served
from svcdns.proxy.sessions import SessionTable
from svcdns.proxy.shortage import SESSIONS, Shortage
from svcdns.proxy.traffic import Drop

SWEEP_SECONDS = 2.0
"""Resolution of the idle times."""

SESSIONS_LIMIT = 16_384
"""Sessions at most, one descriptor each; beyond it one of them makes room."""


NO_PORT = frozenset((errno.EAGAIN, errno.EADDRNOTAVAIL))
"""Errors of connect when all source ports are taken (``ip_local_port_range``)."""


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
        self.drops = dict.fromkeys(Drop, 0)
        self.sessions: SessionTable[UdpSession] = SessionTable()
        self.frontends: set[UdpFrontend] = set()
        self._loop = loop
        self._warn = warn
        self._sweeper: asyncio.TimerHandle | None = None
        self._shortage = Shortage(SESSIONS)

    def dropped(self) -> dict[Drop, int]:
        """Count the datagrams that could not be passed on, by reason."""
        waiting = sum(frontend.overflowed() for frontend in self.frontends)
        return {
            **self.drops,
            Drop.QUEUE: self.drops[Drop.QUEUE] + waiting,
            Drop.CLIENT: self.outbox.refused,
        }

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
            self._lacks(f"{self.limit} are open, the limit; some end early")
        family = frontend.need.listener.family
        sock = self._take(family)
        if sock is None:
            self.drops[Drop.SOCKET] += 1
            return None
        endpoint = self._connect(sock, frontend, self.inbox.host(name), tried)
        if endpoint is None:
            self.sockets.put_back(sock, family)
            return None
        session = UdpSession(self, frontend, name, endpoint, sock, len(tried) + 1)
        self.poller.retarget(sock.fileno(), session)
        session.row = self.sessions.add(session)
        endpoint.active += 1
        return session

    def _take(self, family: int) -> socket.socket | None:
        try:
            return self.sockets.take(family)
        except OSError as error:
            if not self._makes_room(error):
                return None
        try:
            return self.sockets.take(family)
        except OSError:
            return None

    def _connect(
        self, sock: socket.socket, frontend: "UdpFrontend", host: str, tried: list[Endpoint]
    ) -> Endpoint | None:
        """Connect to an endpoint for the client at *host*; None when there is none to be had."""
        again = False
        while True:
            endpoint = frontend.served.pick(frontend.need, host, self.now, tried)
            if endpoint is None:
                frontend.served.failures += 1
                self.drops[Drop.ENDPOINT] += 1
                return None
            try:
                sock.connect(endpoint.sockaddr)
            except OSError as error:
                if error.errno in OURS:
                    if not again and self._makes_room(error):
                        again = True
                        continue
                    self.drops[Drop.SOCKET] += 1
                    return None
                frontend.served.failed(endpoint, self.now)
                tried.append(endpoint)
                continue
            return endpoint

    def _makes_room(self, error: OSError) -> bool:
        """End a session when *error* says that there is no room for another; tell if it helps."""
        if error.errno not in SHORTAGES | NO_PORT or not self.sessions:
            self._lacks(f"{error.strerror}; datagrams of new clients are dropped")
            return False
        self._lacks(f"{error.strerror}; some end early")
        self._evict()
        return True

    def _lacks(self, what: str) -> None:
        text = self._shortage.recurs(what, self.now)
        if text:
            self._warn(text)

    def _evict(self) -> None:
        """End the session that can be spared best."""
        session = self.sessions.victim(self.limit)
        session.frontend.served.evictions += 1
        self.sockets.put_back(session.leave("made room"), session.frontend.need.listener.family)

    def _sweep(self) -> None:
        now = self.clock()
        for session in self.sessions.idle(now):
            session.close("idle")
        text, _ = self._shortage.look(now)
        if text:
            self._warn(text)
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
        relay.frontends.add(self)

    def overflowed(self) -> int:
        """Count the datagrams that found the socket's buffer full, where that can be told."""
        return overflowed(self.sock) if self.need.sources is None else 0

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
                tried: list[Endpoint] = []
                session = relay.open(self, name, tried)
                if session is None:
                    if tried:  # the kernel knows of no way to any of them
                        self.refuse(relay.inbox.client(name), len(data))
                    continue
                sessions[name] = session
            session.forward(data)

    def refuse(self, client: tuple[str, int], octets: int) -> None:
        """Tell *client* that no endpoint took its datagram."""
        listener = self.need.listener
        self._relay.refuser.refuse(client, (listener.address, listener.port), octets)

    def forget(self) -> None:
        """End all sessions; clients that go on get new ones."""
        for session in list(self.sessions.values()):
            session.close("the frontend is gone")

    def close(self) -> None:
        """End all sessions and close the socket."""
        self.forget()
        self._relay.frontends.discard(self)
        self._relay.drops[Drop.QUEUE] += self.overflowed()
        self._relay.poller.close(self.sock)
