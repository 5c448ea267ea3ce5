"""What CoreDNS's dashboards and alerts ask for is there, with their labels, and moves.

The Corefile is kubeadm's with other addresses; the API server and the upstream are fakes.

Sources: corefile-features d; Grafana dashboards 5926, 7279, 14981, 15762; the alerts of the
coredns mixin.
"""

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import dns.asyncquery
import dns.message
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from tests.support.apiserver import FakeApiServer
from tests.support.apistate import endpoint_slice, namespace, service
from tests.support.ports import free_port
from tests.support.process import Running, running
from tests.support.resolver import Resolver, Step
from tests.support.stock import KUBEADM
from tests.support.waiting import eventually

Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass
class Cluster:
    """A server in its cluster."""

    server: Running
    api: FakeApiServer
    metrics: int
    health: int

    async def scrape(self) -> Values:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.metrics}/metrics") as response,
        ):
            text = await response.text()
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    async def ask(self, name: str, *, tcp: bool = False, do: bool = False) -> dns.message.Message:
        query = dns.message.make_query(name, "A", want_dnssec=do)
        exchange = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
        return await exchange(query, "127.0.0.1", port=self.server.port, timeout=30)


@pytest_asyncio.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    metrics, health, ready, port = (free_port() for _ in range(4))
    api = FakeApiServer()
    api.state.put(namespace("prod"))
    api.state.put(service("prod/web", "10.96.0.10"))
    api.state.put(endpoint_slice("prod/web", ["10.1.0.1"]))
    api.state.put(service("prod/db", "None"))
    refused = {"broken.example.": Step(rcode="SERVFAIL")}
    async with api, Resolver(named=refused) as resolver:
        text = (
            KUBEADM.replace(".:53", f".:{port}")
            .replace("/etc/resolv.conf", f"127.0.0.1:{resolver.port}")
            .replace("health {", f"health :{health} {{")
            .replace("lameduck 5s", "lameduck 0s")
            .replace("max_concurrent 1000", "max_concurrent 1000\n       read_timeout 4500ms")
            .replace("ready\n", f"ready :{ready}\n")
            .replace(":9153", f":{metrics}")
            .replace("pods insecure\n", f"pods insecure\n        endpoint {api.url}\n")
        )
        path = tmp_path / "Corefile"
        path.write_text(text)
        async with running(path) as server:
            server.port = port
            yield Cluster(server, api, metrics, health)


def found(values: Values, name: str, **labels: str) -> float:
    """Sum up the samples that carry these labels."""
    wanted = set(labels.items())
    return sum(value for (one, of), value in values.items() if one == name and wanted <= of)


VIEW = {"server", "zone", "view"}
LABELS = {
    "coredns_build_info": {"version", "revision", "goversion"},
    "coredns_plugin_enabled": VIEW | {"name"},
    "coredns_panics_total": set(),
    "coredns_dns_requests_total": VIEW | {"proto", "family", "type"},
    "coredns_dns_responses_total": VIEW | {"rcode", "plugin"},
    "coredns_dns_do_requests_total": VIEW,
    "coredns_dns_request_duration_seconds_bucket": VIEW | {"le"},
    "coredns_dns_request_duration_seconds_count": VIEW,
    "coredns_dns_request_duration_seconds_sum": VIEW,
    "coredns_dns_request_size_bytes_bucket": VIEW | {"proto", "le"},
    "coredns_dns_response_size_bytes_bucket": VIEW | {"proto", "le"},
    "coredns_cache_entries": {"server", "type", "zones", "view"},
    "coredns_cache_hits_total": {"server", "type", "zones", "view"},
    "coredns_cache_misses_total": {"server", "zones", "view"},
    "coredns_cache_requests_total": {"server", "zones", "view"},
    "coredns_forward_healthcheck_broken_total": set(),
    "coredns_forward_max_concurrent_rejects_total": set(),
    "coredns_proxy_request_duration_seconds_bucket": {"proxy_name", "to", "rcode", "le"},
    "coredns_proxy_request_duration_seconds_count": {"proxy_name", "to", "rcode"},
    "coredns_proxy_conn_cache_misses_total": {"proxy_name", "to", "proto"},
    "coredns_health_request_duration_seconds_bucket": {"le"},
    "coredns_health_request_failures_total": set(),
    "coredns_reload_failed_total": set(),
    "coredns_reload_version_info": {"hash", "value"},
    "coredns_kubernetes_dns_programming_duration_seconds_bucket": {"service_kind", "le"},
    "coredns_kubernetes_rest_client_requests_total": {"code", "method", "host"},
    "process_cpu_seconds_total": set(),
    "process_resident_memory_bytes": set(),
    "process_virtual_memory_bytes": set(),
    "process_start_time_seconds": set(),
    "process_open_fds": set(),
    "process_max_fds": set(),
}


async def use(cluster: Cluster) -> None:
    """Ask once for everything that is counted."""
    assert (await cluster.ask("web.prod.svc.cluster.local.")).answer
    assert not (await cluster.ask("none.prod.svc.cluster.local.", tcp=True)).answer
    await cluster.ask("web.prod.svc.cluster.local.", do=True)
    for _ in range(3):
        assert (await cluster.ask("www.example.")).answer
    await cluster.ask("broken.example.")
    await cluster.ask("more.example.", tcp=True)


async def test_every_metric_is_there_with_its_labels(cluster: Cluster) -> None:
    await use(cluster)
    now = datetime.now(UTC).isoformat()
    annotations = {"endpoints.kubernetes.io/last-change-trigger-time": now}
    cluster.api.state.put(endpoint_slice("prod/db", ["10.1.0.2"], annotations=annotations))
    awaited = (
        "coredns_health_request_duration_seconds_count",
        "coredns_kubernetes_dns_programming_duration_seconds_count",
    )

    async def polled() -> bool:
        values = await cluster.scrape()
        return all(found(values, name) > 0 for name in awaited)

    await eventually(polled)
    values = await cluster.scrape()
    labels: dict[str, set[str]] = {}
    for name, of in values:
        labels.setdefault(name, {label for label, _ in of})

    assert {name: labels.get(name) for name in LABELS} == LABELS


MOVES = [
    ("coredns_dns_requests_total", {"type": "A", "family": "1", "proto": "udp", "zone": "."}, 6),
    ("coredns_dns_requests_total", {"proto": "tcp"}, 2),
    ("coredns_dns_responses_total", {"rcode": "NOERROR", "plugin": "kubernetes"}, 2),
    ("coredns_dns_responses_total", {"rcode": "NXDOMAIN", "plugin": "kubernetes"}, 1),
    ("coredns_dns_responses_total", {"rcode": "SERVFAIL"}, 1),
    ("coredns_dns_do_requests_total", {}, 1),
    ("coredns_dns_request_duration_seconds_count", {"zone": "."}, 8),
    ("coredns_dns_request_duration_seconds_bucket", {"le": "+Inf"}, 8),
    ("coredns_dns_request_size_bytes_count", {"proto": "udp"}, 6),
    ("coredns_dns_response_size_bytes_count", {"proto": "tcp"}, 2),
    ("coredns_cache_hits_total", {"type": "success", "zones": "."}, 2),
    ("coredns_proxy_request_duration_seconds_count", {"proxy_name": "forward", "rcode": "SERVFAIL"}, 1),
    ("coredns_proxy_request_duration_seconds_count", {"proxy_name": "forward", "rcode": "NOERROR"}, 2),
]  # fmt: skip


async def test_every_metric_moves_by_what_happened(cluster: Cluster) -> None:
    before = await cluster.scrape()
    await use(cluster)
    after = await cluster.scrape()

    moved = [
        (name, labels, found(after, name, **labels) - found(before, name, **labels))
        for name, labels, _ in MOVES
    ]
    assert moved == MOVES
    assert found(after, "coredns_cache_entries", type="success") >= 2
    assert found(after, "coredns_cache_misses_total") > found(before, "coredns_cache_misses_total")


async def test_sums_over_labels_are_consistent(cluster: Cluster) -> None:
    """Panels divide one of these by another."""
    await asyncio.gather(*[use(cluster) for _ in range(5)])
    values = await cluster.scrape()

    asked = found(values, "coredns_dns_requests_total")
    assert asked == 40
    for name in (
        "coredns_dns_responses_total",
        "coredns_dns_request_duration_seconds_count",
        "coredns_dns_request_size_bytes_count",
        "coredns_dns_response_size_bytes_count",
    ):
        assert found(values, name) == asked, name
    hits, misses = (found(values, f"coredns_cache_{what}_total") for what in ("hits", "misses"))
    assert hits + misses == found(values, "coredns_cache_requests_total")
    enabled = {dict(labels)["name"] for name, labels in values if name == "coredns_plugin_enabled"}
    assert enabled == {
        "errors", "health", "ready", "kubernetes", "prometheus", "forward", "cache", "loop",
        "reload", "loadbalance",
    }  # fmt: skip


async def test_a_reload_that_fails_is_counted_and_a_new_corefile_is_shown(
    cluster: Cluster, tmp_path: Path
) -> None:
    path = tmp_path / "Corefile"
    good, before = path.read_text(), await cluster.scrape()
    path.write_text(good.replace("cache 30 {", "cache 30 {\n        nonsense"))
    cluster.server.process.send_signal(signal.SIGUSR1)
    await cluster.server.says("[ERROR] plugin/reload: Corefile changed but reload failed: ")
    failed = await cluster.scrape()
    path.write_text(good.replace("cache 30", "cache 31"))
    cluster.server.process.send_signal(signal.SIGUSR1)
    await cluster.server.says("[INFO] Reloading complete")
    after = await cluster.scrape()

    assert found(failed, "coredns_reload_failed_total") == 1
    info = "coredns_reload_version_info"
    assert found(before, info) == found(after, info) == 1
    assert {key for key in before if key[0] == info} != {key for key in after if key[0] == info}
