"""Changing the TLS settings of a socket that clients are using."""

import asyncio
import os
import ssl
from pathlib import Path

import pytest

from svcdns.aio.acceptor import Acceptor
from svcdns.aio.tcp import open_socket
from tests.support.certificates import Certificate, authority


class _Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


async def _connect(
    port: int, certificate: Certificate | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    tls = ssl.create_default_context(cafile=certificate.authority) if certificate else None
    return await asyncio.open_connection("127.0.0.1", port, ssl=tls)


async def _echoes(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bool:
    reader, writer = streams
    writer.write(b"x")
    return await asyncio.wait_for(reader.read(1), 5) == b"x"


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_settings_change_for_new_connections_and_old_ones_go_on(tmp_path: Path) -> None:
    certificates = []
    for name in ("one.example", "two.example"):
        (tmp_path / name).mkdir()
        certificates.append(authority(tmp_path / name, name))
    sock = open_socket("127.0.0.1", 0)
    port = sock.getsockname()[1]
    acceptor = Acceptor(sock, _Echo)
    await acceptor.start(None)
    plain = await _connect(port, None)
    assert await _echoes(plain)
    opened = [plain]
    for certificate in certificates:
        await acceptor.start(certificate.server_context())
        opened.append(await _connect(port, certificate))
        for streams in opened:
            assert await _echoes(streams)
    with pytest.raises(ssl.SSLCertVerificationError):
        await _connect(port, certificates[0])

    acceptor.close()

    assert all([await _echoes(streams) for streams in opened])
    with pytest.raises(ConnectionRefusedError):
        await _connect(port, None)
    for _, writer in opened:
        writer.transport.abort()


async def test_a_hundred_changes_cost_no_descriptor() -> None:
    acceptor = Acceptor(open_socket("127.0.0.1", 0), _Echo)
    await acceptor.start(None)
    before = _descriptors()

    for _ in range(100):
        await acceptor.start(None)

    assert _descriptors() == before
    acceptor.close()
    assert _descriptors() == before - 2
