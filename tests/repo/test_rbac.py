"""The roles in deploy/ give exactly the rights that the code uses, recorded on an API server."""

import pytest
from msgspec.structs import replace

from svcdns.kube.source import ApiSource
from svcdns.proxy import configfile
from svcdns.proxy.config import resolve
from tests.support.apiserver import FakeApiServer
from tests.support.deploy import DEPLOY, Object, one_of, resources, rights
from tests.support.explaining import configured
from tests.support.feeding import feeding

Rights = set[tuple[str, str, str]]

DNS = resources(DEPLOY / "dns")
PROXY = resources(DEPLOY / "proxy")
SIDECAR = resources(DEPLOY / "sidecar")


def _given(objects: list[Object], *names: str) -> Rights:
    return set().union(*(rights(one_of(objects, "ClusterRole", name)) for name in names))


async def _used(source: ApiSource, watch_list: str) -> Rights:
    """Fill a store as the programs do, lose the watch, and come back; give what was asked for."""
    async with FakeApiServer() as server:
        server.watch_list = watch_list
        async with feeding(replace(source, endpoint=server.url, kubeconfig="", tls=())) as one:
            await one.synced()
            server.gone()
            before = len(server.requests)
            await one.until(lambda: len(server.requests) >= before + len(source.kinds))
        return {(group, resource, verb) for verb, group, resource in server.rights()}


async def _all_used(source: ApiSource) -> Rights:
    """With a server that streams lists, and with one that does not."""
    return await _used(source, "on") | await _used(source, "invalid")


def _dns(corefile: str) -> ApiSource:
    configuration, _ = configured(corefile=corefile)
    [cluster] = configuration.clusters
    return cluster.source


def _corefile(objects: list[Object]) -> str:
    return str(one_of(objects, "ConfigMap")["data"]["Corefile"])


def _proxy(objects: list[Object]) -> ApiSource:
    config = one_of(objects, "ConfigMap")["data"]["config.conf"]
    raw, _ = configfile.read(config, "config.conf")
    return resolve(raw, "config.conf").source("n1")


async def test_the_dns_servers_role_is_what_it_uses() -> None:
    assert await _all_used(_dns(_corefile(DNS))) == _given(DNS, "svcdns:dns")


@pytest.mark.parametrize(
    ("before", "after", "role"),
    [
        ("pods insecure", "pods verified", "svcdns:dns-pods"),
        ("kubernetes cluster.local", "kubernetes cluster.local clusterset.local", "svcdns:dns-multicluster"),
    ],
)  # fmt: skip
async def test_a_role_for_an_option_is_what_the_option_adds(
    before: str, after: str, role: str
) -> None:
    corefile = _corefile(DNS).replace(before, after)
    if "clusterset" in after:
        corefile = corefile.replace("ttl 30", "ttl 30\n        multicluster clusterset.local")

    used = await _all_used(_dns(corefile))
    assert used == _given(DNS, "svcdns:dns", role)


async def test_the_proxys_role_is_what_it_uses() -> None:
    assert await _all_used(_proxy(PROXY)) == _given(PROXY, "svcdns:proxy")


async def test_the_sidecars_role_is_what_both_use() -> None:
    used = await _all_used(_dns(_corefile(SIDECAR))) | await _all_used(_proxy(SIDECAR))

    assert used == _given(SIDECAR, "svcdns:sidecar")


def test_stock_roles_give_what_is_used() -> None:
    """A change of image leaves the role alone: kubeadm's system:coredns must do.

    Its rules, and those of the built-in system:node-proxier, by Kubernetes 1.36.
    """
    system_coredns = {
        ("", resource, verb)
        for resource in ("endpoints", "services", "pods", "namespaces")
        for verb in ("list", "watch")
    } | {("discovery.k8s.io", "endpointslices", verb) for verb in ("list", "watch")}

    assert _given(DNS, "svcdns:dns", "svcdns:dns-pods") <= system_coredns
