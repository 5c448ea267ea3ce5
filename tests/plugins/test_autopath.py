"""Search paths, walked for the client (J22)."""

from collections.abc import Sequence

import pytest

from svcdns.corefile.fallthrough import Fallthrough
from svcdns.dns.name import to_text
from svcdns.dns.response import Record, Response
from svcdns.errors import CorefileError
from svcdns.kube.objects import Kind
from svcdns.kube.source import ApiSource
from svcdns.metrics import Registry
from svcdns.plugins import erratic
from svcdns.plugins.autopath import Autopath, setup
from svcdns.plugins.base import (
    Ask,
    Client,
    Failed,
    Handler,
    Outcome,
    Plugin,
    Reply,
    Request,
    Storable,
)
from svcdns.plugins.clusters import Cluster
from svcdns.plugins.commands import Delay, Transport
from svcdns.plugins.kubernetes import Kubernetes
from svcdns.zones.index import ClusterIndex
from svcdns.zones.options import PodMode, ZoneOptions
from svcdns.zones.zone import ClusterZones
from tests.support.cluster import namespace, pod, service, store_of
from tests.support.records import wire_name
from tests.support.serving import CLIENT, Scripted, answer, rows, server_of
from tests.support.setups import context, directives, value

POD = Client("10.1.0.7", 40000)
STRANGER = Client("10.9.9.9", 40000)
FILES = {
    "/etc/resolv.conf": b"nameserver 10.0.0.1\nsearch corp.example  dc.example\noptions ndots:5\n"
}
SVC = "prod.svc.cluster.local"


def kubernetes(pods: PodMode = PodMode.VERIFIED) -> Kubernetes:
    store = store_of(
        namespace("prod"),
        namespace("other"),
        service("prod/web", "10.96.0.10"),
        service("other/db", "10.96.0.20"),
        pod("prod/a", "10.1.0.7"),
    )
    index = ClusterIndex(store, wall=lambda: 7.0)
    zones = ClusterZones(ZoneOptions(zones=(wire_name("cluster.local"),), pods=pods), index)
    return Kubernetes(zones, Cluster(ApiSource(kinds=(Kind.POD,)), store, index), Fallthrough())


def world(request: Request, proceed: Handler) -> Outcome:
    """Some names outside of the cluster."""
    name = to_text(request.query.name)
    if name in ("www.example.net.", "intra.corp.example."):
        records = (Record(request.query.qname, 1, 300, bytes((203, 0, 113, 9))),)
        return Reply(Response(answer=records, ra=True), "forward", Storable(until=9.0))
    if name == "slow.":
        return Ask(Delay(1), lambda result, now: Failed(2, "i/o timeout", "forward"))
    if name == "nodata.corp.example.":
        return Reply(Response(), "forward")
    return Reply(Response(3), "forward", background=(Ask(Delay(1), lambda result, now: Failed(2)),))


def chain(
    text: str = "@kubernetes", pods: PodMode = PodMode.VERIFIED, registry: Registry | None = None
) -> list[Plugin]:
    plugin = setup(directives("autopath " + text), context(files=FILES, registry=registry))
    plugins: list[Plugin] = [plugin, kubernetes(pods), Scripted(world, "forward")]
    plugin.meet(plugins)
    return plugins


def ask(text: str, client: Client = POD, **settings: object) -> tuple[str, list[str]]:
    found = rows(answer(server_of(chain()), text, client, **settings))
    return found[0], found[2]


ROWS: list[tuple[str, str, Client, str, list[str]]] = [
    ("first domain", f"web.{SVC} A", POD, "NOERROR", [f"web.{SVC}. 5 IN A 10.96.0.10"]),
    ("second domain", f"db.other.{SVC} A", POD, "NOERROR",
     [f"db.other.{SVC}. 5 IN CNAME db.other.svc.cluster.local.", "db.other.svc.cluster.local. 5 IN A 10.96.0.20"]),
    ("third domain", f"web.{SVC[:-14]}.{SVC} A", POD, "NOERROR",
     [f"web.{SVC}. 5 IN A 10.96.0.10", f"web.{SVC[:-14]}.{SVC}. 5 IN CNAME web.{SVC}."]),
    ("the machine's path", f"intra.{SVC} A", POD, "NOERROR",
     ["intra.corp.example. 300 IN A 203.0.113.9", f"intra.{SVC}. 300 IN CNAME intra.corp.example."]),
    ("the name itself", f"www.example.net.{SVC} A", POD, "NOERROR",
     ["www.example.net. 300 IN A 203.0.113.9", f"www.example.net.{SVC}. 300 IN CNAME www.example.net."]),
    ("case is kept", f"WWW.example.net.{SVC} A", POD, "NOERROR",
     ["WWW.example.net. 300 IN A 203.0.113.9", f"WWW.example.net.{SVC}. 300 IN CNAME WWW.example.net."]),
    ("an existing name without such records ends the walk", f"nodata.{SVC} A", POD, "NOERROR", []),
    ("nowhere", f"nope.{SVC} A", POD, "NXDOMAIN", []),
    ("not the first domain", "www.example.net.svc.cluster.local A", POD, "NXDOMAIN", []),
    ("no Pod", f"www.example.net.{SVC} A", STRANGER, "NXDOMAIN", []),
    ("the domain itself", f"{SVC} A", POD, "NOERROR", []),
    ("outside of the cluster", "www.example.net A", POD, "NOERROR", ["www.example.net. 300 IN A 203.0.113.9"]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "text", "client", "rcode", "found"), ROWS)
def test_paths(rule: str, text: str, client: Client, rcode: str, found: list[str]) -> None:
    assert ask(text, client) == (rcode, found), rule


def test_pods_must_be_verified() -> None:
    warned: list[str] = []
    plugin = setup(directives("autopath @kubernetes"), context(files=FILES, warn=warned.append))
    plugins: list[Plugin] = [plugin, kubernetes(PodMode.INSECURE), Scripted(world, "forward")]
    plugin.meet(plugins)
    server = server_of(plugins)

    assert ["pods verified" in line for line in warned] == [True]
    assert rows(answer(server, f"www.example.net.{SVC} A", POD))[0] == "NXDOMAIN"


def test_a_denial_keeps_the_soa_of_the_first_answer_and_its_background_work() -> None:
    spawned: list[Ask] = []
    message = answer(server_of(chain(), spawned=spawned), f"nope.{SVC} A", POD)

    assert rows(message)[3][0].startswith("cluster.local. 5 IN SOA")
    assert len(spawned) == 3  # of the two domains of the machine, and the root


def test_an_error_ends_the_walk() -> None:
    server = server_of(chain())
    from tests.support.serving import question

    ask = server.respond(question(f"slow.{SVC} A"), POD, 0.0)
    assert isinstance(ask, Ask)
    rendered = ask.resume(None, 1.0)
    assert not isinstance(rendered, Ask)


def test_only_what_every_client_would_get_is_stored() -> None:
    for text, client, stored in [
        (f"web.{SVC} A", POD, 1),
        (f"web.{SVC} A", STRANGER, 1),
        (f"www.example.net.{SVC} A", POD, 0),
        (f"www.example.net.{SVC} A", STRANGER, 0),
        (f"nope.{SVC} A", POD, 0),
        ("www.example.net A", STRANGER, 1),
    ]:
        server = server_of(chain())
        answer(server, text, client)
        assert len(server.table(Transport.UDP, "1").entries) == stored, (text, client)


def test_a_file_gives_the_path_for_everybody_and_successes_are_counted() -> None:
    registry = Registry()
    plugin = setup(
        directives("autopath example.org /conf"),
        context(
            files={"/conf": b"domain x\nsearch a.example.org. corp.example # c\n"},
            registry=registry,
        ),
    )
    server = server_of([plugin, Scripted(world, "forward")])

    assert rows(answer(server, "intra.a.example.org A"))[2] == [
        "intra.a.example.org. 300 IN CNAME intra.corp.example.",
        "intra.corp.example. 300 IN A 203.0.113.9",
    ]
    assert rows(answer(server, "intra.b.example.org A"))[0] == "NXDOMAIN"
    assert value(registry, "coredns_autopath_success_total", "dns://:53") == 1


def test_names_that_would_be_too_long_are_left_out() -> None:
    long = ".".join(["x" * 63, "y" * 63, "z" * 63, "w" * 35])
    plugin = setup(directives("autopath /c"), context(files={"/c": b"search a.bc " + b"d" * 60}))

    assert rows(answer(server_of([plugin, Scripted(world)]), f"{long}.a.bc A"))[0] == "NXDOMAIN"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("autopath", "no resolv-conf specified"),
        ("autopath @kubernetes {\nx\n}", "takes no block"),
    ],
)
def test_what_cannot_be_used_is_refused(text: str, message: str) -> None:
    with pytest.raises(CorefileError, match=message):
        setup(directives(text), context(files={"/empty": b"nameserver 10.0.0.1\n"}))


def _walks(text: str, *others: Plugin) -> tuple[str, list[str]]:
    """Ask for a name of erratic's first domain."""
    warned: list[str] = []
    plugin = setup(directives(text), context(warn=warned.append))
    plugins: list[Plugin] = [plugin, Scripted(world, "forward"), *others]
    plugin.meet(plugins)
    reply = answer(server_of(plugins), "www.example.net.a.example.org A")
    return rows(reply)[0], warned


def test_erratic_has_a_search_path_for_everybody() -> None:
    faults = erratic.setup(directives("erratic"), context())

    assert _walks("autopath @erratic", faults) == ("NOERROR", [])


@pytest.mark.parametrize("name", ["erratic", "nobody"])
def test_without_the_plugin_there_is_no_path(name: str) -> None:
    rcode, warned = _walks(f"autopath @{name}")

    assert rcode == "NXDOMAIN"
    assert warned == [f"Corefile:2 - autopath: @{name} has no effect without {name} in the block"]


def test_a_plugin_without_a_path_is_refused_when_it_is_there() -> None:
    with pytest.raises(CorefileError, match="forward does not implement the AutoPather interface"):
        _walks("autopath @forward")


def test_a_machine_without_resolv_conf_has_no_path_of_its_own() -> None:
    plugin = setup(directives("autopath @kubernetes"), context())
    plugins: Sequence[Plugin] = [plugin, kubernetes(), Scripted(world, "forward")]
    plugin.meet(plugins)

    assert isinstance(plugin, Autopath)
    assert rows(answer(server_of(plugins), f"intra.{SVC} A", POD))[0] == "NXDOMAIN"
    assert plugin.needs == ()
    assert rows(answer(server_of(plugins), "www.example.net A", CLIENT))[0] == "NOERROR"


def test_a_resolv_conf_without_a_search_path_is_no_reason_not_to_start() -> None:
    said: list[str] = []
    files = {"/empty": b"nameserver 10.0.0.1\n"}
    plugin = setup(directives("autopath /empty"), context(files=files, warn=said.append))
    reply = answer(server_of([plugin, Scripted(world, "forward")]), "web.nowhere.test A")

    assert rows(reply)[0] == "NXDOMAIN"
    assert "no search path" in said[0]
