import json
from typing import Any

import pytest

from svcdns.kube.metadata import Metadata
from svcdns.kube.nodes import Node, NodeSpec, Taint
from svcdns.proxy.health import (
    Answer,
    ProxyHealth,
    check_answer,
    configz,
    node_eligible,
    proxy_mode,
)
from svcdns.proxy.kubeproxyconfig import KubeProxyConfiguration
from svcdns.proxy.model import HealthCheck

NOW = 1_763_719_200.0
NOW_TEXT = "2025-11-21T10:00:00Z"


def body(answer: Answer) -> Any:
    return json.loads(answer.body)


def header(answer: Answer, name: str) -> str:
    return dict(answer.headers)[name]


def test_a_proxy_that_keeps_up_is_healthy_now_r120() -> None:
    health = ProxyHealth(30)
    health.synced(4, NOW - 5000)
    answer = health.healthz(NOW)
    assert answer.status == 200
    assert header(answer, "Content-Type") == "application/json"
    assert header(answer, "X-Content-Type-Options") == "nosniff"
    assert body(answer) == {
        "lastUpdated": NOW_TEXT,
        "currentTime": NOW_TEXT,
        "nodeEligible": True,
        "healthy": True,
        "status": {"IPv4": {"lastUpdated": NOW_TEXT, "healthy": True}},
    }


def test_livez_does_not_look_at_the_node_r120() -> None:
    health = ProxyHealth(30)
    health.node_eligible = False
    assert health.healthz(NOW).status == 503
    assert body(health.healthz(NOW))["nodeEligible"] is False
    assert health.livez(NOW).status == 200
    assert "nodeEligible" not in body(health.livez(NOW))


def test_healthy_before_the_first_change_r120() -> None:
    assert ProxyHealth(30).healthz(NOW).status == 200


@pytest.mark.parametrize(("waits", "status"), [(0, 200), (59.9, 200), (60, 503), (3600, 503)])
def test_a_change_may_wait_two_sync_periods_r120(waits: float, status: int) -> None:
    health = ProxyHealth(30)
    health.synced(4, NOW - 9000)
    health.synced(6, NOW - 9000)
    health.queued(6, NOW - waits)
    health.queued(6, NOW)
    answer = health.healthz(NOW)
    assert (answer.status, health.livez(NOW).status) == (status, status)
    if status == 503:
        found = body(answer)
        assert found["lastUpdated"] == "2025-11-21T07:30:00Z"
        assert found["status"]["IPv4"]["healthy"] is True
        assert found["status"]["IPv6"] == {"lastUpdated": "2025-11-21T07:30:00Z", "healthy": False}


def test_a_sync_makes_it_healthy_again() -> None:
    health = ProxyHealth(30)
    health.queued(4, NOW - 100)
    assert not health.healthy(NOW)
    health.synced(4, NOW)
    assert health.healthy(NOW)


def test_a_first_sync_that_never_succeeds_is_noticed() -> None:
    health = ProxyHealth(30)
    health.queued(4, NOW)
    assert health.healthz(NOW + 59).status == 200
    answer = health.healthz(NOW + 61)
    assert answer.status == 503
    assert body(answer)["lastUpdated"] == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("node", "eligible"),
    [
        (None, False),
        (Node(Metadata("n")), True),
        (Node(Metadata("n", deletion_timestamp="2026-01-01T00:00:00Z")), False),
        (Node(Metadata("n"), NodeSpec(taints=(Taint("ToBeDeletedByClusterAutoscaler"),))), False),
        (Node(Metadata("n"), NodeSpec(taints=(Taint("other", "NoSchedule"),))), True),
    ],
)
def test_which_nodes_should_get_traffic_r120(node: Node | None, eligible: bool) -> None:
    assert node_eligible(node) is eligible


@pytest.mark.parametrize(
    ("count", "healthy", "status"),
    [(1, True, 200), (3, True, 200), (0, True, 503), (1, False, 503)],
)
def test_health_check_node_port_r55_r82(count: int, healthy: bool, status: int) -> None:
    answer = check_answer(HealthCheck("shop", "web", 31000, count), healthy)
    assert answer.status == status
    assert body(answer) == {
        "service": {"namespace": "shop", "name": "web"},
        "localEndpoints": count,
        "serviceProxyHealthy": healthy,
    }
    assert dict(answer.headers) == {
        "Content-Type": "application/json",
        "X-Content-Type-Options": "nosniff",
        "X-Load-Balancing-Endpoint-Weight": str(count),
    }


def test_a_race_with_the_close_is_no_health_r85() -> None:
    assert check_answer(None, True).status == 503


def test_mode_and_configuration_r121() -> None:
    assert proxy_mode("nftables").body == b"nftables"
    assert header(proxy_mode("nftables"), "Content-Type").startswith("text/plain")
    found = body(configz(KubeProxyConfiguration(cluster_cidr="10.244.0.0/16")))
    assert found["kubeproxy.config.k8s.io"]["clusterCIDR"] == "10.244.0.0/16"
    assert found["kubeproxy.config.k8s.io"]["conntrack"]["maxPerCore"] == 32768
