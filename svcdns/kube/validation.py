"""What the API server would refuse, as far as answers and forwarding depend on it.

Types are checked when an object is decoded; here are values: names, addresses, port numbers.

Parity: kubernetes ``pkg/apis/core/validation`` and ``pkg/apis/discovery/validation``.
Spec: RFC 1035 §2.3.1 and RFC 1123 §2.1 (labels).
"""

import re
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import TypeAlias

from svcdns.kube.mirroring import Endpoints
from svcdns.kube.objects import (
    HEADLESS,
    EndpointPort,
    EndpointSlice,
    KubeObject,
    Namespace,
    Pod,
    Service,
    ServicePort,
)

Fault: TypeAlias = tuple[str, str]
"""A field path (``spec.ports[0].port``) and what is wrong with it."""

PROTOCOLS = ("TCP", "UDP", "SCTP")
SERVICE_TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
MAX_AFFINITY_SECONDS = 86400
"""One day, the API's limit."""

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SERVICE_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_HINT = "must be lower-case letters, digits and '-', at most 63 (RFC 1123 label)"


def faults(found: KubeObject | Endpoints) -> Iterator[Fault]:
    """Iterate over what is wrong with an object; nothing when the API server would take it."""
    meta = found.metadata
    if meta.namespace and not _LABEL.fullmatch(meta.namespace):
        yield "metadata.namespace", f"{meta.namespace!r} {_LABEL_HINT}"
    match found:
        case Service():
            if not _SERVICE_LABEL.fullmatch(meta.name):
                hint = "must be a DNS label that starts with a letter (RFC 1035 label)"
                yield "metadata.name", f"{meta.name!r} {hint}"
            yield from _service(found)
        case Namespace():
            if not _LABEL.fullmatch(meta.name):
                yield "metadata.name", f"{meta.name!r} {_LABEL_HINT}"
        case _:
            if len(meta.name) > 253 or not _SUBDOMAIN.fullmatch(meta.name):
                yield "metadata.name", f"{meta.name!r} is not a DNS name in lower case"
    match found:
        case Pod():
            yield from _pod(found)
        case EndpointSlice():
            yield from _slice(found)
        case Endpoints():
            yield from _endpoints(found)


def _service(service: Service) -> Iterator[Fault]:
    spec = service.spec
    yield from _one_of("spec.type", spec.type, SERVICE_TYPES)
    if spec.type == "ExternalName" and not spec.external_name:
        yield "spec.externalName", "is required for type ExternalName"
    for field, values in (
        ("clusterIPs", (*(spec.cluster_ips or ()), *filter(None, [spec.cluster_ip]))),
        ("externalIPs", spec.external_ips or ()),
    ):
        for value in values:
            if value != HEADLESS or field == "externalIPs":
                yield from _address(f"spec.{field}", value)
    if spec.cluster_ip and spec.cluster_ips and spec.cluster_ips[0] != spec.cluster_ip:
        yield "spec.clusterIPs[0]", f"must be equal to clusterIP ({spec.cluster_ip})"
    yield from _policies(service)
    ports = service.ports
    if not ports and not service.headless and spec.type != "ExternalName":
        yield "spec.ports", "is required: only headless Services go without ports"
    for number, port in enumerate(ports):
        yield from _service_port(f"spec.ports[{number}]", port, named=len(ports) > 1)
    yield from _twice("spec.ports", "name", (port.name or "" for port in ports))
    yield from _twice("spec.ports", "port", (f"{port.port}/{port.protocol}" for port in ports))


def _policies(service: Service) -> Iterator[Fault]:
    spec = service.spec
    policies = ("Cluster", "Local")
    for field, value, allowed in (
        ("sessionAffinity", spec.session_affinity, ("None", "ClientIP")),
        ("internalTrafficPolicy", spec.internal_traffic_policy, policies),
        ("externalTrafficPolicy", spec.external_traffic_policy, policies),
    ):
        if value:
            yield from _one_of(f"spec.{field}", value, allowed)
    for family in spec.ip_families or ():
        yield from _one_of("spec.ipFamilies", family, ("IPv4", "IPv6"))
    config = spec.session_affinity_config
    seconds = config.client_ip.timeout_seconds if config and config.client_ip else None
    if seconds is not None and not 0 < seconds <= MAX_AFFINITY_SECONDS:
        path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
        yield path, f"must be 1 to {MAX_AFFINITY_SECONDS}, not {seconds}"


def _service_port(path: str, port: ServicePort, *, named: bool) -> Iterator[Fault]:
    yield from _port(f"{path}.port", port.port)
    yield from _one_of(f"{path}.protocol", port.protocol, PROTOCOLS)
    if port.node_port:
        yield from _port(f"{path}.nodePort", port.node_port)
    if isinstance(port.target_port, int) and port.target_port:
        yield from _port(f"{path}.targetPort", port.target_port)
    elif isinstance(port.target_port, str) and port.target_port.isdigit():
        yield f"{path}.targetPort", f"'{port.target_port}' is a name here: write it unquoted"
    if named and not port.name:
        yield f"{path}.name", "is required where a Service has several ports"
    elif port.name and not _LABEL.fullmatch(port.name):
        yield f"{path}.name", f"{port.name!r} {_LABEL_HINT}"


def _pod(pod: Pod) -> Iterator[Fault]:
    spec, status = pod.spec, pod.status
    for field, label in (("hostname", spec.hostname), ("subdomain", spec.subdomain)):
        if label and not _LABEL.fullmatch(label):
            yield f"spec.{field}", f"{label!r} {_LABEL_HINT}"
    if status.pod_ip:
        yield from _address("status.podIP", status.pod_ip)
    for number, one in enumerate(status.pod_ips or ()):
        yield from _address(f"status.podIPs[{number}].ip", one.ip)
    for at, container in enumerate(spec.containers or ()):
        for number, port in enumerate(container.ports or ()):
            path = f"spec.containers[{at}].ports[{number}]"
            yield from _port(f"{path}.containerPort", port.container_port)
            yield from _one_of(f"{path}.protocol", port.protocol, PROTOCOLS)


def _slice(found: EndpointSlice) -> Iterator[Fault]:
    yield from _one_of("addressType", found.address_type, ("IPv4", "IPv6", "FQDN"))
    for number, endpoint in enumerate(found.endpoints or ()):
        path = f"endpoints[{number}]"
        if not endpoint.addresses:
            yield f"{path}.addresses", "is required"
        if found.address_type in ("IPv4", "IPv6"):
            for at, text in enumerate(endpoint.addresses or ()):
                yield from _address(f"{path}.addresses[{at}]", text, found.address_type)
        if endpoint.hostname and not _LABEL.fullmatch(endpoint.hostname):
            yield f"{path}.hostname", f"{endpoint.hostname!r} {_LABEL_HINT}"
    yield from _slice_ports("ports", found.ports)


def _endpoints(found: Endpoints) -> Iterator[Fault]:
    for number, subset in enumerate(found.subsets or ()):
        path = f"subsets[{number}]"
        for address in (*(subset.addresses or ()), *(subset.not_ready_addresses or ())):
            yield from _address(f"{path}.addresses", address.ip)
        yield from _slice_ports(f"{path}.ports", subset.ports)


def _slice_ports(path: str, ports: tuple[EndpointPort, ...] | None) -> Iterator[Fault]:
    for number, port in enumerate(ports or ()):
        if port.port is not None:
            yield from _port(f"{path}[{number}].port", port.port)
        yield from _one_of(f"{path}[{number}].protocol", port.protocol or "TCP", PROTOCOLS)
    yield from _twice(path, "name", (port.name or "" for port in ports or ()))


def _port(path: str, number: int) -> Iterator[Fault]:
    if not 0 < number < 65536:
        yield path, f"must be 1 to 65535, not {number}"


def _address(path: str, text: str, family: str = "") -> Iterator[Fault]:
    try:
        found = ip_address(text)
    except ValueError:
        yield path, f"{text!r} is not an IP address"
        return
    if family and family != f"IPv{found.version}":
        yield path, f"{text} is not an {family} address"


def _one_of(path: str, value: str, allowed: tuple[str, ...]) -> Iterator[Fault]:
    if value not in allowed:
        yield path, f"must be {' or '.join(allowed)}, not {value!r}"


def _twice(path: str, field: str, values: Iterable[str]) -> Iterator[Fault]:
    seen: set[str] = set()
    for number, value in enumerate(values):
        if value in seen:
            yield f"{path}[{number}].{field}", f"{value!r} is taken by a port before it"
        seen.add(value)
