import socket

import pytest

from svcdns.aio.tcpoptions import KEEPALIVE_IDLE_SECONDS, RESET, tune


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_dead_peer_is_noticed_and_nothing_waits_for_more_to_send_r94(family: int) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        tune(sock)

        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        idle = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        assert idle == KEEPALIVE_IDLE_SECONDS == 120


def test_a_connection_that_is_closed_with_a_reset_is_reset_for_its_peer() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname(), timeout=30) as client,
    ):
        server, _ = listener.accept()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        server.close()

        with pytest.raises(ConnectionResetError):
            client.recv(1)
