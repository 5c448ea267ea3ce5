"""Changing the TLS settings of a socket that clients are using."""

import asyncio
import os
import socket
import ssl
from pathlib import Path

import pytest

from svcdns.aio import acceptor
from svcdns.aio.acceptor import Acceptor
from svcdns.aio.tcp import open_socket
from tests.support.certificates import Certificate, authority
from tests.support.waiting import until


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


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "a part"])
async def test_a_handshake_that_does_not_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(acceptor, "HANDSHAKE_SECONDS", 0.1)
    sock = open_socket("127.0.0.1", 0)
    listening = Acceptor(sock, _Echo)
    await listening.start(authority(tmp_path, "one.example").server_context())
    reader, writer = await _connect(sock.getsockname()[1], None)
    writer.write(sent)

    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    listening.close()


async def test_a_client_that_does_not_close_its_tls_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its descriptor and its memory would stay for half a minute."""
    monkeypatch.setattr(acceptor, "SHUTDOWN_SECONDS", 0.1)
    made: list[_Echo] = []
    ended: list[bool] = []

    class Noting(_Echo):
        def __init__(self) -> None:
            made.append(self)

        def connection_lost(self, exc: Exception | None) -> None:
            ended.append(True)

    certificate = authority(tmp_path, "one.example")
    sock = open_socket("127.0.0.1", 0)
    listening = Acceptor(sock, Noting)
    await listening.start(certificate.server_context())
    client = socket.create_connection(sock.getsockname())
    tls = ssl.create_default_context(cafile=certificate.authority)
    spoken = await asyncio.to_thread(tls.wrap_socket, client, server_hostname="127.0.0.1")
    await until(lambda: made and hasattr(made[0], "_transport"))
    made[0]._transport.close()

    await until(lambda: ended)
    spoken.close()
    listening.close()
