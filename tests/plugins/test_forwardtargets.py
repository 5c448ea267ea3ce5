"""Host names and files as upstreams; answers of resolvers are made by dnspython."""

from collections.abc import Callable

import dns.message
import dns.rcode
import dns.rrset
import pytest

from svcdns.plugins import forward
from svcdns.plugins.base import Ask, Periodic, WatchFile
from svcdns.plugins.commands import Exchange, Exchanged, Result, Unanswered
from svcdns.plugins.forward import Forwards
from tests.support.corefile import Outside, directives

RESOLV_CONF = b"search example\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n"

Answer = Callable[[dns.message.Message, str], "Result"]


def setup(text: str, outside: Outside) -> Forwards:
    return forward.setup(directives(text), outside.context())


def looking(plugin: Forwards) -> Periodic:
    (need,) = [need for need in plugin.needs if isinstance(need, Periodic) and need.interval == 1.0]
    return need


def run(plugin: Forwards, answer: Answer, now: float = 0.0) -> int:
    """Carry out the look-ups that are due; give how many questions that took."""
    asked = 0
    for ask in looking(plugin).run(now):
        outcome: object = ask
        while isinstance(outcome, Ask):
            command = outcome.command
            assert isinstance(command, Exchange)
            asked += 1
            query = dns.message.from_wire(command.wire)
            outcome = outcome.resume(answer(query, command.upstream.address), now)
    return asked


def records(*addresses: str, rcode: int = 0) -> Answer:
    def answer(query: dns.message.Message, _resolver: str) -> Result:
        message = dns.message.make_response(query)
        message.set_rcode(dns.rcode.Rcode(rcode))
        rrtype = query.question[0].rdtype.name
        mine = [one for one in addresses if (":" in one) == (rrtype == "AAAA")]
        if mine:
            name = query.question[0].name
            message.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", "real.example."))
            message.answer.append(dns.rrset.from_text("real.example.", 60, "IN", rrtype, *mine))
        return Exchanged(message.to_wire(), 0.01)

    return answer


def silence(_query: dns.message.Message, _resolver: str) -> Result:
    return Unanswered("read udp: i/o timeout", timeout=True)


def upstreams(plugin: Forwards) -> list[str]:
    return [proxy.address for proxy in plugin.proxies]


def test_a_host_name_stands_for_all_its_addresses() -> None:
    outside = Outside({"/etc/resolv.conf": RESOLV_CONF})
    plugin = setup("forward . dns.example 192.0.2.9", outside)
    assert upstreams(plugin) == ["192.0.2.9:53"]

    run(plugin, records("192.0.2.1", "192.0.2.2", "2001:db8::1"))

    assert upstreams(plugin) == ["192.0.2.1:53", "192.0.2.2:53", "[2001:db8::1]:53", "192.0.2.9:53"]
    assert outside.lines == [
        "[INFO] plugin/forward: dns.example was looked up, upstreams are"
        " 192.0.2.1:53 192.0.2.2:53 [2001:db8::1]:53 192.0.2.9:53"
    ]


@pytest.mark.parametrize(
    ("text", "address", "server_name"),
    [
        ("dns.example:5353", "192.0.2.1:5353", ""),
        ("dns://dns.example.", "192.0.2.1:53", ""),
        ("tls://dns.example", "192.0.2.1:853", ""),
        ("tls://dns.example%name.example:8853", "192.0.2.1:8853", "name.example"),
        ("tls://dns.example {\ntls_servername all.example\n}", "192.0.2.1:853", "all.example"),
        ("rbl_1.rbl.svc.cluster.local", "192.0.2.1:53", ""),
    ],
)
def test_scheme_port_and_server_name_go_with_the_addresses(
    text: str, address: str, server_name: str
) -> None:
    plugin = setup(f"forward . {text}", Outside({"/etc/resolv.conf": RESOLV_CONF}))
    run(plugin, records("192.0.2.1"))

    (proxy,) = plugin.proxies
    assert (proxy.address, proxy.upstream.server_name) == (address, server_name)


def test_a_name_that_moves_is_followed_after_thirty_seconds() -> None:
    plugin = setup("forward . dns.example", Outside({"/etc/resolv.conf": RESOLV_CONF}))
    run(plugin, records("192.0.2.1"))

    assert run(plugin, records("192.0.2.2"), 29.0) == 0
    assert upstreams(plugin) == ["192.0.2.1:53"]
    assert run(plugin, records("192.0.2.2"), 30.0) == 2
    assert upstreams(plugin) == ["192.0.2.2:53"]


def test_a_name_that_is_not_found_is_tried_again_and_the_last_addresses_stay() -> None:
    outside = Outside({"/etc/resolv.conf": RESOLV_CONF})
    plugin = setup("forward . dns.example", outside)
    for now in (0.0, 1.0, 2.0):
        assert run(plugin, records(rcode=3), now) == 4  # two resolvers, two types
    run(plugin, records("192.0.2.1"), 3.0)
    run(plugin, silence, 33.0)

    assert upstreams(plugin) == ["192.0.2.1:53"]
    assert outside.lines == [
        "[WARNING] plugin/forward: failed to resolve 'dns.example': NXDOMAIN without addresses",
        "[INFO] plugin/forward: dns.example was looked up, upstreams are 192.0.2.1:53",
        "[WARNING] plugin/forward: failed to resolve 'dns.example': read udp: i/o timeout",
    ]


def test_the_resolvers_of_the_option_are_asked_in_turn() -> None:
    asked: list[str] = []

    def answer(query: dns.message.Message, resolver: str) -> Result:
        asked.append(resolver)
        return silence(query, resolver) if len(asked) < 3 else records("192.0.2.1")(query, resolver)

    plugin = setup("forward . dns.example {\nresolver 192.0.2.7 192.0.2.8:5353\n}", Outside())
    run(plugin, answer)

    assert asked == ["192.0.2.7", "192.0.2.7", "192.0.2.8", "192.0.2.8"]
    assert upstreams(plugin) == ["192.0.2.1:53"]


def test_without_any_resolver_it_is_said_once() -> None:
    outside = Outside()
    plugin = setup("forward . dns.example", outside)
    for now in (0.0, 1.0, 2.0):
        assert run(plugin, silence, now) == 0

    expected = "failed to resolve 'dns.example': /etc/resolv.conf names no resolver"
    assert outside.lines == [f"[WARNING] plugin/forward: {expected}"]


def test_a_file_is_preferred_to_a_name_and_followed() -> None:
    outside = Outside({"resolv.conf": b"nameserver 192.0.2.1\n"})
    plugin = setup("forward . resolv.conf", outside)
    (need,) = [need for need in plugin.needs if isinstance(need, WatchFile)]
    need.changed(b"nameserver 192.0.2.1\n")
    need.changed(b"# empty\n")
    need.changed(None)
    assert upstreams(plugin) == ["192.0.2.1:53"]
    need.changed(b"nameserver 192.0.2.2\n")

    assert upstreams(plugin) == ["192.0.2.2:53"]
    warning = (
        "[WARNING] plugin/forward: resolv.conf names no nameserver any more;"
        " the upstreams stay as they are"
    )
    changed = "[INFO] plugin/forward: resolv.conf changed, upstreams are 192.0.2.2:53"
    assert outside.lines == [warning, warning, changed]
