import socket
from contextlib import ExitStack

from svcdns.aio.occupied import complaint, taken
from svcdns.proxy.listeners import Listener
from tests.support.ports import free_port

HOST = "127.91.2.3"


def listening(protocol: str) -> tuple[socket.socket, Listener]:
    kind = socket.SOCK_STREAM if protocol == "TCP" else socket.SOCK_DGRAM
    sock = socket.socket(socket.AF_INET, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(protocol == "TCP"))
    sock.bind((HOST, 0))
    if protocol == "TCP":
        sock.listen()
    return sock, Listener(HOST, sock.getsockname()[1], protocol, 4)


def free() -> Listener:
    return Listener(HOST, free_port(), "TCP", 4)


def test_a_port_is_taken_for_the_protocol_that_listens() -> None:
    for protocol, other in (("TCP", "UDP"), ("UDP", "TCP")):
        sock, place = listening(protocol)
        with sock:
            assert taken(HOST, place.port, protocol)
            assert not taken(HOST, place.port, other)
        assert not taken(HOST, place.port, protocol)


def test_a_connection_that_has_just_ended_holds_nothing() -> None:
    sock, place = listening("TCP")
    with sock, socket.create_connection((HOST, place.port)) as client:
        served, _ = sock.accept()
        served.close()  # closes first, so its side stays behind in TIME_WAIT
        assert client.recv(1) == b""
    assert not taken(HOST, place.port, "TCP")


def test_an_address_of_another_machine_is_not_taken() -> None:
    assert not taken("203.0.113.7", 80, "TCP")
    assert not taken("fd00::1:2:3", 80, "UDP")


def test_all_taken_is_said_with_the_first() -> None:
    with ExitStack() as stack:
        places = []
        for protocol in ("TCP", "UDP", "TCP"):
            sock, place = listening(protocol)
            stack.enter_context(sock)
            places.append(place)
        text = complaint(places)
        assert text.startswith(
            f"addresses of Services: all 3 are in use, the first is {HOST} port {places[0].port}/TCP"
        )
        assert "\n" not in text
        assert "it is in use:" in complaint(places[:1])


def test_one_that_is_free_is_enough_to_go_on() -> None:
    sock, place = listening("TCP")
    with sock:
        assert complaint([place, free()]) == ""


def test_nothing_wanted_is_nothing_to_complain_about() -> None:
    assert complaint([]) == ""
