"""deploy/chart renders to the objects of deploy/, and its values do what they say."""

from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.support.deploy import DEPLOY, by_identity, one_of, parse, read, resources
from tests.support.helm import lint, refused, render

PROXY = {"enabled": True, "apiServer": "https://10.0.0.1:6443"}


def _render(**values: Any) -> dict[tuple[str, str, str], dict[str, Any]]:
    return by_identity(parse(render(values)))


def test_by_default_the_chart_gives_the_objects_of_the_dns_base() -> None:
    base = by_identity(resources(DEPLOY / "dns"))
    # Roles that the base only offers; the chart gives them when asked.
    for name in ("svcdns:dns-pods", "svcdns:dns-multicluster"):
        del base["ClusterRole", "", name]

    assert _render() == base


def test_the_proxy_is_that_of_the_proxy_base() -> None:
    base = by_identity(resources(DEPLOY / "proxy"))
    config = base["ConfigMap", "kube-system", "svcdns-proxy"]["data"]
    config["kubeconfig.conf"] = config["kubeconfig.conf"].replace(
        "https://control-plane.example:6443", "https://10.0.0.1:6443"
    )

    assert _render(dns={"enabled": False}, proxy=PROXY) == base


def test_roles_for_options_come_bound() -> None:
    rendered = _render(dns={"readPods": True, "readServiceImports": True})

    offered = by_identity(resources(DEPLOY / "dns"))
    for name in ("svcdns:dns-pods", "svcdns:dns-multicluster"):
        assert rendered["ClusterRole", "", name] == offered["ClusterRole", "", name]
        binding = rendered["ClusterRoleBinding", "", name]
        assert binding["roleRef"]["name"] == name
        assert binding["subjects"][0]["name"] == "coredns"


def test_the_service_monitor_is_that_of_the_component() -> None:
    [monitor] = read(DEPLOY / "dns" / "monitoring" / "servicemonitor.yaml")
    rendered = _render(dns={"serviceMonitor": True})

    assert rendered["ServiceMonitor", "kube-system", "coredns"] == monitor


COREFILE = ".:5353 {\n    whoami\n}\n"


@pytest.mark.parametrize(
    ("values", "kind", "path", "expected"),
    [
        ({"replicas": 3}, "Deployment", "spec.replicas", 3),
        ({"image": "registry.example/svcdns:9"}, "Deployment", "spec.template.spec.containers.0.image", "registry.example/svcdns:9"),
        ({"resources": {"limits": {"memory": "1Gi"}}}, "Deployment", "spec.template.spec.containers.0.resources", {"limits": {"memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "70Mi"}}),
        ({"priorityClassName": "high"}, "Deployment", "spec.template.spec.priorityClassName", "high"),
        ({"clusterIP": "10.96.0.10"}, "Service", "spec.clusterIP", "10.96.0.10"),
        ({"corefile": COREFILE}, "ConfigMap", "data.Corefile", COREFILE),
    ],
)  # fmt: skip
def test_a_value_reaches_its_field(
    values: dict[str, Any], kind: str, path: str, expected: object
) -> None:
    found: Any = one_of(parse(render({"dns": values})), kind)
    for step in path.split("."):
        found = found[int(step) if step.isdigit() else step]

    assert found == expected


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("service", "Service"),
        ("podDisruptionBudget", "PodDisruptionBudget"),
        ("networkPolicy", "NetworkPolicy"),
    ],
)
def test_a_part_can_be_left_out(value: str, kind: str) -> None:
    left = _render(dns={value: False})

    assert set(_render()) - set(left) == {one for one in _render() if one[0] == kind}


def test_the_proxys_mode_is_a_value() -> None:
    config = _render(proxy={**PROXY, "mode": "userspace"})[
        "ConfigMap", "kube-system", "svcdns-proxy"
    ]

    assert yaml.safe_load(config["data"]["config.conf"])["mode"] == "userspace"


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"proxy": {"enabled": True}}, "say where the API server is"),
        ({"dns": {"replcas": 3}}, "replcas"),
        ({"dns": {"replicas": "three"}}, "replicas"),
        ({"proxy": {**PROXY, "mode": "ipvs"}}, "mode"),
        ({"nodeLocal": {}}, "nodeLocal"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(refused(), match=complaint):
        render(values)


def test_helm_finds_nothing_to_complain_of() -> None:
    assert lint() == []


def test_everything_goes_into_the_namespace_of_the_release() -> None:
    objects = parse(render({"proxy": PROXY, "dns": {"readPods": True}}, namespace="apart"))

    assert {one["metadata"].get("namespace", "apart") for one in objects} == {"apart"}
    subjects = [s for one in objects for s in one.get("subjects", ())]
    assert {subject["namespace"] for subject in subjects} == {"apart"}


def test_the_rendered_chart_is_valid() -> None:
    for one in parse(render({"proxy": PROXY, "dns": {"clusterIP": "10.96.0.10"}})):
        kubernetes_validate.validate(one, "1.34", strict=True)
