"""A client's UDP session: its datagrams to one endpoint, and the answers.

The first datagram is kept until something comes back, so that another endpoint can have it when the
first one refuses.
"""

import errno
import socket
from typing import TYPE_CHECKING

from svcdns.aio.datagrams import Name
from svcdns.aio.tcpconnection import Closed
from svcdns.proxy.balancer import Endpoint
from svcdns.proxy.sessions import Row, Standing
from svcdns.proxy.traffic import Drop
from svcdns.proxy.udplife import idle_seconds

if TYPE_CHECKING:
    from svcdns.aio.udprelay import UdpFrontend, UdpRelay

DATAGRAMS = 64
"""Datagrams taken from one endpoint's socket in one turn."""

SETTLED_SECONDS = 1.0
"""When no refusal has come for so long, an endpoint that never answers has taken the session."""


class UdpSession:
    """A client's datagrams to one endpoint, and back."""

    __slots__ = (
        "_attempts", "_began", "_burst", "_counted", "_flows", "_name", "_relay", "_round",
        "_since", "_sock", "_tried", "_unanswered", "closed", "endpoint", "frontend", "last",
        "octets_down", "octets_up", "received", "row", "sent",
    )  # fmt: skip

    row: Row["UdpSession"]
    "Where the session stands in the relay's table, which sets it."

    def __init__(
        self,
        relay: "UdpRelay",
        frontend: "UdpFrontend",
        name: Name,
        endpoint: Endpoint,
        sock: socket.socket,
        attempts: int,
    ) -> None:
        self._attempts = attempts
        self._began = self._since = relay.now
        self._relay = relay
        self._sock = sock
        self._name = name
        self._burst = 1
        self._round = 0
        self._counted = self._flows = False
        self._tried: list[Endpoint] = []
        self._unanswered: bytes | None = None
        self.frontend = frontend
        self.endpoint = endpoint
        self.last = relay.now
        self.sent = self.received = 0
        self.octets_up = self.octets_down = 0
        self.closed = False

    @property
    def client(self) -> tuple[str, int]:
        """Address and port of the client."""
        return self._relay.inbox.client(self._name)

    def expires(self) -> float:
        """Tell when the session has idled for long enough."""
        return self.last + idle_seconds(self.sent, self.received)

    def forward(self, data: bytes | memoryview) -> None:
        """Send a client's datagram to the endpoint."""
        relay = self._relay
        self.last = relay.now
        self.row.move_to_end(self)
        self.sent += 1
        if not self.received:
            self._unanswered = bytes(data)
            if not self._counted and self.last - self._since >= SETTLED_SECONDS:
                self._count()
        elif not self._flows:
            self._flow()
        try:
            try:
                octets = self._sock.send(data)
            except OSError as error:
                if error.errno != errno.EMSGSIZE:
                    raise
                # A router wants smaller packets; the kernel knows by now, and makes fragments.
                octets = self._sock.send(data)
            self.endpoint.sent += octets
            self.octets_up += octets
        except ConnectionRefusedError:
            self._unanswered = bytes(data)
            self._refused()
        except OSError:
            relay.drops[Drop.SEND] += 1

    def ready(self, events: int) -> None:
        """Pass on what the endpoint has sent.

        One datagram is taken, and more when there were more in the batch of events before this
        one: a question with one answer is not worth a system call that finds nothing.
        """
        relay, endpoint, number = self._relay, self.endpoint, self._relay.round
        again = self._round + 1 == number
        self._burst = min(self._burst * 2, DATAGRAMS) if again else 1
        self._round = number
        self.last = relay.now
        self.row.move_to_end(self)
        take = relay.outbox.take
        for _ in range(self._burst):
            try:
                octets = take(self._sock, self.frontend.sock, self._name)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.EMSGSIZE:  # as in forward()
                    self._refused()
                return
            endpoint.received += octets
            self.octets_down += octets
            self.received += 1
            responses = self.frontend.served.responses
            over = responses and self.received >= self.sent * responses
            if self.received == 1:
                self._took()
            if over:
                relay.sockets.put_back(self.leave("answered"), self.frontend.need.listener.family)
                return
            if self.received == 1:
                self.row = relay.sessions.rise(self, self.row, Standing.ANSWERED)
            elif not self._flows:
                self._flow()

    def _took(self) -> None:
        """The endpoint has answered: what it answered need not be kept for another one."""
        self.frontend.served.balancer.succeeded(self.endpoint)
        self._unanswered = None
        self._tried.clear()
        if not self._counted:
            self._count()

    def _flow(self) -> None:
        """Both sides have gone on after the first answer: forged clients do not get that far."""
        self._flows = True
        self.row = self._relay.sessions.rise(self, self.row, Standing.FLOW)

    def _count(self) -> None:
        """The endpoint has taken the session, as far as that can be known of UDP."""
        self._counted = True
        self.endpoint.connections += 1

    def _refused(self) -> None:
        """The endpoint is not there: go on with another one, with the datagram that was lost."""
        relay, frontend, data = self._relay, self.frontend, self._unanswered
        tried = [*self._tried, self.endpoint]
        frontend.served.failed(self.endpoint, relay.now)
        self.close("the endpoint refused" if data is None else "")
        if data is None:
            return
        heir = relay.open(frontend, self._name, tried)
        if heir is None:
            self._log("no endpoint took it")
            frontend.refuse(self.client, len(data))
            return
        frontend.served.retries += 1
        heir._tried = tried
        heir._began = self._began
        frontend.sessions[self._name] = heir
        heir.forward(data)

    def close(self, why: str) -> None:
        """End the session; the client's next datagram begins another one."""
        if not self.closed:
            self._relay.poller.close(self.leave(why))

    def leave(self, why: str) -> socket.socket:
        """End the session, once, and give up its socket, which is still connected and watched.

        Without *why* nothing is logged or counted: another session goes on with it.
        """
        self.closed = True
        self.endpoint.active -= 1
        self.row.pop(self, None)
        if self.frontend.sessions.get(self._name) is self:
            del self.frontend.sessions[self._name]
        if why:
            if not self._counted:
                self._count()
            self._log(why)
        return self._sock

    def _log(self, why: str) -> None:
        if self._relay.access is None:
            return
        served, listener = self.frontend.served, self.frontend.need.listener
        self._relay.access(
            Closed(
                str(served.plan.id), self.client, (listener.address, listener.port),
                self.endpoint.sockaddr, self.octets_up, self.octets_down,
                self._relay.clock() - self._began, self._attempts, why,
            )
        )  # fmt: skip
