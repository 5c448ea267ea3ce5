"""Moving octets from one TCP socket to another: half of a relayed connection.

A leg reads from its own socket and writes to its peer's.  Sockets are edge-triggered
(:mod:`svcdns.aio.poller`), so a leg reads until nothing is left or the peer takes no more; in the
latter case it stops reading, which is the back-pressure.  Small payloads are copied: one ``recv``,
one ``send``.  When a read fills the whole chunk more is coming, and it goes on by ``splice``
through a pipe, without the octets ever being in this process.

The ends of a stream are passed on as they are: FIN as FIN, per direction (rule R132), RST as RST.
Urgent data is kept in its place in the stream (RFC 6093 §4), which is what SO_OOBINLINE does.
"""

import os
import select
import socket
from collections.abc import Callable
from typing import Protocol

from svcdns.aio.pipes import PIPE_OCTETS, Pipe, PipePool
from svcdns.aio.poller import EDGE, Poller
from svcdns.proxy.repeat import Repeatable

CHUNK_OCTETS = 65_536
"""Read at once when copying; a read that fills it begins splicing."""

BURST = 16
"""Reads in one turn; then others get theirs."""

SPLICE_WORTH_OCTETS = 16_384
"""A burst that moved less ends splicing: two system calls more than a copy, for nothing."""

KEPT_OCTETS = 16_384
"""Of a client's first words, where they may be said twice (HAProxy: a buffer)."""

SILENT_END_SECONDS = 0.25
"""An endpoint that leaves before either side has said anything may just have been killed.  A client
that speaks first does so within this time; one that waits to be spoken to learns of it so late."""

_BURST = range(BURST)

_FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK

_IN: int = select.EPOLLIN

_IN_OUT: int = select.EPOLLIN | select.EPOLLOUT
"""What a socket that is watched for writability reports when octets arrive."""

_MORE = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR | select.EPOLLPRI
"""Events after which a short read does not mean that the socket is empty."""

_ENDS = select.EPOLLRDHUP | select.EPOLLERR
"""The stream has been received to its end; unless there is an error it can be read to its end."""


class Owner(Protocol):
    """The connection that two legs make."""

    poller: Poller
    pipes: PipePool
    closed: bool

    def close(self, reason: str, *, reset: bool = False) -> None:
        """End the connection, with RST in both directions if *reset*."""

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Call *action* after some time."""

    def start_over(self, unsent: bytes, *, blame: bool) -> bool:
        """Give up these legs for another endpoint, which gets *unsent* first; False: too late.

        With *blame* the endpoint is at fault.
        """


class Leg:
    """One socket of a connection, and the way from it to the other one."""

    __slots__ = (
        "_blocked",
        "_broken",
        "_bulk",
        "_outbound",
        "_owner",
        "_pending",
        "_pipe",
        "_piped",
        "_receive",
        "_send",
        "_stopped",
        "_unsent",
        "descriptor",
        "ended",
        "folded",
        "keeps",
        "octets",
        "peer",
        "sock",
        "watches_out",
    )

    peer: "Leg"

    def __init__(
        self, owner: Owner, sock: socket.SocketType, target: socket.SocketType, *, outbound: bool
    ) -> None:
        """Move nothing yet; :attr:`peer` has to be set first.

        Args:
            owner: The connection.
            sock: Read from.
            target: Written to: the peer's.
            outbound: Whether *sock* is the one to the endpoint.
        """
        self._owner = owner
        self._receive = sock.recv
        self._send = target.send
        self.sock = sock
        self.descriptor = sock.fileno()
        self.octets = 0
        "Read from this socket so far."
        self.folded = 0
        "Of these, already added to the endpoint's count."
        self.ended = False
        "Whether FIN was read and passed on."
        self.keeps: Repeatable | None = None
        "Whether what the client says first is kept until the endpoint answers: where this says so."
        self.watches_out = outbound
        self._outbound = outbound
        self._blocked = False
        self._broken = False
        self._stopped = False
        self._bulk = False
        self._pending: bytes | memoryview = b""
        self._unsent = b""
        self._pipe: Pipe | None = None
        self._piped = 0

    def ready(self, events: int) -> None:
        """Serve events of this leg's socket."""
        peer = self.peer
        if (events == _IN or (events == _IN_OUT and not peer._blocked)) and not (
            self._blocked or self.ended
        ):
            self.pump(False)
            return
        if peer._blocked and events & select.EPOLLOUT:
            peer._resume()
        if self._owner.closed or not events & ~select.EPOLLOUT:
            return
        if self.ended or self._blocked:
            # A client that gave up waits for nothing; a server's last words may be the point.
            if events & select.EPOLLERR and (self.ended or self._stopped or not self._outbound):
                self._close_reset()
            return
        at_its_end = events & _ENDS == select.EPOLLRDHUP
        self.pump(bool(events & _MORE), socket.MSG_MORE if at_its_end else 0)

    def again(self) -> None:
        """Go on after others had their turn."""
        if not (self._owner.closed or self._blocked or self.ended):
            self.pump(True)

    def pump(self, drain: bool, flags: int = 0) -> None:
        """Move what is there; a short read ends it unless *drain* asks to see the end.

        When the stream is here to its end the *flags* of the writes are ``MSG_MORE``: the kernel
        holds the last words back until the end is passed on, and they go out as one segment.  Who
        closes after an answer costs the other side one wake-up then, not two.
        """
        if self._bulk:
            self._splice()
            return
        receive, send = self._receive, self._send
        for _ in _BURST:
            try:
                data = receive(CHUNK_OCTETS)
            except BlockingIOError:
                return
            except OSError as error:
                self._reset(error)
                return
            size = len(data)
            if not size:
                self._end()
                return
            self.octets += size
            if self.keeps:
                self._remember(data)
            try:
                sent = send(data, flags)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._keep(data)
                self._peer_broke()
                return
            if sent < size:
                self._pending = memoryview(data)[sent:]
                self._block()
                return
            if size == CHUNK_OCTETS:
                self._bulk = True
                self._splice()
                return
            if not drain:
                return
        self._owner.poller.again(self)

    def push(self, data: bytes) -> None:
        """Move *data*, which was read from this leg's socket before the leg was."""
        self.octets = len(data)
        if self.keeps:
            self._remember(data)
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._keep(data)
            self._peer_broke()
            return
        if sent < len(data):
            self._pending = memoryview(data)[sent:]
            self._block()

    def _remember(self, data: bytes) -> None:
        """Keep the client's first words, until it says more or the endpoint says something."""
        if self._outbound:
            self.peer.keeps = self.keeps = None
            self.peer._unsent = b""
        elif self.octets == len(data) <= KEPT_OCTETS and self.keeps and self.keeps(data):
            self._unsent = data
        else:
            self.keeps = None
            self._unsent = b""

    def _keep(self, data: bytes) -> None:
        """Remember *data*, which the peer did not take, if it is all that there ever was."""
        if self.octets == len(data):
            self._unsent = data

    def _splice(self) -> None:
        pipe = self._owner.pipes.take()
        if pipe is None:
            self._bulk = False
            self._owner.poller.again(self)
            return
        source, total = self.descriptor, 0
        for _ in range(BURST):
            try:
                moved = os.splice(source, pipe.write, PIPE_OCTETS, flags=_FLAGS)
            except BlockingIOError:
                self._bulk = total >= SPLICE_WORTH_OCTETS
                self._owner.pipes.give(pipe)
                return
            except OSError as error:
                self._owner.pipes.give(pipe)
                self._reset(error)
                return
            if not moved:
                self._owner.pipes.give(pipe)
                self._end()
                return
            total += moved
            self.octets += moved
            self._pipe, self._piped = pipe, moved
            if not self._empty_pipe():
                return
        self._owner.pipes.give(pipe)
        self._owner.poller.again(self)

    def _empty_pipe(self) -> bool:
        """Write the pipe's octets to the peer; False when it does not take them all now."""
        pipe, left = self._pipe, self._piped
        assert pipe is not None
        target = self.peer.descriptor
        while left:
            try:
                left -= os.splice(pipe.read, target, left, flags=_FLAGS)
            except BlockingIOError:
                self._piped = left
                self._block()
                return False
            except OSError:
                self._piped = left
                self._peer_broke()
                return False
        self._pipe, self._piped = None, 0
        return True

    def _block(self) -> None:
        """Stop reading until the peer can be written to."""
        self._blocked = True
        peer = self.peer
        if not peer.watches_out:
            peer.watches_out = True
            self._owner.poller.modify(peer.descriptor, EDGE)

    def _resume(self) -> None:
        """Go on now that the peer takes octets again."""
        if self._stopped:
            return
        if self._pipe is not None:
            pipe = self._pipe
            if not self._empty_pipe():
                return
            self._owner.pipes.give(pipe)
        elif self._pending:
            try:
                sent = self._send(self._pending)
            except BlockingIOError:
                return
            except OSError:
                self._peer_broke()
                return
            self._pending = self._pending[sent:]
            if self._pending:
                return
        self._blocked = False
        self.pump(True)

    def _end(self) -> None:
        """Pass on the end of this stream; the other direction goes on."""
        if self._broken:
            self._close_reset()
            return
        if self.keeps and self.keeps(self.peer._unsent) and self._spared(blame=False):
            return  # no such request has an empty response
        self.ended = True
        if self.peer.ended:
            self._owner.close("done")
            return
        if self._outbound and self.keeps and not (self.octets or self.peer.octets):
            # Nobody has spoken: what the client is about to say may be said to another endpoint.
            self._owner.later(SILENT_END_SECONDS, self._pass_on_end)
        else:
            self._pass_on_end()

    def _pass_on_end(self) -> None:
        if self.sock.fileno() < 0:
            return  # meanwhile this was given up
        try:
            self.peer.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it is gone already, and its own event says so

    def _spared(self, *, blame: bool = True) -> bool:
        """Hide the end of an endpoint that has taken nothing and said nothing.

        A server that stops resets what its accept queue holds.  What has been sent is not sent to
        another one, not even when it was not acknowledged: it may have been acted on.  Only where
        that does no harm it is (:mod:`svcdns.proxy.repeat`).
        Precedent: Envoy's ``reset-before-request``, HAProxy's ``retry-on empty-response``.
        """
        near = self.peer
        if not self._outbound or self.octets or near.octets != len(near._unsent):
            return False
        if near.ended:
            return False  # the client's end was passed on, and this may be the answer to it
        return self._owner.start_over(near._unsent, blame=blame)

    def _reset(self, error: OSError) -> None:
        if self._spared():
            return
        who = "endpoint" if self._outbound else "client"
        self._owner.close(f"{who}: {error.strerror}", reset=True)

    def _close_reset(self) -> None:
        if self._spared():
            return
        self._owner.close("reset by endpoint" if self._outbound else "reset by client", reset=True)

    def _peer_broke(self) -> None:
        """Nothing can be written to the peer any more, but what it said before may be unread."""
        self._blocked = True
        self._pending = b""
        self.release()
        peer = self.peer
        self._stopped = peer._broken = True
        if peer.ended:
            peer._end()
        elif not peer._blocked:
            peer.pump(True)

    def release(self) -> None:
        """Give up a pipe that still has octets in it."""
        if self._pipe is not None:
            self._owner.pipes.discard(self._pipe)
            self._pipe, self._piped = None, 0
