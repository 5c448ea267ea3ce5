"""Demo endpoints: tiny servers on the addresses of Pods that ask for them.  Not part of a proxy.

A Pod with the label ``svcdns.io/echo`` is served on its own address and container ports, so that
``svcdns up`` has something to forward to although nothing runs the Pod's containers:

- ``http``: TCP ports answer HTTP with one line that names the Pod and the client;
- ``tcp``: TCP ports send a line that names the Pod, then everything back that they get;
- ``udp``, and UDP ports under any value: a datagram comes back behind the Pod's name; a DNS query
  is answered with the name as TXT, or with the Pod's address as A or AAAA.

A Pod's endpoints stop with the Pod, and when it has ended (Succeeded, Failed).
"""

import asyncio
import logging
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from typing import TypeAlias, cast

from aiohttp import web

from svcdns.aio.addresses import reason
from svcdns.aio.binding import open_datagram, open_stream
from svcdns.dns.constants import RRType
from svcdns.dns.query import Query, parse
from svcdns.dns.render import render
from svcdns.dns.response import Record, Response
from svcdns.hostport import host_port
from svcdns.kube.endpoints import ENDED
from svcdns.kube.inventory import ECHO_LABEL
from svcdns.kube.metadata import ObjectKey
from svcdns.kube.objects import Kind, Pod
from svcdns.kube.store import Delta, Store
from svcdns.proxy.condense import condense

MAX_CONNECTIONS = 256
"""Of one port; more are closed at once."""

IDLE_SECONDS = 60.0
"""After which a raw TCP connection is closed."""

MAX_DATAGRAM = 1232
"""Octets of an answer (the DNS flag day's limit for unfragmented ones)."""

TTL = 5
"""Seconds of the demo's DNS answers."""

VALUES = ("http", "tcp", "udp")

Place: TypeAlias = tuple[str, str, int, str]
"""``http``, ``tcp`` or ``udp``; address, port; the Pod's name."""

log = logging.getLogger(__name__)

_unheard = logging.getLogger(f"{__name__}.http")
"""aiohttp's: a traceback for every malformed request is nothing that a person can act on."""
_unheard.setLevel(logging.CRITICAL)


def places(pod: Pod) -> Iterator[Place]:
    """Iterate over what a Pod wants served."""
    wanted = (pod.metadata.labels or {}).get(ECHO_LABEL)
    if wanted not in VALUES or pod.status.phase in ENDED:
        return
    name = "/".join(pod.key)
    for one in pod.status.pod_ips or ():
        for container in pod.spec.containers or ():
            for port in container.ports or ():
                if port.protocol == "UDP":
                    yield "udp", one.ip, port.container_port, name
                elif port.protocol == "TCP" and wanted != "udp":
                    yield wanted, one.ip, port.container_port, name


class EchoEndpoints:
    """The demo endpoints of a store's Pods."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open: dict[ObjectKey, dict[Place, _Endpoint]] = {}
        self._refused: dict[Place, str] = {}
        self._touched: set[ObjectKey] = set()
        self._wake = asyncio.Event()
        self.settled = asyncio.Event()
        "Set while every change that is known of has been carried out."

    async def start(self) -> None:
        """Serve the Pods that are there; :meth:`run` follows changes."""
        self._touched |= self._store.pods.keys()
        self._store.subscribe(self._note)
        await self._step()

    async def run(self) -> None:
        """Follow the store until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._step()

    async def stop(self) -> None:
        """Close everything."""
        self._store.unsubscribe(self._note)
        for endpoints in self._open.values():
            for endpoint in endpoints.values():
                await endpoint.stop()
        self._open.clear()

    @property
    def count(self) -> int:
        """Number of ports that are served."""
        return sum(len(endpoints) for endpoints in self._open.values())

    def _note(self, delta: Delta) -> None:
        if delta.kind is Kind.POD:
            self._touched.add(delta.key)
            self.settled.clear()
            self._wake.set()

    async def _step(self) -> None:
        """Stop what is not wanted any more, then start: a port may move from Pod to Pod."""
        touched, self._touched = sorted(self._touched), set()
        for key in touched:
            pod = self._store.pods.get(key)
            wanted = set(places(pod)) if pod else set()
            self._check_label(pod)
            endpoints = self._open.setdefault(key, {})
            for place in [place for place in endpoints if place not in wanted]:
                await endpoints.pop(place).stop()
        refused: list[str] = []
        for key in touched:
            pod = self._store.pods.get(key)
            for place in sorted(places(pod)) if pod else ():
                if place not in self._open[key]:
                    await self._start(key, place, refused)
            if not self._open[key]:
                del self._open[key]
        said, details = condense(refused, "echo endpoints are not served")
        for line in said:
            log.error("%s", line)
        for line in details:
            log.debug("%s", line)
        if not self._touched:
            self.settled.set()

    async def _start(self, key: ObjectKey, place: Place, refused: list[str]) -> None:
        kind, address, port, name = place
        try:
            endpoint = _KINDS[kind](address, port, name)
        except (OSError, ValueError) as error:
            why = reason(error)
            if isinstance(error, PermissionError):
                why += " (low ports need root: give the container a port of 1024 or more)"
            if self._refused.get(place) != why:
                self._refused[place] = why
                refused.append(f"echo endpoint of Pod {name}: {address} port {port}: {why}")
            return
        self._refused.pop(place, None)
        await endpoint.start()
        self._open[key][place] = endpoint

    def _check_label(self, pod: Pod | None) -> None:
        wanted = (pod.metadata.labels or {}).get(ECHO_LABEL) if pod else None
        if pod and wanted is not None and wanted not in VALUES:
            allowed = ", ".join(VALUES)
            log.warning(
                "Pod %s: label %s: %r is none of %s", "/".join(pod.key), ECHO_LABEL, wanted, allowed
            )


class _Endpoint:
    """One port."""

    def __init__(self, address: str, port: int, name: str) -> None:
        self.address = address
        self.port = port
        self.name = name
        self.where = host_port(address, port)
        self.sock = self.bind()

    def bind(self) -> socket.socket:
        """Take the port."""
        return open_stream(self.address, self.port)

    async def start(self) -> None:
        """Answer from now on."""

    async def stop(self) -> None:
        """Close the port and its connections."""
        self.sock.close()


class _Http(_Endpoint):
    """Answers every request with one line, so that ``sort | uniq -c`` shows the spread."""

    async def start(self) -> None:
        self._web = web.Server(self._handle, access_log=None, logger=_unheard)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, sock=self.sock)

    async def stop(self) -> None:
        self._server.close()
        await self._web.shutdown(timeout=0.5)

    def _accept(self) -> asyncio.Protocol:
        if len(self._web.connections) >= MAX_CONNECTIONS:
            return _Refusal()
        return self._web()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        peer = request.remote or "?"
        line = f"{self.name} at {self.where}: {request.method} {request.path} from {peer}\n"
        return web.Response(text=line, headers={"X-Pod": self.name})


class _Refusal(asyncio.Protocol):
    """Closes a connection that is one too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class _Tcp(_Endpoint):
    """Sends a line, then everything back."""

    async def start(self) -> None:
        self._connections: set[_TcpConnection] = set()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, sock=self.sock)

    async def stop(self) -> None:
        self._server.close()
        for connection in tuple(self._connections):
            connection.abort()

    def _accept(self) -> asyncio.Protocol:
        if len(self._connections) >= MAX_CONNECTIONS:
            return _Refusal()
        return _TcpConnection(f"{self.name} at {self.where}\n", self._connections)


class _TcpConnection(asyncio.Protocol):
    """One raw connection; a client that does not read is not read from."""

    def __init__(self, greeting: str, siblings: set["_TcpConnection"]) -> None:
        self._greeting = greeting
        self._siblings = siblings
        self._idle: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._siblings.add(self)
        transport.write(self._greeting.encode())
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._siblings.discard(self)
        if self._idle:
            self._idle.cancel()

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)
        self._wait()

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _wait(self) -> None:
        if self._idle:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._transport.close)


class _Udp(_Endpoint):
    """Sends datagrams back, and answers DNS queries."""

    def bind(self) -> socket.socket:
        return open_datagram(self.address, self.port)

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: _UdpProtocol(self.name, self.address, self.where), sock=self.sock
        )

    async def stop(self) -> None:
        self._transport.close()


class _UdpProtocol(asyncio.DatagramProtocol):
    def __init__(self, name: str, address: str, where: str) -> None:
        self._name = name
        self._address = address
        self._where = where

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # before 3.12 the loop's own transport does not say that it is a DatagramTransport
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(datagram(data, self._name, self._address, self._where), addr)


def datagram(data: bytes, name: str, address: str, where: str) -> bytes:
    """Answer a datagram: DNS with DNS, anything else with the Pod's name and itself.

    Args:
        data: What came.
        name: The Pod's, ``namespace/name``.
        address: The Pod's.
        where: Address and port, for the text.
    """
    query = parse(data)
    if not isinstance(query, Query):
        return f"{name} at {where}: ".encode() + (data or b"\n")[:MAX_DATAGRAM]
    binary = ip_address(address).packed
    match query.qtype:
        case RRType.TXT | RRType.ANY:
            text = f"{name} at {where}".encode()[:255]
            rdata, rrtype = bytes((len(text),)) + text, int(RRType.TXT)
        case RRType.A if len(binary) == 4:
            rdata, rrtype = binary, int(RRType.A)
        case RRType.AAAA if len(binary) == 16:
            rdata, rrtype = binary, int(RRType.AAAA)
        case _:
            return render(query, Response(aa=True), limit=MAX_DATAGRAM)
    record = Record(query.qname, rrtype, TTL, rdata)
    return render(query, Response(answer=(record,), aa=True), limit=MAX_DATAGRAM)


_KINDS: dict[str, type[_Endpoint]] = {"http": _Http, "tcp": _Tcp, "udp": _Udp}
