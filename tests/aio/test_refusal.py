import socket

import pytest

from svcdns.aio.refusal import Refuser


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_a_connected_client_gets_the_error(family: int, host: str) -> None:
    refuser = Refuser()
    try:
        if not refuser.able:
            pytest.skip("raw sockets need CAP_NET_RAW")
        with (
            socket.socket(family, socket.SOCK_DGRAM) as server,
            socket.socket(family, socket.SOCK_DGRAM) as client,
        ):
            server.bind((host, 0))
            client.connect(server.getsockname())
            client.settimeout(30)
            client.send(b"hello")
            assert refuser.refuse(client.getsockname(), server.getsockname()[:2], 5)
            with pytest.raises(ConnectionRefusedError):
                client.recv(100)
    finally:
        refuser.close()


def test_without_the_privilege_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*arguments: object) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", forbid)
    refuser = Refuser()
    assert not refuser.able
    assert not refuser.refuse(("127.0.0.1", 1), ("127.0.0.1", 2), 3)
    refuser.close()
