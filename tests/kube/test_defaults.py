"""What the API server fills in."""

from typing import Any

import msgspec

from svcdns.kube.defaults import fill_in
from svcdns.kube.mirroring import Endpoints
from svcdns.kube.nodes import Node
from svcdns.kube.objects import EndpointSlice, Pod, PodIP, Service


def service(**spec: Any) -> Service:
    found = fill_in(msgspec.convert({"metadata": {"name": "s"}, "spec": spec}, Service))
    assert isinstance(found, Service)
    return found


def test_a_port_leads_to_the_same_number_and_has_an_empty_name() -> None:
    (port,) = service(ports=[{"port": 80}]).ports

    assert (port.target_port, port.name, port.protocol) == (80, "", "TCP")


def test_cluster_ip_and_cluster_ips_say_the_same() -> None:
    assert service(clusterIP="10.0.0.1").spec.cluster_ips == ("10.0.0.1",)
    assert service(clusterIPs=["10.0.0.1", "fd00::1"]).spec.cluster_ip == "10.0.0.1"
    assert service(clusterIPs=["10.0.0.1", "fd00::1"]).spec.ip_families == ("IPv4", "IPv6")
    assert service(clusterIP="None").spec.cluster_ips == ("None",)
    assert service(clusterIP="None").spec.ip_families is None
    assert service().spec.cluster_ips is None


def test_client_ip_affinity_lasts_three_hours_unless_stated() -> None:
    config = service(sessionAffinity="ClientIP").spec.session_affinity_config
    assert config is not None
    assert config.client_ip is not None
    assert config.client_ip.timeout_seconds == 10800
    stated = service(
        sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 5}}
    ).spec.session_affinity_config
    assert stated is not None
    assert stated.client_ip is not None
    assert stated.client_ip.timeout_seconds == 5
    assert service().spec.session_affinity_config is None


def test_policies_are_cluster_where_they_apply() -> None:
    assert service().spec.internal_traffic_policy == "Cluster"
    assert service().spec.external_traffic_policy is None
    assert service(type="NodePort").spec.external_traffic_policy == "Cluster"
    assert service(type="NodePort", externalTrafficPolicy="Local").spec.external_traffic_policy == (
        "Local"
    )


def test_an_external_name_gets_nothing() -> None:
    found = service(type="ExternalName", externalName="x.example")
    assert found.spec.ports is None
    assert found.spec.session_affinity is None


def test_slices_and_endpoints_get_protocols_and_port_names() -> None:
    slices = fill_in(
        msgspec.convert({"metadata": {"name": "s"}, "ports": [{"port": 1}]}, EndpointSlice)
    )
    assert isinstance(slices, EndpointSlice)
    assert slices.endpoints == ()
    assert [(port.name, port.protocol) for port in slices.ports or ()] == [("", "TCP")]
    old = fill_in(
        msgspec.convert(
            {"metadata": {"name": "s"}, "subsets": [{"ports": [{"port": 1}]}]}, Endpoints
        )
    )
    assert isinstance(old, Endpoints)
    assert old.subsets is not None
    assert [port.protocol for port in old.subsets[0].ports or ()] == ["TCP"]


def test_the_two_forms_of_a_pod_address_say_the_same() -> None:
    one = fill_in(
        msgspec.convert({"metadata": {"name": "p"}, "status": {"podIP": "10.0.0.1"}}, Pod)
    )
    assert isinstance(one, Pod)
    assert one.status.pod_ips == (PodIP("10.0.0.1"),)
    two = fill_in(
        msgspec.convert({"metadata": {"name": "p"}, "status": {"podIPs": [{"ip": "::1"}]}}, Pod)
    )
    assert isinstance(two, Pod)
    assert two.status.pod_ip == "::1"


def test_kinds_without_defaults_stay_as_they_are() -> None:
    node = msgspec.convert({"metadata": {"name": "n"}}, Node)
    assert fill_in(node) is node
