from itertools import permutations

import pytest

from svcdns.proxy.claims import Claims
from svcdns.proxy.model import Exposure, Frontend, LeftOut, PortId, ServicePlan


def plan(
    name: str,
    exposure: Exposure,
    address: str = "203.0.113.9",
    number: int = 80,
    protocol: str = "TCP",
) -> ServicePlan:
    identity = PortId("shop", name, "", protocol)
    return ServicePlan(identity, 4, (Frontend(exposure, address, number),))


CONTESTS = [
    # first of each contest wins
    (plan("b", Exposure.CLUSTER_IP), plan("a", Exposure.LOAD_BALANCER)),
    (plan("b", Exposure.LOAD_BALANCER), plan("a", Exposure.EXTERNAL_IP)),
    (plan("a", Exposure.EXTERNAL_IP), plan("b", Exposure.EXTERNAL_IP)),
    (plan("a", Exposure.NODE_PORT, ""), plan("b", Exposure.NODE_PORT, "")),
    (plan("a", Exposure.CLUSTER_IP), plan("b", Exposure.CLUSTER_IP), plan("c", Exposure.EXTERNAL_IP)),
]  # fmt: skip


@pytest.mark.parametrize("contest", CONTESTS)
def test_one_plan_has_an_address_in_any_order_r47(contest: tuple[ServicePlan, ...]) -> None:
    for order in permutations(contest):
        claims = Claims()
        for one in order:
            claims.put(one)
        settled = [claims.settle(one) for one in contest]
        assert settled[0] is contest[0]
        assert all(one.frontends == () for one in settled[1:])


def test_the_loser_is_told_who_has_it() -> None:
    claims = Claims()
    winner, loser = CONTESTS[1]
    claims.put(loser)
    assert claims.put(winner) == {loser.key}
    assert claims.settle(loser).left_out == (
        LeftOut("203.0.113.9", 80, "R47", "ExternalIP is served by shop/b/TCP already"),
    )


def test_the_next_one_takes_over_when_the_winner_goes() -> None:
    claims = Claims()
    winner, loser = CONTESTS[1]
    claims.put(winner)
    claims.put(loser)
    assert claims.remove(winner) == {loser.key}
    assert claims.settle(loser) is loser
    assert claims.remove(loser) == set()


@pytest.mark.parametrize(
    "other",
    [
        plan("b", Exposure.EXTERNAL_IP, number=81),
        plan("b", Exposure.EXTERNAL_IP, protocol="UDP"),
        plan("b", Exposure.EXTERNAL_IP, "203.0.113.10"),
    ],
)
def test_another_port_protocol_or_address_is_no_contest_r22(other: ServicePlan) -> None:
    claims = Claims()
    first = plan("a", Exposure.EXTERNAL_IP)
    assert claims.put(first) == set()
    assert claims.put(other) == set()
    assert claims.settle(other) is other
