"""EndpointSlices from Services and Pods, as the EndpointSlice controller makes them.

:func:`compute` makes the slices of one Service.  :class:`SliceController` keeps the slices of a
store up to date: a changed Pod recomputes the Services that select it, or did before, and no
others.

A Pod is a target when it has an address and has not ended (Succeeded, Failed).  It is ready by its
Ready condition.  Manifests differ from a cluster here, because no kubelet reports: a Pod without a
Ready condition counts as ready unless its phase is Pending or Unknown; and a Pod whose Node is not
declared is a target all the same.  A Service that selects nothing has no slice, where the
controller leaves an empty placeholder; no answer depends on it.

KEP: 0752 (EndpointSlice), 1672 (terminating endpoints).
Parity: kubernetes ``pkg/controller/endpointslice``, ``staging/src/k8s.io/endpointslice``.
"""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from ipaddress import ip_address
from typing import TypeAlias

from msgspec import Struct

from svcdns.kube.metadata import Metadata, ObjectKey
from svcdns.kube.mirroring import MANAGED_BY_LABEL, Endpoints, mirror
from svcdns.kube.nodes import Node
from svcdns.kube.objects import (
    SERVICE_NAME_LABEL,
    Conditions,
    Container,
    Endpoint,
    EndpointPort,
    EndpointSlice,
    Kind,
    Pod,
    Service,
    ServicePort,
    TargetRef,
)
from svcdns.kube.store import Delta, Store

MANAGED_BY = "endpointslice-controller.k8s.io"
HEADLESS_LABEL = "service.kubernetes.io/headless"
ZONE_LABEL = "topology.kubernetes.io/zone"

MAX_ENDPOINTS = 100
"""Endpoints of one slice: the controller's ``--max-endpoints-per-slice`` default."""

ENDED = ("Succeeded", "Failed")
"""Phases of Pods that run no more."""

IPV4, IPV6 = "IPv4", "IPv6"


def selects(service: Service, pod: Pod) -> bool:
    """Tell whether a Service's selector matches a Pod; an absent or empty one matches none."""
    selector = service.spec.selector
    if not selector or service.spec.type == "ExternalName" or service.key[0] != pod.key[0]:
        return False
    labels = pod.metadata.labels or {}
    return all(labels.get(name) == value for name, value in selector.items())


def is_ready(pod: Pod) -> bool:
    """Tell whether a Pod's Ready condition holds; see the module for Pods without one."""
    for condition in pod.status.conditions or ():
        if condition.type == "Ready":
            return condition.status == "True"
    return pod.status.phase in (None, "Running")


def is_target(pod: Pod) -> bool:
    """Tell whether a Pod may be an endpoint at all (``ShouldPodBeInEndpoints``)."""
    return pod.status.phase not in ENDED and bool(pod.status.pod_ip or pod.status.pod_ips)


def compute(
    service: Service, pods: Iterable[Pod], zones: Mapping[str, str]
) -> tuple[EndpointSlice, ...]:
    """Make the slices of one Service: one for each address family, set of ports and 100 endpoints.

    Args:
        service: With a selector.
        pods: Those that it selects.
        zones: Zone by name of Node, for Nodes that have one.
    """
    groups: dict[tuple[str, tuple[EndpointPort, ...]], list[Endpoint]] = {}
    families = _families(service)
    for pod in sorted(pods, key=lambda pod: pod.key):
        if not is_target(pod):
            continue
        ports = tuple(_ports(service, pod))
        for family in families:
            addresses = tuple(_addresses(pod, family))
            if addresses:
                endpoint = _endpoint(service, pod, addresses, zones)
                groups.setdefault((family, ports), []).append(endpoint)
    found = []
    for (family, ports), members in groups.items():
        for start in range(0, len(members), MAX_ENDPOINTS):
            some = tuple(members[start : start + MAX_ENDPOINTS])
            metadata = _metadata(service, family, ports, start // MAX_ENDPOINTS)
            found.append(EndpointSlice(metadata, family, some, ports))
    return tuple(found)


def _families(service: Service) -> tuple[str, ...]:
    """Families to publish (``getAddressTypesForService``).

    Where nothing says which, a headless Service publishes both, for Pods that have both; the API
    server would choose the cluster's first family, and there is no cluster.
    """
    spec = service.spec
    if spec.ip_families:
        return spec.ip_families
    if service.addresses:
        return tuple(dict.fromkeys(f"IPv{ip_address(one).version}" for one in service.addresses))
    return (IPV4,) if spec.ip_family_policy == "SingleStack" else (IPV4, IPV6)


def _addresses(pod: Pod, family: str) -> Iterator[str]:
    """Iterate over a Pod's addresses of one family; the controller takes every one of them."""
    for one in pod.status.pod_ips or ():
        if one.ip and f"IPv{ip_address(one.ip).version}" == family:
            yield one.ip


def _ports(service: Service, pod: Pod) -> Iterator[EndpointPort]:
    """Resolve the Service's ports for one Pod; a name that the Pod lacks is left out."""
    for port in service.ports:
        number = _target(port, pod)
        if number is not None:
            yield EndpointPort(port.name or "", port.protocol, number, port.app_protocol)


def _target(port: ServicePort, pod: Pod) -> int | None:
    """Find the number behind ``targetPort`` (``FindPort``): sidecars count, init containers not."""
    wanted = port.target_port or port.port
    if isinstance(wanted, int):
        return wanted
    sidecars = (one for one in pod.spec.init_containers or () if one.restart_policy == "Always")
    containers: tuple[Container, ...] = (*(pod.spec.containers or ()), *sidecars)
    for container in containers:
        for declared in container.ports or ():
            if declared.name == wanted and declared.protocol == port.protocol:
                return declared.container_port
    return None


def _endpoint(
    service: Service, pod: Pod, addresses: tuple[str, ...], zones: Mapping[str, str]
) -> Endpoint:
    serving = is_ready(pod)
    terminating = pod.metadata.deletion_timestamp is not None
    ready = service.spec.publish_not_ready_addresses or (serving and not terminating)
    spec, node = pod.spec, pod.spec.node_name or None
    named = spec.hostname and spec.subdomain == service.metadata.name  # ShouldSetHostname
    return Endpoint(
        addresses,
        Conditions(ready, serving, terminating),
        spec.hostname if named else None,
        node,
        zones.get(node) if node else None,
        TargetRef("Pod", pod.metadata.namespace, pod.metadata.name),
    )


def _metadata(
    service: Service, family: str, ports: tuple[EndpointPort, ...], number: int
) -> Metadata:
    """Name and label a slice; the controller's random suffix is a hash of what the slice is for."""
    identity = f"{family}|{number}|{'|'.join(repr(port) for port in ports)}"
    suffix = blake2b(identity.encode(), digest_size=5).hexdigest()
    labels = dict(service.metadata.labels or {})
    labels[SERVICE_NAME_LABEL] = service.metadata.name
    labels[MANAGED_BY_LABEL] = MANAGED_BY
    if service.headless:
        labels[HEADLESS_LABEL] = ""
    name = f"{service.metadata.name}-{suffix}"
    return Metadata(name, service.metadata.namespace, labels=labels)


class Declared(Struct, frozen=True):
    """Slices and Endpoints that manifests hold for one Service."""

    owned: tuple[EndpointSlice, ...] = ()
    "Exported from a cluster: a controller made them (``managed-by`` says which)."
    endpoints: Endpoints | None = None


NOTHING = Declared()

_Label: TypeAlias = tuple[str, str, str]
"""Namespace, name and value."""


def _labels(namespace: str, labels: Mapping[str, str] | None) -> list[_Label]:
    return [(namespace, name, value) for name, value in (labels or {}).items()]


def _enter(
    index: dict[_Label, set[ObjectKey]], label: _Label, key: ObjectKey, *, present: bool
) -> None:
    """Add a key to an index or take it out; no label keeps an empty set."""
    if present:
        index.setdefault(label, set()).add(key)
        return
    keys = index.get(label, set())
    keys.discard(key)
    if not keys:
        index.pop(label, None)


class SliceController:
    """Keeps the slices of a store in step with its Services, Pods and Nodes.

    It subscribes to the store; call :meth:`reconcile` after a batch of changes.  Slices that
    manifests export from a cluster are used only while there is nothing to make them from, none of
    a Service's Pods and no Endpoints: otherwise a controller would write them anew.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._dirty: set[ObjectKey] = set()
        self._services: dict[_Label, set[ObjectKey]] = {}
        "Services by one label of their selector, the first by name."
        self._pods: dict[_Label, set[ObjectKey]] = {}
        "Pods by each of their labels."
        self._zones: dict[str, str] = {}
        self._made: dict[ObjectKey, set[ObjectKey]] = {}
        "Names of our slices, by Service."
        self._declared: dict[ObjectKey, Declared] = {}
        store.subscribe(self._note)

    def declare(self, declared: Mapping[ObjectKey, Declared]) -> None:
        """Take note of what manifests hold for Services, all of it."""
        for key in declared.keys() | self._declared.keys():
            if declared.get(key) != self._declared.get(key):
                self._dirty.add(key)
        self._declared = dict(declared)

    @property
    def made(self) -> set[ObjectKey]:
        """Keys of all slices that are ours."""
        return {key for keys in self._made.values() for key in keys}

    def reconcile(self) -> tuple[ObjectKey, ...]:
        """Write the slices of all Services that changes have touched; the Services recomputed."""
        touched = tuple(sorted(self._dirty))
        self._dirty.clear()
        before = {name for key in touched for name in self._made.pop(key, ())}
        wanted: dict[ObjectKey, EndpointSlice] = {}
        for key in touched:
            slices = {one.key: one for one in self._slices(key)}
            wanted |= slices
            if slices:
                self._made[key] = set(slices)
        # deletions after all were computed: an exported slice may have changed its Service
        for name in sorted(before - wanted.keys()):
            self._store.delete(Kind.ENDPOINT_SLICE, name)
        for one in wanted.values():
            self._store.apply(one)
        return touched

    def _slices(self, key: ObjectKey) -> tuple[EndpointSlice, ...]:
        service = self._store.services.get(key)
        declared = self._declared.get(key, NOTHING)
        if service is None:
            return declared.owned
        if not service.spec.selector:
            return mirror(declared.endpoints) if declared.endpoints else declared.owned
        selected = list(self._selected(service))
        return compute(service, selected, self._zones) if selected else declared.owned

    def _selected(self, service: Service) -> Iterator[Pod]:
        """Iterate over the Pods of a Service, looking only at those with its rarest label."""
        labels = _labels(service.key[0], service.spec.selector)
        candidates = min((self._pods.get(label, set()) for label in labels), key=len)
        for key in candidates:
            pod = self._store.pods[key]
            if selects(service, pod):
                yield pod

    def _note(self, delta: Delta) -> None:
        match delta.kind:
            case Kind.SERVICE:
                self._note_service(delta)
            case Kind.POD:
                self._note_pod(delta)
            case Kind.NODE:
                self._note_node(delta)
            case _:
                pass

    def _note_service(self, delta: Delta) -> None:
        self._dirty.add(delta.key)
        for service in (delta.old, delta.new):
            if isinstance(service, Service) and service.spec.selector:
                label = min(_labels(delta.key[0], service.spec.selector))
                _enter(self._services, label, delta.key, present=service is delta.new)

    def _note_pod(self, delta: Delta) -> None:
        for pod in (delta.old, delta.new):
            if not isinstance(pod, Pod):
                continue
            for label in _labels(delta.key[0], pod.metadata.labels):
                _enter(self._pods, label, delta.key, present=pod is delta.new)
                for key in self._services.get(label, ()):
                    if selects(self._store.services[key], pod):
                        self._dirty.add(key)

    def _note_node(self, delta: Delta) -> None:
        """Recompute the Services with a Pod on a Node whose zone has changed."""
        name = delta.key[1]
        labels = delta.new.metadata.labels if isinstance(delta.new, Node) else None
        zone = (labels or {}).get(ZONE_LABEL, "")
        if zone == self._zones.get(name, ""):
            return
        self._zones.pop(name, None)
        if zone:
            self._zones[name] = zone
        for pod in self._store.pods.values():
            if pod.spec.node_name == name:
                self._note_pod(Delta(Kind.POD, pod.key, pod, pod))
