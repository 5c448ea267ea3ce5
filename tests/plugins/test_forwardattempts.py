"""The attempts for one query; whole stories are in test_forward."""

import dns.edns
import dns.flags
import dns.message
import pytest

from svcdns.dns.query import Query, parse
from svcdns.metrics import Registry
from svcdns.plugins.base import Ask, Failed, Outcome, Request
from svcdns.plugins.commands import Exchange, Transport, Unanswered, Upstream
from svcdns.plugins.forwardattempts import NO_HEALTHY, TOTAL_SECONDS, Attempts, query_wire
from svcdns.plugins.forwardoptions import Options
from svcdns.plugins.proxies import Proxies, ProxyMetrics
from tests.support.serving import CLIENT, TCP_CLIENT, question
from tests.support.wire import edns_option


def query(text: str = "www.Example. A", **settings: object) -> Query:
    found = parse(question(text, **settings))
    assert isinstance(found, Query)
    return found


def attempts(
    options: Options, *addresses: str, tcp: bool = False, metadata: dict[str, str] | None = None
) -> Attempts:
    proxies = Proxies(ProxyMetrics(Registry(), "forward"), "sequential", lambda: 0.0)
    proxies.change(Upstream(address, 53) for address in addresses)

    def nobody(_request: Request) -> Outcome:
        raise AssertionError("nothing was to go on")

    client = TCP_CLIENT if tcp else CLIENT
    request = Request(query(), client, 0.0, nobody, metadata=metadata)
    return Attempts(proxies, options, request, nobody, lambda: None)


def asked(outcome: Outcome) -> Exchange:
    assert isinstance(outcome, Ask)
    assert isinstance(outcome.command, Exchange)
    return outcome.command


@pytest.mark.parametrize("maximum", [0, 5])
def test_without_any_upstream_there_is_nothing_to_try(maximum: int) -> None:
    """A host name that is not found yet."""
    outcome = attempts(Options(max_connect_attempts=maximum)).next(0.0)

    assert outcome == Failed(2, NO_HEALTHY, "forward")


@pytest.mark.parametrize(
    ("options", "tcp", "expected"),
    [
        (Options(), False, Transport.UDP),
        (Options(), True, Transport.TCP),
        (Options(prefer_udp=True), True, Transport.UDP),
        (Options(force_tcp=True), False, Transport.TCP),
        (Options(force_tcp=True, prefer_udp=True), False, Transport.TCP),
    ],
)
def test_the_transport_follows_client_and_options(
    options: Options, tcp: bool, expected: Transport
) -> None:
    """README of forward: force_tcp takes precedence over prefer_udp."""
    command = asked(attempts(options, "192.0.2.1", tcp=tcp).next(0.0))

    assert command.upstream.transport is expected


def test_no_attempt_goes_beyond_the_time_of_all() -> None:
    """Rule J21: five seconds for all attempts together."""
    outcome: Outcome = attempts(Options(read_timeout=2.0), "192.0.2.1", "192.0.2.2").next(0.0)
    timeouts, now = [], 0.0
    while isinstance(outcome, Ask):
        timeouts.append(asked(outcome).timeout)
        now += timeouts[-1]
        outcome = outcome.resume(Unanswered("silence", timeout=True), now)

    assert timeouts == [2.0, 2.0, 1.0]
    assert now == TOTAL_SECONDS
    assert outcome == Failed(2, "silence", "forward")


def test_the_question_goes_on_and_what_concerns_the_client_alone_does_not() -> None:
    """RFC 7873 §5, RFC 7828 §3.2, RFC 7830: cookie, keepalive and padding are hop by hop."""
    options = [
        edns_option(10, b"12345678"),
        edns_option(11, b""),
        edns_option(12, bytes(8)),
        edns_option(8, bytes.fromhex("00011800c00002")),
    ]
    wire = query_wire(query(cd=True, rd=False, use_edns=0, payload=1400, options=options))
    message = dns.message.from_wire(wire)

    assert message.id == 0
    assert message.question[0].to_text() == "www.Example. IN A"
    assert message.flags == dns.flags.CD
    assert message.payload == 1400
    assert [option.otype for option in message.options] == [8]


def test_metadata_names_the_upstream_that_was_asked_last() -> None:
    labels: dict[str, str] = {}
    running = attempts(Options(), "192.0.2.1", "2001:db8::1", metadata=labels)
    outcome = running.next(0.0)
    assert labels == {"forward/upstream": "192.0.2.1:53"}
    assert isinstance(outcome, Ask)
    outcome.resume(Unanswered("no answer"), 1.0)

    assert labels == {"forward/upstream": "[2001:db8::1]:53"}
