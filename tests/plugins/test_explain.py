import pytest

from svcdns.dns.constants import RRType, type_number
from svcdns.dns.name import from_text, to_text
from svcdns.kube.objects import KubeObject
from svcdns.plugins.explain import (
    Explanation,
    candidates,
    default_type,
    explain,
    search_path,
    spelled,
    with_search,
)
from svcdns.plugins.explainquery import ask
from svcdns.plugins.kubernetes import Kubernetes
from svcdns.proxy.model import NodeView, PlanOptions
from tests.support.cluster import endpoint, endpoint_slice, namespace, service
from tests.support.explaining import COREFILE, configured
from tests.support.serving import CLIENT

OBJECTS = (
    namespace("prod"),
    namespace("test"),
    service("prod/web", "10.96.0.10", ports=["http:TCP:80", "admin:TCP:81"]),
    endpoint_slice(
        "prod/web-1",
        endpoint("10.1.0.1", ready=True, nodeName="n1", targetRef={"kind": "Pod", "name": "web-a"}),
        endpoint("10.1.0.2", ready=False),
        of="web",
        ports=["http:TCP:8080"],
    ),
    service("prod/db", "None", ports=["sql:TCP:5432"]),
    endpoint_slice(
        "prod/db-1",
        endpoint("10.1.1.1", hostname="db-0"),
        endpoint("10.1.1.2", hostname="db-1", ready=False),
        of="db",
        ports=["sql:TCP:5432"],
    ),
    endpoint_slice(
        "prod/db-6", endpoint("fd00::1"), of="db", ports=["sql:TCP:5432"], family="IPv6"
    ),
    service("prod/idle", "10.96.0.11", ports=[":TCP:80"]),
    service("prod/alias", external_name="www.example.net"),
)


def _explain(
    text: str, *more: KubeObject, search: tuple[str, ...] = (), corefile: str = COREFILE
) -> Explanation:
    configuration, blocks = configured(*OBJECTS, *more, corefile=corefile)
    name, rrtype = text.split()
    number = type_number(rrtype)
    assert number is not None
    attempts = [
        ask(configuration.servers[0], blocks, one, number, CLIENT)
        for one in candidates(name, search)
    ]
    plugins = [one for one in configuration.plugins if isinstance(one, Kubernetes)]
    return explain(tuple(attempts), plugins, NodeView("n1"), PlanOptions())


@pytest.mark.parametrize(
    ("name", "tried"),
    [
        ("web", ["web.a.svc.z.", "web.svc.z.", "web.z.", "web."]),
        ("web.b", ["web.b.a.svc.z.", "web.b.svc.z.", "web.b.z.", "web.b."]),
        ("1.2.3.4.5", ["1.2.3.4.5.a.svc.z.", "1.2.3.4.5.svc.z.", "1.2.3.4.5.z.", "1.2.3.4.5."]),
        ("1.2.3.4.5.6", ["1.2.3.4.5.6.", "1.2.3.4.5.6.a.svc.z.", "1.2.3.4.5.6.svc.z.", "1.2.3.4.5.6.z."]),
        ("web.", ["web."]),
        # 245 octets fit, but not with the suffix
        (".".join(["x" * 60] * 4), [".".join(["x" * 60] * 4) + ".svc.z.", ".".join(["x" * 60] * 4) + ".z.", ".".join(["x" * 60] * 4) + "."]),
    ],
)  # fmt: skip
def test_names_are_searched_for_as_resolvers_do(name: str, tried: list[str]) -> None:
    assert [to_text(one) for one in candidates(name, search_path("a" * (1 if len(name) < 99 else 9), "z"))] == tried  # fmt: skip


def test_without_a_search_path_a_name_is_absolute() -> None:
    assert candidates("web", ()) == [from_text("web.")]


@pytest.mark.parametrize("name", ["a..b", "x" * 64])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        candidates(name, ())


def _uses(explanation: Explanation) -> dict[str, str]:
    [view] = explanation.services
    return {one.address: one.dns for one in view.endpoints}


def test_endpoints_of_a_cluster_ip_are_behind_it_and_the_proxys_business() -> None:
    found = _explain("web.prod.svc.cluster.local A")

    assert found.notes == ("Service prod/web answers with its cluster IP",)
    assert set(_uses(found).values()) == {"behind the cluster IP"}
    [first, _] = found.services[0].endpoints
    assert (first.pod, first.node, first.state, first.ports) == (
        "web-a", "n1", "ready", ("http:8080/TCP",),
    )  # fmt: skip
    by_port = {one.port: one for one in found.connections}
    assert by_port["http"].frontend == "ClusterIP 10.96.0.10:80"
    assert [(b.address, b.port) for b in by_port["http"].backends] == [("10.1.0.1", 8080)]
    assert [(one.address, one.rule) for one in by_port["http"].left_out] == [("10.1.0.2", "R58")]
    # the slice has no port of this name
    assert by_port["admin"].verdict == "reject"
    assert {one.rule for one in by_port["admin"].left_out} == {"R8"}


@pytest.mark.parametrize(
    ("question", "uses"),
    [
        ("db.prod.svc.cluster.local A", {
            "10.1.1.1": "used",
            "10.1.1.2": "left out: not ready (D2)",
            "fd00::1": "left out: IPv6, and A was asked for",
        }),
        ("db.prod.svc.cluster.local AAAA", {
            "10.1.1.1": "left out: IPv4, and AAAA was asked for",
            "10.1.1.2": "left out: not ready (D2)",
            "fd00::1": "used",
        }),
        ("db-0.db.prod.svc.cluster.local A", {
            "10.1.1.1": "used",
            "10.1.1.2": "left out: not ready (D2)",
            "fd00::1": "left out: its name is fd00--1, not db-0",
        }),
        ("_sql._udp.db.prod.svc.cluster.local SRV", {
            "10.1.1.1": "left out: its slice has no port _sql._udp (B7)",
            "10.1.1.2": "left out: not ready (D2)",
            "fd00::1": "left out: its slice has no port _sql._udp (B7)",
        }),
    ],
)  # fmt: skip
def test_every_endpoint_of_a_headless_service_is_used_or_left_out_with_a_reason(
    question: str, uses: dict[str, str]
) -> None:
    found = _explain(question)

    assert _uses(found) == uses
    assert found.connections == ()
    # what is said to be used is what was answered
    text = " ".join(found.attempts[-1].answer + found.attempts[-1].additional)
    assert {a for a, use in uses.items() if use == "used"} == {a for a in uses if a in text.split()}


@pytest.mark.parametrize(
    ("question", "notes"),
    [
        ("web.nowhere.svc.cluster.local A", ("there is no Namespace nowhere",)),
        ("web.test.svc.cluster.local A", ("Namespace test has no Service web", "a Service web is in: prod")),
        ("none.test.svc.cluster.local A", ("Namespace test has no Service none",)),
        ("prod.svc.cluster.local A", ("the name of Namespace prod itself",)),
        ("svc.cluster.local A", ("a name that every cluster zone has; it holds no addresses",)),
        ("web.prod.cluster.local A", ("names under a cluster zone end in svc or pod: this one never is",)),
        ("1-2-3-4.prod.pod.cluster.local A", ("a Pod's name; the option is pods insecure",)),
        ("alias.prod.svc.cluster.local A", ("Service prod/alias stands for www.example.net",)),
        ("idle.prod.svc.cluster.local A", ("Service prod/idle answers with its cluster IP", "no EndpointSlice of Service prod/idle has an endpoint")),
        ("10.0.96.10.in-addr.arpa PTR", ("10.96.0.10 is a cluster IP of Service prod/web",)),
        ("1.0.1.10.in-addr.arpa PTR", ("10.1.0.1 is an endpoint of Service prod/web",)),
        ("9.9.9.10.in-addr.arpa PTR", ("10.9.9.9 is no cluster IP and no endpoint",)),
        ("9.10.in-addr.arpa PTR", ("not the name of a whole address",)),
        ("www.example.org A", ("the name is in no zone of a kubernetes plugin",)),
        ("web A", ("the name is in no zone of a kubernetes plugin", "a Pod would find Service prod/web by its search path: --from-namespace prod")),
        ("web.prod.svc A", ("the name is in no zone of a kubernetes plugin", "a Pod would find Service prod/web by its search path: --from-namespace prod")),
        ("web.test A", ("the name is in no zone of a kubernetes plugin",)),
    ],
)  # fmt: skip
def test_the_objects_say_why(question: str, notes: tuple[str, ...]) -> None:
    assert _explain(question).notes == notes


def test_a_namespace_that_is_not_exposed_is_named() -> None:
    corefile = COREFILE.replace("pods insecure", "pods insecure\n        namespaces test")

    found = _explain("web.prod.svc.cluster.local A", corefile=corefile)
    assert found.notes == ("the option namespaces does not name prod",)


def test_a_search_that_finds_nothing_says_why_of_every_name() -> None:
    found = _explain("db-0.db A", search=search_path("test", "cluster.local"))

    assert [one.result for one in found.attempts] == ["NXDOMAIN"] * 3 + ["unknown"]
    assert found.notes == (
        "db-0.db.test.svc.cluster.local.: Namespace test has no Service db",
        "db-0.db.test.svc.cluster.local.: a Service db is in: prod",
        "db-0.db.svc.cluster.local.: there is no Namespace db",
        "db-0.db.cluster.local.: names under a cluster zone end in svc or pod: this one never is",
    )


def test_a_reverse_name_of_an_endpoint_marks_that_endpoint() -> None:
    found = _explain("1.0.1.10.in-addr.arpa PTR")

    assert _uses(found) == {"10.1.0.1": "used", "10.1.0.2": "behind the cluster IP"}


def test_only_the_port_that_is_named_is_explained() -> None:
    found = _explain("_admin._tcp.web.prod.svc.cluster.local SRV")

    assert [one.port for one in found.connections] == ["admin"]


def test_reverse_names_are_asked_for_pointers() -> None:
    assert default_type(from_text("1.0.0.127.in-addr.arpa")) == RRType.PTR
    assert default_type(from_text("web")) == RRType.A


def test_the_search_path_is_part_of_the_explanation() -> None:
    found = with_search(_explain("svc.cluster.local A"), ["a", "b"])

    assert found.search == ("a", "b")
    assert spelled(from_text("cluster.local")) == "cluster.local"
