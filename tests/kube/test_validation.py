"""What the API server would refuse."""

from typing import Any

import msgspec
import pytest

from svcdns.kube.mirroring import Endpoints
from svcdns.kube.objects import EndpointSlice, Namespace, Pod, Service
from svcdns.kube.validation import faults

PORT = {"port": 80}
ONE = {"spec": {"ports": [PORT]}}


def service(spec: dict[str, Any], name: str = "web") -> Service:
    return msgspec.convert({"metadata": {"name": name}, "spec": spec}, Service)


@pytest.mark.parametrize(
    ("spec", "path", "message"),
    [
        ({"type": "Magic", "ports": [PORT]}, "spec.type", "must be ClusterIP or NodePort"),
        ({"type": "ExternalName"}, "spec.externalName", "is required"),
        ({"clusterIP": "10.0.0", "ports": [PORT]}, "spec.clusterIPs", "not an IP address"),
        ({"clusterIPs": ["x"], "ports": [PORT]}, "spec.clusterIPs", "not an IP address"),
        ({"externalIPs": ["None"], "ports": [PORT]}, "spec.externalIPs", "not an IP address"),
        (
            {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.2"], "ports": [PORT]},
            "spec.clusterIPs[0]",
            "must be equal to clusterIP",
        ),
        ({}, "spec.ports", "is required"),
        ({"ports": [{"port": 0}]}, "spec.ports[0].port", "1 to 65535, not 0"),
        ({"ports": [{"port": 65536}]}, "spec.ports[0].port", "1 to 65535, not 65536"),
        ({"ports": [{"port": 80, "protocol": "tcp"}]}, "spec.ports[0].protocol", "not 'tcp'"),
        ({"ports": [{"port": 80, "nodePort": -1}]}, "spec.ports[0].nodePort", "1 to 65535"),
        ({"ports": [{"port": 80, "targetPort": 70000}]}, "spec.ports[0].targetPort", "1 to 65535"),
        ({"ports": [{"port": 80, "targetPort": "8080"}]}, "spec.ports[0].targetPort", "unquoted"),
        ({"ports": [{"port": 80, "name": "HTTP"}]}, "spec.ports[0].name", "lower-case"),
        (
            {"ports": [{"port": 80, "name": "a"}, {"port": 81}]},
            "spec.ports[1].name",
            "several ports",
        ),
        (
            {"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]},
            "spec.ports[1].name",
            "is taken",
        ),
        (
            {"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]},
            "spec.ports[1].port",
            "'80/TCP' is taken",
        ),
        ({"ports": [PORT], "sessionAffinity": "Yes"}, "spec.sessionAffinity", "None or ClientIP"),
        ({"ports": [PORT], "internalTrafficPolicy": "X"}, "spec.internalTrafficPolicy", "Local"),
        ({"ports": [PORT], "ipFamilies": ["IPv5"]}, "spec.ipFamilies", "IPv4 or IPv6"),
        (
            {
                "ports": [PORT],
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86401}},
            },
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
            "1 to 86400, not 86401",
        ),
    ],
)
def test_a_service_that_the_api_would_refuse(spec: dict[str, Any], path: str, message: str) -> None:
    found = list(faults(service(spec)))

    assert [path for path, _ in found] == [path]
    assert message in found[0][1]


@pytest.mark.parametrize(
    "spec",
    [
        {"ports": [PORT]},
        {"clusterIP": "None"},
        {"type": "ExternalName", "externalName": "example.org"},
        {"ports": [{"port": 53, "name": "a"}, {"port": 53, "protocol": "UDP", "name": "b"}]},
        {"ports": [{"port": 80, "targetPort": "http"}], "clusterIP": "", "type": "LoadBalancer"},
        {"ports": [PORT], "clusterIPs": ["10.0.0.1", "fd00::1"], "clusterIP": "10.0.0.1"},
    ],
)
def test_a_service_that_the_api_would_take(spec: dict[str, Any]) -> None:
    assert list(faults(service(spec))) == []


@pytest.mark.parametrize("name", ["1web", "Web", "we_b", "-web", "web-", "w.b", "w" * 64])
def test_a_service_name_is_a_label_that_starts_with_a_letter(name: str) -> None:
    assert [path for path, _ in faults(service({"ports": [PORT]}, name))] == ["metadata.name"]


@pytest.mark.parametrize(
    ("kind", "value", "path"),
    [
        (Namespace, {"metadata": {"name": "a.b"}}, "metadata.name"),
        (Pod, {"metadata": {"name": "a_b"}}, "metadata.name"),
        (Pod, {"metadata": {"name": "a", "namespace": "A"}}, "metadata.namespace"),
        (Pod, {"metadata": {"name": "a"}, "spec": {"hostname": "a.b"}}, "spec.hostname"),
        (Pod, {"metadata": {"name": "a"}, "spec": {"subdomain": "-"}}, "spec.subdomain"),
        (Pod, {"metadata": {"name": "a"}, "status": {"podIP": "x"}}, "status.podIP"),
        (
            Pod,
            {"metadata": {"name": "a"}, "status": {"podIPs": [{"ip": "::g"}]}},
            "status.podIPs[0].ip",
        ),
        (
            Pod,
            {
                "metadata": {"name": "a"},
                "spec": {"containers": [{}, {"ports": [{"containerPort": 0}]}]},
            },
            "spec.containers[1].ports[0].containerPort",
        ),
        (EndpointSlice, {"metadata": {"name": "a"}, "addressType": "IP"}, "addressType"),
        (EndpointSlice, {"metadata": {"name": "a"}, "endpoints": [{}]}, "endpoints[0].addresses"),
        (
            EndpointSlice,
            {"metadata": {"name": "a"}, "endpoints": [{"addresses": ["::1"]}]},
            "endpoints[0].addresses[0]",
        ),
        (EndpointSlice, {"metadata": {"name": "a"}, "ports": [{"port": 0}]}, "ports[0].port"),
        (EndpointSlice, {"metadata": {"name": "a"}, "ports": [{}, {}]}, "ports[1].name"),
        (
            Endpoints,
            {"metadata": {"name": "a"}, "subsets": [{"notReadyAddresses": [{"ip": ""}]}]},
            "subsets[0].addresses",
        ),
        (
            Endpoints,
            {"metadata": {"name": "a"}, "subsets": [{"ports": [{"protocol": "X"}]}]},
            "subsets[0].ports[0].protocol",
        ),
    ],
)
def test_other_kinds_are_checked_where_answers_depend_on_them(
    kind: type[Any], value: dict[str, Any], path: str
) -> None:
    assert [path for path, _ in faults(msgspec.convert(value, kind))] == [path]
