"""Labels of queries and clients (rule G14)."""

import pytest
from msgspec.structs import replace

from svcdns.zones.index import ClusterIndex
from svcdns.zones.labels import of_client, of_query
from svcdns.zones.options import ZoneOptions
from svcdns.zones.zone import ClusterZones
from tests.support.cluster import pod, store_of
from tests.support.records import wire_name


def zones() -> ClusterZones:
    index = ClusterIndex(store_of(), wall=lambda: 0.0)
    return ClusterZones(ZoneOptions(zones=(wire_name("cluster.local"),)), index)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("web.prod.svc.cluster.local", {"kind": "svc", "namespace": "prod", "service": "web"}),
        ("_http._tcp.web.prod.svc.cluster.local", {"port-name": "http", "protocol": "tcp"}),
        ("db-0.db.prod.svc.cluster.local", {"endpoint": "db-0", "service": "db"}),
        ("1-2-3-4.prod.pod.cluster.local", {"kind": "pod", "namespace": "prod"}),
    ],
)
def test_g14_a_name_is_taken_apart(name: str, labels: dict[str, str]) -> None:
    found = of_query(zones(), wire_name(name))

    assert {f"kubernetes/{key}": value for key, value in labels.items()}.items() <= found.items()


@pytest.mark.parametrize("name", ["example.net", "cluster.local", "foo.cluster.local"])
def test_g14_other_names_have_no_labels(name: str) -> None:
    assert of_query(zones(), wire_name(name)) == {}


def test_g14_a_client_is_the_pod_with_its_address() -> None:
    asking = pod("prod/shell", "10.1.0.7")
    asking = replace(asking, metadata=replace(asking.metadata, labels={"app": "shell"}))
    store = store_of(asking)
    index = ClusterIndex(store, wall=lambda: 0.0)

    assert of_client(index, store, "10.1.0.7") == {
        "kubernetes/client-namespace": "prod",
        "kubernetes/client-pod-name": "shell",
        "kubernetes/client-label/app": "shell",
    }
    assert of_client(index, store, "10.1.0.8") == {}
