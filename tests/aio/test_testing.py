import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.message
import dns.query
import pytest

from svcdns.aio import testing
from svcdns.aio.freeport import free_port
from svcdns.aio.testing import ServiceNetwork
from svcdns.errors import ConfigError

WEB = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: http, port: 80}, {name: admin, port: 8081}]}
"""
NAME = "web.default.svc.cluster.local"


@pytest.fixture
def network() -> Iterator[ServiceNetwork]:
    with ServiceNetwork() as found:
        yield found


@contextmanager
def _backend(answer: bytes) -> Iterator[str]:
    """A server that says *answer* to everybody."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def _connect(place: tuple[str, int]) -> bytes:
    with socket.create_connection(place, timeout=10) as sock:
        return sock.recv(100)


def test_objects_are_answered_and_forwarded_as_soon_as_they_are_given(
    network: ServiceNetwork,
) -> None:
    network.apply(WEB)
    address, port = network.address("web")

    assert network.ask(NAME).data == (address,)
    assert address.startswith("127.")
    with pytest.raises(ConnectionRefusedError):
        _connect((address, port))
    with _backend(b"one") as one, _backend(b"two") as two:
        network.endpoints("web", one)
        assert {_connect((address, port)) for _ in range(4)} == {b"one"}
        network.endpoints("web", one, two)
        assert {_connect((address, port)) for _ in range(64)} == {b"one", b"two"}
        network.endpoints("web", two)
        assert {_connect((address, port)) for _ in range(4)} == {b"two"}
        assert _connect(network.address("web", "admin")) == b"two"
        assert _connect(network.address("default/web", 8081)) == b"two"
    network.endpoints("web")
    with pytest.raises(ConnectionRefusedError):
        _connect((address, port))


def test_any_resolver_can_ask(network: ServiceNetwork) -> None:
    network.apply(WEB)
    query = dns.message.make_query(NAME, "A")

    for ask in (dns.query.udp, dns.query.tcp):
        answer = ask(query, network.dns_address, port=network.dns_port, timeout=10)
        assert [rdata.address for rdata in answer.answer[0]] == [network.address("web")[0]]


def test_a_deleted_object_is_gone_and_can_come_back(network: ServiceNetwork) -> None:
    network.apply(WEB)
    network.delete("Service", "web")
    assert network.ask(NAME).rcode == "NXDOMAIN"

    network.apply(WEB)
    assert network.ask(NAME).rcode == "NOERROR"


def test_objects_are_given_as_text_files_directories_and_mappings(
    network: ServiceNetwork, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(WEB)
    (tmp_path / "b.txt").write_text("not a manifest")

    network.apply(
        tmp_path,
        tmp_path / "a.yaml",
        {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "ext", "namespace": "prod"},
            "spec": {"type": "ExternalName", "externalName": "www.example.net"},
        },
    )  # fmt: skip

    assert network.ask(NAME).rcode == "NOERROR"
    answer = network.ask("ext.prod.svc.cluster.local", "CNAME")
    assert answer.data == ("www.example.net.",)
    assert answer.records[0].endswith("IN CNAME www.example.net.")


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("a: [", "text"),
        (WEB.replace("port: 80}", "port: many}"), "Service default/web: left out: "),
        (Path("/nonexistent.yaml"), "/nonexistent.yaml: no such file or directory"),
        ("a: [", r"^text:2: not YAML"),
        ("deploy/web.yaml", r"'deploy/web.yaml' is text, no manifest; a file is Path\("),
    ],
)
def test_what_cannot_be_read_is_an_error_and_changes_nothing(
    network: ServiceNetwork, manifest: str | Path, message: str
) -> None:
    other = WEB.replace("name: web", "name: other")

    with pytest.raises(ConfigError, match=message):
        network.apply(other, manifest)
    assert network.ask("other.default.svc.cluster.local").rcode == "NXDOMAIN"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("none", "127.0.0.1:1"), "there is no Service default/none"),
        (("web", "127.0.0.1"), "a backend is ADDRESS:PORT"),
        (("web", "here:80"), "addresses"),
    ],
)
def test_endpoints_that_cannot_be_are_an_error(
    network: ServiceNetwork, words: tuple[str, ...], message: str
) -> None:
    network.apply(WEB)

    with pytest.raises(ConfigError, match=message):
        network.endpoints(*words)


def test_questions_about_what_is_not_there_are_errors(network: ServiceNetwork) -> None:
    network.apply(WEB)

    with pytest.raises(ConfigError, match="no Service default/none with a cluster IP"):
        network.address("none")
    with pytest.raises(ConfigError, match="has no port 'none'"):
        network.address("web", "none")
    with pytest.raises(ConfigError, match="no type of record"):
        network.ask(NAME, "NONE")
    with pytest.raises(ConfigError, match="no domain name"):
        network.ask("a..b")


def test_without_upstreams_names_outside_are_refused(network: ServiceNetwork) -> None:
    assert network.ask("www.example.org").rcode == "REFUSED"


def test_two_networks_do_not_meet(network: ServiceNetwork) -> None:
    network.apply(WEB)
    with ServiceNetwork(zone="other.example", proxy=False) as other:
        other.apply(WEB)

        assert other.dns_port != network.dns_port
        assert other.ask("web.default.svc.other.example").rcode == "NOERROR"
        assert other.ask(NAME).rcode == "REFUSED"


def test_a_port_that_somebody_takes_in_between_is_left_to_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        first = iter([port])
        monkeypatch.setattr(testing, "free_port", lambda address: next(first, free_port(address)))

        with ServiceNetwork() as network:
            assert network.dns_port != port
            assert network.ask("svc.cluster.local").rcode == "NOERROR"
    assert not list(first), "it was not tried"


def test_a_network_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(testing, "free_port", lambda _address: port)

        with pytest.raises(ConfigError, match="address already in use"):
            ServiceNetwork().__enter__()


def test_everything_is_closed_in_the_end() -> None:
    with ServiceNetwork() as network:
        network.apply(WEB)
        with _backend(b"one") as one:
            network.endpoints("web", one)
            place = network.address("web")
            assert _connect(place) == b"one"

    with pytest.raises(ConnectionRefusedError):
        _connect(place)
    with pytest.raises(ConfigError, match="refused"):
        network.ask(NAME)
    assert not [one for one in threading.enumerate() if one.name == "svcdns"]
