"""What decoded objects share, and what they leave behind."""

import json
from typing import Any, cast

import msgspec
import pytest

from svcdns.kube import sharing
from svcdns.kube.decode import read_object
from svcdns.kube.objects import EndpointSlice, Kind, Service, ServiceSpec
from svcdns.kube.sharing import LAST_APPLIED, MOST


def slice_of(name: str, ports: Any = None, **metadata: Any) -> EndpointSlice:
    endpoint = {
        "addresses": ["10.0.0.1"],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "nodeName": "node one",
        "zone": "zone one",
        "targetRef": {"kind": "Pod", "namespace": "the apps", "name": f"{name} 1", "uid": "u-1"},
    }
    body = {
        "metadata": {"name": name, "namespace": "the apps", **metadata},
        "addressType": "IPv4",
        "endpoints": [endpoint, endpoint],
        "ports": ports,
    }
    found = read_object(Kind.ENDPOINT_SLICE, json.dumps(body).encode())
    return cast("EndpointSlice", found)


def service_of(name: str, **fields: Any) -> Service:
    spec = {
        "type": "Some type",
        "clusterIP": "10.96.0.1",
        "clusterIPs": ["10.96.0.1"],
        "ipFamilies": ["IPv4"],
        "sessionAffinity": "No one's",
        "selector": {"app": "the web"},
        "ports": [{"name": "http", "port": 80, "targetPort": "a port"}],
        **fields,
    }
    body = {"metadata": {"name": name, "namespace": "the apps"}, "spec": spec, "status": {}}
    found = read_object(Kind.SERVICE, json.dumps(body).encode())
    return cast("Service", found)


def test_services_share_what_they_say_alike() -> None:
    one, other = service_of("web").spec, service_of("api").spec
    for field in ("type", "ip_families", "session_affinity", "ports"):
        assert getattr(one, field) is getattr(other, field)
    assert one.selector is not None
    assert other.selector is not None
    assert one.selector["app"] is other.selector["app"]
    assert one.cluster_ip is (one.cluster_ips or ())[0]


@pytest.mark.parametrize(
    "fields",
    [
        {"ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
        {"ports": [{"name": "http", "port": 80, "targetPort": "8080"}]},
        {"ports": []},
        {"ports": None},
        {"ipFamilies": ["IPv6", "IPv4"]},
        {"ipFamilies": None},
        {"clusterIP": "None", "clusterIPs": ["None"]},
        {"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00::1"]},
        {"clusterIP": None, "clusterIPs": None, "type": "ExternalName", "externalName": "a.b"},
    ],
)
def test_a_service_says_what_it_said_before_it_shared(fields: dict[str, Any]) -> None:
    spec = service_of("web", **fields).spec
    expected = {
        "type": "Some type",
        "clusterIP": "10.96.0.1",
        "clusterIPs": ["10.96.0.1"],
        "ipFamilies": ["IPv4"],
        "sessionAffinity": "No one's",
        "selector": {"app": "the web"},
        "ports": [{"name": "http", "port": 80, "targetPort": "a port"}],
        **fields,
    }
    assert spec == msgspec.convert(expected, ServiceSpec)


def test_values_that_are_never_the_same_do_not_pile_up() -> None:
    kept = [
        service_of("web", ports=[{"port": number}]).spec.ports for number in range(1, 2 * MOST + 1)
    ]
    assert [found[0].port for found in kept if found] == list(range(1, 2 * MOST + 1))
    assert len(sharing._known) <= MOST


def test_endpoints_say_what_they_said() -> None:
    (first, _) = slice_of("web").endpoints or ()
    assert first.addresses == ("10.0.0.1",)
    assert (first.node_name, first.zone) == ("node one", "zone one")
    assert (first.ready, first.serving, first.terminating) == (True, True, False)
    assert first.target_ref is not None
    assert (first.target_ref.kind, first.target_ref.name) == ("Pod", "web 1")
    assert first.target_ref.namespace == "the apps"


def test_slices_share_their_ports() -> None:
    one, other = slice_of("web", ports=[{"port": 80}]), slice_of("api", ports=[{"port": 80}])
    assert one.ports is other.ports


def test_nothing_is_kept_of_what_nobody_reads() -> None:
    piece = slice_of("web", annotations={LAST_APPLIED: "{}", "kept": "yes"})
    assert piece.metadata.annotations == {"kept": "yes"}
    piece = slice_of("web", annotations={LAST_APPLIED: "{}"}, labels={})
    assert piece.metadata.annotations is None
    assert piece.metadata.labels is None


def test_objects_with_next_to_nothing_in_them_are_left_alone() -> None:
    bare = {"metadata": {"name": "web", "labels": None, "annotations": None}}
    for kind in (Kind.SERVICE, Kind.ENDPOINT_SLICE, Kind.NAMESPACE, Kind.POD):
        found = read_object(kind, json.dumps(bare).encode())
        assert not isinstance(found, Service) or found.metadata.name == "web"
        empty = {**bare, "endpoints": [{}, {"targetRef": {}, "conditions": {}}]}
        assert read_object(kind, json.dumps(empty).encode())


def test_labels_of_many_objects_share_their_values() -> None:
    one = slice_of("web", labels={"app": "the web"}).metadata.labels
    other = slice_of("api", labels={"app": "the web", "tier": "front"}).metadata.labels
    assert one == {"app": "the web"}
    assert other == {"app": "the web", "tier": "front"}
    assert one["app"] is other["app"]
