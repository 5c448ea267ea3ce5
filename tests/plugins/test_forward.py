"""Forwarding as a state machine: every result of an exchange is put in by hand."""

from collections.abc import Callable
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from msgspec.structs import replace

from svcdns.dns.response import Response
from svcdns.errors import CorefileError
from svcdns.plugins import forward
from svcdns.plugins.base import (
    Ask,
    Client,
    Failed,
    Handler,
    Need,
    Outcome,
    Periodic,
    Rendered,
    Reply,
    Request,
    WatchFile,
    then,
)
from svcdns.plugins.commands import Exchange, Exchanged, Result, Transport, Unanswered
from tests.support.corefile import Outside, directives, set_up
from tests.support.serving import CLIENT, TCP_CLIENT, always, question, server_of
from tests.support.wire import edns_option

SILENCE = Unanswered("read udp 192.0.2.9:4->192.0.2.1:53: i/o timeout", timeout=True)


class World:
    """One server with a ``forward`` directive and nobody outside."""

    def __init__(self, text: str, **settings: Any) -> None:
        self.outside = Outside(**settings)
        self.plugin = forward.setup(directives(text), self.outside.context())
        self.rest = always(Reply(Response(rcode=5)), "rest")
        self.reasons: list[str] = []
        self.server = server_of([_Reasons(self.reasons), self.plugin, self.rest])

    def ask(
        self,
        name: str = "www.example. A",
        client: Client = CLIENT,
        now: float = 0.0,
        **more: Any,
    ) -> "Rendered | Ask":
        return self.server.respond(question(name, **more), client, now)

    def run(
        self,
        script: list[Result | Callable[[Exchange], Result]],
        name: str = "www.example. A",
        client: Client = CLIENT,
        **more: Any,
    ) -> tuple[dns.message.Message, list[Exchange]]:
        """Answer the exchanges of one query from *script*; give the answer and the exchanges."""
        step: object = self.ask(name, client, **more)
        exchanges = []
        now = 0.0
        for result in script:
            assert isinstance(step, Ask), f"{result} is not asked for any more"
            assert isinstance(step.command, Exchange)
            exchanges.append(step.command)
            got = result(step.command) if callable(result) else result
            now += step.command.timeout if isinstance(got, Unanswered) and got.timeout else 0.01
            step = step.resume(got, now)
        assert isinstance(step, Rendered), step
        (wire,) = step.wires
        return dns.message.from_wire(wire), exchanges

    def cell(self, name: str, *labels: str) -> float:
        return self.outside.registry.families[name].cell(*labels).value


class _Reasons:
    """Collects why queries fail, as ``errors`` does."""

    name = "errors"
    needs: tuple[Need, ...] = ()

    def __init__(self, reasons: list[str]) -> None:
        self._reasons = reasons

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        def note(outcome: Outcome, _now: float) -> Outcome:
            if isinstance(outcome, Failed):
                self._reasons.append(outcome.reason)
            return outcome

        return then(proceed(request), note, request.now)


def answering(
    address: str = "192.0.2.80", rcode: str = "NOERROR", flags: str = "", truncated: bool = False
) -> Callable[[Exchange], Result]:
    """Answer as an upstream would."""

    def answer(exchange: Exchange) -> Result:
        query = dns.message.from_wire(exchange.wire)
        message = dns.message.make_response(query, recursion_available=True)
        message.set_rcode(dns.rcode.from_text(rcode))
        message.flags |= dns.flags.from_text(flags)
        if truncated:
            message.flags |= dns.flags.TC
        elif rcode == "NOERROR" and address:
            message.answer.append(
                dns.rrset.from_text(query.question[0].name, 60, "IN", "A", address)
            )
        return Exchanged(message.to_wire(), 0.01)

    return answer


def where(exchanges: list[Exchange]) -> list[str]:
    return [f"{one.upstream.transport}:{one.upstream.address[-1]}" for one in exchanges]


def test_an_answer_is_passed_on_with_the_upstreams_flags() -> None:
    """Rule J21: AA, RA and AD are the upstream's."""
    world = World("forward . 192.0.2.1")

    message, exchanges = world.run([answering(flags="AA AD")])

    assert message.answer[0].to_text() == "www.example. 60 IN A 192.0.2.80"
    assert dns.flags.to_text(message.flags) == "QR AA RD RA AD"
    assert (exchanges[0].timeout, exchanges[0].max_idle) == (2.0, 10.0)


@pytest.mark.parametrize("rcode", ["NXDOMAIN", "REFUSED", "SERVFAIL", "NOTIMP", "FORMERR"])
def test_errors_of_the_upstream_are_its_answer(rcode: str) -> None:
    message, _ = World("forward . 192.0.2.1").run([answering(rcode=rcode)])

    assert dns.rcode.to_text(message.rcode()) == rcode


def test_the_query_is_sent_as_it_came_but_for_what_concerns_one_hop() -> None:
    world = World("forward . 192.0.2.1")
    options = [
        edns_option(10, b"12345678"),
        dns.edns.ECSOption("198.51.100.0", 24),
    ]

    _, (exchange,) = world.run(
        [answering()], use_edns=0, payload=1400, ednsflags=dns.flags.DO, options=options, cd=True
    )

    sent = dns.message.from_wire(exchange.wire)
    assert sent.id == 0
    assert sent.payload == 1400
    assert sent.ednsflags == dns.flags.DO
    assert [int(option.otype) for option in sent.options] == [8]
    assert dns.flags.to_text(sent.flags) == "RD CD"


def test_the_names_case_reaches_the_upstream_and_comes_back() -> None:
    message, (exchange,) = World("forward . 192.0.2.1").run([answering()], "wWw.eXample. A")

    assert b"wWw\x07eXample" in exchange.wire
    assert str(message.answer[0].name) == "wWw.eXample."


@pytest.mark.parametrize(
    ("text", "client", "transport"),
    [
        ("forward . 192.0.2.1", CLIENT, "udp"),
        ("forward . 192.0.2.1", TCP_CLIENT, "tcp"),
        ("forward . 192.0.2.1 {\nforce_tcp\n}", CLIENT, "tcp"),
        ("forward . 192.0.2.1 {\nprefer_udp\n}", TCP_CLIENT, "udp"),
        ("forward . tls://192.0.2.1", CLIENT, "tcp-tls"),
        ("forward . tls://192.0.2.1 {\nforce_tcp\n}", TCP_CLIENT, "tcp-tls"),
        ("forward . https://192.0.2.1", CLIENT, "https"),
    ],
)
def test_the_transport(text: str, client: Client, transport: str) -> None:
    _, (exchange,) = World(text).run([answering()], client=client)

    assert exchange.upstream.transport == transport


def test_a_truncated_answer_is_asked_for_again_over_tcp() -> None:
    world = World("forward . 192.0.2.1")

    message, exchanges = world.run([answering(truncated=True), answering()])

    assert where(exchanges) == ["udp:1", "tcp:1"]
    assert not message.flags & dns.flags.TC
    assert len(message.answer) == 1
    labels = ("forward", "192.0.2.1:53")
    assert world.cell("coredns_proxy_conn_cache_misses_total", *labels, "tcp") == 1


def test_without_tcp_the_truncated_answer_is_passed_on() -> None:
    message, _ = World("forward . 192.0.2.1").run([answering(truncated=True), SILENCE])

    assert message.flags & dns.flags.TC
    assert message.rcode() == dns.rcode.NOERROR


def test_an_answer_too_large_for_the_client_is_cut_for_it() -> None:
    def large(exchange: Exchange) -> Result:
        query = dns.message.from_wire(exchange.wire)
        message = dns.message.make_response(query)
        addresses = [f"192.0.2.{n}" for n in range(100)]
        message.answer.append(dns.rrset.from_text("www.example.", 60, "IN", "A", *addresses))
        return Exchanged(message.to_wire(), 0.01)

    message, _ = World("forward . 192.0.2.1").run([answering(truncated=True), large])

    assert message.flags & dns.flags.TC
    assert 0 < len(message.answer[0]) < 100


def test_silence_sends_the_query_to_another_upstream() -> None:
    """Rule J21: 2 s an attempt."""
    world = World("forward . 192.0.2.1 192.0.2.2 {\npolicy sequential\n}")

    message, exchanges = world.run([SILENCE, answering()])

    assert where(exchanges) == ["udp:1", "udp:2"]
    assert message.rcode() == dns.rcode.NOERROR


def test_the_next_query_asks_the_suspect_last() -> None:
    world = World("forward . 192.0.2.1 192.0.2.2 {\npolicy sequential\n}")
    world.run([SILENCE, answering()])

    _, exchanges = world.run([answering()])

    assert where(exchanges) == ["udp:2"]


def test_without_max_fails_nobody_is_suspect() -> None:
    world = World("forward . 192.0.2.1 192.0.2.2 {\npolicy sequential\nmax_fails 0\n}")
    world.run([SILENCE, answering()])

    _, exchanges = world.run([answering()])

    assert where(exchanges) == ["udp:1"]
    assert world.plugin.needs == ()


def test_all_attempts_together_take_five_seconds() -> None:
    """Rule J21: total 5 s; the last attempt gets what is left."""
    world = World("forward . 192.0.2.1 192.0.2.2")

    message, exchanges = world.run([SILENCE] * 3)

    assert [one.timeout for one in exchanges] == [2.0, 2.0, 1.0]
    assert message.rcode() == dns.rcode.SERVFAIL
    assert world.reasons == [SILENCE.reason]


def test_attempts_are_two_for_each_upstream() -> None:
    """Rule J21."""
    refused = Unanswered("dial udp 192.0.2.1:53: connection refused")
    world = World("forward . 192.0.2.1 192.0.2.2")

    message, exchanges = world.run([refused] * 4)

    assert len(exchanges) == 4
    assert message.rcode() == dns.rcode.SERVFAIL


def test_attempts_are_as_configured() -> None:
    refused = Unanswered("dial udp 192.0.2.1:53: connection refused")
    world = World("forward . 192.0.2.1 {\nmax_connect_attempts 1\n}")

    assert len(world.run([refused])[1]) == 1


@pytest.mark.parametrize("garbage", [b"", b"\0" * 12, b"\xff" * 40])
def test_a_malformed_answer_is_no_answer(garbage: bytes) -> None:
    world = World("forward . 192.0.2.1 192.0.2.2 {\npolicy sequential\n}")

    message, exchanges = world.run([Exchanged(garbage, 0.01), answering()])

    assert where(exchanges) == ["udp:1", "udp:2"]
    assert len(message.answer) == 1


def test_an_upstream_that_was_not_even_asked_is_not_blamed() -> None:
    world = World("forward . 192.0.2.1 192.0.2.2 {\npolicy sequential\n}")
    world.run([Unanswered("too many open files", ours=True), answering()])

    assert not any(proxy.suspect for proxy in world.plugin.proxies)


def test_an_upstream_that_is_down_is_not_asked() -> None:
    world = World("forward . 192.0.2.1 192.0.2.2 {\npolicy sequential\n}")
    world.plugin.proxies[0].fails = 3

    assert where(world.run([answering()])[1]) == ["udp:2"]


def test_when_all_are_down_one_is_asked_all_the_same() -> None:
    """Rule J21."""
    world = World("forward . 192.0.2.1 192.0.2.2", numbers=(0.6,))
    for proxy in world.plugin.proxies:
        proxy.fails = 3

    message, _ = world.run([answering()])

    assert message.rcode() == dns.rcode.NOERROR
    assert world.cell("coredns_forward_healthcheck_broken_total") == 1


def test_failfast_gives_up_when_all_are_down() -> None:
    world = World("forward . 192.0.2.1 {\nfailfast_all_unhealthy_upstreams\n}")
    world.plugin.proxies[0].fails = 3

    message, exchanges = world.run([])

    assert message.rcode() == dns.rcode.SERVFAIL
    assert exchanges == []
    assert world.reasons == ["no healthy proxies"]


def test_too_many_at_once_are_refused_with_servfail() -> None:
    """Differences: CoreDNS says REFUSED."""
    world = World("forward . 192.0.2.1 {\nmax_concurrent 1\n}")
    first = world.ask()
    message, _ = world.run([])
    assert isinstance(first, Ask)
    first.resume(SILENCE, 100.0)
    after, _ = world.run([answering()])

    assert message.rcode() == dns.rcode.SERVFAIL
    assert world.reasons[0] == "concurrent queries exceeded maximum 1"
    assert world.cell("coredns_forward_max_concurrent_rejects_total") == 1
    assert after.rcode() == dns.rcode.NOERROR


@pytest.mark.parametrize(
    ("text", "name", "forwarded"),
    [
        ("forward example 192.0.2.1", "www.example. A", True),
        ("forward example 192.0.2.1", "example. A", True),
        ("forward example 192.0.2.1", "WWW.EXAMPLE. A", True),
        ("forward example 192.0.2.1", "notexample. A", False),
        ("forward . 192.0.2.1 {\nexcept example\n}", "www.example. A", False),
        ("forward . 192.0.2.1 {\nexcept example\n}", "www.sample. A", True),
        ("forward 10.0.0.0/8 192.0.2.1", "1.0.0.10.in-addr.arpa. PTR", True),
    ],
)
def test_which_names_are_forwarded(text: str, name: str, forwarded: bool) -> None:
    assert isinstance(World(text).ask(name), Ask) is forwarded


def test_several_directives_stand_one_behind_the_other() -> None:
    world = World("forward a.example 192.0.2.1\nforward . 192.0.2.2")

    assert where(world.run([answering()], "x.a.example. A")[1]) == ["udp:1"]
    assert where(world.run([answering()], "x.b.example. A")[1]) == ["udp:2"]


@pytest.mark.parametrize(
    ("option", "answer", "passed"),
    [
        ("next NXDOMAIN", answering(rcode="NXDOMAIN"), True),
        ("next NXDOMAIN", answering(rcode="REFUSED"), False),
        ("next_on_nodata", answering(address=""), True),
        ("next_on_nodata", answering(), False),
    ],
)
def test_next_has_the_next_directive_asked(
    option: str, answer: Callable[[Exchange], Result], passed: bool
) -> None:
    world = World(f"forward . 192.0.2.1 {{\n{option}\n}}\nforward . 192.0.2.2")
    script: list[Result | Callable[[Exchange], Result]]
    script = [answer, answering()] if passed else [answer]

    assert len(world.run(script)[1]) == len(script)


@pytest.mark.parametrize("option", ["next NXDOMAIN", "next_on_nodata"])
def test_next_has_no_effect_in_the_last_directive(option: str) -> None:
    """README of CoreDNS's plugin: ignored when the next plugin is no forward."""
    world = World(f"forward . 192.0.2.1\nforward . 192.0.2.2 {{\n{option}\n}}")
    last = World(f"forward . 192.0.2.1 {{\n{option}\n}}")
    message, exchanges = last.run([answering(rcode="NXDOMAIN")])

    assert (message.rcode(), len(exchanges)) == (dns.rcode.NXDOMAIN, 1)
    assert ["`next` has no effect" in line for line in last.outside.warnings] == [True]
    assert ["`next` has no effect" in line for line in world.outside.warnings] == [True]


def test_failover_asks_another_upstream() -> None:
    text = "forward . 192.0.2.1 192.0.2.2 {\npolicy sequential\nfailover SERVFAIL\n}"
    message, exchanges = World(text).run([answering(rcode="SERVFAIL"), answering()])
    last, _ = World(text).run([answering(rcode="SERVFAIL")] * 2)

    assert where(exchanges) == ["udp:1", "udp:2"]
    assert message.rcode() == dns.rcode.NOERROR
    assert last.rcode() == dns.rcode.SERVFAIL


def test_a_looping_upstream_is_left_out() -> None:
    world = World("forward . 192.0.2.1 192.0.2.2 {\npolicy sequential\n}")
    world.plugin.proxies[0].looping = True

    assert where(world.run([answering()])[1]) == ["udp:2"]
    world.plugin.proxies[1].looping = True
    assert world.run([])[0].rcode() == dns.rcode.REFUSED
    assert world.reasons == ["192.0.2.1:53 192.0.2.2:53 sends queries back to this server"]


FILE = {"/etc/resolv.conf": b"nameserver 192.0.2.1\nnameserver 192.0.2.2\n"}


def test_upstreams_come_from_a_file_and_change_with_it() -> None:
    world = World("forward . /etc/resolv.conf 192.0.2.9", files=FILE)
    watch, _ = world.plugin.needs
    assert isinstance(watch, WatchFile)
    before = [proxy.address for proxy in world.plugin.proxies]
    watch.changed(b"nameserver 192.0.2.3\n")

    assert before == ["192.0.2.1:53", "192.0.2.2:53", "192.0.2.9:53"]
    assert [proxy.address for proxy in world.plugin.proxies] == ["192.0.2.3:53", "192.0.2.9:53"]
    assert world.outside.lines == [
        "[INFO] plugin/forward: /etc/resolv.conf changed, upstreams are 192.0.2.3:53 192.0.2.9:53"
    ]


def test_a_file_that_names_nobody_is_enough_beside_another_upstream() -> None:
    """CoreDNS plugin/pkg/parse/host.go: only no name server at all is an error."""
    world = World("forward . /empty 192.0.2.9", files={"/empty": b"search example\n"})

    assert [proxy.address for proxy in world.plugin.proxies] == ["192.0.2.9:53"]


@pytest.mark.parametrize("content", [None, b"", b"search example\n"])
def test_a_file_that_names_nobody_any_more_changes_nothing(content: bytes | None) -> None:
    world = World("forward . /etc/resolv.conf", files=FILE)
    watch, _ = world.plugin.needs
    assert isinstance(watch, WatchFile)
    watch.changed(content)

    assert len(world.plugin.proxies) == 2
    assert "names no nameserver any more" in world.outside.lines[0]


def test_the_first_look_at_an_unchanged_file_says_nothing() -> None:
    world = World("forward . /etc/resolv.conf", files=FILE)
    watch, _ = world.plugin.needs
    assert isinstance(watch, WatchFile)
    watch.changed(FILE["/etc/resolv.conf"])

    assert world.outside.lines == []


def test_suspects_are_probed_from_time_to_time() -> None:
    world = World("forward . 192.0.2.1 {\nhealth_check 5s\n}")
    (need,) = world.plugin.needs
    assert isinstance(need, Periodic)
    assert need.interval == 5.0
    assert need.run(0.0) == ()
    world.plugin.proxies[0].suspect = True

    assert len(need.run(5.0)) == 1


def test_files_of_tls_stand_below_the_root_and_have_to_be_there() -> None:
    """CoreDNS plugin/forward/setup.go parseBlock: the set-up reads them."""
    text = "forward . tls://192.0.2.1 {\ntls ca.pem\n}"
    here = replace(Outside(files={"/etc/coredns/ca.pem": b""}).context(), root="/etc/coredns")
    plugin = forward.setup(directives(text), here)
    assert plugin.forwards[0].options.tls == ("/etc/coredns/ca.pem",)

    with pytest.raises(FileNotFoundError, match="No such file"):
        set_up(forward.setup, text)


def test_a_query_with_an_upstream_of_tls_is_never_sent_over_udp() -> None:
    _, exchanges = World("forward . tls://192.0.2.1").run(
        [Unanswered("dial tcp-tls 192.0.2.1:853: i/o timeout", timeout=True), answering()]
    )

    assert {one.upstream.transport for one in exchanges} == {Transport.TLS}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("forward", "Wrong argument count"),
        ("forward .", "Wrong argument count"),
        ("forward . /missing", "not an IP address or file: '/missing'"),
        ("forward . https://dns.example", "not an IP address or file: 'dns.example'"),
        ("forward . dns.example:70000", "port"),
        ("forward . quic://192.0.2.1", "unsupported protocol 'quic'"),
        ("forward . " + " ".join(f"192.0.2.{n}" for n in range(16)), "more than 15 TOs"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(CorefileError, match=message):
        set_up(forward.setup, text)


def test_a_file_without_name_servers_is_refused() -> None:
    outside = Outside(files={"/etc/resolv.conf": b"search example\n"})

    with pytest.raises(CorefileError, match="no nameservers found"):
        forward.setup(directives("forward . /etc/resolv.conf"), outside.context())
