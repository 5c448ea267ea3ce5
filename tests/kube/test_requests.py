import pytest

from svcdns.kube.objects import Kind
from svcdns.kube.reflector import List, Watch, WatchList
from svcdns.kube.requests import path, query
from svcdns.kube.source import ApiSource

SOURCE = ApiSource(
    kinds=tuple(Kind),
    label_selectors={Kind.SERVICE: "app=web"},
    field_selectors={Kind.POD: "status.phase!=Failed"},
)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind.NAMESPACE, "/api/v1/namespaces"),
        (Kind.SERVICE, "/api/v1/services"),
        (Kind.ENDPOINT_SLICE, "/apis/discovery.k8s.io/v1/endpointslices"),
        (Kind.POD, "/api/v1/pods"),
        (Kind.NODE, "/api/v1/nodes"),
        (Kind.SERVICE_CIDR, "/apis/networking.k8s.io/v1/servicecidrs"),
        (Kind.SERVICE_IMPORT, "/apis/multicluster.x-k8s.io/v1alpha1/serviceimports"),
    ],
)
def test_i5_paths_are_those_that_rbac_is_written_for(kind: Kind, expected: str) -> None:
    assert path(kind) == expected


def test_a_first_page_and_the_next() -> None:
    assert query(SOURCE, Kind.NODE, List(), 300) == (("limit", "500"),)
    assert query(SOURCE, Kind.NODE, List("tok"), 300) == (("limit", "500"), ("continue", "tok"))


def test_everything_at_once_has_no_limit() -> None:
    assert query(SOURCE, Kind.NODE, List(limit=0), 300) == ()


def test_a_watch_resumes_with_bookmarks_and_an_end() -> None:
    assert query(SOURCE, Kind.NODE, Watch("77"), 321) == (
        ("watch", "true"),
        ("allowWatchBookmarks", "true"),
        ("timeoutSeconds", "321"),
        ("resourceVersion", "77"),
    )


def test_a_watch_list_says_what_the_server_insists_on() -> None:
    assert dict(query(SOURCE, Kind.NODE, WatchList(), 321)) == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "timeoutSeconds": "321",
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
    }


@pytest.mark.parametrize("command", [List(), List("tok"), Watch("1"), WatchList()])
def test_f3_g3_selectors_go_with_every_request(command: List | Watch | WatchList) -> None:
    services = dict(query(SOURCE, Kind.SERVICE, command, 300))
    pods = dict(query(SOURCE, Kind.POD, command, 300))

    assert services["labelSelector"] == "app=web"
    assert "fieldSelector" not in services
    assert pods["fieldSelector"] == "status.phase!=Failed"
    assert "labelSelector" not in pods
