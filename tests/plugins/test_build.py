"""Corefiles to servers."""

import gc
import weakref
from collections.abc import Mapping

import pytest

from svcdns.corefile.parser import parse
from svcdns.dns.response import Response
from svcdns.errors import CorefileError
from svcdns.kube.objects import Kind
from svcdns.metrics import Registry
from svcdns.plugins import registry
from svcdns.plugins.base import Ask, ClusterSource, Context, Reload, Reply, ServeHttp, Storable
from svcdns.plugins.build import Configuration, Environment, build, label
from svcdns.plugins.clusters import Clusters
from svcdns.plugins.commands import Transport
from svcdns.plugins.server import Listen
from tests.support.cluster import namespace, service
from tests.support.records import wire_name
from tests.support.serving import Scripted, always, answer, rows


class Outside:
    """An environment that notes what a configuration says to it."""

    def __init__(self, interfaces: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self.warned: list[str] = []
        self.spawned: list[Ask] = []
        self.clusters = Clusters(wall=lambda: 7.0)
        self.environment = Environment(
            registry=Registry(),
            clusters=self.clusters,
            read=lambda path: b"",
            random=lambda: 0.5,
            clock=lambda: 0.0,
            wall=lambda: 7.0,
            warn=self.warned.append,
            write=lambda line: None,
            panic=lambda question, error: None,
            spawn=self.spawned.append,
            interfaces=interfaces or {},
            hostname="ns1",
        )

    def build(self, text: str) -> Configuration:
        blocks = parse(text, "Corefile", {}, lambda pattern, base: None, self.warned.append)
        return build(blocks, self.environment)


CLUSTER = """
.:53 {
    errors
    health
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        endpoint http://127.0.0.1:8080
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
    prometheus :9153
    cache 30 {
        disable success cluster.local
        disable denial cluster.local
    }
    reload
    loadbalance
}
"""


def filled(outside: Outside) -> Configuration:
    configuration = outside.build(CLUSTER)
    store = configuration.clusters[0].store
    for kind in store.wanted:
        store.replace(kind, ())
    store.apply(namespace("prod"))
    store.apply(service("prod/web", "10.96.0.1", "fd00::1", ports=("http:TCP:80",)))
    return configuration


def test_a_cluster_corefile_answers_from_the_store() -> None:
    (server,) = filled(Outside()).servers

    assert server.listen == Listen("dns", (), 53)
    assert rows(answer(server, "web.prod.svc.cluster.local A"))[2] == [
        "web.prod.svc.cluster.local. 30 IN A 10.96.0.1"
    ]
    assert rows(answer(server, "example.net A"))[0] == "SERVFAIL"


def test_needs_of_all_plugins_are_collected() -> None:
    needs = Outside().build(CLUSTER).needs

    assert len([need for need in needs if isinstance(need, ServeHttp)]) == 2
    assert [need.interval for need in needs if isinstance(need, Reload)] == [30.0]
    (source,) = [need.cluster.source for need in needs if isinstance(need, ClusterSource)]
    assert Kind.ENDPOINT_SLICE in source.kinds


def test_a_change_of_the_cluster_ends_stored_answers_until_the_configuration_is_closed() -> None:
    outside = Outside()
    configuration = filled(outside)
    (server,) = configuration.servers
    table = server.table(Transport.UDP, "1")
    store = configuration.clusters[0].store
    answer(server, "web.prod.svc.cluster.local A")
    assert len(table.entries) == 1
    store.apply(service("prod/web", "10.96.0.2"))
    assert len(table.entries) == 0

    answer(server, "web.prod.svc.cluster.local A")
    configuration.close()
    store.apply(service("prod/web", "10.96.0.3"))
    assert len(table.entries) == 1


def test_a_second_configuration_finds_the_same_cluster() -> None:
    outside = Outside()
    first, second = outside.build(CLUSTER), outside.build(CLUSTER.replace("ttl 30", "ttl 60"))

    assert first.clusters == second.clusters


def test_of_a_configuration_that_is_closed_nothing_stays_but_its_counts() -> None:
    outside = Outside()
    old = outside.build(CLUSTER)
    answer(old.servers[0], "web.prod.svc.cluster.local. A")
    traces = [weakref.ref(one) for one in (*old.servers, *old.plugins)]
    labels = ("dns://:53", ".", "", "SERVFAIL", "kubernetes")

    new = outside.build(CLUSTER)
    old.close()
    del old
    gc.collect()
    assert [trace() for trace in traces if trace() is not None] == []

    answer(new.servers[0], "web.prod.svc.cluster.local. A")
    families = {family.name: family for family in outside.environment.registry.collect()}
    assert families["coredns_dns_responses_total"].cells[labels].value == 2


def test_blocks_on_one_address_are_one_server_and_others_are_not() -> None:
    configuration = Outside().build(
        "a.test b.test {\n errors\n}\nc.test {\n errors\n}\nd.test:5353 {\n errors\n}\n"
        "tls://e.test {\n errors\n}\nf.test {\n bind 127.0.0.1 ::1\n errors\n}"
    )

    assert {server.label: len(server.blocks) for server in configuration.servers} == {
        "dns://:53": 2,
        "dns://:5353": 1,
        "tls://:853": 1,
        "dns://127.0.0.1:53": 1,
        "dns://[::1]:53": 1,
    }
    assert configuration.servers[0].blocks[0].zones == (wire_name("a.test"), wire_name("b.test"))


def test_one_zone_twice_at_one_address_is_an_error() -> None:
    with pytest.raises(CorefileError, match="it is already defined"):
        Outside().build("a.test {\nerrors\n}\na.test {\nerrors\n}")


@pytest.mark.parametrize(
    ("bind", "name", "found"),
    [
        ("", "ns.dns.cluster.local", ["192.0.2.1"]),
        ("bind 127.0.0.1", "ns.dns.cluster.local", []),
        ("bind 192.0.2.9", "ns.dns.cluster.local", ["192.0.2.9"]),
    ],
)
def test_the_name_server_is_where_the_block_can_be_reached(
    bind: str, name: str, found: list[str]
) -> None:
    """F14, F16."""
    interfaces = {"lo": ("127.0.0.1", "::1"), "eth0": ("192.0.2.1", "fe80::1")}
    (server,) = Outside(interfaces).build(f". {{\n{bind}\nkubernetes cluster.local\n}}").servers

    assert [line.split()[-1] for line in rows(answer(server, f"{name} A"))[2]] == found


def test_a_broken_directive_stops_the_build() -> None:
    with pytest.raises(CorefileError, match="ttl must be between"):
        Outside().build(". {\nkubernetes cluster.local {\nttl 9999\n}\n}")


def test_labels_are_those_of_coredns() -> None:
    assert label("dns", "", 53) == "dns://:53"
    assert label("tls", "::1", 853) == "tls://[::1]:853"


def test_what_a_plugin_says_has_changed_is_forgotten_by_every_server() -> None:
    contexts: list[Context] = []

    def setup(directives: object, context: Context) -> Scripted:
        contexts.append(context)
        reply = Reply(Response(aa=True), store=Storable(owners=(("hosts", 0),)))
        return always(reply, "hosts")

    outside = Outside()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "find_setup", lambda name: setup)
        servers = outside.build("a.test a.test:1053 {\n any\n}").servers
    tables = [server.table(Transport.UDP, "1") for server in servers]
    for server in servers:
        answer(server, "a.test A")
    assert [len(table.entries) for table in tables] == [1, 1]

    contexts[0].changed([("hosts", 1)])
    assert [len(table.entries) for table in tables] == [1, 1]
    contexts[0].changed([("hosts", 0)])
    assert [len(table.entries) for table in tables] == [0, 0]


def test_a_set_up_knows_where_relative_paths_start_and_what_the_machine_is_called() -> None:
    contexts: list[Context] = []

    def setup(directives: object, context: Context) -> None:
        contexts.append(context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "find_setup", lambda name: setup)
        Outside().build("a.test {\n root /etc/coredns\n any\n}\nb.test {\n any\n}")

    assert [context.root for context in contexts] == ["/etc/coredns", "/etc/coredns", ""]
    assert {context.hostname for context in contexts} == {"ns1"}


REPEATED = (
    "auto {\ndirectory /a\n}",
    "autopath @kubernetes",
    "bufsize 512",
    "cancel 1s",
    "chaos x",
    "etcd",
    "https",
    "k8s_external",
    "loadbalance",
    "multisocket 2",
    "reload 5s",
)


@pytest.mark.parametrize("line", REPEATED, ids=lambda line: line.split()[0])
def test_what_coredns_takes_several_times_in_a_block_starts_with_a_warning(line: str) -> None:
    """CoreDNS plugin/*/setup.go: those without ErrOnce go through all their lines."""
    outside = Outside()
    outside.build(f". {{\n{line}\n{line}\n}}")

    assert any("only that one counts" in text for text in outside.warned)


def test_a_variable_that_is_not_set_is_no_zone_and_no_reason_not_to_start() -> None:
    """CoreDNS plugin/normalize.go OriginsFromArgsOrServerBlock passes over what is no zone."""
    outside = Outside()
    outside.build('. {\ncache "" {\ndisable success ""\n}\nlog ""\nacl "" {\nblock\n}\n}')

    assert len([text for text in outside.warned if "is no zone" in text]) == 4
