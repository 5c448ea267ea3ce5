import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.message
import dns.rrset
import pytest
from msgspec.structs import replace

from svcdns.aio import explain as shell
from svcdns.aio.forwarding import NODE_ADDRESS
from svcdns.corefile.parser import parse
from svcdns.dns.constants import RRType
from svcdns.dns.name import from_text
from svcdns.dns.text import record_to_text
from svcdns.errors import ConfigError
from svcdns.kube.source import ApiSource
from svcdns.kube.store import Store
from svcdns.plugins.build import Configuration
from svcdns.plugins.order import NAMES

COREFILE = ".:53 {\n    kubernetes cluster.local\n}\n"

MANIFEST = """\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: prod}
spec: {clusterIP: 10.96.0.10, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: bad, namespace: prod}
spec: {ports: [{port: many}]}
"""


def _configuration() -> Configuration:
    return shell.configure(parse(COREFILE, "Corefile", {}, lambda *_: [], print, known=NAMES))


def test_saved_objects_are_taken_as_they_are(tmp_path: Path) -> None:
    configuration = _configuration()
    (tmp_path / "objects.yaml").write_text(MANIFEST)

    said = shell.fill_from_objects(configuration, [str(tmp_path / "objects.yaml")])

    store = configuration.clusters[0].store
    assert store.synced
    assert store.services["prod", "web"].addresses == ("10.96.0.10",)
    assert len(said) == 2
    assert "Service prod/bad" in said[0]
    assert said[1] == "no Namespace was saved: those of Services are taken to exist: prod"
    assert list(store.namespaces) == [("", "prod")]


def test_saved_namespaces_are_all_there_are(tmp_path: Path) -> None:
    configuration = _configuration()
    other = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n"
    (tmp_path / "objects.yaml").write_text(MANIFEST + other)

    said = shell.fill_from_objects(configuration, [str(tmp_path / "objects.yaml")])

    assert len(said) == 1
    assert list(configuration.clusters[0].store.namespaces) == [("", "other")]


def test_saved_objects_that_are_missing_are_named() -> None:
    with pytest.raises(ConfigError, match=r"^/nonexistent/x.yaml: no such file or directory$"):
        shell.fill_from_objects(_configuration(), ["/nonexistent/x.yaml"])


def test_manifests_get_the_addresses_that_up_would_give_them(tmp_path: Path) -> None:
    configuration = _configuration()
    (tmp_path / "web.yaml").write_text(MANIFEST)

    shell.fill_from_manifests(configuration, tmp_path)

    store = configuration.clusters[0].store
    [address] = store.services["prod", "web"].addresses
    assert store.synced
    assert address.startswith("127.")
    assert address != NODE_ADDRESS


async def test_a_cluster_that_lists_nothing_is_given_up_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Silent:
        @staticmethod
        async def feed(*_: object, **__: object) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr(shell, "import_module", lambda name: Silent)

    with pytest.raises(ConfigError, match="the API did not list EndpointSlice, Namespace, Service"):
        await shell.fill_from_clusters(_configuration(), 0.01)


async def test_a_cluster_that_is_listed_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    class Quick:
        @staticmethod
        async def feed(_source: object, store: object, **_: object) -> None:
            store.listed |= store.wanted  # type: ignore[attr-defined]
            await asyncio.Event().wait()

    monkeypatch.setattr(shell, "import_module", lambda name: Quick)
    configuration = _configuration()

    await shell.fill_from_clusters(configuration, 10)
    assert configuration.clusters[0].store.synced


async def test_a_kubeconfig_leads_to_the_cluster_of_a_corefile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[ApiSource] = []

    class Noted:
        @staticmethod
        async def feed(source: ApiSource, store: Store, **_: object) -> None:
            asked.append(source)
            store.listed |= store.wanted
            await asyncio.Event().wait()

    monkeypatch.setattr(shell, "import_module", lambda name: Noted)
    configuration = _configuration()
    own = configuration.clusters[0].source

    await shell.fill_from_clusters(configuration, 10, kubeconfig="/etc/kubeconfig")
    assert asked == [replace(own, kubeconfig="/etc/kubeconfig")]
    assert configuration.clusters[0].store.synced


@contextmanager
def _answering(answer: Callable[[bytes], bytes], lost: int = 0) -> Iterator[int]:
    """A server that answers one question, after so many that were lost."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(30)

        def serve() -> None:
            for _ in range(lost + 1):
                wire, client = sock.recvfrom(4096)
            sock.sendto(answer(wire), client)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            thread.join(10)


def _reply(wire: bytes) -> bytes:
    answer = dns.message.make_response(dns.message.from_wire(wire))
    answer.answer.append(dns.rrset.from_text("web.example.", 5, "IN", "A", "192.0.2.7"))
    return answer.to_wire()


def test_a_running_server_is_asked() -> None:
    with _answering(_reply) as port:
        message = shell.ask_server("127.0.0.1", port, from_text("web.example"), RRType.A)

    assert [record_to_text(one) for one in message.answer] == ["web.example. 5 IN A 192.0.2.7"]


def test_a_question_that_was_lost_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(shell, "TRIES", 600)
    with _answering(_reply, lost=2) as port:
        message = shell.ask_server("127.0.0.1", port, from_text("web.example"), RRType.A)

    assert [record_to_text(one) for one in message.answer] == ["web.example. 5 IN A 192.0.2.7"]


def test_a_server_that_does_not_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "ANSWER_SECONDS", 0.01)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        with pytest.raises(ConfigError, match=f"server 127.0.0.1 port {port}: timed out"):
            shell.ask_server("127.0.0.1", port, from_text("web.example"), RRType.A)
        questions = [silent.recv(4096) for _ in range(shell.TRIES)]
    assert len(set(questions)) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda wire: b"\0\0" + wire[2:], "no answer to the question"),
        (lambda wire: _reply(wire)[:-3], "malformed answer"),
    ],
)
def test_what_is_no_answer_is_said_to_be_none(answer: Callable[[bytes], bytes], said: str) -> None:
    with _answering(answer) as port, pytest.raises(ConfigError, match=said):
        shell.ask_server("127.0.0.1", port, from_text("web.example"), RRType.A)


def test_a_server_that_is_not_there_is_an_error() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]

    with pytest.raises(ConfigError, match=rf"^server 127.0.0.1 port {port}: connection refused$"):
        shell.ask_server("127.0.0.1", port, from_text("web.example"), RRType.A)
