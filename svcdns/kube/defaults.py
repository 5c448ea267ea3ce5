"""What the API server fills in when an object is created, for objects that never saw one.

Parity: kubernetes ``pkg/apis/core/v1/defaults.go`` and
``pkg/registry/core/service/storage/storage.go`` (clusterIP and clusterIPs).
"""

from ipaddress import ip_address

from msgspec.structs import replace

from svcdns.kube.mirroring import Endpoints
from svcdns.kube.objects import (
    ClientIPConfig,
    EndpointPort,
    EndpointSlice,
    KubeObject,
    Pod,
    PodIP,
    Service,
    ServicePort,
    SessionAffinityConfig,
)

AFFINITY_SECONDS = 10800
"""Timeout of ClientIP affinity (three hours)."""

EXPOSED = ("NodePort", "LoadBalancer")
"""Types that external traffic reaches."""


def fill_in(found: KubeObject | Endpoints) -> KubeObject | Endpoints:
    """Return *found* with the fields that the API server would have set."""
    match found:
        case Service():
            return service(found)
        case Pod():
            return _pod(found)
        case EndpointSlice():
            ports = tuple(_slice_port(port) for port in found.ports or ())
            return replace(found, ports=ports, endpoints=found.endpoints or ())
        case Endpoints():
            subsets = tuple(
                replace(subset, ports=tuple(_slice_port(port) for port in subset.ports or ()))
                for subset in found.subsets or ()
            )
            return replace(found, subsets=subsets)
        case _:
            return found


def service(found: Service) -> Service:
    """Fill a Service in; addresses are another matter (:mod:`svcdns.kube.addresses`)."""
    spec = found.spec
    if spec.type == "ExternalName":
        return found
    addresses = spec.cluster_ips or ((spec.cluster_ip,) if spec.cluster_ip else None)
    families = spec.ip_families
    if not families and addresses and not found.headless:
        families = tuple(f"IPv{ip_address(address).version}" for address in addresses)
    affinity = spec.session_affinity_config
    if spec.session_affinity == "ClientIP" and not (affinity and affinity.client_ip):
        affinity = SessionAffinityConfig(ClientIPConfig(AFFINITY_SECONDS))
    exposed = spec.type in EXPOSED
    return replace(
        found,
        spec=replace(
            spec,
            cluster_ip=addresses[0] if addresses else None,
            cluster_ips=addresses,
            ip_families=families,
            ports=tuple(_service_port(port) for port in spec.ports or ()),
            session_affinity=spec.session_affinity or "None",
            session_affinity_config=affinity,
            internal_traffic_policy=spec.internal_traffic_policy or "Cluster",
            external_traffic_policy=spec.external_traffic_policy
            or ("Cluster" if exposed else None),
        ),
    )


def _service_port(port: ServicePort) -> ServicePort:
    return replace(port, target_port=port.target_port or port.port, name=port.name or "")


def _slice_port(port: EndpointPort) -> EndpointPort:
    return replace(port, name=port.name or "", protocol=port.protocol or "TCP")


def _pod(pod: Pod) -> Pod:
    status = pod.status
    if status.pod_ips and not status.pod_ip:
        status = replace(status, pod_ip=status.pod_ips[0].ip)
    elif status.pod_ip and not status.pod_ips:
        status = replace(status, pod_ips=(PodIP(status.pod_ip),))
    return replace(pod, status=status)
