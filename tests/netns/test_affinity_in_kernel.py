"""Session affinity with real connections: pins, their end, and what the packets carry."""

from typing import Any

import pytest

from tests.support.flows import Case, Step, endpoint, node_object, port, service, slice_of
from tests.support.kernel import Kernel
from tests.support.world import World

IP = {4: "10.96.5.5", 6: "fd00:10:96::5"}
VIP = {4: "203.0.113.10", 6: "2001:db8:113::10"}
PODS = ("p2", "p3", "p4")


def _web(family: int, **more: Any) -> dict[str, Any]:
    return service(
        "web",
        IP[family],
        type="LoadBalancer",
        ingress=[VIP[family]],
        ports=[port(nodePort=30080)],
        sessionAffinity="ClientIP",
        **more,
    )


def _endpoints(family: int, *pods: str) -> dict[str, Any]:
    return slice_of("web", [endpoint(pod, family=family) for pod in pods], family=family)


def _answering(kernel: Kernel, source: str, address: str, number: int = 80) -> set[str]:
    (outcomes,) = kernel.world[source].ask([["TCP", address, number, 10, 10]])
    return {name for name, _ in outcomes}


@pytest.mark.parametrize("family", [4, 6])
def test_clients_stay_until_their_endpoint_leaves_r65_r67(world: World, family: int) -> None:
    kernel = Kernel(world, Case("affinity", (), (Step(),), family=family))
    for one in (node_object(), _web(family), _endpoints(family, *PODS)):
        Step((one,)).feed(kernel.store)
    kernel.follow()
    own = {4: "172.18.0.3", 6: "fd00:172:18::3"}[family]
    pinned = {}
    for source in ("p1", "node", "external"):
        (pinned[source],) = _answering(kernel, source, VIP[family])
        # All addresses of a service port share its pins.
        assert _answering(kernel, source, own, 30080) == {pinned[source]}
    assert _answering(kernel, "p1", IP[family]) == {pinned["p1"]}
    elements = kernel.listing().elements
    (pins,) = (found for name, found in elements.items() if name.startswith("affinity-"))
    assert len(pins) == 3
    left = pinned["p1"]
    Step((_endpoints(family, *(pod for pod in PODS if pod != left)),)).feed(kernel.store)
    kernel.follow()
    (moved,) = _answering(kernel, "p1", IP[family])
    assert moved != left
    for source in ("node", "external"):
        found = _answering(kernel, source, VIP[family])
        assert found == {pinned[source]} if pinned[source] != left else len(found) == 1
    Step((_endpoints(family, *PODS),)).feed(kernel.store)
    kernel.follow()
    assert _answering(kernel, "p1", IP[family]) == {moved}, "an endpoint that returns is a new one"


def test_what_is_lent_to_the_priority_is_given_back(world: World) -> None:
    """A chain behind ours counts packets that still carry a slot."""
    kernel = Kernel(world, Case("priority", (), (Step(),)))
    for one in (node_object(), _web(4), _endpoints(4, *PODS), service("plain", "10.96.5.6")):
        Step((one,)).feed(kernel.store)
    Step((slice_of("plain", [endpoint(pod) for pod in PODS]),)).feed(kernel.store)
    kernel.follow()
    node = world["node"]
    node.run(
        "nft", "-f", "-",
        given="add table ip watch\n"
        "add chain ip watch before { type filter hook forward priority 0 ; }\n"
        "add chain ip watch after { type filter hook postrouting priority 300 ; }\n"
        "add rule ip watch before ct state new counter\n"
        "add rule ip watch after meta priority and 0xf0000000 == 0xd0000000 counter drop\n",
    )  # fmt: skip
    try:
        for source in ("p1", "node"):
            assert _answering(kernel, source, IP[4])
            assert _answering(kernel, source, "10.96.5.6") <= set(PODS)
        assert "packets 0 bytes 0 drop" in node.run("nft", "list", "chain", "ip", "watch", "after")
    finally:
        node.run("nft", "delete", "table", "ip", "watch")
