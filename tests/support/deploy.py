"""The manifests in deploy/, as objects."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
BASES = ("dns", "proxy", "sidecar", "node-local")

Object = dict[str, Any]


def read(path: Path) -> list[Object]:
    """Give the objects of one file."""
    return [one for one in yaml.safe_load_all(path.read_text()) if one]


def parse(text: str) -> list[Object]:
    """Give the objects of a rendered chart."""
    return [one for one in yaml.safe_load_all(text) if one]


def resources(directory: Path) -> list[Object]:
    """Give the objects that a kustomization without patches names."""
    [kustomization] = read(directory / "kustomization.yaml")
    return [
        one for name in kustomization["resources"] for one in read(directory / name)
    ]  # fmt: skip


def of_kind(objects: Iterable[Object], kind: str) -> Iterator[Object]:
    return (one for one in objects if one["kind"] == kind)


def one_of(objects: Iterable[Object], kind: str, name: str = "") -> Object:
    [found] = [one for one in of_kind(objects, kind) if name in ("", one["metadata"]["name"])]
    return found


def identity(one: Object) -> tuple[str, str, str]:
    metadata = one["metadata"]
    return one["kind"], metadata.get("namespace", ""), metadata["name"]


def by_identity(objects: Iterable[Object]) -> dict[tuple[str, str, str], Object]:
    return {identity(one): one for one in objects}


def pod_templates(objects: Iterable[Object]) -> Iterator[Object]:
    """Give the Pod templates of Deployments and DaemonSets."""
    return (one["spec"]["template"] for one in objects if "template" in one.get("spec", {}))


def containers(template: Object) -> Iterator[Object]:
    spec = template["spec"]
    yield from spec.get("initContainers", ())
    yield from spec["containers"]


def rights(role: Object) -> set[tuple[str, str, str]]:
    """Give group, resource and verb of every right that a role gives."""
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
