"""The UDP loop: datagrams in, answers out, as little as possible between.

One wake-up of the event loop drains the socket.  A query that is in the answer table costs a
dictionary look-up and one send; everything else goes to the server's chain.

A socket bound to a wildcard address asks the kernel for each packet's destination and answers from
it (RFC 1122 §4.1.3.5): clients drop answers that come from another address than they asked.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from time import monotonic

from svcdns.plugins.answers import Entry
from svcdns.plugins.base import Ask, Client, Rendered, Transport
from svcdns.plugins.server import Server

BATCH = 64
"""Datagrams handled in one wake-up, so that timers and other sockets get their turn."""

IN_FLIGHT_LIMIT = 10_000
"""Queries of one socket that may wait for upstreams; more are dropped and counted."""

LARGEST_DATAGRAM = 65535
"""Octets."""

RECEIVE_BUFFER = 4 * 1024 * 1024
"""Octets asked of the kernel: some 10,000 queries, a tenth of a second at full load."""

_CONTROL_SPACE = socket.CMSG_SPACE(20)
_IPV6_RECVPKTINFO = 49
_IPV6_PKTINFO = 50
_IP_PKTINFO = 8

Settle = Callable[[Ask], Awaitable[object]]
"""Carries out what an :class:`Ask` wants until its end is there; never raises."""

log = logging.getLogger(__name__)


def open_socket(address: str, port: int, *, shared: bool = False) -> socket.socket:
    """Bind a UDP socket.

    Args:
        address: An IP address; ``""`` and ``"::"`` take IPv4 and IPv6 both.
        port: 0 chooses one.
        shared: Whether other processes may bind the same (SO_REUSEPORT).

    Raises:
        OSError: The address or the port cannot be had.
    """
    family = socket.AF_INET6 if ":" in address or not address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            wildcard = address in ("", "::")
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if wildcard else 1)
            if wildcard:
                sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
        elif address == "0.0.0.0":
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        sock.bind((address or "::", port))
    except BaseException:
        sock.close()
        raise
    return sock


class UdpListener:
    """One socket and the server it feeds.

    The server can be exchanged while queries arrive: a reload costs none of them.
    """

    def __init__(self, sock: socket.socket, server: Server, settle: Settle) -> None:
        self.sock = sock
        self.server = server
        self._settle = settle
        self._waiting: set[asyncio.Task[None]] = set()
        self.overflows = 0
        "Queries dropped because too many were waiting."
        name = sock.getsockname()
        self._local, self._port = name[0], name[1]
        self._wildcard = self._local in ("::", "0.0.0.0")
        self._drain = self._drain_wildcard if self._wildcard else self._drain_bound

    def start(self) -> None:
        """Answer from now on."""
        asyncio.get_running_loop().add_reader(self.sock.fileno(), self._drain)

    @property
    def under_way(self) -> int:
        """Queries that wait for something outside."""
        return len(self._waiting)

    async def stop(self) -> None:
        """Stop reading, finish what waits, close."""
        asyncio.get_running_loop().remove_reader(self.sock.fileno())
        if self._waiting:
            await asyncio.wait(self._waiting, timeout=5)
        for task in tuple(self._waiting):
            task.cancel()
        self.sock.close()

    def _drain_bound(self) -> None:
        """Answer a batch on a socket bound to one address."""
        receive, send = self.sock.recvfrom, self.sock.sendto
        family = "2" if self.sock.family == socket.AF_INET6 else "1"
        find = self.server.table(Transport.UDP, family).entries.get
        now = monotonic()
        served = 0
        for _ in range(BATCH):
            try:
                packet, peer = receive(LARGEST_DATAGRAM)
            except OSError as error:
                # EAGAIN ends a drained batch; an ICMP error for an earlier answer is its client's
                # affair, and the next call reads on.
                if isinstance(error, BlockingIOError):
                    break
                continue
            entry: Entry | None = find(packet[2:])
            if entry is None or entry.until <= now:
                self._respond(packet, peer, self._local, now)
                continue
            entry.tally.hits += 1
            served += 1
            rotation = entry.rotation
            tail = entry.tail if rotation is None else next(rotation)
            try:
                send(packet[:2] + tail, peer)
            except OSError as error:
                self._unsent(error)
        if served:
            self.server.accounts.time_stored(monotonic() - now, served)

    def _drain_wildcard(self) -> None:
        """Answer a batch on a wildcard socket, each from the address that was asked."""
        receive, send = self.sock.recvmsg, self.sock.sendmsg
        six = self.server.table(Transport.UDP, "2").entries.get
        four = self.server.table(Transport.UDP, "1").entries.get
        now = monotonic()
        served = 0
        for _ in range(BATCH):
            try:
                packet, control, _flags, peer = receive(LARGEST_DATAGRAM, _CONTROL_SPACE)
            except OSError as error:
                if isinstance(error, BlockingIOError):
                    break
                continue
            mapped = "." in peer[0]
            entry: Entry | None = (four if mapped else six)(packet[2:])
            if entry is None or entry.until <= now:
                self._respond(packet, peer, _asked(control), now, control)
                continue
            entry.tally.hits += 1
            served += 1
            rotation = entry.rotation
            tail = entry.tail if rotation is None else next(rotation)
            try:
                send((packet[:2], tail), _from_asked(control), 0, peer)
            except OSError as error:
                self._unsent(error)
        if served:
            self.server.accounts.time_stored(monotonic() - now, served)

    def _respond(
        self,
        packet: bytes,
        peer: tuple[object, ...],
        local: str,
        now: float,
        control: list[tuple[int, int, bytes]] | None = None,
    ) -> None:
        """Answer a query that is not in the table, now or when an upstream has answered."""
        address = str(peer[0]).removeprefix("::ffff:")
        client = Client(address, int(str(peer[1])), Transport.UDP, local, self._port)
        answer = self.server.respond(packet, client, now)
        if isinstance(answer, Rendered):
            self._send(answer, peer, control)
        elif len(self._waiting) >= IN_FLIGHT_LIMIT:
            self.overflows += 1
        else:
            task = asyncio.get_running_loop().create_task(self._finish(answer, peer, control))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    async def _finish(
        self,
        ask: Ask,
        peer: tuple[object, ...],
        control: list[tuple[int, int, bytes]] | None,
    ) -> None:
        answer = await self._settle(ask)
        if isinstance(answer, Rendered):
            self._send(answer, peer, control)

    def _send(
        self,
        answer: Rendered,
        peer: tuple[object, ...],
        control: list[tuple[int, int, bytes]] | None,
    ) -> None:
        for wire in answer.wires:
            try:
                if control:
                    self.sock.sendmsg((wire,), _from_asked(control), 0, peer)
                else:
                    self.sock.sendto(wire, peer)
            except OSError as error:
                self._unsent(error)

    def _unsent(self, error: OSError) -> None:
        """Note an answer that the kernel refused; the client asks again, as UDP clients do."""
        log.debug("an answer could not be sent: %s", error)


def _asked(control: list[tuple[int, int, bytes]]) -> str:
    """Read from ancillary data which address of ours a datagram was sent to."""
    for level, kind, data in control:
        if level == socket.IPPROTO_IPV6 and kind == _IPV6_PKTINFO:
            return socket.inet_ntop(socket.AF_INET6, data[:16]).removeprefix("::ffff:")
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            return socket.inet_ntoa(data[8:12])
    return ""


def _from_asked(control: list[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
    """Make ancillary data that sends from the address asked, by whatever interface routes say."""
    for level, kind, data in control:
        if level == socket.IPPROTO_IPV6 and kind == _IPV6_PKTINFO:
            # Link-local addresses mean nothing without their interface.
            index = data[16:20] if data[:2] == b"\xfe\x80" else b"\0\0\0\0"
            return [(level, kind, data[:16] + index)]
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            return [(level, kind, struct.pack("=I4s4x", 0, data[4:8]))]
    return []
