import pytest

from svcdns.errors import CorefileError
from svcdns.plugins import whoami
from svcdns.plugins.base import Client
from svcdns.plugins.commands import Transport
from svcdns.plugins.server import Server
from tests.support.corefile import Outside, directives, set_up
from tests.support.serving import answer, rows, server_of


def serving() -> Server:
    return server_of([whoami.setup(directives("whoami"), Outside().context())])


@pytest.mark.parametrize(
    ("client", "name", "additional"),
    [
        (Client("192.0.2.1", 40212), "A.test A",
         ["A.test. 0 IN A 192.0.2.1", "_udp.A.test. 0 IN SRV 0 0 40212 ."]),
        (Client("2001:db8::1", 65535, Transport.TCP), "a.test MX",
         ["_tcp.a.test. 0 IN SRV 0 0 65535 .", "a.test. 0 IN AAAA 2001:db8::1"]),
        (Client("fe80::1%eth0", 53, Transport.TLS), "a.test AAAA",
         ["_tcp.a.test. 0 IN SRV 0 0 53 .", "a.test. 0 IN AAAA fe80::1"]),
        (Client("192.0.2.1", 1), ". A", [". 0 IN A 192.0.2.1", "_udp. 0 IN SRV 0 0 1 ."]),
    ],
)  # fmt: skip
def test_the_answer_says_where_the_query_came_from(
    client: Client, name: str, additional: list[str]
) -> None:
    """J23."""
    assert rows(answer(serving(), name, client)) == ("NOERROR", "qr aa rd", [], [], additional)


def test_a_name_without_room_for_a_prefix_gets_no_port() -> None:
    longest = ".".join(["x" * 63] * 3 + ["x" * 61])

    assert len(rows(answer(serving(), f"{longest} A"))[4]) == 1


def test_nothing_is_stored() -> None:
    server = serving()
    answer(server, "a.test A")

    assert not server.table(Transport.UDP, "1").entries


@pytest.mark.parametrize("text", ["whoami me", "whoami {\nx\n}"])
def test_there_are_no_options(text: str) -> None:
    with pytest.raises(CorefileError):
        set_up(whoami.setup, text)
