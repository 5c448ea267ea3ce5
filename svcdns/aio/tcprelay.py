"""Relaying TCP: the sockets that accept, and the bounds of all connections together.

Shortages are not errors of anybody: without descriptors, memory or source ports, accepting pauses
(clients wait in the kernel's queues) and what was accepted waits for its turn; nothing spins.
"""

import asyncio
import socket
from collections.abc import Callable
from ipaddress import ip_address

from svcdns.aio.directloop import hub
from svcdns.aio.pipes import PipePool
from svcdns.aio.poller import Poller
from svcdns.aio.sockets import Opened, accept
from svcdns.aio.tcpconnection import SHORTAGES, TURN_AROUND_SECONDS, Closed, Connection
from svcdns.aio.tcpoptions import RESET
from svcdns.proxy.listeners import Need
from svcdns.proxy.served import Served, networks
from svcdns.proxy.shortage import CALM_SECONDS, Shortage

SWEEP_SECONDS = 0.05
"""Resolution of connect time-outs; nothing is swept while no connect is under way."""

ACCEPTS = 64
"""Connections accepted from one listener in one turn."""


class TcpRelay:
    """All relayed TCP connections of the process."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        warn: Callable[[str], None],
        access: Callable[[Closed], None] | None = None,
    ) -> None:
        self._hub = hub(loop)
        self.poller = Poller(loop) if self._hub is None else self._hub
        self.accepting = Poller(loop, outer=self._hub, rounds=1)
        self.pipes = PipePool()
        self.clock = loop.time
        self.access = access
        self.limit = 1
        "Connections at most; two descriptors each.  The owner sets it."
        self.connections: set[Connection] = set()
        self.shortages = 0
        self.idle = asyncio.Event()
        "Set while there are no connections."
        self.idle.set()
        self._loop = loop
        self._warn = warn
        self._opening: set[Connection] = set()
        self._waiting: list[Connection] = []
        self._starved: list[Connection] = []
        self._shortage = Shortage()
        self._calm: asyncio.TimerHandle | None = None
        self._sweeping = False
        self._paused = False
        self._stopped = False

    def start(self) -> None:
        """Serve connections from now on."""
        if self._hub is None:
            self.poller.start()
        self.accepting.start()

    def stop(self) -> None:
        """Reset what is left: nobody may take half an answer for a whole one."""
        self._stopped = True
        if self._calm:
            self._calm.cancel()
        for connection in list(self.connections):
            connection.close("stopped", reset=True)
        self.accepting.stop()
        if self._hub is None:
            self.poller.stop()
        self.pipes.close()

    def opened(self, connection: "Connection") -> None:
        """Count a connection in."""
        self.connections.add(connection)
        self.idle.clear()

    def over(self, connection: "Connection") -> None:
        """Count a connection out."""
        self.connections.discard(connection)
        self._opening.discard(connection)
        if not self.connections:
            self.idle.set()
        if self._starved:
            self._loop.call_soon(self._feed)
        elif self._paused and len(self.connections) < self.limit:
            self._resume()

    def starves(self, connection: "Connection", what: str) -> None:
        """Let *connection*, which has a client and got no socket, have the next one.

        If others were accepted meanwhile, they would take what becomes free, one descriptor each
        where two are needed, until all are taken and nobody has two.
        """
        self._opening.discard(connection)
        self._starved.append(connection)
        self.shortage(what)

    def _feed(self) -> None:
        """Give what a connection has left to two that starve."""
        fed, self._starved = self._starved[:2], self._starved[2:]
        for connection in fed:
            if not connection.closed:
                connection.dial()

    def shortage(self, what: str) -> None:
        """Stop accepting until a connection ends, or for a moment."""
        self.shortages += 1
        if self._paused or self._stopped:
            return
        self._paused = True
        self.accepting.pause()
        text = self._shortage.recurs(what, self.clock())
        if text:
            self._warn(text)
        if self._calm is None:
            self._calm = self._loop.call_later(CALM_SECONDS, self._look)
        self._loop.call_later(TURN_AROUND_SECONDS, self._turn)

    def _turn(self) -> None:
        """Accept again, unless somebody still starves."""
        starved, self._starved = self._starved, []
        for connection in starved:
            if not connection.closed:
                connection.dial()
        if self._starved and not self._stopped:
            self._loop.call_later(TURN_AROUND_SECONDS, self._turn)
        else:
            self._resume()

    def _look(self) -> None:
        """Say that a shortage is over when it is, or look again."""
        self._calm = None
        text, again = self._shortage.look(self.clock())
        if text:
            self._warn(text)
        if again > 0:
            self._calm = self._loop.call_later(again, self._look)

    def _resume(self) -> None:
        if self._paused and not self._stopped:
            self._paused = False
            self.accepting.start()

    def connecting(self, connection: "Connection") -> None:
        """Watch over the deadlines of *connection*, which is connecting."""
        self._opening.add(connection)
        self._sweep_later()

    def connected(self, connection: "Connection") -> None:
        """Stop watching over *connection*."""
        self._opening.discard(connection)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Call *action* after some time."""
        self._loop.call_later(seconds, action)

    def wait(self, connection: "Connection") -> None:
        """Let *connection* try again after a moment."""
        self._opening.discard(connection)
        self._waiting.append(connection)
        self._sweep_later()

    def _sweep_later(self) -> None:
        if not self._sweeping and not self._stopped:
            self._sweeping = True
            self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = False
        now = self.clock()
        for connection in [c for c in self._opening if c.attempt_ends <= now]:
            connection.timed_out()
        waiting, self._waiting = self._waiting, []
        for connection in waiting:
            if connection.closed:
                continue
            if connection.resume_at <= now:
                connection.dial()
            else:
                self._waiting.append(connection)
        if self._opening or self._waiting:
            self._sweep_later()


class TcpListener:
    """Accepts for one frontend."""

    def __init__(self, relay: TcpRelay, opened: Opened, need: Need, served: Served) -> None:
        self.sock = opened.sock
        self._family = int(opened.sock.family)
        self.opened = opened
        self.need = need
        self.served = served
        self._relay = relay

    def ready(self, events: int) -> None:
        """Accept what is waiting, within bounds."""
        self.accept(ACCEPTS)

    def accept(self, limit: int) -> None:
        """Accept up to *limit* connections that are waiting."""
        relay, sock, family = self._relay, self.sock, self._family
        for _ in range(limit):
            if len(relay.connections) >= relay.limit:
                relay.shortage(f"{relay.limit} connections are open, the limit")
                return
            try:
                client, address = accept(sock, family)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in SHORTAGES:
                    relay.shortage(str(error.strerror))
                    return
                continue  # accept(2): errors of a connection that is already over
            if not self.opened.filtered and not self._lets_in(address[0]):
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                client.close()
                continue
            client.setblocking(False)
            connection = Connection(relay, self.need, self.served, client, address)
            relay.opened(connection)
            connection.dial()

    def _lets_in(self, client: str) -> bool:
        """Tell what the kernel's filter would: a reset is the nearest to silence that is left."""
        address = ip_address(client)
        return any(address in network for network in networks(self.need.sources or ()))
