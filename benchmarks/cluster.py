"""A generated cluster, as an API server gives it and as a zone file says the same.

Service ``svc-N`` is in namespace ``ns-(N mod 100)``; every tenth one is headless.  Each has two
named ports and one slice of endpoints.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any
from zlib import crc32

ZONE = "cluster.local."
NAMESPACES = 100
ENDPOINTS = 10
"""Of each Service."""

_SERVICES_FROM = int(IPv4Address("10.96.0.0"))
_PODS_FROM = int(IPv4Address("10.128.0.0"))
_NEWCOMERS_FROM = int(IPv4Address("10.192.0.0"))
_NODES = 500

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cluster:
    """As many Services as wanted, always the same ones."""

    services: int = 10_000

    def name(self, number: int) -> str:
        """Name a Service, with the final dot."""
        return f"svc-{number}.ns-{number % NAMESPACES}.svc.{ZONE}"

    @staticmethod
    def headless(number: int) -> bool:
        return number % 10 == 9

    @staticmethod
    def address(number: int) -> str:
        return str(IPv4Address(_SERVICES_FROM + number + 1))

    @staticmethod
    def endpoints(number: int) -> list[str]:
        first = _PODS_FROM + number * ENDPOINTS
        return [str(IPv4Address(first + at)) for at in range(1, ENDPOINTS + 1)]

    @staticmethod
    def newcomer(number: int) -> str:
        """Give the address of an endpoint that no Service has at first."""
        return str(IPv4Address(_NEWCOMERS_FROM + number))

    def lists(self) -> dict[str, bytes]:
        """Give the body of each collection's list, by kind."""
        return {
            kind: json.dumps(
                {"metadata": {"resourceVersion": "1000"}, "items": list(items)}
            ).encode()
            for kind, items in (
                ("Namespace", self._namespaces()),
                ("Service", map(self.service, range(self.services))),
                ("EndpointSlice", map(self.slice, range(self.services))),
            )
        }

    def zone(self) -> Iterator[str]:
        """Give the lines of a zone file with the same names."""
        yield f"$ORIGIN {ZONE}"
        yield "$TTL 30"
        yield "@ SOA ns.dns hostmaster 1 7200 1800 86400 30"
        yield "@ NS ns.dns"
        yield "ns.dns A 10.96.0.1"
        for number in range(self.services):
            name = self.name(number)
            for address in (
                self.endpoints(number) if self.headless(number) else [self.address(number)]
            ):
                yield f"{name} A {address}"
            if self.headless(number):
                for address in self.endpoints(number):
                    target = f"{address.replace('.', '-')}.{name}"
                    yield f"{target} A {address}"
                    yield f"_http._tcp.{name} SRV 0 10 8080 {target}"
            else:
                yield f"_http._tcp.{name} SRV 0 100 80 {name}"

    @staticmethod
    def _namespaces() -> Iterator[Object]:
        for number in range(NAMESPACES):
            yield {"metadata": _metadata(f"ns-{number}", None, {})}

    def service(self, number: int) -> Object:
        name, namespace = f"svc-{number}", f"ns-{number % NAMESPACES}"
        address = "None" if self.headless(number) else self.address(number)
        return {
            "metadata": _metadata(name, namespace, {"app": name, "tier": "backend"}),
            "spec": {
                "type": "ClusterIP",
                "clusterIP": address,
                "clusterIPs": [address],
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "internalTrafficPolicy": "Cluster",
                "sessionAffinity": "None",
                "selector": {"app": name},
                "ports": [
                    {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080},
                    {"name": "metrics", "port": 9100, "protocol": "TCP", "targetPort": "metrics"},
                ],
            },
            "status": {"loadBalancer": {}},
        }

    def slice(self, number: int) -> Object:
        name, namespace = f"svc-{number}", f"ns-{number % NAMESPACES}"
        labels = {
            "app": name,
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            "kubernetes.io/service-name": name,
            "tier": "backend",
        }
        return {
            "metadata": _metadata(f"{name}-{number:05x}", namespace, labels),
            "addressType": "IPv4",
            "endpoints": [
                _endpoint(
                    address, f"{name}-7d4b9c5f6d-{at:05x}", namespace, number * ENDPOINTS + at
                )
                for at, address in enumerate(self.endpoints(number))
            ],
            "ports": [
                {"name": "http", "port": 8080, "protocol": "TCP"},
                {"name": "metrics", "port": 9100, "protocol": "TCP"},
            ],
        }


@dataclass(frozen=True, slots=True)
class Balanced(Cluster):
    """The same, but every Service has a cluster IP."""

    @staticmethod
    def headless(number: int) -> bool:
        return False


def _metadata(name: str, namespace: str | None, labels: dict[str, str]) -> Object:
    """Make ObjectMeta with what real ones carry and nobody here reads."""
    found: Object = {
        "name": name,
        "uid": f"3f2b8c1e-0000-4000-8000-{crc32(name.encode()):012d}",
        "resourceVersion": "900",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": labels,
        "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z"},
        "managedFields": [
            {
                "manager": "kube-controller-manager",
                "operation": "Update",
                "apiVersion": "v1",
                "time": "2026-01-01T00:00:00Z",
                "fieldsType": "FieldsV1",
                "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:ports": {}},
            }
        ],
    }
    if namespace is not None:
        found["namespace"] = namespace
    return found


def _endpoint(address: str, pod: str, namespace: str, number: int) -> Object:
    return {
        "addresses": [address],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "nodeName": f"node-{number % _NODES}",
        "zone": f"zone-{number % 3}",
        "targetRef": {
            "kind": "Pod",
            "namespace": namespace,
            "name": pod,
            "uid": f"9a1b7c3d-0000-4000-8000-{number:012d}",
        },
    }
