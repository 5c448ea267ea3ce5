"""Carry out what plugins ask for, until there is an outcome.

An :class:`~svcdns.plugins.base.Ask` names a command and how to go on with its result.  This module
does one command after another and hands out what is not an Ask any more.  No task is made for a
query: exchanges report by callback, and UDP ones cost one socket and one heap entry.

Concurrency is bounded: beyond :attr:`Upstreams.limit` commands under way, further ones fail at
once, so that a dead resolver cannot eat the descriptors that everybody else's queries need.
"""

import asyncio
import logging
import resource
from collections.abc import Callable
from typing import assert_never

from svcdns.aio.exchange_http import HttpExchanges
from svcdns.aio.exchange_stream import StreamExchanges
from svcdns.aio.exchange_transfer import ZoneTransfers
from svcdns.aio.exchange_udp import DatagramExchanges
from svcdns.plugins.base import Ask
from svcdns.plugins.commands import (
    Command,
    Delay,
    Exchange,
    Fetch,
    ReadZone,
    Result,
    Transport,
    Unanswered,
)

_log = logging.getLogger(__name__)

SPARE_DESCRIPTORS = 256
"""Descriptors left for listeners, clients' connections, files and the API."""

MAX_UNDER_WAY = 16384
"""Commands under way at once, however many descriptors there are."""


def descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one, as Go programs do, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):
            pass  # the soft limit it is, then
    return MAX_UNDER_WAY * 4 if soft == resource.RLIM_INFINITY else soft


class Upstreams:
    """The outside world of one process's queries; make it inside the running loop."""

    def __init__(self, *, limit: int | None = None) -> None:
        """Start with nothing under way.

        Args:
            limit: Commands under way at once; by default what the descriptors allow.
        """
        self._loop = asyncio.get_running_loop()
        if limit is None:
            limit = min(MAX_UNDER_WAY, max(64, descriptor_limit() // 2 - SPARE_DESCRIPTORS))
        self.limit = limit
        self.under_way = 0
        self._datagrams = DatagramExchanges(self._loop)
        self._streams = StreamExchanges(self._loop)
        self._http = HttpExchanges(self._loop)
        self._transfers = ZoneTransfers(self._loop)

    def settle(self, ask: Ask, now: float | None = None) -> "asyncio.Future[object]":
        """Carry out *ask* and what follows from it.

        Args:
            ask: What to do.
            now: Not used; commands bring their own time-outs.

        Returns:
            A future with the first thing that is not an Ask.  It fails only when ``resume``
            raised, which is a bug.
        """
        future: asyncio.Future[object] = self._loop.create_future()

        def done(outcome: object) -> None:
            if not future.done():
                future.set_result(outcome)

        self.carry_out(ask, done)
        return future

    def carry_out(self, ask: Ask, done: Callable[[object], None]) -> None:
        """Do the same with a callback, which may be called before this returns."""

        def report(result: Result) -> None:
            self.under_way -= 1
            try:
                outcome = ask.resume(result, self._loop.time())
            except Exception:  # noqa: BLE001 - a plugin's bug costs its query, not the server
                _log.exception("a plugin failed over the result of %r", ask.command)
                done(None)
                return
            if isinstance(outcome, Ask):
                self.carry_out(outcome, done)
            else:
                done(outcome)

        self.under_way += 1
        if self.under_way > self.limit:
            reason = f"{self.limit} queries to upstreams are under way already"
            report(Unanswered(reason, ours=True))
            return
        self._start(ask.command, report)

    async def close(self) -> None:
        """Drop everything under way and close all connections."""
        self._datagrams.close()
        self._streams.close()
        self._transfers.close()
        await self._http.close()

    def _start(self, command: Command, report: Callable[[Result], None]) -> None:
        match command:
            case Exchange(upstream=upstream):
                match upstream.transport:
                    case Transport.UDP:
                        self._datagrams.start(command, report)
                    case Transport.TCP | Transport.TLS:
                        self._streams.start(command, report)
                    case Transport.HTTPS:
                        self._http.start(command, report)
                    case _:
                        assert_never(upstream.transport)
            case Delay(seconds=seconds):
                self._loop.call_later(seconds, report, None)
            case Fetch():
                self._http.start(command, report)
            case ReadZone():
                self._transfers.start(command, report)
            case _:
                assert_never(command)
