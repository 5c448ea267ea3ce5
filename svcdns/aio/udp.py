"""The UDP loop: datagrams in, answers out, as little as possible between.

One wake-up of the event loop drains the socket.  A query that is in the answer table costs a
dictionary look-up and its share of two system calls; everything else goes to the server's chain.
Where the C library has no calls for many datagrams (:mod:`svcdns.aio.mmsg`), they are read and
answered one by one.

A socket bound to a wildcard address asks the kernel for each packet's destination and answers from
it (RFC 1122 §4.1.3.5): clients drop answers that come from another address than they asked.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic
from typing import TypeAlias

from svcdns.aio import mmsg
from svcdns.dns.alike import Shared, common
from svcdns.plugins.base import Ask, Client, Rendered
from svcdns.plugins.commands import Transport
from svcdns.plugins.server import Server

BATCH = 64
"""Datagrams handled in one wake-up, so that timers and other sockets get their turn."""

_CONTROL_SPACE = socket.CMSG_SPACE(20)
_UDP = Transport.UDP
_ID_OCTETS = mmsg.ID_OCTETS
_IPV6_PKTINFO = 50
_IP_PKTINFO = 8

_Peer: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
_Control: TypeAlias = list[tuple[int, int, bytes]]

Settle = Callable[[Ask], Awaitable[object]]
"""Carries out what an :class:`Ask` wants until its end is there; never raises."""

log = logging.getLogger(__name__)


class UdpListener:
    """One socket and the server it feeds.

    The server can be exchanged while queries arrive: a reload costs none of them.
    """

    def __init__(
        self, sock: socket.socket, server: Server, settle: Settle, *, batches: bool | None = None
    ) -> None:
        """Serve a socket.

        Args:
            sock: From :func:`svcdns.aio.binding.open_datagram`.
            server: To ask.
            settle: Does what is to be done outside.
            batches: Whether to move many datagrams with one call; by default if that is possible.
        """
        self.sock = sock
        self.server = server
        self._settle = settle
        self._waiting: set[asyncio.Future[object]] = set()
        name = sock.getsockname()
        self._local, self._port = name[0], name[1]
        self._wildcard = self._local in ("::", "0.0.0.0")
        self._family = "2" if sock.family == socket.AF_INET6 else "1"
        self._batch: mmsg.Batch | None = None
        self._readable = self._drain_singly
        if mmsg.available() if batches is None else batches:
            self._batch = mmsg.Batch(sock, wildcard=self._wildcard)
            self._readable = self._drain

    def start(self) -> None:
        """Answer from now on."""
        asyncio.get_running_loop().add_reader(self.sock.fileno(), self._readable)

    @property
    def under_way(self) -> int:
        """Queries that wait for something outside."""
        return len(self._waiting)

    async def stop(self) -> None:
        """Stop reading, finish what waits or has arrived, close."""
        asyncio.get_running_loop().remove_reader(self.sock.fileno())
        self._readable()
        if self._waiting:
            await asyncio.wait(self._waiting, timeout=5)
        for future in tuple(self._waiting):
            future.cancel()
        self.sock.close()

    def _drain(self) -> None:
        """Answer what has arrived, many datagrams at a time."""
        batch = self._batch
        assert batch is not None
        handled = 0
        while handled < BATCH:
            try:
                count = batch.receive()
            except OSError as error:
                # An ICMP error for an earlier answer is its client's affair.
                log.debug("a batch could not be received: %s", error)
                return
            if not count:
                return
            handled += count
            self._answer(batch, count)

    def _answer(self, batch: mmsg.Batch, count: int) -> None:
        """Answer a batch; the places in it are the same for queries and answers."""
        table = self.server.table(_UDP, self._family)
        four = self.server.table(_UDP, "1")
        find, find_four = table.entries.get, four.entries.get
        box, lengths = batch.box, batch.answer_lengths
        now = monotonic()
        served = first = 0
        for place, (start, size, mapped) in enumerate(
            zip(batch.starts, batch.lengths[:count].tolist(), batch.mapped(count), strict=False)
        ):
            at = start + _ID_OCTETS
            key = bytes(box[at : start + size])
            tail: bytes | None
            entry = (find_four if mapped else find)(key)
            if entry is not None and entry.until > now:
                entry.tally.hits += 1
                rotation = entry.rotation
                tail = entry.tail if rotation is None else next(rotation)
            else:
                shared = common(key)
                tail = (four if mapped else table).vary(key, shared, now)
            if tail is not None:
                served += 1
                end = at + len(tail)
                box[at:end] = tail
                lengths[place] = end - start
                continue
            packet = bytes(box[start : start + size])
            wire = self._respond(packet, shared, batch.peer(place), now, batch.control(place))
            if wire is None:
                # Nothing goes back from this place now.
                self._send_batch(batch, first, place)
                first = place + 1
            else:
                batch.put(place, wire)
        self._send_batch(batch, first, count)
        if served:
            self.server.accounts.time_stored(monotonic() - now, served)

    def _send_batch(self, batch: mmsg.Batch, first: int, end: int) -> None:
        if first < end and (refused := batch.send(first, end)):
            log.debug("%d answers could not be sent", refused)

    def _drain_singly(self) -> None:
        """Answer what has arrived, one datagram at a time."""
        receive, send = self.sock.recvmsg, self.sock.sendmsg
        space = _CONTROL_SPACE if self._wildcard else 0
        now = monotonic()
        served = 0
        for _ in range(BATCH):
            try:
                packet, control, _flags, peer = receive(mmsg.LARGEST_DATAGRAM, space)
            except OSError as error:
                # EAGAIN ends a drained batch; after any other error the next call reads on.
                if isinstance(error, BlockingIOError):
                    break
                continue
            family = "1" if "." in peer[0] else "2"
            tail = self.server.table(_UDP, family).find(packet[2:], now)
            if tail is None:
                wire = self._respond(packet, common(packet[2:]), peer, now, control)
                if wire is not None:
                    self._send(wire, peer, control)
                continue
            served += 1
            try:
                send((packet[:2], tail), _from_asked(control), 0, peer)
            except OSError as error:
                self._unsent(error)
        if served:
            self.server.accounts.time_stored(monotonic() - now, served)

    def _respond(
        self, packet: bytes, shared: Shared, peer: _Peer, now: float, control: _Control
    ) -> bytes | None:
        """Answer a query that is not in the table.

        Returns:
            The answer to send, if it is one message and there already.  Anything else is sent
            from here, now or when an upstream has answered.
        """
        local = _asked(control) if self._wildcard else self._local
        client = Client(peer[0].removeprefix("::ffff:"), peer[1], _UDP, local, self._port)
        answer = self.server.respond(packet, client, now, shared)
        if isinstance(answer, Rendered):
            wires = tuple(answer.wires)
            if len(wires) == 1:
                return wires[0]
            for wire in wires:
                self._send(wire, peer, control)
            return None
        # What upstreams can bear is limited where they are asked, and a limit here would leave
        # those who count queries under way (``forward``) waiting for an end.
        future = asyncio.ensure_future(self._settle(answer))
        self._waiting.add(future)
        future.add_done_callback(partial(self._finish, peer, control))
        return None

    def _finish(self, peer: _Peer, control: _Control, future: asyncio.Future[object]) -> None:
        self._waiting.discard(future)
        answer = None if future.cancelled() else future.result()
        if isinstance(answer, Rendered):
            for wire in answer.wires:
                self._send(wire, peer, control)

    def _send(self, wire: bytes, peer: _Peer, control: _Control) -> None:
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


def _asked(control: _Control) -> str:
    """Read from ancillary data which address of ours a datagram was sent to."""
    for level, kind, data in control:
        if level == socket.IPPROTO_IPV6 and kind == _IPV6_PKTINFO:
            return mmsg.host(socket.AF_INET6, data[:16]).removeprefix("::ffff:")
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            return mmsg.host(socket.AF_INET, data[8:12])
    return ""


def _from_asked(control: _Control) -> _Control:
    """Make ancillary data that sends from the address asked, by whatever interface routes say."""
    for level, kind, data in control:
        if level == socket.IPPROTO_IPV6 and kind == _IPV6_PKTINFO:
            # Link-local addresses mean nothing without their interface.
            index = data[16:20] if data[:2] == b"\xfe\x80" else b"\0\0\0\0"
            return [(level, kind, data[:16] + index)]
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            return [(level, kind, struct.pack("=I4s4x", 0, data[4:8]))]
    return []
