from random import Random

import pytest
from msgspec.structs import replace

from svcdns.proxy.listeners import Surroundings, needs
from svcdns.proxy.model import Backend, Exposure, Policy, ServicePlan
from svcdns.proxy.served import Served, networks
from tests.support.plans import forwarding_plan, service_plan

OWN = networks(("127.0.0.0/8", "10.244.1.0/24"))


def served(plan: ServicePlan) -> Served:
    return Served(plan, 0.0, Random(1).random, own=OWN)


@pytest.mark.parametrize(
    ("rule", "client", "policy"),
    [
        ("R53 outside", "198.51.100.7", Policy.LOCAL),
        ("R53 a pod of this node", "10.244.1.9", Policy.CLUSTER),
        ("R53 this node", "127.0.0.1", Policy.CLUSTER),
        ("R53 this node, calling its own address", "172.18.0.3", Policy.CLUSTER),
    ],
)
def test_who_is_served_by_which_policy(rule: str, client: str, policy: Policy) -> None:
    plan = service_plan(
        "172.18.0.3:30080", "10.0.0.1:80*", external=Policy.LOCAL, exposure=Exposure.NODE_PORT
    )
    (need,) = needs(forwarding_plan(plan), Surroundings()).sockets.values()
    assert served(plan).policy(need, client) is policy


def test_what_former_endpoints_did_is_not_forgotten() -> None:
    service = served(service_plan("10.96.0.1:80", "10.0.0.1:80", "10.0.0.2:80"))
    former = service.balancer.endpoints[("10.0.0.1", 80)]
    former.connections, former.sent, former.received, former.active = 3, 100, 200, 1
    service.update(service_plan("10.96.0.1:80", "10.0.0.2:80"), 1.0)
    assert former in service.endpoints()
    former.active = 0
    service.retire()
    assert former not in service.endpoints()
    kept = (service.retired_connections, service.retired_sent, service.retired_received)
    assert kept == (3, 100, 200)
    service.retire()
    assert service.retired_connections == 3


def test_an_endpoint_that_serves_keeps_its_flows_whatever_policies_say_r92() -> None:
    plan = service_plan("10.96.0.1:53", "10.0.0.1:53", protocol="UDP")
    service = served(replace(plan, serving=(Backend("10.0.0.1", 53), Backend("10.0.0.2", 53))))
    assert service.still_serving(Backend("10.0.0.2", 53, local=True))
    assert not service.still_serving(Backend("10.0.0.2", 54))
