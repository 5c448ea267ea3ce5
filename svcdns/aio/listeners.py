"""The sockets that clients ask, for as long as the process lives.

A reload gives a listener another server and leaves its sockets and connections alone; so no query
is lost.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

from svcdns.aio import tcp, udp
from svcdns.aio.addresses import host_port, reason
from svcdns.aio.tcp import Limits, StreamListener
from svcdns.aio.udp import UdpListener
from svcdns.errors import ConfigError
from svcdns.plugins.base import Ask, Transport
from svcdns.plugins.server import Listen, Server
from svcdns.plugins.timeouts import Timeouts

Settle = Callable[[Ask], Awaitable[object]]

_Sockets: TypeAlias = tuple[socket.socket | None, socket.socket]
"""For datagrams, where the scheme has them, and for streams."""

_HINTS = {
    errno.EADDRINUSE: "another server has the port: stop it, or choose another one",
    errno.EACCES: "ports below 1024 need root or CAP_NET_BIND_SERVICE: choose another one",
    errno.EADDRNOTAVAIL: "this machine does not have the address",
}


class Listeners:
    """All listeners of a process, by where they listen."""

    def __init__(self, settle: Settle) -> None:
        self._settle = settle
        self._open: dict[Listen, tuple[UdpListener | None, StreamListener]] = {}

    def check(self, servers: Iterable[Server]) -> None:
        """See whether *servers* could listen, without doing so.

        Raises:
            ConfigError: A port is taken, or the like; the text says what to do.
        """
        _close(self._bind(server.listen for server in servers))

    async def change(self, servers: Iterable[Server]) -> None:
        """Have exactly *servers* listen from now on.

        Raises:
            ConfigError: One cannot; then everything is as before.
        """
        wanted = {server.listen: server for server in servers}
        for listen, (datagram, stream) in self._bind(wanted).items():
            self._open[listen] = await self._start(wanted[listen], datagram, stream)
        for listen, server in wanted.items():
            self._hand_over(listen, server)
        for listen in [listen for listen in self._open if listen not in wanted]:
            await self._stop_one(listen)

    async def stop(self) -> None:
        """Let queries under way be answered, then close everything."""
        for listen in list(self._open):
            await self._stop_one(listen)

    def close(self) -> None:
        """Close everything at once; queries under way are not answered."""
        while self._open:
            _, (datagrams, streams) = self._open.popitem()
            if datagrams is not None:
                asyncio.get_running_loop().remove_reader(datagrams.sock.fileno())
                datagrams.sock.close()
            streams.close()

    def _bind(self, wanted: Iterable[Listen]) -> dict[Listen, _Sockets]:
        """Bind what is not open yet; all of it or nothing."""
        opened: dict[Listen, _Sockets] = {}
        try:
            for listen in wanted:
                if listen not in self._open:
                    opened[listen] = _sockets(listen)
        except ConfigError:
            _close(opened)
            raise
        return opened

    async def _start(
        self, server: Server, datagram: socket.socket | None, stream: socket.socket
    ) -> tuple[UdpListener | None, StreamListener]:
        secure = server.listen.scheme == "tls"
        streams = StreamListener(
            stream,
            server,
            self._settle,
            transport=Transport.TLS if secure else Transport.TCP,
            tls=_tls(server) if secure else None,
            limits=limits_of(server),
        )
        await streams.start()
        datagrams = None
        if datagram is not None:
            datagrams = UdpListener(datagram, server, self._settle)
            datagrams.start()
        return datagrams, streams

    def _hand_over(self, listen: Listen, server: Server) -> None:
        datagrams, streams = self._open[listen]
        if datagrams is not None:
            datagrams.server = server
        streams.server = server
        streams.limits = limits_of(server)

    async def _stop_one(self, listen: Listen) -> None:
        datagrams, streams = self._open.pop(listen)
        if datagrams is not None:
            await datagrams.stop()
        await streams.stop()


def limits_of(server: Server) -> Limits:
    """Give the limits of a server's connections: those of the first ``timeouts`` there is."""
    standard = Limits()
    for block in server.blocks:
        for plugin in block.plugins:
            if isinstance(plugin, Timeouts):
                return Limits(
                    standard.read if plugin.read is None else plugin.read,
                    standard.write if plugin.write is None else plugin.write,
                    standard.idle if plugin.idle is None else plugin.idle,
                    standard.queries if plugin.queries is None else plugin.queries,
                )
    return standard


def _tls(server: Server) -> ssl.SSLContext:
    raise ConfigError(f"{server.label}: no 'tls' directive gives a certificate and a key")


def _close(opened: dict[Listen, _Sockets]) -> None:
    for pair in opened.values():
        for sock in pair:
            if sock is not None:
                sock.close()


def _sockets(listen: Listen) -> _Sockets:
    """Open what a server listens with: a datagram socket, where the scheme has one, and a stream.

    Raises:
        ConfigError: A port is taken, or the like.
    """
    if listen.scheme not in ("dns", "tls"):
        raise ConfigError(f"{listen.scheme}://: svcdns has no server for this scheme")
    address = listen.addresses[0] if listen.addresses else ""
    if listen.scheme == "tls":
        return None, _open(tcp.open_socket, "tcp", address, listen.port)
    datagram = _open(udp.open_socket, "udp", address, listen.port)
    try:
        return datagram, _open(tcp.open_socket, "tcp", address, listen.port)
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
