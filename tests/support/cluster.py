"""Kubernetes objects in few words, and a store filled with them."""

from collections.abc import Iterable
from typing import Any

import msgspec

from svcdns.kube.objects import (
    EndpointSlice,
    Kind,
    KubeObject,
    Namespace,
    Pod,
    Service,
    ServiceStatus,
)
from svcdns.kube.store import Store


def namespace(name: str) -> Namespace:
    return msgspec.convert({"metadata": {"name": name}}, Namespace)


def service(
    key: str,
    *addresses: str,
    ports: Iterable[str] = (),
    external_name: str = "",
    **spec: Any,
) -> Service:
    """Make a Service of ``ns/name``; *ports* are ``name:protocol:number``, headless is ``None``."""
    space, name = key.split("/")
    body = {
        "type": "ExternalName" if external_name else "ClusterIP",
        "externalName": external_name or None,
        "clusterIP": addresses[0] if addresses else None,
        "clusterIPs": list(addresses),
        "ports": [port_of(text) for text in ports],
        **spec,
    }
    return msgspec.convert({"metadata": {"name": name, "namespace": space}, "spec": body}, Service)


def port_of(text: str) -> dict[str, object]:
    name, protocol, number = text.split(":")
    return {"name": name or None, "protocol": protocol, "port": int(number) if number else None}


def endpoint_slice(
    key: str,
    *endpoints: dict[str, object] | str,
    of: str | None = None,
    ports: Iterable[str] = (),
    labels: dict[str, str] | None = None,
    family: str = "IPv4",
) -> EndpointSlice:
    """Make a slice ``ns/name`` of the Service *of*; an endpoint is its address or its fields."""
    space, name = key.split("/")
    of = name if of is None else of
    found = [{"addresses": [e]} if isinstance(e, str) else e for e in endpoints]
    body = {
        "metadata": {
            "name": name,
            "namespace": space,
            "labels": {**({"kubernetes.io/service-name": of} if of else {}), **(labels or {})},
        },
        "addressType": family,
        "endpoints": found,
        "ports": [port_of(text) for text in ports],
    }
    return msgspec.convert(body, EndpointSlice)


def endpoint(address: str, *, ready: bool | None = None, **fields: Any) -> dict[str, object]:
    """Make one endpoint: ``endpoint("10.0.0.1", ready=False, hostname="a")``."""
    conditions = {} if ready is None else {"conditions": {"ready": ready}}
    return {"addresses": [address], **conditions, **fields}


def pod(key: str, address: str, **status: object) -> Pod:
    space, name = key.split("/")
    body = {
        "metadata": {"name": name, "namespace": space},
        "status": {"podIP": address, "podIPs": [{"ip": address}], "phase": "Running", **status},
    }
    return msgspec.convert(body, Pod)


def store_of(*objects: KubeObject, synced: bool = True) -> Store:
    store = Store()
    for thing in objects:
        store.apply(thing)
    store.wanted = set(Kind)
    if synced:
        store.listed = set(Kind)
    return store


def balanced(key: str, *ingress: dict[str, str], **spec: Any) -> Service:
    found = service(key, "10.96.0.9", ports=("http:TCP:80",), **spec)
    status = msgspec.convert({"loadBalancer": {"ingress": list(ingress)}}, ServiceStatus)
    return msgspec.structs.replace(found, status=status)
