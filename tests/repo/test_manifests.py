"""The manifests in deploy/: valid, least, and in the place of the stock ones."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from svcdns.corefile.nodecache import fill
from svcdns.proxy import configfile
from svcdns.proxy.config import resolve
from tests.support.corefiles import problem
from tests.support.deploy import (
    BASES,
    DEPLOY,
    Object,
    by_identity,
    containers,
    of_kind,
    one_of,
    parse,
    pod_templates,
    read,
    resources,
    rights,
)

VERSIONS = ("1.30", "1.36")
"""Of Kubernetes: the oldest and the newest that the manifests are checked against."""

KUBECTL = shutil.which("kubectl")

FILES = sorted(
    path
    for path in DEPLOY.rglob("*.yaml")
    if "chart" not in path.parts and path.name not in ("kustomization.yaml", "cluster.yaml")
)


def _all() -> list[Object]:
    return [one for base in BASES for one in resources(DEPLOY / base)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(DEPLOY)))
def test_manifests_are_valid(file: Path, version: str) -> None:
    for one in read(file):
        if one["kind"] == "ServiceMonitor":  # a custom resource: no schema comes with Kubernetes
            continue
        kubernetes_validate.validate(one, version, strict=True)


def test_a_field_that_does_not_exist_would_be_found() -> None:
    deployment = one_of(resources(DEPLOY / "dns"), "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSIONS[-1], strict=True)


@pytest.mark.parametrize(
    "directory", [*BASES, "dns/monitoring"], ids=lambda name: name.replace("/", "-")
)
def test_kustomizations_name_every_file_beside_them(directory: str) -> None:
    place = DEPLOY / directory
    [kustomization] = read(place / "kustomization.yaml")

    beside = {path.name for path in place.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == beside


def _kubectl_minor() -> int:
    said = subprocess.run(
        [str(KUBECTL), "version", "--client", "--output", "json"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return int(yaml.safe_load(said.stdout)["clientVersion"]["minor"].rstrip("+"))


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")
@pytest.mark.parametrize("directory", [*BASES, "kind"])
def test_kustomize_builds(directory: str) -> None:
    if directory == "kind" and _kubectl_minor() < 21:
        pytest.skip("kubectl is older than 1.21: its kustomize takes no patches from files")
    done = subprocess.run(
        [str(KUBECTL), "kustomize", str(DEPLOY / directory)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    built = by_identity(parse(done.stdout))
    if directory != "kind":
        assert built == by_identity(resources(DEPLOY / directory))
    else:
        config = built["ConfigMap", "kube-system", "svcdns-proxy"]["data"]
        server = yaml.safe_load(config["kubeconfig.conf"])["clusters"][0]["cluster"]["server"]
        assert server == "https://svcdns-control-plane:6443"
        assert "config.conf" in config


def test_kinds_cluster_is_made_without_kube_proxy() -> None:
    [cluster] = read(DEPLOY / "kind" / "cluster.yaml")

    assert cluster["networking"]["kubeProxyMode"] == "none"


@pytest.mark.parametrize("base", BASES)
def test_selectors_match_the_pods_and_names_their_objects(base: str) -> None:
    objects = resources(DEPLOY / base)
    for one in objects:
        template = one.get("spec", {}).get("template")
        if template:
            assert one["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]
    accounts = {one["metadata"]["name"] for one in of_kind(objects, "ServiceAccount")}
    maps = {one["metadata"]["name"]: one["data"] for one in of_kind(objects, "ConfigMap")}
    roles = {one["metadata"]["name"] for one in of_kind(objects, "ClusterRole")}
    for template in pod_templates(objects):
        assert template["spec"]["serviceAccountName"] in accounts
        for volume in template["spec"].get("volumes", ()):
            config = volume.get("configMap", {})
            if config and not config.get("optional"):
                assert {item["key"] for item in config.get("items", ())} <= set(
                    maps[config["name"]]
                )
    for binding in of_kind(objects, "ClusterRoleBinding"):
        assert binding["roleRef"]["name"] in roles
        assert {subject["name"] for subject in binding["subjects"]} <= accounts


@pytest.mark.parametrize("base", ["dns", "sidecar"])
def test_corefiles_are_read(base: str) -> None:
    config = one_of(resources(DEPLOY / base), "ConfigMap")

    assert problem(config["data"]["Corefile"]) is None


def test_the_node_caches_corefile_is_read_when_it_is_filled_in() -> None:
    config = one_of(resources(DEPLOY / "node-local"), "ConfigMap")
    template = config["data"]["Corefile"]

    assert "__PILLAR__" in template
    filled = fill(template, ("169.254.20.10", "10.96.0.10"), cluster_dns="10.96.77.3")
    assert "__PILLAR__" not in filled
    assert problem(filled) is None


@pytest.mark.parametrize("base", ["proxy", "sidecar"])
def test_proxy_configurations_are_read_without_a_warning(base: str) -> None:
    config = one_of(resources(DEPLOY / base), "ConfigMap")["data"]["config.conf"]

    raw, warnings = configfile.read(config, "config.conf")
    options = resolve(raw, "config.conf")
    assert (warnings, options.warnings) == ((), ())


# Pod Security Standards, level "restricted", as far as fields are about it:
# https://kubernetes.io/docs/concepts/security/pod-security-standards/


def _unrestricted(template: Object) -> list[str]:
    """Say what of a Pod template the level "restricted" forbids."""
    spec = template["spec"]
    pod = spec.get("securityContext", {})
    found = [name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    found += [v["name"] for v in spec.get("volumes", ()) if not {"configMap", "emptyDir"} & set(v)]
    for one in containers(template):
        security = {**pod, **one.get("securityContext", {})}
        capabilities = security.get("capabilities", {})
        wrong = {
            "privileged": security.get("privileged", False),
            "allowPrivilegeEscalation": security.get("allowPrivilegeEscalation") is not False,
            "drop": capabilities.get("drop") != ["ALL"],
            "add": not set(capabilities.get("add", ())) <= {"NET_BIND_SERVICE"},
            "runAsNonRoot": security.get("runAsNonRoot") is not True,
            "runAsUser": security.get("runAsUser") == 0,
            "seccompProfile": security.get("seccompProfile", {}).get("type") != "RuntimeDefault",
        }
        found += [f"{one['name']}: {name}" for name, is_wrong in wrong.items() if is_wrong]
    return found


def test_the_dns_server_is_restricted() -> None:
    [template] = pod_templates(resources(DEPLOY / "dns"))

    assert _unrestricted(template) == []


def test_the_sidecar_is_restricted_but_for_the_container_that_sets_a_route() -> None:
    [template] = pod_templates(resources(DEPLOY / "sidecar"))

    assert _unrestricted(template) == ["route: add", "route: runAsNonRoot"]


@pytest.mark.parametrize("base", BASES)
def test_nobody_is_privileged_and_root_file_systems_are_read_only_where_nothing_is_written(
    base: str,
) -> None:
    for template in pod_templates(resources(DEPLOY / base)):
        for one in containers(template):
            security = one["securityContext"]
            assert "privileged" not in security
            assert security["capabilities"]["drop"] == ["ALL"]
            # node-cache writes the Corefile that it makes.
            assert security.get("readOnlyRootFilesystem", False) is (one["name"] != "node-cache")


def test_nothing_is_read_one_by_one_and_nothing_is_written() -> None:
    verbs = {verb for role in of_kind(_all(), "ClusterRole") for _, _, verb in rights(role)}

    assert verbs == {"list", "watch"}


# What the stock manifests give (kubeadm's addons, cluster/addons/dns/nodelocaldns); a change of
# image finds the same things at the same places.


def _container(base: str) -> Object:
    [template] = pod_templates(resources(DEPLOY / base))
    return dict(template["spec"]["containers"][0])


def _ports(one: Object) -> set[tuple[str, int, str]]:
    return {(port["name"], port["containerPort"], port["protocol"]) for port in one["ports"]}


def test_the_deployment_is_kubeadms_with_another_image() -> None:
    deployment = one_of(resources(DEPLOY / "dns"), "Deployment")
    one = _container("dns")

    assert deployment["metadata"]["name"] == one["name"] == "coredns"
    assert deployment["spec"]["selector"]["matchLabels"] == {"k8s-app": "kube-dns"}
    assert one["args"] == ["-conf", "/etc/coredns/Corefile"]
    assert "command" not in one
    assert one["resources"] == {
        "limits": {"memory": "170Mi"},
        "requests": {"cpu": "100m", "memory": "70Mi"},
    }
    assert _ports(one) == {
        ("dns", 53, "UDP"),
        ("dns-tcp", 53, "TCP"),
        ("metrics", 9153, "TCP"),
        ("liveness-probe", 8080, "TCP"),
        ("readiness-probe", 8181, "TCP"),
    }
    assert one["livenessProbe"]["httpGet"] == {"path": "/health", "port": "liveness-probe"}
    assert one["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "readiness-probe"}
    assert [mount["mountPath"] for mount in one["volumeMounts"]] == ["/etc/coredns"]


def test_the_daemonset_is_started_as_kubeadms() -> None:
    one = _container("proxy")

    assert one["command"] == [
        "/usr/local/bin/kube-proxy",
        "--config=/var/lib/kube-proxy/config.conf",
        "--hostname-override=$(NODE_NAME)",
    ]
    assert [mount["mountPath"] for mount in one["volumeMounts"]] == ["/var/lib/kube-proxy"]


def test_the_node_cache_is_started_as_the_stock_one() -> None:
    one = _container("node-local")

    assert one["args"] == [
        "-localip", "169.254.20.10,10.96.0.10", "-conf", "/etc/Corefile",
        "-upstreamsvc", "kube-dns-upstream", "-pidfile", "/tmp/node-cache.pid",
    ]  # fmt: skip
    assert _ports(one) == {("dns", 53, "UDP"), ("dns-tcp", 53, "TCP"), ("metrics", 9253, "TCP")}
    assert {mount["mountPath"] for mount in one["volumeMounts"]} == {
        "/etc/coredns",
        "/etc/kube-dns",
    }


def test_every_answer_ends_before_kubelet_loses_patience() -> None:
    """Lame duck and five seconds for the last connections fit the grace period."""
    objects = resources(DEPLOY / "dns")
    corefile = one_of(objects, "ConfigMap")["data"]["Corefile"]
    [template] = pod_templates(objects)
    spec: Any = template["spec"]

    assert "lameduck 5s" in corefile
    assert spec["terminationGracePeriodSeconds"] > 5 + 5
