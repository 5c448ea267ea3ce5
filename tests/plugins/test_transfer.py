"""Transfers, read by dnspython as a secondary reads them."""

import dns.message
import dns.name
import dns.rrset
import dns.xfr
import dns.zone
import pytest
from msgspec.structs import replace

from svcdns.dns.response import Record
from svcdns.errors import CorefileError
from svcdns.plugins.base import Ask, Client, Drop, Failed, Plugin, Rendered
from svcdns.plugins.commands import Exchange, Exchanged, Transport, Unanswered
from svcdns.plugins.file import File
from svcdns.plugins.file import setup as file_setup
from svcdns.plugins.server import Server
from svcdns.plugins.slices import finish
from svcdns.plugins.transfer import Transfer, setup
from svcdns.plugins.zonedata import Zone
from tests.support.cluster import store_of
from tests.support.examplezone import FILES, ORIGIN, ZONE
from tests.support.kubernetesplugin import CLUSTER
from tests.support.kubernetesplugin import plugin as kubernetes
from tests.support.records import wire_name
from tests.support.serving import CLIENT, TCP_CLIENT, Scripted, always, server_of
from tests.support.setups import context, directives

ALL = "transfer {\nto *\n}"


def serve(text: str = ALL, *others: Plugin) -> Server:
    plugin = setup(directives(text), context())
    plugins: list[Plugin] = [
        plugin,
        *(
            others
            or (
                finish(file_setup(directives("file /db example.org"), context(files=FILES))),
                kubernetes(),
            )
        ),
        always(Failed(5)),
    ]
    plugin.meet(plugins)
    return server_of(plugins)


def ask(
    server: Server,
    name: str = "example.org",
    kind: str = "AXFR",
    client: Client = TCP_CLIENT,
    serial: int | None = None,
) -> list[dns.message.Message]:
    query = dns.message.make_query(name, kind)
    if serial is not None:
        soa = f"ns.{name}. host.{name}. {serial} 1 2 3 4"
        query.authority.append(dns.rrset.from_text(name + ".", 0, "IN", "SOA", soa))
    rendered = server.respond(query.to_wire(), client, 0.0)
    assert isinstance(rendered, Rendered)
    return [dns.message.from_wire(wire, xfr=True, one_rr_per_rrset=True) for wire in rendered.wires]


def taken(name: str, messages: list[dns.message.Message]) -> dns.zone.Zone:
    """Put a transfer together the way a secondary does."""
    zone = dns.zone.Zone(dns.name.from_text(name), relativize=False)
    with dns.xfr.Inbound(zone) as inbound:
        done = [inbound.process_message(message) for message in messages]
    assert done[-1]
    return zone


def test_a_zone_file_arrives_whole() -> None:
    zone = taken("example.org", ask(serve()))

    assert sum(1 for _ in zone.iterate_rdatas()) == len(ZONE.records())


def test_a_cluster_zone_arrives_with_its_services() -> None:
    zone = taken("cluster.local", ask(serve(), "cluster.local"))

    svc = "prod.svc.cluster.local."
    assert zone.find_rdataset(f"web.{svc}", "A")[0].to_text() == "10.96.0.10"
    assert zone.find_rdataset(f"ext.{svc}", "CNAME")[0].to_text() == "api.example.net."


def rcodes(messages: list[dns.message.Message]) -> list[str]:
    return [dns.rcode.to_text(message.rcode()) for message in messages]


REFUSED = [
    ("H2 over UDP", ALL, "example.org", "AXFR", CLIENT, "REFUSED"),
    ("H2 not in the list", "transfer {\nto 192.0.2.1 [2001:db8::1]:5353\n}", "example.org", "AXFR", TCP_CLIENT, "REFUSED"),
    ("H2 another zone", "transfer example.com {\nto *\n}", "example.org", "AXFR", TCP_CLIENT, "REFUSED"),
    ("K18 below the top", ALL, "svc.cluster.local", "AXFR", TCP_CLIENT, "REFUSED"),
    ("a zone of nobody", ALL, "example.com", "AXFR", TCP_CLIENT, "REFUSED"),
    ("H3 without SOA", ALL, "example.org", "IXFR", TCP_CLIENT, "SERVFAIL"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "text", "name", "kind", "client", "rcode"), REFUSED)
def test_refusals(rule: str, text: str, name: str, kind: str, client: Client, rcode: str) -> None:
    assert rcodes(ask(serve(text), name, kind, client)) == [rcode], rule


@pytest.mark.parametrize(
    "to", ["127.0.0.1", "127.0.0.1:5353", "192.0.2.1 127.0.0.1", "192.0.2.1\nto *"]
)
def test_clients_in_the_list_are_served(to: str) -> None:
    assert rcodes(ask(serve(f"transfer {{\nto {to}\n}}"))) == ["NOERROR"]


def test_tls_clients_are_served_too() -> None:
    client = Client("127.0.0.1", 1, Transport.TLS)

    assert taken("example.org", ask(serve(), client=client))


def test_ixfr_is_one_soa_when_nothing_is_new_and_the_whole_zone_otherwise() -> None:
    """H3."""
    (same,) = ask(serve(), kind="IXFR", serial=7)
    assert [rrset.rdtype for rrset in same.answer] == [6]
    (other,) = ask(serve(), kind="IXFR", serial=6)
    assert len(other.answer) == len(ZONE.records()) + 1


def test_a_large_zone_comes_in_messages_of_its_own_size() -> None:
    """H5."""
    many = [
        Record(wire_name(f"h{number}.example.org"), 16, 5, b"\xfa" + b"x" * 250)
        for number in range(1000)
    ]

    class Large:
        name = "file"
        needs = ()
        serve = Scripted(lambda request, proceed: Failed(5)).serve

        def zone_records(self, origin: bytes) -> list[Record]:
            return Zone(ORIGIN, [ZONE.soa, *many]).records()

    messages = ask(serve(ALL, Large()))
    assert len(messages) > 3
    assert all(len(message.to_wire()) <= 65535 and message.flags & 0x400 for message in messages)
    assert sum(1 for _ in taken("example.org", messages).iterate_rdatas()) == 1001


def test_a_cluster_that_is_not_listed_yet_is_not_transferred() -> None:
    assert rcodes(
        ask(serve(ALL, kubernetes(store_of(*CLUSTER, synced=False))), "cluster.local")
    ) == ["SERVFAIL"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("transfer", "'to' is required"),
        ("transfer {\nto\n}", "'to' is required"),
        ("transfer {\nto *:x\n}", "port"),
        ("transfer {\nnope\n}", "unknown property"),
        ("transfer {\nto localhost\n}", "must specify an IP address: `localhost'"),
        ("transfer {\nto 10.0.0.0/8\n}", "must specify an IP address"),
    ],
)
def test_what_cannot_be_used_is_refused(text: str, message: str) -> None:
    with pytest.raises(CorefileError, match=message):
        setup(directives(text), context())


def test_of_two_for_one_zone_the_first_counts() -> None:
    """CoreDNS plugin/transfer/transfer.go: neither is refused."""
    warnings: list[str] = []
    text = "transfer {\nto 192.0.2.1\n}\ntransfer {\nto *\n}"
    setup(directives(text), replace(context(), warn=warnings.append))

    assert rcodes(ask(serve(text))) == ["REFUSED"]
    [warning] = warnings
    assert "the first one counts" in warning


def test_the_log_says_what_has_gone_out() -> None:
    log: list[str] = []
    plugin = setup(directives(ALL), replace(context(), write=log.append))
    zone = finish(file_setup(directives("file /db example.org"), context(files=FILES)))
    plugin.meet([plugin, zone])
    server = server_of([plugin, zone, always(Failed(5))])
    ask(server)
    ask(server, kind="IXFR", serial=7)

    assert log == [
        f"[INFO] plugin/transfer: Outgoing transfer of {len(ZONE.records()) + 1} records "
        'of zone "example.org." to 127.0.0.1 for 7 SOA serial',
        "[INFO] plugin/transfer: Outgoing noop, incremental transfer for up to date "
        'zone "example.org." to 127.0.0.1 for 7 SOA serial',
    ]


def test_addresses_are_compared_however_they_are_written() -> None:
    client = Client("fd00::1", 1, Transport.TCP)

    assert rcodes(ask(serve("transfer {\nto FD00::01\n}"), client=client)) == ["NOERROR"]


def test_other_questions_pass_by() -> None:
    assert isinstance(setup(directives(ALL), context()), Transfer)
    message = ask(serve(), "web.example.org", "A", CLIENT)[0]
    assert rcodes([message]) == ["NOERROR"]


def notified(
    to: str, files: dict[str, bytes], log: list[str]
) -> tuple[Transfer, tuple[Ask, ...], File]:
    """Have a zone's transfer look for the first time."""
    around = replace(context(files=files), write=log.append)
    zone = finish(file_setup(directives("file /db example.org"), around))
    plugin = setup(directives(f"transfer example.org {{\nto {to}\n}}"), around)
    plugin.meet([plugin, zone])
    return plugin, plugin.look(0.0), zone


def test_addresses_are_told_of_a_new_serial_and_nobody_else() -> None:
    """RFC 1996 §3.1."""
    log: list[str] = []
    plugin, asks, zone = notified("* 10.0.0.1 [fd00::1]:5300", dict(FILES), log)

    found = []
    for ask in asks:
        assert isinstance(ask.command, Exchange)
        message = dns.message.from_wire(ask.command.wire)
        assert (message.opcode(), message.question[0].to_text()) == (4, "example.org. IN SOA")
        found.append((ask.command.upstream.address, ask.command.upstream.port))
    assert found == [("10.0.0.1", 53), ("fd00::1", 5300)]
    assert log == [
        '[INFO] plugin/transfer: Sent notifies for zone "example.org." to '
        "[10.0.0.1:53 [fd00::1]:5300]"
    ]
    assert plugin.look(1.0) == ()
    [need] = zone.needs
    list(need.changed(FILES["/db"].replace(b" 7 ", b" 8 ")))  # type: ignore[union-attr,arg-type]
    assert len(plugin.look(2.0)) == 2


def test_who_does_not_accept_it_is_told_three_times() -> None:
    log: list[str] = []
    _, [ask], _ = notified("10.0.0.1", dict(FILES), log)
    outcome: object = ask
    tries = 0
    while isinstance(outcome, Ask):
        tries += 1
        outcome = outcome.resume(Unanswered("i/o timeout"), 0.0)

    assert (tries, outcome) == (3, Drop())
    assert log[-1] == (
        '[ERROR] plugin/transfer: notify for zone "example.org." was not accepted by '
        '"10.0.0.1:53": i/o timeout'
    )


def test_who_accepts_it_is_told_once() -> None:
    log: list[str] = []
    _, [ask], _ = notified("10.0.0.1", dict(FILES), log)
    assert isinstance(ask.command, Exchange)
    accepted = dns.message.make_response(dns.message.from_wire(ask.command.wire)).to_wire()

    assert ask.resume(Exchanged(accepted, 0.1), 0.0) == Drop()
    assert len(log) == 1


def test_with_nobody_to_tell_nothing_is_looked_at() -> None:
    assert setup(directives(ALL), context()).needs == ()
