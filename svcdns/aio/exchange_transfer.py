"""Ask a server for something that it answers in many messages: a whole zone.

A transfer has a connection of its own, over TCP or TLS (RFC 5936 §4.1.1), and a time for each
message and for all of them.
"""

import asyncio
import os
import ssl
from collections.abc import Callable

from svcdns.aio.addresses import joined
from svcdns.aio.exchange_stream import client_context, tls_reason
from svcdns.plugins.commands import Exchanged, ReadZone, Result, Transport, Unanswered

Done = Callable[[Result], None]

MAX_UNDER_WAY = 8
"""Transfers at once; further ones wait for them."""

_RESPONSE = 0x80


class ZoneTransfers:
    """All transfers under way."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(MAX_UNDER_WAY)

    def start(self, command: ReadZone, done: Done) -> None:
        """Begin; *done* is called once."""
        task = self._loop.create_task(self._run(command, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Drop what is under way; it is not reported any more."""
        for task in self._tasks:
            task.cancel()

    async def _run(self, command: ReadZone, done: Done) -> None:
        started = self._loop.time()
        where = f"dial tcp {joined(command.upstream)}"
        async with self._places:
            try:
                async with asyncio.timeout(command.total):
                    await self._read(command)
                # A zone of 200,000 names takes a second to put together: nobody waits for that.
                await asyncio.to_thread(command.finish)
            except TimeoutError:
                done(Unanswered(f"{where}: i/o timeout", timeout=True))
            except asyncio.IncompleteReadError:
                done(Unanswered(f"{where}: EOF"))
            except (OSError, ssl.SSLError) as error:
                done(Unanswered(f"{where}: {tls_reason(error)}"))
            except ValueError as error:
                done(Unanswered(f"{where}: {error}"))
            else:
                done(Exchanged(b"", self._loop.time() - started))

    async def _read(self, command: ReadZone) -> None:
        upstream = command.upstream
        secure = upstream.transport is Transport.TLS
        async with asyncio.timeout(command.timeout):
            reader, writer = await asyncio.open_connection(
                upstream.address,
                upstream.port,
                ssl=client_context(upstream.tls) if secure else None,
                server_hostname=(upstream.server_name or upstream.address) if secure else None,
            )
        ident = os.urandom(2)
        try:
            wire = ident + command.wire[2:]
            writer.write(len(wire).to_bytes(2, "big") + wire)
            last = False
            while not last:
                last = await self._message(reader, command, ident)
                # A large zone is no reason to keep everybody else waiting.
                await asyncio.sleep(0)
        finally:
            writer.transport.abort()

    async def _message(self, reader: asyncio.StreamReader, command: ReadZone, ident: bytes) -> bool:
        async with asyncio.timeout(command.timeout):
            size = int.from_bytes(await reader.readexactly(2), "big")
            message = await reader.readexactly(size)
        if len(message) < 3 or message[:2] != ident or not message[2] & _RESPONSE:
            raise ValueError("a message that is no answer to us")
        return command.take(message)
