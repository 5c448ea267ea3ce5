import json
from pathlib import Path

import dns.message
import dns.rrset
import pytest

from svcdns.aio import explain as shell
from svcdns.cli import main
from svcdns.dns.message import Message, parse_response
from tests.support.wire import ask as question
from tests.support.wire import rrset

OBJECTS = """\
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: prod}}
- {apiVersion: v1, kind: Node, metadata: {name: n1}}
- apiVersion: v1
  kind: Service
  metadata: {name: web, namespace: prod}
  spec:
    clusterIP: 10.96.0.10
    clusterIPs: [10.96.0.10]
    ports: [{name: http, port: 80, protocol: TCP}]
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: web-x, namespace: prod, labels: {kubernetes.io/service-name: web}}
  addressType: IPv4
  ports: [{name: http, port: 8080, protocol: TCP}]
  endpoints:
  - {addresses: [10.1.0.1], conditions: {ready: true}}
  - {addresses: [10.1.0.2], conditions: {ready: false}}
"""
COREFILE = """\
.:53 {
    kubernetes cluster.local in-addr.arpa {
        ttl 5
    }
    forward . 192.0.2.1
}
"""


@pytest.fixture
def sources(tmp_path: Path) -> list[str]:
    (tmp_path / "objects.yaml").write_text(OBJECTS)
    (tmp_path / "Corefile").write_text(COREFILE)
    return ["--objects", str(tmp_path / "objects.yaml"), "-conf", str(tmp_path / "Corefile")]


def test_a_name_is_searched_for_answered_and_explained(
    sources: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "web", "--from-namespace", "prod", *sources]) == 0

    out = capsys.readouterr().out
    assert "web.prod.svc.cluster.local. 5 IN A 10.96.0.10" in out
    assert "answered by: kubernetes" in out
    assert "Service prod/web: ClusterIP" in out
    assert "one of 10.1.0.1:8080" in out
    assert "left out: 10.1.0.2:8080: not ready (R58)" in out


def test_json_holds_the_same(sources: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "web.prod.svc.cluster.local", "--output", "json", *sources]) == 0

    document = json.loads(capsys.readouterr().out)
    assert document["attempts"][0]["answer"] == ["web.prod.svc.cluster.local. 5 IN A 10.96.0.10"]
    assert document["services"][0]["endpoints"][1]["state"] == "not ready"
    assert document["connections"][0]["backends"][0]["address"] == "10.1.0.1"
    assert "server" not in document


def test_an_address_is_asked_for_its_name(
    sources: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "10.96.0.10", *sources]) == 0

    assert "IN PTR web.prod.svc.cluster.local." in capsys.readouterr().out


def test_without_flags_it_is_the_demo_of_up_that_is_explained(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["explain", "web.default.svc.cluster.local"]) == 0

    assert "Service default/web: ClusterIP  127." in capsys.readouterr().out


def test_a_directory_of_manifests_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "objects.yaml").write_text(OBJECTS)

    words = ["explain", "web.prod.svc.corp.example", "--manifests", str(tmp_path)]
    assert main([*words, "--zone", "corp.example"]) == 0

    assert "Service prod/web: ClusterIP  127." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a..b"], "'a..b' is no domain name"),
        (["web", "NOTYPE"], "'NOTYPE' is no type of record"),
        (["web", "--client", "me"], "--client: 'me' is not an IP address"),
        (["web", "--node", "n9"], "--node: there is no Node n9"),
        (["web", "--server", "here:53"], "--server: 'here' is not an IP address"),
        (["web", "--server", "127.0.0.1:99999"], "--server: '127.0.0.1:99999' is not ADDRESS"),
        (["web", "--server", ":53"], "--server: ':53' is not ADDRESS[:PORT]: the address is"),
        (["web", "--server", ""], "--server: '' is not ADDRESS[:PORT]: the address is missing"),
        (["web", "--server", "[::1"], "--server: '[::1' is not ADDRESS[:PORT]: "),
        ([""], "NAME is empty: name what to explain, '.' for the root"),
        (["web", ""], "'' is no type of record"),
        (["web", "--zone", "a b"], "--zone: 'a b' is not a domain name"),
        (["web", "--from-namespace", "A b"], "--from-namespace: 'A b' cannot be the name of a"),
        (["web", "--objects", ""], "--objects: the name of the file is empty"),
        (["web", "--kubeconfig", ""], "--kubeconfig: the name of the file is empty"),
        (["web", "--manifests", "x"], "--manifests and --objects: objects come from one of them"),
    ],
)
def test_what_cannot_be_asked_is_said(
    words: list[str], message: str, sources: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", *words, *sources]) == 1

    assert message in capsys.readouterr().err


def test_a_corefile_that_is_missing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "web", "-conf", "/nonexistent/Corefile"]) == 1

    assert "open /nonexistent/Corefile: no such file or directory" in capsys.readouterr().err


def test_a_corefile_without_plain_dns_has_nothing_to_ask(
    sources: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Corefile").write_text("tls://.:853 {\n    whoami\n}\n")

    assert main(["explain", "web", *sources]) == 1
    assert "no server for plain DNS" in capsys.readouterr().err


def test_an_empty_corefile_is_the_one_that_a_server_takes_instead(
    sources: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Corefile").write_text("")

    assert main(["explain", "web", *sources]) == 0
    assert "answered by: whoami" in capsys.readouterr().out


def test_an_old_corefile_is_explained_as_it_is_translated(
    sources: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Corefile").write_text(". {\nproxy . 192.0.2.1\n}\n")

    assert main(["explain", "web", *sources]) == 0
    said = capsys.readouterr()
    assert "which would ask 192.0.2.1:53" in said.out
    assert "forward . 192.0.2.1" in said.err


def test_objects_that_are_none_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "objects.yaml").write_text("")

    assert (
        main(["explain", "web.prod.svc.cluster.local", "--objects", f"{tmp_path}/objects.yaml"])
        == 0
    )
    assert "objects.yaml: holds no object that DNS or the proxy reads" in capsys.readouterr().err


def _says(monkeypatch: pytest.MonkeyPatch, *records: str) -> list[tuple[str, int]]:
    asked: list[tuple[str, int]] = []

    def answer(address: str, port: int, qname: bytes, qtype: int) -> Message:
        asked.append((address, port))
        reply = dns.message.make_response(
            dns.message.from_wire(question("web.prod.svc.cluster.local A"))
        )
        for record in records:
            reply.answer.append(rrset(record))
        found = parse_response(reply.to_wire())
        assert found is not None
        return found

    monkeypatch.setattr(shell, "ask_server", answer)
    return asked


@pytest.mark.parametrize(
    ("server", "place"),
    [
        ("127.0.0.1:1053", ("127.0.0.1", 1053)),
        ("127.0.0.1", ("127.0.0.1", 53)),
        ("::1", ("::1", 53)),
        ("[::1]:1053", ("::1", 1053)),
    ],
)
def test_a_running_server_that_agrees_is_said_to(
    server: str,
    place: tuple[str, int],
    sources: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = _says(monkeypatch, "web.prod.svc.cluster.local. 3 IN A 10.96.0.10")

    assert main(["explain", "web.prod.svc.cluster.local", "--server", server, *sources]) == 0
    assert asked == [place]
    assert f"server {server} says: NOERROR, as explained" in capsys.readouterr().out


@pytest.mark.parametrize(
    "records", [(), ("web.prod.svc.cluster.local. 3 IN A 10.96.0.99",)], ids=["none", "another"]
)
def test_a_running_server_that_differs_is_an_error(
    records: tuple[str, ...],
    sources: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _says(monkeypatch, *records)

    words = ["explain", "web.prod.svc.cluster.local", "--server", "127.0.0.1"]
    assert main([*words, *sources]) == 1
    assert "NOT as explained" in capsys.readouterr().out


def test_what_only_an_upstream_knows_is_not_called_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Corefile").write_text(". {\nforward . 10.0.0.1\n}\n")
    _says(monkeypatch, "www.example.org. 3 IN A 192.0.2.1")

    words = ["explain", "www.example.org", "--server", "127.0.0.1"]
    assert main([*words, "-conf", str(tmp_path / "Corefile")]) == 0
    found = capsys.readouterr().out
    assert "says: NOERROR, which nothing here can confirm" in found
