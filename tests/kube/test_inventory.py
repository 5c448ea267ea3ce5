"""What a directory of manifests amounts to."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from svcdns.kube.inventory import Settled
from svcdns.kube.manifests import parse
from svcdns.kube.metadata import ObjectKey
from svcdns.kube.objects import Kind, KubeObject
from svcdns.kube.store import Store
from tests.support.manifests import Directory, pod, service, write


def contents(store: Store) -> dict[Kind, dict[ObjectKey, KubeObject]]:
    return {
        Kind.SERVICE: dict(store.services),
        Kind.POD: dict(store.pods),
        Kind.NAMESPACE: dict(store.namespaces),
        Kind.ENDPOINT_SLICE: dict(store.slices),
        Kind.NODE: dict(store.nodes),
    }


def test_services_and_pods_get_addresses_and_slices() -> None:
    directory = Directory()
    directory.put("a.yaml", service("web"), pod("web-0", "web"))

    (found,) = directory.store.pods.values()
    assert found.status.pod_ip is not None
    assert found.status.pod_ip.startswith("127.24")
    assert directory.address("web").startswith("127.")
    assert directory.endpoints("web") == {found.status.pod_ip}
    assert directory.store.services["default", "web"].spec.ip_families == ("IPv4",)
    assert directory.store.synced


def test_namespaces_that_are_used_exist_and_default_always_does() -> None:
    directory = Directory()
    one = service("web")
    one["metadata"]["namespace"] = "shop"
    directory.put("a.yaml", one)
    assert set(directory.store.namespaces) == {("", "shop"), ("", "default")}

    directory.put("b.yaml", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}})
    directory.drop("a.yaml")
    assert set(directory.store.namespaces) == {("", "x"), ("", "default")}


def test_the_last_definition_counts_and_the_earlier_returns_when_it_goes() -> None:
    directory = Directory()
    directory.put("a.yaml", service("web", clusterIP="127.1.1.1"))
    settled = directory.put("b.yaml", service("web", clusterIP="127.1.1.2"))

    assert directory.address("web") == "127.1.1.2"
    assert [str(notice) for notice in settled.notices] == [
        "b.yaml:1: Service default/web: defined before in a.yaml:1: this one counts"
    ]
    directory.drop("b.yaml")
    assert directory.address("web") == "127.1.1.1"


def test_a_cluster_ip_of_a_real_cluster_moves_to_loopback_with_a_notice() -> None:
    directory = Directory()
    settled = directory.put(
        "a.yaml",
        service("web", clusterIPs=["10.96.0.10", "fd00::a"], clusterIP="10.96.0.10"),
        pod("far", "web", status={"podIP": "10.244.1.5"}),
        pod("near", "web", labels={"svcdns.io/echo": "http"}, status={"podIP": "10.244.1.6"}),
    )

    assert directory.store.services["default", "web"].addresses == ("127.96.0.10", "fd00::a")
    assert directory.store.pods["default", "far"].status.pod_ip == "10.244.1.5"
    assert directory.store.pods["default", "near"].status.pod_ip == "127.244.1.6"
    assert [str(notice) for notice in settled.notices] == [
        "a.yaml:1: Service default/web: 10.96.0.10 cannot be bound on this machine: "
        "127.96.0.10 stands in",
        "a.yaml:1: Service default/web: fd00::a cannot be bound on this machine: "
        "names lead to it, but nothing listens there",
        "a.yaml:25: Pod default/near: 10.244.1.6 cannot be bound on this machine: "
        "127.244.1.6 stands in",
    ]


def test_a_notice_is_given_once_even_when_its_line_moves() -> None:
    directory = Directory()
    moved = service("web", clusterIP="10.96.0.10")

    assert len(directory.put("a.yaml", moved).notices) == 1
    assert directory.put("a.yaml", service("other"), moved).notices == ()
    assert directory.drop("a.yaml").notices == ()
    assert len(directory.put("a.yaml", moved).notices) == 1


def test_headless_and_external_services_get_no_address() -> None:
    directory = Directory()
    directory.put(
        "a.yaml",
        service("db", clusterIP="None"),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "ext"},
            "spec": {"type": "ExternalName", "externalName": "x.example"},
        },
        service("six", clusterIP="fd00::1"),
    )

    assert directory.store.services["default", "db"].addresses == ()
    assert directory.store.services["default", "ext"].addresses == ()
    assert directory.store.services["default", "six"].addresses == ("fd00::1",)


def slices(name: str, managed_by: str, address: str, of: str = "web") -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/service-name": of,
                "endpointslice.kubernetes.io/managed-by": managed_by,
            },
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address]}],
    }


def test_a_node_port_is_given_and_shown_in_the_store() -> None:
    directory = Directory()
    directory.put("a.yaml", service("web", type="NodePort"))

    found = directory.store.services["default", "web"]
    assert 30000 <= found.ports[0].node_port <= 32767
    assert found.addresses != ()


def test_hand_made_slices_stay_and_exported_ones_give_way_to_pods() -> None:
    directory = Directory()
    directory.put(
        "a.yaml",
        service("web"),
        slices("web-mine", "me", "10.1.1.1"),
        slices("web-x1z2y", "endpointslice-controller.k8s.io", "10.2.2.2"),
    )
    assert directory.endpoints("web") == {"10.1.1.1", "10.2.2.2"}

    directory.put("b.yaml", pod("web-0", "web", status={"podIP": "127.3.3.3"}))
    assert directory.endpoints("web") == {"10.1.1.1", "127.3.3.3"}

    directory.drop("a.yaml")
    assert directory.endpoints("web") == set()
    assert directory.store.slices == {}


def test_nothing_changes_when_nothing_changed() -> None:
    directory = Directory()
    directory.put("a.yaml", service("web"), pod("web-0", "web"))

    assert directory.put("a.yaml", service("web"), pod("web-0", "web")) == Settled((), ())


def test_a_pod_that_changes_touches_its_own_slice_only() -> None:
    directory = Directory()
    directory.put("a.yaml", service("web"), service("api"), pod("web-0", "web"))
    status = {"conditions": [{"type": "Ready", "status": "False"}]}

    settled = directory.put(
        "a.yaml", service("web"), service("api"), pod("web-0", "web", status=status)
    )

    assert [(delta.kind, delta.key[0]) for delta in settled.deltas] == [
        (Kind.POD, "default"),
        (Kind.ENDPOINT_SLICE, "default"),
    ]


APPS = st.sampled_from(["a", "b"])
OBJECTS = st.one_of(
    st.builds(
        lambda name, app, ip, headless: service(
            name,
            selector={"app": app} if app else None,
            **({"clusterIP": "None"} if headless else {"clusterIP": ip} if ip else {}),
        ),
        APPS,
        st.sampled_from(["a", "b", ""]),
        st.sampled_from(["", "10.96.0.1", "127.9.9.9"]),
        st.booleans(),
    ),
    st.builds(
        lambda name, app, phase, node: pod(
            name,
            app,
            spec={"nodeName": node} if node else {},
            status={"phase": phase} if phase else {},
        ),
        st.sampled_from(["p", "q", "r"]),
        APPS,
        st.sampled_from(["", "Running", "Pending", "Failed"]),
        st.sampled_from(["", "n"]),
    ),
    st.builds(
        lambda zone: {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "n", "labels": {"topology.kubernetes.io/zone": zone}},
        },
        st.sampled_from(["x", "y"]),
    ),
    st.builds(
        slices,
        st.sampled_from(["a-1", "b-1"]),
        st.sampled_from(["me", "endpointslice-controller.k8s.io"]),
        st.sampled_from(["10.5.5.5", "10.6.6.6"]),
        APPS,
    ),
    st.builds(
        lambda name, ip: {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {"name": name},
            "subsets": [{"addresses": [{"ip": ip}], "ports": [{"port": 1}]}],
        },
        APPS,
        st.sampled_from(["10.7.7.7", "fd00::7"]),
    ),
)
EDITS = st.lists(
    st.tuples(st.sampled_from(["x.yaml", "y.yaml"]), st.lists(OBJECTS, max_size=5)), max_size=8
)


@settings(deadline=None)
@given(EDITS)
def test_any_sequence_of_edits_equals_a_fresh_start(
    edits: list[tuple[str, list[dict[str, Any]]]],
) -> None:
    edited = Directory()
    for file, objects in edits:
        if objects:
            edited.put(file, *objects)
        else:
            edited.drop(file)

    fresh = Directory()
    for file, objects in dict(edits).items():
        if objects:
            fresh.inventory.put(parse(write(*objects), file))
    fresh.inventory.settle()

    if edits:
        assert contents(edited.store) == contents(fresh.store)
