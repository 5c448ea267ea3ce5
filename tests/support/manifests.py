"""Manifests written by tests, and an inventory that is fed with them."""

from typing import Any

import yaml

from svcdns.kube.inventory import Inventory, Settled
from svcdns.kube.manifests import parse
from svcdns.kube.store import Store


def write(*objects: dict[str, Any]) -> bytes:
    return yaml.safe_dump_all(objects, sort_keys=False).encode()


def service(name: str, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    spec = {"ports": [{"port": 80}], "selector": {"app": name}} | spec
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
    }


def pod(name: str, app: str, **more: Any) -> dict[str, Any]:
    labels = {"app": app} | more.pop("labels", {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        **more,
    }


class Directory:
    """An inventory with its store, fed file by file."""

    def __init__(self) -> None:
        self.store = Store()
        self.inventory = Inventory(self.store, reserved=("127.0.0.1",))

    def put(self, file: str, *objects: dict[str, Any]) -> Settled:
        self.inventory.put(parse(write(*objects), file))
        return self.inventory.settle()

    def drop(self, file: str) -> Settled:
        self.inventory.drop(file)
        return self.inventory.settle()

    def address(self, name: str) -> str:
        return self.store.services["default", name].addresses[0]

    def endpoints(self, name: str) -> set[str]:
        return {
            address
            for one in self.store.slices_of(("default", name))
            for endpoint in one.endpoints or ()
            for address in endpoint.addresses or ()
        }
