"""Names out of a real etcd (Debian's etcd-server), decoded by dnspython."""

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.message
import pytest

from svcdns.dns.response import Record, Response
from svcdns.errors import CorefileError
from svcdns.plugins.base import Ask, Failed, Handler, Outcome, Rendered, Reply, Request
from svcdns.plugins.commands import Exchanged, Fetch, Result, Unanswered
from svcdns.plugins.etcd import setup
from svcdns.plugins.server import Server
from tests.support.ports import free_port
from tests.support.records import wire_name
from tests.support.serving import CLIENT, Scripted, question, rows, server_of
from tests.support.setups import context, directives

KEYS: dict[str, object] = {
    "local/skydns/web": {"host": "10.0.0.1", "ttl": 60},
    "local/skydns/many/1": {"host": "10.0.0.2", "port": 80},
    "local/skydns/many/2": {"host": "10.0.0.3", "port": 80},
    "local/skydns/many/3": {"host": "fd00::3", "port": 80},
    "local/skydns/many": {"host": "10.0.0.99"},
    "local/skydns/many-not": {"host": "10.0.0.98"},
    "local/skydns/text": {"text": "hello"},
    "local/skydns/in": {"host": "web.skydns.local"},
    "local/skydns/dangling": {"host": "nope.skydns.local"},
    "local/skydns/out": {"host": "www.example.net"},
    "local/skydns/self": {"host": "self.skydns.local"},
    "local/skydns/mail/1": {"host": "10.0.0.5", "mail": True},
    "local/skydns/dns/ns/a": {"host": "10.0.0.53"},
    "local/skydns/dns/apex/a": {"host": "10.0.0.80"},
    "local/skydns/bad": "no object",
    "arpa/in-addr/10/0/0/1": {"host": "web.skydns.local"},
}


def _post(url: str, body: object, token: str = "") -> dict[str, object]:
    headers = {"Content-Type": "application/json", **({"Authorization": token} if token else {})}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        found = json.load(response)
        assert isinstance(found, dict)
        return found


def put(url: str, key: str, value: object, lease: str = "0") -> None:
    encoded = [b64encode(text.encode()).decode() for text in (f"/skydns/{key}", json.dumps(value))]
    _post(url + "/v3/kv/put", {"key": encoded[0], "value": encoded[1], "lease": lease})


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = shutil.which("etcd")
    if program is None:
        pytest.skip("etcd is not installed (Debian: etcd-server)")
    client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    folder: Path = tmp_path_factory.mktemp("etcd")
    process = subprocess.Popen(
        [
            program, "--data-dir", str(folder / "data"), "--log-level", "error",
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", f"default={peer}",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        _wait(client, process)
        for key, value in KEYS.items():
            put(client, key, value)
        lease = _post(client + "/v3/lease/grant", {"TTL": 600})["ID"]
        put(client, "local/skydns/leased", {"host": "10.0.0.7"}, str(lease))
        yield client
    finally:
        process.terminate()
        process.communicate(timeout=20)


def _wait(url: str, process: subprocess.Popen[str]) -> None:
    """Ask until etcd has elected itself; a refused connection comes back at once."""
    for _ in range(400):
        try:
            with urllib.request.urlopen(url + "/health", timeout=30) as response:
                if json.load(response)["health"] == "true":
                    return
        except OSError:
            pass
        try:
            process.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(f"etcd ended: {process.communicate()[1]}")
    pytest.fail("etcd does not become healthy")


def fetched(command: object) -> Result:
    """Carry a command out, as the shell does."""
    assert isinstance(command, Fetch)
    request = urllib.request.Request(command.url, command.body, dict(command.headers))
    try:
        with urllib.request.urlopen(request, timeout=command.timeout) as response:
            return Exchanged(response.read(), 0.0, response.status)
    except urllib.error.HTTPError as error:
        return Exchanged(error.read(), 0.0, error.code)
    except urllib.error.URLError as error:
        return Unanswered(str(error.reason))


def elsewhere(request: Request, proceed: Handler) -> Outcome:
    if request.query.name == wire_name("www.example.net") and request.query.qtype == 1:
        return Reply(Response(answer=(Record(request.query.qname, 1, 9, bytes((10, 9, 9, 9))),)))
    return Failed(5)


def serve(*endpoints: str, options: str = "") -> Server:
    text = f"etcd skydns.local in-addr.arpa {{\nendpoint {' '.join(endpoints)}\n{options}\n}}"
    return server_of([setup(directives(text), context()), Scripted(elsewhere)])


def ask(
    server: Server, text: str, carry: Callable[[object], Result] = fetched
) -> dns.message.Message:
    outcome: object = server.respond(question(text), CLIENT, 0.0)
    while isinstance(outcome, Ask):
        outcome = outcome.resume(carry(outcome.command), 1.0)
    assert isinstance(outcome, Rendered)
    (wire,) = outcome.wires
    return dns.message.from_wire(wire)


Z = "skydns.local"
ROWS = [
    (f"web.{Z} A", "NOERROR", [f"web.{Z}. 60 IN A 10.0.0.1"]),
    (f"WEB.{Z} A", "NOERROR", [f"WEB.{Z}. 60 IN A 10.0.0.1"]),
    (f"web.{Z} AAAA", "NOERROR", []),
    (f"nope.{Z} A", "NXDOMAIN", []),
    (f"many.{Z} A", "NOERROR", [f"many.{Z}. 300 IN A 10.0.0.2", f"many.{Z}. 300 IN A 10.0.0.3"]),
    (f"many.{Z} AAAA", "NOERROR", [f"many.{Z}. 300 IN AAAA fd00::3"]),
    (f"1.many.{Z} A", "NOERROR", [f"1.many.{Z}. 300 IN A 10.0.0.2"]),
    (f"2.*.{Z} A", "NOERROR", [f"2.*.{Z}. 300 IN A 10.0.0.3"]),
    (f"many.{Z} SRV", "NOERROR", [f"many.{Z}. 300 IN SRV 10 33 80 {n}.many.{Z}." for n in (1, 2, 3)]),
    (f"mail.{Z} MX", "NOERROR", [f"mail.{Z}. 300 IN MX 10 1.mail.{Z}."]),
    (f"text.{Z} TXT", "NOERROR", [f'text.{Z}. 300 IN TXT "hello"']),
    (f"in.{Z} A", "NOERROR", [f"in.{Z}. 300 IN CNAME web.{Z}.", f"web.{Z}. 60 IN A 10.0.0.1"]),
    (f"in.{Z} CNAME", "NOERROR", [f"in.{Z}. 300 IN CNAME web.{Z}."]),
    (f"dangling.{Z} A", "NOERROR", []),
    (f"self.{Z} A", "NOERROR", []),
    (f"out.{Z} A", "NOERROR", [f"out.{Z}. 300 IN CNAME www.example.net.", "www.example.net. 9 IN A 10.9.9.9"]),
    (f"leased.{Z} A", "NOERROR", [f"leased.{Z}. 30 IN A 10.0.0.7"]),
    (f"bad.{Z} A", "SERVFAIL", []),
    (f"{Z} A", "NOERROR", [f"{Z}. 300 IN A 10.0.0.80"]),
    (f"{Z} NS", "NOERROR", [f"{Z}. 300 IN NS a.ns.dns.{Z}."]),
    (f"{Z} SOA", "NOERROR", [f"{Z}. 30 IN SOA ns.dns.{Z}. hostmaster.{Z}. 7 7200 1800 86400 30"]),
    ("1.0.0.10.in-addr.arpa PTR", "NOERROR", [f"1.0.0.10.in-addr.arpa. 300 IN PTR web.{Z}."]),
    ("2.0.0.10.in-addr.arpa PTR", "NXDOMAIN", []),
    ("example.org A", "REFUSED", []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "rcode", "found"), ROWS)
def test_names(url: str, text: str, rcode: str, found: list[str]) -> None:
    got = rows(ask(serve(url), text))

    assert (got[0], got[2]) == (rcode, found)
    if rcode in ("NOERROR", "NXDOMAIN"):
        assert got[1] == "qr aa rd"
        assert bool(got[3]) is not bool(found)


def test_missing_names_fall_through(url: str) -> None:
    server = serve(url, options="fallthrough")

    assert rows(ask(server, f"nope.{Z} A"))[0] == "REFUSED"
    assert rows(ask(server, f"web.{Z} MX"))[0] == "NOERROR"


def test_the_next_endpoint_is_asked_when_one_does_not_answer(url: str) -> None:
    dead = f"127.0.0.1:{free_port()}"

    assert rows(ask(serve(dead, url), f"web.{Z} A"))[0] == "NOERROR"
    assert rows(ask(serve(dead), f"web.{Z} A"))[0] == "SERVFAIL"


def test_users_log_in_once_and_again_when_the_token_has_run_out() -> None:
    asked: list[str] = []
    tokens = iter(["one", "two"])
    valid = {"one"}

    def carry(command: object) -> Result:
        assert isinstance(command, Fetch)
        asked.append(command.url.rpartition("/")[2])
        if command.url.endswith("authenticate"):
            assert json.loads(command.body) == {"name": "me", "password": "secret"}
            return Exchanged(json.dumps({"token": next(tokens)}).encode(), 0.0)
        good = dict(command.headers)["Authorization"] in valid
        return Exchanged(b"{}", 0.0, 200 if good else 401)

    server = serve("http://e", options="credentials me secret")
    for _ in range(2):
        assert rows(ask(server, f"web.{Z} A", carry))[0] == "NXDOMAIN"
    valid.clear()
    valid.add("two")
    assert rows(ask(server, f"web.{Z} A", carry))[0] == "NXDOMAIN"
    assert asked == ["authenticate", "range", "range", "range", "authenticate", "range"]


@pytest.mark.parametrize("page", [b"", b"[]", b'{"kvs":[{"key":"!"}]}', b'{"kvs":1}'])
def test_nonsense_from_etcd_is_a_servfail(page: bytes) -> None:
    assert (
        rows(ask(serve("http://e"), f"web.{Z} A", lambda command: Exchanged(page, 0.0)))[0]
        == "SERVFAIL"
    )


def test_options_reach_the_request_and_old_ones_are_heard() -> None:
    warned: list[str] = []
    text = "etcd skydns.local {\npath /other\nendpoint https://e:1/\ntls c k a\nmin-lease-ttl 5s\nmax-lease-ttl 1h\nupstream 8.8.8.8\nstubzones\n}"
    files = dict.fromkeys("cka", b"")
    plugin = setup(directives(text), context(files=files, warn=warned.append))
    outcome = server_of([plugin]).respond(question(f"web.{Z} A"), CLIENT, 0.0)

    assert isinstance(outcome, Ask)
    assert isinstance(outcome.command, Fetch)
    assert outcome.command.url == "https://e:1/v3/kv/range"
    assert outcome.command.tls == ("c", "k", "a")
    key = json.loads(outcome.command.body)["key"]
    assert key == b64encode(b"/other/local/skydns/web").decode()
    assert "stubzones is ignored" in warned[0]


def test_a_missing_file_of_tls_is_told_at_the_start() -> None:
    with pytest.raises(FileNotFoundError, match="/missing"):
        setup(directives("etcd {\ntls /missing\n}"), context())


@pytest.mark.parametrize(
    ("option", "message"),
    [("endpoint", "Wrong argument count"), ("credentials a", "Wrong argument count"), ("tls a b c d", "Wrong argument count"), ("nope", "unknown property")],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(option: str, message: str) -> None:
    with pytest.raises(CorefileError, match=message):
        setup(directives("etcd {\n" + option + "\n}"), context())
