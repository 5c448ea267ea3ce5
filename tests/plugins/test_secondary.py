"""The directive, and what clients and primaries are told."""

import gc

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import pytest
from msgspec.structs import replace

from svcdns.errors import CorefileError
from svcdns.plugins.base import Client, Failed, Rendered
from svcdns.plugins.clusters import Clusters
from svcdns.plugins.commands import Exchanged, ReadZone, Transport
from svcdns.plugins.secondary import Secondary, setup
from tests.support.serving import always, answer, rows, server_of
from tests.support.setups import context, directives
from tests.support.transfers import SOA, WEB, message

TEXT = "secondary example.org {\ntransfer from 10.0.0.1 [fd00::01]:5300\n}"
FIRST = SOA.format(7)


def make(text: str = TEXT, log: list[str] | None = None) -> Secondary:
    said: list[str] = [] if log is None else log
    return setup(directives(text), replace(context(), write=said.append))


def transfer(plugin: Secondary) -> None:
    """Have the primary send its zone."""
    [need] = plugin.needs
    [ask] = need.run(0.0)  # type: ignore[union-attr]  # it is a Periodic
    assert isinstance(ask.command, ReadZone)
    assert ask.command.take(message(FIRST, WEB, FIRST))
    ask.command.finish()
    ask.resume(Exchanged(b"", 0.1), 0.0)


def test_primaries_are_asked_over_tcp_at_their_ports() -> None:
    [need] = make(TEXT.replace("10.0.0.1", "tls://10.0.0.1")).needs
    [first] = need.run(0.0)  # type: ignore[union-attr]

    upstream = first.command.upstream  # type: ignore[union-attr]
    assert (upstream.address, upstream.port, upstream.transport) == ("10.0.0.1", 853, Transport.TLS)
    [follower] = make()._followers.values()
    assert [(one.address, one.port) for one in follower.primaries] == [
        ("10.0.0.1", 53),
        ("fd00::1", 5300),
    ]


def test_names_are_unknown_until_the_zone_is_here() -> None:
    plugin = make()
    server = server_of([plugin, always(Failed(5))])
    assert rows(answer(server, "web.example.org A"))[0] == "SERVFAIL"
    assert plugin.zone_records(b"\7example\3org\0") == ()
    transfer(plugin)

    assert rows(answer(server, "web.example.org A"))[:3] == ("NOERROR", "qr aa rd", [WEB])
    assert rows(answer(server, "nope.example.org A"))[0] == "NXDOMAIN"
    assert rows(answer(server, "web.example.com A"))[0] == "REFUSED"
    records = plugin.zone_records(b"\7example\3org\0")
    assert records is not None
    assert len(records) == 2
    assert plugin.zone_serial(b"\7example\3org\0") == 7
    assert plugin.zone_records(b"\7example\3com\0") is None


@pytest.mark.parametrize(
    ("zones", "rcode"), [("", "REFUSED"), ("example.org", "REFUSED"), ("example.net", "NXDOMAIN")]
)
def test_names_that_the_zone_lacks_may_be_the_next_plugins(zones: str, rcode: str) -> None:
    """CoreDNS plugin/secondary README, ``fallthrough``; not before the zone is here."""
    plugin = make(TEXT.replace("}", f"fallthrough {zones}\n}}"))
    server = server_of([plugin, always(Failed(5))])
    assert rows(answer(server, "nope.example.org A"))[0] == "SERVFAIL"
    transfer(plugin)

    assert rows(answer(server, "nope.example.org A"))[0] == rcode
    assert rows(answer(server, "web.example.org A"))[0] == "NOERROR"


def test_a_zone_outlives_its_configuration_where_the_primaries_stay_the_same() -> None:
    clusters = Clusters(lambda: 0.0)
    around = replace(context(), clusters=clusters)
    first = setup(directives(TEXT), around)
    transfer(first)
    elsewhere = setup(directives(TEXT.replace("10.0.0.1", "10.0.0.2")), around)
    again = setup(directives(TEXT), around)

    assert again.zone_serial(b"\7example\3org\0") == 7
    assert elsewhere.zone_serial(b"\7example\3org\0") is None
    del first, again, elsewhere
    gc.collect()
    assert not clusters.others, "nobody wants it any more"


def notify(plugin: Secondary, address: str, zone: str = "example.org") -> tuple[list[bytes], int]:
    """Send a NOTIFY; give the answers, and how much was asked because of it."""
    query = dns.message.make_query(zone, "SOA")
    query.set_opcode(dns.opcode.NOTIFY)
    spawned: list[object] = []
    server = server_of([plugin, always(Failed(5))], spawned=spawned)  # type: ignore[arg-type]
    client = Client(address, 4000, Transport.UDP, "127.0.0.1", 53)
    rendered = server.respond(query.to_wire(), client, 0.0)
    assert isinstance(rendered, Rendered)
    return list(rendered.wires), len(spawned)


def test_a_primary_that_notifies_is_asked() -> None:
    """RFC 1996 §3.11."""
    log: list[str] = []
    plugin = make(log=log)
    transfer(plugin)
    [wire], asked = notify(plugin, "fd00::1")
    found = dns.message.from_wire(wire)

    assert (found.opcode(), found.rcode(), asked) == (dns.opcode.NOTIFY, dns.rcode.NOERROR, 1)
    assert found.flags & dns.flags.AA
    assert log[-1] == (
        "[INFO] plugin/secondary: Notify from fd00::1 for example.org.: checking transfer"
    )


def test_anybody_else_is_not_even_answered() -> None:
    """RFC 1996 §3.10."""
    log: list[str] = []
    plugin = make(log=log)
    transfer(plugin)

    assert notify(plugin, "10.9.9.9") == ([], 0)
    assert log[-1] == "[INFO] plugin/secondary: Dropping notify from 10.9.9.9 for example.org."
    [wire], asked = notify(plugin, "10.0.0.1", "sub.example.org")
    assert (dns.message.from_wire(wire).rcode(), asked) == (dns.rcode.REFUSED, 0)


def test_other_processes_hear_of_the_primarys_notify_and_of_nobody_elses() -> None:
    plugin, other = make(), make()
    plugin.pass_on = other.hear
    for one in (plugin, other):
        transfer(one)
    [need] = other.needs

    notify(plugin, "10.9.9.9")
    assert need.run(1.0) == ()  # type: ignore[union-attr]  # it is a Periodic
    notify(plugin, "10.0.0.1")
    assert len(need.run(1.0)) == 1  # type: ignore[union-attr]
    other.hear(b"\7example\3com\0")  # no zone of its own: nothing to do


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("secondary example.org", "secondary zones require a transfer from property"),
        ("secondary example.org {\n}", "secondary zones require a transfer from property"),
        ("secondary {\ntransfer to 10.0.0.1\n}", "expecting one of from"),
        ("secondary {\ntransfer from\n}", "Wrong argument count"),
        ("secondary {\ntransfer from *\n}", "can't use '\\*' in transfer from"),
        ("secondary {\ntransfer from primary.example\n}", "not an IP address"),
        ("secondary {\ntransfer from 10.0.0.1:x\n}", "port"),
        ("secondary {\ntransfer from 10.0.0.1\ncatalog\n}", "does not read catalog zones"),
        ("secondary {\nupstream\n}", "unknown property 'upstream'"),
    ],
)
def test_what_cannot_be_used_is_refused(text: str, message: str) -> None:
    with pytest.raises(CorefileError, match=message):
        make(text)
