"""The sockets that clients ask, for as long as the process lives.

A reload gives a listener another server and leaves its sockets and connections alone; so no query
is lost.  Certificates are read before anything else is done, so that a bad one changes nothing.

With ``multisocket`` a place to listen has several sockets (SO_REUSEPORT).  This process opens all
of them and keeps them open, whoever reads: a worker that ends leaves its queue to the next one.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from svcdns.aio.addresses import reason
from svcdns.aio.binding import open_datagram, open_stream
from svcdns.aio.certificates import context_of
from svcdns.aio.connections import Limits
from svcdns.aio.tcp import StreamListener
from svcdns.aio.turns import Turns
from svcdns.aio.udp import UdpListener
from svcdns.errors import ConfigError
from svcdns.hostport import host_port
from svcdns.plugins.base import Ask
from svcdns.plugins.commands import Transport
from svcdns.plugins.https import MAX_CONNECTIONS, Https
from svcdns.plugins.multisocket import Multisocket
from svcdns.plugins.server import Listen, Server
from svcdns.plugins.timeouts import Timeouts

if TYPE_CHECKING:
    from svcdns.aio.doh import DohListener

Settle = Callable[[Ask], Awaitable[object]]

Sockets: TypeAlias = tuple[socket.socket | None, socket.socket]
"""For datagrams, where the scheme has them, and for streams."""

_Contexts: TypeAlias = dict[Listen, ssl.SSLContext | None]


class _Open(Struct):
    """The listeners of one server."""

    datagrams: UdpListener | None
    streams: "StreamListener | DohListener"

    @property
    def sockets(self) -> Sockets:
        return (None if self.datagrams is None else self.datagrams.sock, self.streams.sock)


_HINTS = {
    errno.EADDRINUSE: "another server has the port: stop it, or choose another one",
    errno.EACCES: "ports below 1024 need root or CAP_NET_BIND_SERVICE: choose another one",
    errno.EADDRNOTAVAIL: "this machine does not have the address",
}


class Listeners:
    """All listeners of a process, by where they listen."""

    def __init__(self, settle: Settle) -> None:
        self._settle = settle
        self._turns: Turns | None = None
        self._open: dict[Listen, _Open] = {}
        self._spare: dict[Listen, list[Sockets]] = {}
        "Of workers; the first socket of a place to listen is in use here."

    def check(self, servers: Iterable[Server]) -> None:
        """See whether *servers* could listen, without doing so.

        Raises:
            ConfigError: A port is taken, a certificate bad, or the like; the text says what to do.
        """
        wanted = {server.listen: server for server in servers}
        _read_contexts(wanted.values())
        # Alone: who shares a port would share it with a foreign server as well.
        # A socket beside ours would take queries, and lose them: only the address is tried there.
        moved = {
            one for one in wanted.keys() - self._open.keys() if one.port in self._moved(wanted)
        }
        tried = {replace(one, port=0) if one in moved else one: wanted[one] for one in wanted}
        try:
            _close(self._bind(tried, alone_only=True).values())
        finally:
            self._share_no_more()

    async def change(self, servers: Iterable[Server]) -> None:
        """Have exactly *servers* listen from now on.

        Raises:
            ConfigError: One cannot; then everything is as before.
        """
        wanted = {server.listen: server for server in servers}
        contexts = _read_contexts(wanted.values())
        try:
            await self._change(wanted, contexts)
        finally:
            self._share_no_more()

    async def _change(self, wanted: Mapping[Listen, Server], contexts: _Contexts) -> None:
        opened: dict[Listen, _Open] = {}
        bound = self._bind(wanted)
        spare: dict[Listen, list[Sockets]] = {}
        try:
            spare = self._bind_spare(wanted, bound)
            for listen, sockets in bound.items():
                opened[listen] = self._listener(wanted[listen], *sockets)
                await _start(opened[listen], contexts[listen])
        except OSError as error:
            for one in opened.values():
                _close_one(one)
            _close(bound.values(), *spare.values())
            raise ConfigError(f"listen: {reason(error)}") from error
        except ConfigError:
            _close(bound.values())
            raise
        for listen, server in wanted.items():
            if listen in self._open:
                await self._hand_over(self._open[listen], server, contexts[listen])
        for listen in [listen for listen in self._open if listen not in wanted]:
            await self._stop_one(listen)
        self._open |= opened
        for listen, server in wanted.items():
            held = self._spare.setdefault(listen, [])
            held += spare.get(listen, [])
            _close(held[sockets_of(server) - 1 :])
            del held[sockets_of(server) - 1 :]

    @property
    def places(self) -> int:
        """The most sockets that a place to listen has: one for this process, others for workers."""
        return 1 + max(map(len, self._spare.values()), default=0)

    def sockets_at(self, place: int) -> dict[Listen, Sockets]:
        """Give the sockets of worker *place*, counted from 1; they stay ours."""
        return {
            listen: held[place - 1] for listen, held in self._spare.items() if place <= len(held)
        }

    async def adopt(self, servers: Iterable[Server], sockets: Mapping[Listen, Sockets]) -> None:
        """Have *servers* listen on sockets that somebody opened, those that have one.

        Raises:
            ConfigError: A certificate is bad, or the like.
        """
        wanted = {server.listen: server for server in servers if server.listen in sockets}
        contexts = _read_contexts(wanted.values())
        for listen, server in wanted.items():
            self._open[listen] = self._listener(server, *sockets[listen])
            await _start(self._open[listen], contexts[listen])

    async def stop(self) -> None:
        """Let queries under way be answered, then close everything."""
        _close(*self._spare.values())
        self._spare.clear()
        for listen in list(self._open):
            await self._stop_one(listen)

    def close(self) -> None:
        """Close everything at once; queries under way are not answered."""
        _close(*self._spare.values())
        self._spare.clear()
        while self._open:
            _, one = self._open.popitem()
            _close_one(one)

    def _bind(
        self, wanted: Mapping[Listen, Server], *, alone_only: bool = False
    ) -> dict[Listen, Sockets]:
        """Bind what is not open yet; all of it or nothing."""
        opened: dict[Listen, Sockets] = {}
        ports = shared_ports(wanted) | self._moved(wanted)
        try:
            for listen, one in self._open.items():
                if listen.port in ports:
                    _share(one.sockets)
            for listen, server in wanted.items():
                if listen not in self._open:
                    alone = listen.port not in ports and (alone_only or sockets_of(server) == 1)
                    opened[listen] = _sockets(listen, shared=not alone)
        except ConfigError:
            _close(opened.values())
            raise
        return opened

    def _moved(self, wanted: Iterable[Listen]) -> frozenset[int]:
        """Give the ports where a listener comes and another one goes: ``bind`` has changed.

        Both are open for a moment, so that no query meets a closed port.
        """
        now = set(wanted)
        goes = {listen.port for listen in self._open.keys() - now}
        return frozenset(goes & {listen.port for listen in now - self._open.keys()})

    def _share_no_more(self) -> None:
        """Keep strangers away from ports that have one socket of ours again.

        Linux remembers for TCP that a port was shared, for UDP it does not: who wants both fails.
        """
        ports = shared_ports(self._open)
        for listen, one in self._open.items():
            if listen.port not in ports and not self._spare.get(listen):
                _share(one.sockets, 0)

    def _bind_spare(
        self, wanted: Mapping[Listen, Server], bound: Mapping[Listen, Sockets]
    ) -> dict[Listen, list[Sockets]]:
        """Bind what is missing for workers; all of it or nothing.

        A socket that was alone so far begins to share its port now (Linux allows it when bound).
        """
        made: dict[Listen, list[Sockets]] = {}
        try:
            for listen, server in wanted.items():
                missing = sockets_of(server) - 1 - len(self._spare.get(listen, ()))
                if missing > 0:
                    _share(bound.get(listen) or self._open[listen].sockets)
                    held = made.setdefault(listen, [])
                    for _ in range(missing):
                        held.append(_sockets(listen, shared=True))
        except (ConfigError, OSError):
            _close(*made.values())
            raise
        return made

    def _listener(
        self, server: Server, datagram: socket.socket | None, stream: socket.socket
    ) -> _Open:
        datagrams = None if datagram is None else UdpListener(datagram, server, self._settle)
        limits = limits_of(server)
        self._turns = self._turns or Turns()
        if server.listen.scheme == "https":
            # Imported late: HTTP/2 is 6 % of the start of every server, and few have the scheme.
            from svcdns.aio.doh import DohListener

            return _Open(datagrams, DohListener(stream, server, self._settle, limits, self._turns))
        transport = Transport.TLS if server.listen.scheme == "tls" else Transport.TCP
        streams = StreamListener(
            stream, server, self._settle, transport=transport, limits=limits, turns=self._turns
        )
        return _Open(datagrams, streams)

    async def _hand_over(self, one: _Open, server: Server, tls: ssl.SSLContext | None) -> None:
        if one.datagrams is not None:
            one.datagrams.server = server
        one.streams.server = server
        one.streams.limits = limits_of(server)
        if server.listen.scheme != "dns":
            await one.streams.start(tls)  # with the certificate as it is now

    async def _stop_one(self, listen: Listen) -> None:
        one = self._open.pop(listen)
        _close(self._spare.pop(listen, ()))
        if one.datagrams is not None:
            await one.datagrams.stop()
        await one.streams.stop()


async def _start(one: _Open, tls: ssl.SSLContext | None) -> None:
    await one.streams.start(tls)
    if one.datagrams is not None:
        one.datagrams.start()


def _close_one(one: _Open) -> None:
    if one.datagrams is not None:
        asyncio.get_running_loop().remove_reader(one.datagrams.sock.fileno())
        one.datagrams.sock.close()
    one.streams.close()


def _read_contexts(servers: Iterable[Server]) -> _Contexts:
    return {server.listen: context_of(server) for server in servers}


def limits_of(server: Server) -> Limits:
    """Give the limits of a server's connections: those of the first ``timeouts`` there is."""
    limits = Limits()
    beside = [plugin for block in server.blocks for plugin in block.beside]
    if server.listen.scheme == "https":
        most = next((one.max_connections for one in beside if isinstance(one, Https)), None)
        limits = replace(limits, connections=MAX_CONNECTIONS if most is None else most)
    for plugin in beside:
        if isinstance(plugin, Timeouts):
            return replace(
                limits,
                read=limits.read if plugin.read is None else plugin.read,
                write=limits.write if plugin.write is None else plugin.write,
                idle=limits.idle if plugin.idle is None else plugin.idle,
                queries=limits.queries if plugin.queries is None else plugin.queries,
            )
    return limits


def sockets_of(server: Server) -> int:
    """Give the number of sockets a server has: the most that one of its blocks wants."""
    beside = [plugin for block in server.blocks for plugin in block.beside]
    return max((one.sockets for one in beside if isinstance(one, Multisocket)), default=1)


def _share(pair: Sockets, whether: int = 1) -> None:
    for sock in pair:
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, whether)


def _close(*opened: Iterable[Sockets]) -> None:
    for pair in chain(*opened):
        for sock in pair:
            if sock is not None:
                sock.close()


def shared_ports(wanted: Iterable[Listen]) -> frozenset[int]:
    """Give the ports on which a server of all addresses has another one beside it.

    The kernel lets a socket of one address live beside one of all addresses only when both have
    SO_REUSEPORT, and gives it what comes for its address (socket(7)).  CoreDNS sets the option on
    every socket (``plugin/pkg/reuseport``); here it is set only where it is needed, because with
    it nobody notices that another process has the port.
    """
    addresses: dict[int, set[str]] = {}
    for listen in wanted:
        addresses.setdefault(listen.port, set()).update(listen.addresses or ("",))
    return frozenset(
        port
        for port, found in addresses.items()
        if port and len(found) > 1 and found & {"", "::", "0.0.0.0"}
    )


def _sockets(listen: Listen, *, shared: bool = False) -> Sockets:
    """Open what a server listens with: a datagram socket, where the scheme has one, and a stream.

    Raises:
        ConfigError: A port is taken, or the like.
    """
    address = listen.addresses[0] if listen.addresses else ""
    stream = partial(open_stream, shared=shared)
    if listen.scheme != "dns":
        return None, _open(stream, "tcp", address, listen.port)
    datagram = _open(partial(open_datagram, shared=shared), "udp", address, listen.port)
    try:
        return datagram, _open(stream, "tcp", address, listen.port)
    except ConfigError:
        datagram.close()
        raise


def _open(
    opener: Callable[[str, int], socket.socket], network: str, address: str, port: int
) -> socket.socket:
    try:
        try:
            return opener(address, port)
        except OSError as error:
            if address or error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                raise
            return opener("0.0.0.0", port)  # a machine without IPv6
    except OSError as error:
        hint = _HINTS.get(error.errno or 0)
        where = host_port(address, port)
        text = f"listen {network} {where}: bind: {reason(error)}"
        raise ConfigError(f"{text} ({hint})" if hint else text) from error
