"""From the text of a manifest to objects and notices."""

import pytest

from svcdns.errors import ManifestError
from svcdns.kube.manifests import parse, subject_of
from svcdns.kube.mirroring import Endpoints
from svcdns.kube.objects import Namespace, Service

WEB = """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  ports:
  - port: 80
"""


def notices(text: str, file: str = "f.yaml") -> list[str]:
    return [str(notice) for notice in parse(text.encode(), file).notices]


def test_objects_come_with_file_line_and_defaults() -> None:
    manifest = parse(f"# one\n{WEB}---\n{WEB.replace('web', 'api')}".encode(), "f.yaml")

    assert [(one.kind, one.key, one.line) for one in manifest.objects] == [
        ("Service", ("default", "web"), 2),
        ("Service", ("default", "api"), 10),
    ]
    assert manifest.notices == []
    web = manifest.objects[0].object
    assert isinstance(web, Service)
    assert web.spec.internal_traffic_policy == "Cluster"


def test_lists_of_every_form_are_taken_apart() -> None:
    text = """\
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Namespace
  metadata: {name: a}
- apiVersion: v1
  kind: ServiceList
  items:
  - metadata: {name: web, namespace: a}
    spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSliceList
items:
- metadata: {name: web-1, namespace: a}
  addressType: IPv4
"""
    found = parse(text.encode(), "f.yaml").objects

    assert [(one.kind, one.key, one.line) for one in found] == [
        ("Namespace", ("", "a"), 4),
        ("Service", ("a", "web"), 10),
        ("EndpointSlice", ("a", "web-1"), 16),
    ]


def test_json_is_read_too() -> None:
    text = b'{"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "x"}, "subsets": null}'

    (found,) = parse(text, "f.json").objects

    assert isinstance(found.object, Endpoints)
    assert subject_of(found.object) == "Endpoints default/x"


def test_a_cluster_wide_object_has_no_namespace() -> None:
    text = b"{apiVersion: v1, kind: Namespace, metadata: {name: a, namespace: b}}"

    (found,) = parse(text, "f.yaml").objects

    assert isinstance(found.object, Namespace)
    assert found.key == ("", "a")
    assert subject_of(found.object) == "Namespace a"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            ("port: 80", "port: eighty"),
            "f.yaml:7: Service default/web: left out: spec.ports[0].port: expected int, got str",
        ),
        (
            ("port: 80", "port: 99999"),
            "f.yaml:7: Service default/web: left out: spec.ports[0].port: "
            "must be 1 to 65535, not 99999",
        ),
        (
            ("name: web", "name: no"),
            "f.yaml:4: Service: left out: metadata.name: expected str, got bool: "
            "unquoted no is no text in YAML, write 'no'",
        ),
        (
            ("name: web", "name: 0777"),
            "f.yaml:4: Service: left out: metadata.name: expected str, got int: "
            "unquoted 0777 is no text in YAML, write '0777'",
        ),
        (
            ("name: web", "name: web\n  labels: {a: b, on: x, version: 1.10}"),
            "f.yaml:5: Service default/web: left out: metadata.labels.version: "
            "expected str, got float: unquoted 1.10 is no text in YAML, write '1.10'",
        ),
        (
            ("  name: web", "  labels: {}"),
            "f.yaml:3: Service: left out: metadata: mapping missing required field name",
        ),
        (
            ("  ports:\n  - port: 80", "  ports: {port: 80}"),
            "f.yaml:6: Service default/web: left out: spec.ports: expected list, got mapping",
        ),
        (("kind: Service\n", ""), "f.yaml:1: default/web: left out: kind: is missing or not text"),
        (
            ("apiVersion: v1\n", ""),
            "f.yaml:1: Service default/web: left out: apiVersion: is missing or not text",
        ),
    ],
)
def test_a_wrong_object_is_named_with_its_field_and_the_others_count(
    change: tuple[str, str], expected: str
) -> None:
    manifest = parse(f"{WEB.replace(*change)}---\n{WEB}".encode(), "f.yaml")

    assert [str(notice) for notice in manifest.notices] == [expected]
    assert [one.key for one in manifest.objects] == [("default", "web")]


def test_null_means_absent() -> None:
    text = WEB.replace("name: web", "name: web\n  labels:\n  annotations: ~") + "    name: null\n"

    assert notices(text) == []


def test_kinds_without_use_are_named_once_per_file() -> None:
    kinds = "\n---\n".join(
        f"{{apiVersion: apps/v1, kind: {kind}, metadata: {{name: {name}}}}}"
        for kind, name in [("Deployment", "a"), ("Deployment", "b"), ("ConfigMap", "c")]
    )

    assert notices(kinds) == [
        "f.yaml:1: Deployment default/a: ignored and 1 more of its kind: "
        "no controller makes its Pods here: write them as Pods",
        "f.yaml:5: ConfigMap default/c: ignored: only Namespace, Service, Pod, EndpointSlice, "
        "Endpoints, Node, ServiceCIDR, ServiceImport are read",
    ]


def test_a_namesake_of_another_group_is_not_ours() -> None:
    text = "{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: a}, spec: 3}"

    assert "ignored" in notices(text)[0]
    assert parse(text.encode(), "f.yaml").objects == []


def test_a_key_that_is_given_twice_is_reported() -> None:
    assert notices(WEB + "  ports:\n  - port: 81\n") == [
        "f.yaml:8: Service default/web: key 'ports' is given twice: the later counts"
    ]


def test_a_document_that_is_no_mapping_is_left_out() -> None:
    assert notices("- a\n---\nb\n") == [
        "f.yaml:1: left out: an object must be a mapping, not a list",
        "f.yaml:3: left out: an object must be a mapping, not a single value",
    ]


def test_a_broken_file_raises_with_its_line() -> None:
    with pytest.raises(ManifestError, match=r"f\.yaml:3: not YAML: "):
        parse(b"a: 1\nb: 2\n c: 3\n", "f.yaml")


def test_a_name_cannot_break_out_of_its_line() -> None:
    text = WEB.replace("name: web", 'name: "a\\nb\\e[31m"').replace("port: 80", "port: x")

    assert notices(text) == [
        "f.yaml:7: Service default/'a\\nb\\x1b[31m': left out: "
        "spec.ports[0].port: expected int, got str"
    ]
