"""Changing the TLS settings of a socket that clients are using."""

import asyncio
import os
import socket
import ssl
from pathlib import Path

import pytest

from svcdns.aio import acceptor
from svcdns.aio.acceptor import Acceptor
from svcdns.aio.binding import open_stream
from tests.support.certificates import Certificate, authority
from tests.support.descriptors import no_descriptors
from tests.support.waiting import pace, until


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
    return await asyncio.wait_for(reader.read(1), 30) == b"x"


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_settings_change_for_new_connections_and_old_ones_go_on(tmp_path: Path) -> None:
    certificates = []
    for name in ("one.example", "two.example"):
        (tmp_path / name).mkdir()
        certificates.append(authority(tmp_path / name, name))
    sock = open_stream("127.0.0.1", 0)
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
    acceptor = Acceptor(open_stream("127.0.0.1", 0), _Echo)
    await acceptor.start(None)
    before = _descriptors()

    for _ in range(100):
        await acceptor.start(None)

    assert _descriptors() == before
    acceptor.close()
    assert _descriptors() == before - 1


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "a part"])
async def test_a_handshake_that_does_not_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(acceptor, "HANDSHAKE_SECONDS", 0.1)
    sock = open_stream("127.0.0.1", 0)
    listening = Acceptor(sock, _Echo)
    await listening.start(authority(tmp_path, "one.example").server_context())
    reader, writer = await _connect(sock.getsockname()[1], None)
    writer.write(sent)

    assert await asyncio.wait_for(reader.read(), 30) == b""
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
    sock = open_stream("127.0.0.1", 0)
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


async def test_without_descriptors_it_says_so_once_and_goes_on_when_there_are_some(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EMFILE; asyncio's own server writes a traceback for each place of the backlog."""
    monkeypatch.setattr(acceptor, "PAUSE_SECONDS", 0.01)
    sock = open_stream("127.0.0.1", 0)
    listening = Acceptor(sock, _Echo)
    await listening.start(None)
    opened = await _connect(sock.getsockname()[1], None)
    assert await _echoes(opened)
    client = socket.socket()
    client.setblocking(False)
    with no_descriptors():
        client.connect_ex(sock.getsockname())
        await until(lambda: caplog.records)
        assert await _echoes(opened)
        for _ in range(20):
            await pace(0.01)
    client.send(b"x")

    (record,) = caplog.records
    assert "takes no connections for now: Too many open files" in record.getMessage()
    loop = asyncio.get_running_loop()
    assert await asyncio.wait_for(loop.sock_recv(client, 1), 30) == b"x"
    client.close()
    opened[1].transport.abort()
    listening.close()


async def test_of_too_many_handshakes_the_longest_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "MOST_OPENING", 3)
    certificate = authority(tmp_path, "one.example")
    sock = open_stream("127.0.0.1", 0)
    port = sock.getsockname()[1]
    listening = Acceptor(sock, _Echo)
    await listening.start(certificate.server_context())
    silent = []
    for _ in range(3):
        silent.append(await _connect(port, None))
        await until(lambda: len(listening._opening) == len(silent))
    spoken = await _connect(port, certificate)

    assert await asyncio.wait_for(silent[0][0].read(), 30) == b""
    assert await _echoes(spoken)
    await until(lambda: len(listening._opening) == 2)
    listening.close()
    for _, writer in (*silent, spoken):
        writer.transport.abort()


async def test_the_end_of_the_listener_ends_handshakes(tmp_path: Path) -> None:
    before = _descriptors()
    sock = open_stream("127.0.0.1", 0)
    listening = Acceptor(sock, _Echo)
    await listening.start(authority(tmp_path, "one.example").server_context())
    silent = await _connect(sock.getsockname()[1], None)
    await until(lambda: listening._opening)
    listening.close()

    assert await asyncio.wait_for(silent[0].read(), 30) == b""
    silent[1].close()
    await until(lambda: _descriptors() == before)
