"""Options of the kubernetes directive."""

import pytest

from svcdns.corefile.options import Line
from svcdns.corefile.parser import parse
from svcdns.errors import CorefileError
from svcdns.kube.objects import Kind
from svcdns.plugins.kubernetesoptions import LIVE_PODS, Settings, read
from svcdns.zones.options import PodMode
from tests.support.records import wire_name


def settings(
    options: str, arguments: str = "cluster.local in-addr.arpa", warned: list[str] | None = None
) -> Settings:
    text = f". {{\n kubernetes {arguments} {{\n{options}\n}}\n}}"
    (block,) = parse(text, "Corefile", {}, lambda pattern, base: None, lambda line: None)
    told: list[str] = [] if warned is None else warned
    return read(Line(block.directives[0]), (wire_name("."),), told.append)


def test_the_defaults_are_those_of_coredns() -> None:
    """A8, F1, G7, G8, G10, I1."""
    found = settings("")

    assert found.zones.ttl == 5
    assert found.zones.pods is PodMode.DISABLED
    assert found.source.kinds == (Kind.NAMESPACE, Kind.SERVICE, Kind.ENDPOINT_SLICE)
    assert found.source.startup_timeout == 5.0
    assert not found.fallthrough.through(wire_name("a.cluster.local"))


def test_zones_default_to_the_blocks_and_networks_expand() -> None:
    """F12."""
    assert settings("", arguments="").zones.zones == (wire_name("."),)
    assert settings("", arguments="cluster.local 10.0.0.0/15").zones.zones == tuple(
        map(wire_name, ("cluster.local", "0.10.in-addr.arpa", "1.10.in-addr.arpa"))
    )


def test_every_option_has_its_effect() -> None:
    """G1 to G13."""
    assert settings("ttl 30").zones.ttl == 30
    assert settings("pods insecure").zones.pods is PodMode.INSECURE
    assert settings("namespaces a b\nnamespaces c").zones.namespaces == frozenset("abc")
    assert settings("endpoint_pod_names").zones.endpoint_pod_names
    assert settings("ignore empty_service").zones.ignore_empty_service
    assert settings("zonal").zones.zonal
    assert settings("endpoint http://a").source.endpoint == "http://a"
    assert settings("tls a b c").source.tls == ("a", "b", "c")
    assert settings("kubeconfig f ctx").source.context == "ctx"
    assert settings("kubeconfig f").source.context == ""
    assert settings("startup_timeout 1m30s").source.startup_timeout == 90.0
    assert settings("apiserver_qps 1.5").source.qps == 1.5
    assert settings("apiserver_burst 3\napiserver_max_inflight 4").source.max_inflight == 4
    assert settings("noendpoints").source.kinds == (Kind.NAMESPACE, Kind.SERVICE)


def test_verified_pods_are_watched_alive_only() -> None:
    """F3, I5."""
    source = settings("pods verified").source

    assert Kind.POD in source.kinds
    assert source.field_selectors == {Kind.POD: LIVE_PODS}


def test_selectors_go_to_the_kinds_they_are_for() -> None:
    """G2, G3."""
    labels = settings("labels app in (a, b)").source.label_selectors
    assert labels == {Kind.SERVICE: "app in (a, b)", Kind.ENDPOINT_SLICE: "app in (a, b)"}
    assert settings("namespace_labels x=y").source.label_selectors == {Kind.NAMESPACE: "x=y"}


def test_multicluster_zones_need_imports() -> None:
    """G13."""
    found = settings("multicluster clusterset.local", "cluster.local clusterset.local")

    assert found.zones.multicluster == {wire_name("clusterset.local")}
    assert Kind.SERVICE_IMPORT in found.source.kinds


@pytest.mark.parametrize(
    ("options", "name", "falls"),
    [
        ("fallthrough", "a.cluster.local", True),
        ("fallthrough", "a.test", False),
        ("fallthrough in-addr.arpa", "a.cluster.local", False),
        ("fallthrough in-addr.arpa", "1.in-addr.arpa", True),
    ],
)
def test_fallthrough_is_for_the_zones_named_or_all(options: str, name: str, falls: bool) -> None:
    """G5."""
    assert settings(options).fallthrough.through(wire_name(name)) is falls


def test_only_the_first_endpoint_is_used_and_that_is_said() -> None:
    """G8."""
    warned: list[str] = []

    assert settings("endpoint http://a http://b", warned=warned).source.endpoint == "http://a"
    assert len(warned) == 1
    assert "only the first" in warned[0]


BROKEN = [
    ("G11", "upstream", 3, "unknown property 'upstream'"),
    ("A8", "ttl 3601", 3, "ttl must be between 0 and 3600"),
    ("A8", "ttl x", 3, "invalid number"),
    ("F1", "pods often", 3, "unknown value 'often'"),
    ("G4", "ignore all", 3, "unknown value 'all'"),
    ("G2", "namespaces a\nnamespace_labels b", 2, "cannot both be set"),
    ("G12", "zonal\nnoendpoints", 2, "zonal needs the endpoints"),
    ("G13", "multicluster x.local", 2, "x.local. is not among the zones"),
    ("G9", "apiserver_qps -1", 3, "0 or more"),
    ("G8", "tls a", 3, "Wrong argument count"),
    ("G3", "labels app in a, b", 3, "app in a"),
    ("G6", "ttl", 3, "Wrong argument count"),
    ("G8", "kubeconfig a b c", 3, "Wrong argument count"),
]


@pytest.mark.parametrize(("rule", "options", "line", "message"), BROKEN)
def test_a_wrong_option_is_an_error_at_its_line(
    rule: str, options: str, line: int, message: str
) -> None:
    with pytest.raises(CorefileError, match=message) as caught:
        settings(options)

    assert caught.value.line == line, rule


def test_reverse_zones_alone_are_not_enough() -> None:
    """F6."""
    with pytest.raises(CorefileError, match="non-reverse zone name must be used"):
        settings("", arguments="in-addr.arpa")
