"""What decoded objects share, and what they leave behind."""

import json
from typing import Any, cast

from svcdns.kube.decode import read_object
from svcdns.kube.objects import EndpointSlice, Kind, Service
from svcdns.kube.sharing import LAST_APPLIED


def slice_of(name: str, **metadata: Any) -> EndpointSlice:
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
    }
    found = read_object(Kind.ENDPOINT_SLICE, json.dumps(body).encode())
    return cast("EndpointSlice", found)


def test_endpoints_of_different_slices_share_what_they_say_alike() -> None:
    one, other = slice_of("web"), slice_of("api")
    assert one.endpoints is not None
    assert other.endpoints is not None
    first, last = one.endpoints[0], other.endpoints[1]
    assert first.conditions is last.conditions
    assert first.node_name is last.node_name
    assert first.zone is last.zone
    assert first.target_ref is not None
    assert last.target_ref is not None
    assert first.target_ref.kind is last.target_ref.kind
    assert first.target_ref.namespace is one.metadata.namespace
    assert one.metadata.namespace is other.metadata.namespace


def test_what_is_said_stays_as_it_was() -> None:
    (first, _) = slice_of("web").endpoints or ()
    assert first.addresses == ("10.0.0.1",)
    assert (first.node_name, first.zone) == ("node one", "zone one")
    assert (first.ready, first.serving, first.terminating) == (True, True, False)
    assert first.target_ref is not None
    assert (first.target_ref.kind, first.target_ref.name) == ("Pod", "web 1")
    assert first.target_ref.namespace == "the apps"


def test_conditions_that_differ_are_not_mixed_up() -> None:
    found = []
    for ready in (True, False, None):
        body = {
            "metadata": {"name": "web"},
            "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}],
        }
        piece = read_object(Kind.ENDPOINT_SLICE, json.dumps(body).encode())
        assert isinstance(piece, EndpointSlice)
        assert piece.endpoints is not None
        assert piece.endpoints[0].conditions is not None
        found.append(piece.endpoints[0].conditions.ready)
    assert found == [True, False, None]


def test_nothing_is_kept_of_what_nobody_reads() -> None:
    piece = slice_of("web", uid="u-7", annotations={LAST_APPLIED: "{}", "kept": "yes"})
    assert piece.metadata.uid == ""
    assert piece.metadata.annotations == {"kept": "yes"}
    assert piece.endpoints is not None
    assert piece.endpoints[0].target_ref is not None
    assert piece.endpoints[0].target_ref.uid is None


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
