import dns.message
import pytest

from svcdns.dns.constants import type_number
from svcdns.dns.name import from_text
from svcdns.plugins.base import Client, Rendered
from svcdns.plugins.explainquery import Attempt, ask
from tests.support.cluster import endpoint, endpoint_slice, namespace, service
from tests.support.explaining import COREFILE, configured
from tests.support.serving import CLIENT, question

OBJECTS = (
    namespace("prod"),
    service("prod/web", "10.96.0.10", ports=["http:TCP:80"]),
    service("prod/db", "None", ports=["sql:TCP:5432"]),
    endpoint_slice("prod/db-1", endpoint("10.1.0.7"), of="db", ports=["sql:TCP:5432"]),
    service("prod/alias", external_name="web.prod.svc.cluster.local"),
    service("prod/outside", external_name="www.example.net"),
)


def _ask(text: str, *, corefile: str = COREFILE, client: Client = CLIENT) -> Attempt:
    configuration, blocks = configured(*OBJECTS, corefile=corefile)
    name, rrtype = text.split()
    number = type_number(rrtype)
    assert number is not None
    return ask(configuration.servers[0], blocks, from_text(name), number, client)


@pytest.mark.parametrize(
    "text",
    [
        "web.prod.svc.cluster.local A",
        "_http._tcp.web.prod.svc.cluster.local SRV",
        "db.prod.svc.cluster.local A",
        "10-1-0-7.db.prod.svc.cluster.local A",
        "alias.prod.svc.cluster.local A",
        "web.prod.svc.cluster.local AAAA",
        "nothing.prod.svc.cluster.local A",
        "10.0.96.10.in-addr.arpa PTR",
        "cluster.local SOA",
        "svc.cluster.local A",
        "1-2-3-4.prod.pod.cluster.local A",
    ],
)
def test_what_is_explained_is_what_is_served(text: str) -> None:
    """The server's own answer, read by dnspython, holds the same records and says the same."""
    configuration, _ = configured(*OBJECTS)
    rendered = configuration.servers[0].respond(question(text), CLIENT, 0.0)
    attempt = _ask(text)
    if attempt.result == "unknown":  # falls through to forward
        assert not isinstance(rendered, Rendered)
        return

    assert isinstance(rendered, Rendered)
    [wire] = rendered.wires
    message = dns.message.from_wire(wire)
    sections = (message.answer, message.authority, message.additional)
    served = [sorted(line for rrset in s for line in rrset.to_text().split("\n")) for s in sections]
    assert [sorted(s) for s in (attempt.answer, attempt.authority, attempt.additional)] == served
    rcode = dns.rcode.to_text(message.rcode())
    assert attempt.result == ("NODATA" if rcode == "NOERROR" and not served[0] else rcode)


def test_an_attempt_names_block_zone_and_plugins() -> None:
    attempt = _ask("web.prod.svc.cluster.local A")

    assert (attempt.server, attempt.zone, attempt.block) == ("dns://:53", ".", "Corefile:1")
    assert attempt.passed == ("errors", "cache", "kubernetes")
    assert attempt.plugin == "kubernetes"


def test_who_would_be_asked_is_named_and_nobody_is() -> None:
    attempt = _ask("www.example.org A")

    assert attempt.result == "unknown"
    assert attempt.plugin == "forward"
    assert set(attempt.asks) == {
        "ask 192.0.2.1:53 over udp",
        "ask 192.0.2.2:53 over udp",
    }
    assert attempt.answered


def test_a_name_that_leads_outside_shows_how_far_it_goes() -> None:
    attempt = _ask("outside.prod.svc.cluster.local A")

    assert attempt.result == "unknown"
    assert attempt.answer == (
        "outside.prod.svc.cluster.local. 5 IN CNAME www.example.net.",
    )  # fmt: skip
    assert attempt.plugin == "forward"


def test_a_name_of_no_block_is_refused() -> None:
    attempt = _ask("www.example.org A", corefile="cluster.local {\n    whoami\n}\n")

    assert (attempt.result, attempt.reason) == ("REFUSED", "no server block is for this name")


def test_the_longest_zone_is_named_with_its_line() -> None:
    corefile = "# first\n.:53 {\n    whoami\n}\nexample.org:53 {\n    erratic\n}\n".replace(
        "erratic", "whoami"
    )
    attempt = _ask("www.example.org A", corefile=corefile)

    assert (attempt.zone, attempt.block) == ("example.org.", "Corefile:5")


def test_a_block_that_says_nothing_fails_with_its_reason() -> None:
    attempt = _ask(
        "www.example.org A", corefile=COREFILE.replace("forward . 192.0.2.1 192.0.2.2\n", "")
    )

    assert attempt.result == "SERVFAIL"
    assert "no next plugin found" in attempt.reason


def test_a_loop_of_names_ends() -> None:
    loop = service("prod/loop", external_name="a.example.net")
    corefile = COREFILE.replace(
        "    forward", "    rewrite name a.example.net loop.prod.svc.cluster.local\n    forward"
    )
    configuration, blocks = configured(*OBJECTS, loop, corefile=corefile)
    qname = from_text("loop.prod.svc.cluster.local")

    attempt = ask(configuration.servers[0], blocks, qname, 1, CLIENT)

    assert attempt.answer
