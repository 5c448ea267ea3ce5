"""EndpointSlices from Services and Pods, by the EndpointSlice controller's rules."""

from typing import Any

import msgspec
import pytest

from svcdns.kube.defaults import fill_in
from svcdns.kube.endpoints import Declared, SliceController, compute, is_ready, selects
from svcdns.kube.mirroring import Endpoints
from svcdns.kube.nodes import Node
from svcdns.kube.objects import EndpointSlice, Kind, Pod, Service
from svcdns.kube.store import Store

WEB = {"app": "web"}


def service(name: str = "web", labels: dict[str, str] | None = None, **spec: Any) -> Service:
    spec = {"selector": WEB, "ports": [{"port": 80, "targetPort": 8080, "name": "http"}]} | spec
    value = {"metadata": {"name": name, "namespace": "a", "labels": labels}, "spec": spec}
    found = fill_in(msgspec.convert(value, Service))
    assert isinstance(found, Service)
    return found


def pod(
    name: str = "web-0",
    ip: str | tuple[str, ...] = "10.0.0.1",
    status: dict[str, Any] | None = None,
    meta: dict[str, Any] | None = None,
    **spec: Any,
) -> Pod:
    ips = (ip,) if isinstance(ip, str) else ip
    value = {
        "metadata": {"name": name, "namespace": "a", "labels": WEB} | (meta or {}),
        "spec": spec,
        "status": {"podIPs": [{"ip": one} for one in ips if one]} | (status or {}),
    }
    found = fill_in(msgspec.convert(value, Pod))
    assert isinstance(found, Pod)
    return found


def ready(value: str) -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": value}]}


def one_slice(of: Service, *pods: Pod) -> EndpointSlice:
    (found,) = compute(of, pods, {})
    return found


def test_a_pod_becomes_an_endpoint_with_everything_that_is_known() -> None:
    found = compute(service(labels={"team": "x"}), [pod(nodeName="n1")], {"n1": "zone-a"})

    (one,) = found
    assert one.service == ("a", "web")
    assert one.address_type == "IPv4"
    assert one.metadata.labels == {
        "team": "x",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    (port,) = one.ports or ()
    assert (port.name, port.protocol, port.port) == ("http", "TCP", 8080)
    (endpoint,) = one.endpoints or ()
    assert endpoint.addresses == ("10.0.0.1",)
    assert (endpoint.node_name, endpoint.zone, endpoint.hostname) == ("n1", "zone-a", None)
    assert endpoint.target_ref is not None
    assert (endpoint.target_ref.kind, endpoint.target_ref.name) == ("Pod", "web-0")


@pytest.mark.parametrize(
    ("status", "deleted", "publish", "conditions"),
    [
        ({}, False, False, (True, True, False)),
        ({"phase": "Running"}, False, False, (True, True, False)),
        (ready("True"), False, False, (True, True, False)),
        (ready("False"), False, False, (False, False, False)),
        (ready("Unknown"), False, False, (False, False, False)),
        ({"phase": "Pending"}, False, False, (False, False, False)),
        (ready("True"), True, False, (False, True, True)),
        (ready("False"), True, False, (False, False, True)),
        (ready("False"), False, True, (True, False, False)),  # D3, R59
        (ready("True"), True, True, (True, True, True)),  # D3
    ],
)
def test_conditions_follow_readiness_deletion_and_publishing(
    status: dict[str, Any],
    deleted: bool,
    publish: bool,
    conditions: tuple[bool, bool, bool],
) -> None:
    meta = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {}
    found = one_slice(service(publishNotReadyAddresses=publish), pod(status=status, meta=meta))

    (endpoint,) = found.endpoints or ()
    assert endpoint.conditions is not None
    assert (
        endpoint.conditions.ready,
        endpoint.conditions.serving,
        endpoint.conditions.terminating,
    ) == conditions


@pytest.mark.parametrize(
    "left_out",
    [pod(ip=""), pod(status={"phase": "Succeeded"}), pod(status={"phase": "Failed"})],
    ids=["no address", "succeeded", "failed"],
)
def test_pods_that_are_no_targets(left_out: Pod) -> None:
    assert compute(service(publishNotReadyAddresses=True), [left_out], {}) == ()


@pytest.mark.parametrize(
    ("spec", "hostname"),
    [
        ({"hostname": "db-0", "subdomain": "web"}, "db-0"),
        ({"hostname": "db-0", "subdomain": "other"}, None),
        ({"hostname": "db-0"}, None),
        ({"subdomain": "web"}, None),
    ],
)
def test_a_hostname_counts_only_under_the_services_own_subdomain(
    spec: dict[str, Any], hostname: str | None
) -> None:
    (endpoint,) = one_slice(service(), pod(**spec)).endpoints or ()

    assert endpoint.hostname == hostname


def test_named_target_ports_are_resolved_pod_by_pod() -> None:  # R8
    def with_port(name: str, ip: str, number: int) -> Pod:
        ports = [{"name": "web", "containerPort": number}]
        return pod(name, ip, containers=[{"ports": ports}])

    found = compute(
        service(ports=[{"port": 80, "targetPort": "web", "name": "http"}]),
        [
            with_port("a", "10.0.0.1", 8080),
            with_port("b", "10.0.0.2", 9090),
            with_port("c", "10.0.0.3", 8080),
        ],
        {},
    )

    by_port = {
        port.port: [endpoint.addresses for endpoint in one.endpoints or ()]
        for one in found
        for port in one.ports or ()
    }
    assert by_port == {8080: [("10.0.0.1",), ("10.0.0.3",)], 9090: [("10.0.0.2",)]}
    assert len({one.key for one in found}) == 2


def test_a_port_name_is_looked_for_with_its_protocol_and_in_sidecars() -> None:
    dns = {"name": "dns", "containerPort": 53, "protocol": "UDP"}
    tcp = {"name": "dns", "containerPort": 5353}
    wanted = service(ports=[{"port": 53, "targetPort": "dns", "protocol": "UDP"}])

    assert one_slice(wanted, pod(containers=[{"ports": [tcp, dns]}])).ports is not None
    (port,) = one_slice(wanted, pod(containers=[{"ports": [tcp, dns]}])).ports or ()
    assert (port.port, port.protocol) == (53, "UDP")
    sidecar = [{"restartPolicy": "Always", "ports": [dns]}]
    assert len(one_slice(wanted, pod(initContainers=sidecar)).ports or ()) == 1
    assert one_slice(wanted, pod(initContainers=[{"ports": [dns]}])).ports == ()


def test_a_headless_service_may_have_no_ports() -> None:
    found = one_slice(service(clusterIP="None", ports=[]), pod())

    assert found.ports == ()
    assert (found.metadata.labels or {})["service.kubernetes.io/headless"] == ""


@pytest.mark.parametrize(
    ("spec", "families"),
    [
        ({"clusterIPs": ["10.96.0.1", "fd00:96::1"]}, {"IPv4", "IPv6"}),
        ({"clusterIP": "10.96.0.1"}, {"IPv4"}),
        ({"clusterIP": "fd00:96::1"}, {"IPv6"}),
        ({"clusterIP": "None", "ipFamilies": ["IPv6"]}, {"IPv6"}),
        ({"clusterIP": "None"}, {"IPv4", "IPv6"}),
        ({"clusterIP": "None", "ipFamilyPolicy": "SingleStack"}, {"IPv4"}),
    ],
)
def test_each_family_of_the_service_has_its_slice(
    spec: dict[str, Any], families: set[str]
) -> None:  # D12, R29
    found = compute(service(**spec), [pod(ip=("10.0.0.1", "fd00::1"))], {})

    assert {one.address_type for one in found} == families
    for one in found:
        (endpoint,) = one.endpoints or ()
        assert endpoint.addresses == (("10.0.0.1",) if one.address_type == "IPv4" else ("fd00::1",))


def test_a_slice_holds_at_most_a_hundred_endpoints() -> None:
    found = compute(service(), [pod(f"p{n:03}", f"10.0.1.{n}") for n in range(201)], {})

    assert [len(one.endpoints or ()) for one in found] == [100, 100, 1]
    assert len({one.key for one in found}) == 3


@pytest.mark.parametrize(
    ("selector", "kind", "matches"),
    [
        ({"app": "web"}, "ClusterIP", True),
        ({"app": "web", "tier": "x"}, "ClusterIP", False),
        ({"app": "api"}, "ClusterIP", False),
        ({}, "ClusterIP", False),
        (None, "ClusterIP", False),
        ({"app": "web"}, "ExternalName", False),
    ],
)
def test_a_selector_needs_every_label_and_an_empty_one_selects_nothing(
    selector: dict[str, str] | None, kind: str, matches: bool
) -> None:
    assert selects(service(selector=selector, type=kind), pod()) is matches


def test_pods_of_other_namespaces_are_not_selected() -> None:
    assert not selects(service(), pod(meta={"namespace": "b"}))


def test_a_manifest_without_status_is_a_ready_pod() -> None:
    assert is_ready(msgspec.convert({"metadata": {"name": "p"}}, Pod))


# -- the controller --------------------------------------------------------------------------


def addresses(store: Store, name: str = "web") -> set[str]:
    return {
        address
        for one in store.slices_of(("a", name))
        for endpoint in one.endpoints or ()
        for address in endpoint.addresses or ()
    }


def test_a_changed_pod_recomputes_only_the_services_that_select_it() -> None:
    store = Store()
    controller = SliceController(store)
    store.apply(service("web"))
    store.apply(service("api", selector={"app": "api"}))
    store.apply(pod("web-0"))
    assert controller.reconcile() == (("a", "api"), ("a", "web"))

    store.apply(pod("web-1", "10.0.0.2"))
    assert controller.reconcile() == (("a", "web"),)
    assert addresses(store) == {"10.0.0.1", "10.0.0.2"}

    store.apply(pod("web-0", meta={"labels": {"app": "api"}}))
    assert controller.reconcile() == (("a", "api"), ("a", "web"))
    assert addresses(store, "api") == {"10.0.0.1"}

    store.delete(Kind.POD, ("a", "web-1"))
    assert controller.reconcile() == (("a", "web"),)
    assert addresses(store) == set()
    assert controller.reconcile() == ()


def test_a_zone_that_changes_reaches_the_endpoints_of_its_node() -> None:
    store = Store()
    controller = SliceController(store)
    store.apply(service())
    store.apply(pod(nodeName="n1"))
    store.apply(pod("web-1", "10.0.0.2", nodeName="n2"))
    controller.reconcile()

    def node(zone: str) -> Node:
        labels = {"topology.kubernetes.io/zone": zone} if zone else {}
        return msgspec.convert({"metadata": {"name": "n1", "labels": labels}}, Node)

    def zones() -> list[str | None]:
        return [e.zone for one in store.slices_of(("a", "web")) for e in one.endpoints or ()]

    store.apply(node("z"))
    assert controller.reconcile() == (("a", "web"),)
    assert zones() == ["z", None]
    store.apply(msgspec.convert({"metadata": {"name": "n1", "labels": {"x": "y"}}}, Node))
    controller.reconcile()
    assert zones() == [None, None]
    store.apply(node(""))
    assert controller.reconcile() == ()


def test_a_deleted_service_takes_its_slices_along() -> None:
    store = Store()
    controller = SliceController(store)
    store.apply(service())
    store.apply(pod())
    controller.reconcile()
    assert controller.made == set(store.slices)

    store.delete(Kind.SERVICE, ("a", "web"))
    controller.reconcile()

    assert store.slices == {}
    assert controller.made == set()


def exported() -> EndpointSlice:
    value = {
        "metadata": {
            "name": "web-abcde",
            "namespace": "a",
            "labels": {"kubernetes.io/service-name": "web"},
        },
        "endpoints": [{"addresses": ["10.9.9.9"]}],
    }
    return msgspec.convert(value, EndpointSlice)


def test_exported_slices_count_until_the_pods_are_there() -> None:
    store = Store()
    controller = SliceController(store)
    store.apply(service())
    controller.declare({("a", "web"): Declared((exported(),))})
    controller.reconcile()
    assert addresses(store) == {"10.9.9.9"}

    store.apply(pod())
    controller.reconcile()
    assert addresses(store) == {"10.0.0.1"}

    store.delete(Kind.POD, ("a", "web-0"))
    controller.reconcile()
    assert addresses(store) == {"10.9.9.9"}


def test_endpoints_are_mirrored_for_services_without_a_selector_only() -> None:
    store = Store()
    controller = SliceController(store)
    value = {
        "metadata": {"name": "web", "namespace": "a"},
        "subsets": [{"addresses": [{"ip": "10.7.7.7"}], "ports": [{"port": 1}]}],
    }
    controller.declare({("a", "web"): Declared((), msgspec.convert(value, Endpoints))})
    controller.reconcile()
    assert addresses(store) == set()  # no Service: nothing to mirror for

    store.apply(service(selector=None))
    controller.reconcile()
    assert addresses(store) == {"10.7.7.7"}

    store.apply(service())
    controller.reconcile()
    assert addresses(store) == set()
