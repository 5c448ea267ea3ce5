import pytest

from svcdns.errors import CorefileError
from svcdns.metrics import Registry
from svcdns.plugins import local
from svcdns.plugins.base import Failed
from svcdns.plugins.commands import Transport
from svcdns.plugins.server import Server
from tests.support.corefile import Outside, directives, set_up
from tests.support.serving import always, answer, rows, server_of


def serving(text: str = "local", registry: Registry | None = None) -> Server:
    outside = Outside(registry=registry or Registry())
    return server_of(
        [local.setup(directives(text), outside.context()), always(Failed(5), "forward")],
        registry=outside.registry,
    )


def soa(owner: str) -> str:
    return f"{owner} 604800 IN SOA localhost. root.localhost. 1 0 0 0 604800"


ANSWERS = [
    ("localhost A", "NOERROR", ["localhost. 604800 IN A 127.0.0.1"], []),
    ("Localhost AAAA", "NOERROR", ["Localhost. 604800 IN AAAA ::1"], []),
    ("localhost NS", "NOERROR", ["localhost. 604800 IN NS localhost."], []),
    ("localhost SOA", "NOERROR", [soa("localhost.")], []),
    ("localhost MX", "NOERROR", [], [soa("localhost.")]),
    ("localhost.example.net A", "NOERROR", ["localhost.example.net. 604800 IN A 127.0.0.1"], []),
    ("localhost.example.net AAAA", "NOERROR", ["localhost.example.net. 604800 IN AAAA ::1"], []),
    ("localhost.example.net MX", "NOERROR", [], [soa("localhost.example.net.")]),
    ("a.b.localhost A", "NOERROR", ["a.b.localhost. 604800 IN A 127.0.0.1"], []),
    ("127.in-addr.arpa A", "NOERROR", [], [soa("127.in-addr.arpa.")]),
    ("127.in-addr.arpa NS", "NOERROR", ["127.in-addr.arpa. 604800 IN NS localhost."], []),
    ("255.in-addr.arpa SOA", "NOERROR", [soa("255.in-addr.arpa.")], []),
    ("1.0.0.127.in-addr.arpa PTR", "NOERROR",
     ["1.0.0.127.in-addr.arpa. 604800 IN PTR localhost."], []),
    ("1.0.0.127.IN-ADDR.arpa TXT", "NOERROR", [], [soa("127.IN-ADDR.arpa.")]),
    ("2.0.0.127.in-addr.arpa PTR", "NXDOMAIN", [], [soa("127.in-addr.arpa.")]),
    ("1.0.0.0.in-addr.arpa PTR", "NXDOMAIN", [], [soa("0.in-addr.arpa.")]),
    ("example.net A", "REFUSED", [], []),
    ("localhosts.example.net A", "REFUSED", [], []),
    ("a.localhost.example.net A", "REFUSED", [], []),
    ("1.0.0.10.in-addr.arpa PTR", "REFUSED", [], []),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "rcode", "found", "authority"), ANSWERS)
def test_local_names_are_answered_here(
    asked: str, rcode: str, found: list[str], authority: list[str]
) -> None:
    """J23; RFC 6761 §6.3, RFC 6303."""
    result = rows(answer(serving(), asked))

    assert result == (rcode, "qr rd", found, authority, [])


@pytest.mark.parametrize(
    ("switch", "rcode"), [("on", "NOERROR"), ("off", "REFUSED")]
)  # fmt: skip
def test_the_prefix_can_be_switched_off(switch: str, rcode: str) -> None:
    server = serving(f"local {{\nlocalhost_prefix {switch}\n}}")

    assert rows(answer(server, "localhost.example.net A"))[0] == rcode
    assert rows(answer(server, "a.localhost A"))[0] == "NOERROR"


def test_queries_for_localhost_are_counted_also_when_they_are_stored() -> None:
    registry = Registry()
    server = serving(registry=registry)
    for name in ("localhost.example.net A", "localhost A", "1.0.0.127.in-addr.arpa PTR"):
        answer(server, name)
    for entry in server.table(Transport.UDP, "1").entries.values():
        entry.tally.hits += 10

    registry.collect()
    (cell,) = registry.families["coredns_local_localhost_requests_total"].cells.values()
    assert cell.value == 11


@pytest.mark.parametrize(
    "text",
    [
        "local {\nlocalhost_prefix\n}",
        "local {\nlocalhost_prefix yes\n}",
        "local {\nlocalhost_prefix on off\n}",
        "local {\nx\n}",
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(CorefileError):
        set_up(local.setup, text)
