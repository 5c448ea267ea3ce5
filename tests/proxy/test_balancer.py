from collections import Counter
from random import Random

import pytest

from svcdns.proxy.balancer import Algorithm, Balancer, Endpoint, algorithm
from svcdns.proxy.model import Policy, ServicePlan
from svcdns.proxy.outlier import EjectionRules
from tests.support.plans import service_plan

FRONTEND = "10.96.0.1:80"
THREE = ("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80")
CLUSTER = Policy.CLUSTER


def balancer(plan: ServicePlan, rules: EjectionRules | None = None) -> Balancer:
    made = Balancer(Random(7).random, rules)
    made.update(plan, now=0.0)
    return made


def pick(
    chooser: Balancer, now: float = 0.0, client: str = "192.0.2.1", **more: object
) -> Endpoint:
    found = chooser.pick(CLUSTER, client, now, **more)  # type: ignore[arg-type]
    assert found is not None
    return found


def endpoint(chooser: Balancer, text: str) -> Endpoint:
    address, _, port = text.rpartition(":")
    return chooser.endpoints[(address, int(port))]


def eject(chooser: Balancer, text: str, now: float = 0.0) -> Endpoint:
    victim = endpoint(chooser, text)
    for _ in range(3):
        chooser.failed(victim, now)
    assert victim.health.ejected(now)
    return victim


@pytest.mark.parametrize("name", list(Algorithm))
def test_idle_endpoints_get_equal_shares_r20(name: str) -> None:
    chooser = balancer(service_plan(FRONTEND, *THREE, balance=name))
    counts = Counter(pick(chooser).sockaddr for _ in range(6000))
    # chi-square with 2 degrees of freedom: 13.8 is exceeded once in a thousand seeds
    assert sum((n - 2000) ** 2 / 2000 for n in counts.values()) < 13.8
    assert len(counts) == 3


NEAR, FAR = THREE[:1], THREE[1:]


def weighted(name: str) -> Balancer:
    """One endpoint is meant for us and weighs four times what each of the two others does."""
    return balancer(service_plan(FRONTEND, *THREE, balance=name, hint_weight="4", preferred=NEAR))


@pytest.mark.parametrize("name", list(Algorithm))
def test_who_is_preferred_by_hints_gets_its_weight(name: str) -> None:
    chooser = weighted(name)
    counts = Counter(pick(chooser).sockaddr[0] for _ in range(6000))

    expected = {"10.0.0.1": 4000, "10.0.0.2": 1000, "10.0.0.3": 1000}
    assert sum((counts[one] - n) ** 2 / n for one, n in expected.items()) < 13.8


@pytest.mark.parametrize("name", ["power-of-two", "least-connections"])
def test_connections_that_stay_are_spread_by_weight(name: str) -> None:
    chooser = weighted(name)
    for _ in range(600):
        pick(chooser).active += 1
    found = [endpoint(chooser, one).active for one in THREE]

    assert 380 <= found[0] <= 420
    assert all(85 <= one <= 115 for one in found[1:])


def test_a_preferred_endpoint_that_fails_is_replaced_by_the_others() -> None:
    chooser = weighted("")
    near = eject(chooser, NEAR[0])

    assert {pick(chooser).sockaddr for _ in range(50)} == {
        endpoint(chooser, one).sockaddr for one in FAR
    }
    assert pick(chooser, tried=[endpoint(chooser, one) for one in FAR]) is near


def test_a_weight_comes_and_goes_with_the_plan() -> None:
    chooser = weighted("round-robin")
    chooser.update(service_plan(FRONTEND, *THREE, balance="round-robin"), now=1.0)
    counts = Counter(pick(chooser, 60.0).sockaddr for _ in range(300))

    assert set(counts.values()) == {100}


@pytest.mark.parametrize("name", ["power-of-two", "least-connections"])
def test_connections_that_stay_are_spread_evenly(name: str) -> None:
    chooser = balancer(service_plan(FRONTEND, *THREE, balance=name))
    for _ in range(300):
        pick(chooser).active += 1
    assert all(90 <= e.active <= 110 for e in chooser.endpoints.values())


def test_round_robin_takes_turns() -> None:
    chooser = balancer(service_plan(FRONTEND, *THREE, balance="round-robin"))
    seen = [pick(chooser).sockaddr for _ in range(9)]
    assert seen[:3] * 3 == seen
    assert len(set(seen[:3])) == 3


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("", Algorithm.POWER_OF_TWO),
        ("least-connections", Algorithm.LEAST_CONNECTIONS),
        (" Round-Robin ", Algorithm.ROUND_ROBIN),
        ("fastest", None),
    ],
)
def test_annotation_values(text: str, meaning: Algorithm | None) -> None:
    assert algorithm(text) == meaning


def test_an_unknown_algorithm_is_the_default() -> None:
    assert balancer(service_plan(FRONTEND, *THREE, balance="x")).algorithm is Algorithm.POWER_OF_TWO


def test_no_endpoints_no_choice() -> None:
    assert balancer(service_plan(FRONTEND)).pick(CLUSTER, "192.0.2.1", 0.0) is None


def test_policy_local_sees_local_endpoints_only_r57() -> None:
    chooser = balancer(service_plan(FRONTEND, "10.0.0.1:80", "10.0.0.2:80*"))
    found = {chooser.pick(Policy.LOCAL, "192.0.2.1", 0.0) for _ in range(20)}
    assert found == {endpoint(chooser, "10.0.0.2:80")}


def test_tried_endpoints_are_not_tried_again() -> None:
    chooser = balancer(service_plan(FRONTEND, *THREE))
    tried: list[Endpoint] = []
    while (found := chooser.pick(CLUSTER, "192.0.2.1", 0.0, tried)) is not None:
        tried.append(found)
    assert {e.sockaddr for e in tried} == set(chooser.endpoints)
    assert len(tried) == 3


class TestEjection:
    def test_an_ejected_endpoint_gets_nothing(self) -> None:
        chooser = balancer(service_plan(FRONTEND, *THREE))
        out = eject(chooser, "10.0.0.1:80")
        assert out not in {pick(chooser) for _ in range(100)}

    def test_it_is_the_last_resort(self) -> None:
        chooser = balancer(service_plan(FRONTEND, *THREE))
        out = eject(chooser, "10.0.0.1:80")
        others = [e for e in chooser.endpoints.values() if e is not out]
        assert pick(chooser, tried=others) is out

    @pytest.mark.parametrize("name", list(Algorithm))
    def test_it_comes_back_slowly(self, name: str) -> None:
        """Also where connections are so short that nobody has any."""
        chooser = balancer(service_plan(FRONTEND, *THREE, balance=name))
        out = eject(chooser, "10.0.0.1:80")

        def share(now: float) -> float:
            return sum(pick(chooser, now) is out for _ in range(3000)) / 3000

        assert 0.01 < share(1.1) < 0.08
        assert 0.1 < share(6.0) < 0.27
        assert 0.29 < share(11.5) < 0.38

    @pytest.mark.parametrize("name", list(Algorithm))
    def test_those_that_come_back_together_have_like_shares_meanwhile(self, name: str) -> None:
        """Their slow starts differ by a tenth of a second; that is no reason to prefer one."""
        chooser = balancer(service_plan(FRONTEND, *THREE, "10.0.0.4:80", balance=name))
        out = [eject(chooser, text, n / 10) for n, text in enumerate(THREE)]
        seen = Counter(pick(chooser, 4.0) for _ in range(6000))
        shares = [seen[one] / 6000 for one in out]
        assert all(0.05 < share < 0.25 for share in shares)
        assert max(shares) < 1.5 * min(shares)

    def test_half_a_service_may_be_out_but_not_its_only_endpoint(self) -> None:
        chooser = balancer(service_plan(FRONTEND, "10.0.0.1:80"))
        only = endpoint(chooser, "10.0.0.1:80")
        assert not any(chooser.failed(only, 0.0) for _ in range(10))
        assert pick(chooser) is only

    def test_panic_ignores_ejection_when_the_healthy_ones_leave(self) -> None:
        all_five = tuple(f"10.0.0.{n}:80" for n in range(1, 6))
        chooser = balancer(service_plan(FRONTEND, *all_five))
        for text in all_five[:3]:
            eject(chooser, text)
        chooser.update(service_plan(FRONTEND, *all_five[:3]), now=0.1)
        assert len({pick(chooser, 0.2) for _ in range(200)}) == 3

    def test_an_endpoint_that_left_and_fails_is_nobodys_business(self) -> None:
        chooser = balancer(service_plan(FRONTEND, *THREE))
        left = endpoint(chooser, "10.0.0.1:80")
        chooser.update(service_plan(FRONTEND, *THREE[1:]), now=0.0)
        assert not any(chooser.failed(left, 0.0) for _ in range(5))
        assert list(chooser.ejected(0.0)) == []


class TestSlowStart:
    RULES = EjectionRules(join_seconds=10.0)

    @pytest.mark.parametrize("name", list(Algorithm))
    def test_an_endpoint_that_joins_is_not_flooded(self, name: str) -> None:
        chooser = balancer(service_plan(FRONTEND, *THREE[:2], balance=name), self.RULES)
        for known in chooser.endpoints.values():
            known.active = 10
        chooser.update(service_plan(FRONTEND, *THREE, balance=name), now=100.0)
        joined = endpoint(chooser, THREE[2])
        for _ in range(20):
            pick(chooser, 100.0).active += 1
        assert joined.active <= 5

    def test_the_first_endpoints_of_a_service_start_at_once(self) -> None:
        chooser = balancer(service_plan(FRONTEND, *THREE), self.RULES)
        assert not any(e.health.ramping(0.0) for e in chooser.endpoints.values())

    def test_by_default_a_new_endpoint_gets_its_full_share_at_once(self) -> None:
        chooser = balancer(service_plan(FRONTEND, *THREE[:2]))
        chooser.update(service_plan(FRONTEND, *THREE), now=1.0)
        assert not endpoint(chooser, THREE[2]).health.ramping(1.0)


class TestAffinity:
    PLAN = service_plan(FRONTEND, *THREE, affinity=100)

    def test_a_client_stays_with_its_endpoint_r65(self) -> None:
        chooser = balancer(self.PLAN)
        assert len({pick(chooser, now=n * 60.0) for n in range(50)}) == 1

    def test_clients_spread(self) -> None:
        chooser = balancer(self.PLAN)
        seen = Counter(pick(chooser, client=f"192.0.2.{n}") for n in range(250))
        assert len(seen) == 3

    def test_after_the_timeout_it_is_balanced_anew_r66(self) -> None:
        chooser = balancer(self.PLAN)
        assert len({pick(chooser, now=n * 100.0) for n in range(50)}) == 3

    def test_a_removed_endpoint_loses_its_clients_even_if_it_returns_r67(self) -> None:
        chooser = balancer(self.PLAN)
        first = pick(chooser)
        others = tuple(t for t in THREE if t != "{}:{}".format(*first.sockaddr))
        chooser.update(service_plan(FRONTEND, *others, affinity=100), now=1.0)
        second = pick(chooser, 2.0)
        chooser.update(self.PLAN, now=3.0)
        assert first.removed
        assert pick(chooser, 4.0) is second

    def test_a_failed_endpoint_gives_its_client_to_the_one_that_answers_r131(self) -> None:
        chooser = balancer(self.PLAN)
        first = pick(chooser)
        second = pick(chooser, 1.0, tried=[first])
        assert pick(chooser, 2.0) is second

    def test_an_ejected_endpoint_gives_its_clients_away(self) -> None:
        chooser = balancer(self.PLAN)
        first = pick(chooser)
        eject(chooser, "{}:{}".format(*first.sockaddr), now=1.0)
        assert pick(chooser, 1.5) is not first

    def test_local_policy_honours_local_entries_only_r67(self) -> None:
        plan = service_plan(FRONTEND, "10.0.0.1:80", "10.0.0.2:80*", affinity=100)
        chooser = balancer(plan)
        for n in range(50):
            pick(chooser, client=f"192.0.2.{n}")
            found = chooser.pick(Policy.LOCAL, f"192.0.2.{n}", 1.0)
            assert found is endpoint(chooser, "10.0.0.2:80")

    def test_switching_it_off_and_on_live_r69(self) -> None:
        chooser = balancer(self.PLAN)
        pick(chooser)
        chooser.update(service_plan(FRONTEND, *THREE), now=1.0)
        assert len({pick(chooser, 1.0) for _ in range(50)}) == 3
        chooser.update(self.PLAN, now=2.0)
        assert len({pick(chooser, 2.0) for _ in range(50)}) == 1


class TestUpdate:
    def test_endpoints_that_stay_keep_their_counts(self) -> None:
        chooser = balancer(service_plan(FRONTEND, *THREE))
        stays = endpoint(chooser, THREE[0])
        stays.active = 5
        gone = chooser.update(service_plan(FRONTEND, THREE[0], "10.0.0.9:80"), now=1.0)
        assert endpoint(chooser, THREE[0]) is stays
        assert {e.sockaddr for e in gone} == {("10.0.0.2", 80), ("10.0.0.3", 80)}
        assert all(e.removed for e in gone)

    def test_the_same_address_with_another_port_is_another_endpoint_r13(self) -> None:
        chooser = balancer(service_plan(FRONTEND, "10.0.0.1:80", "10.0.0.1:81"))
        assert len({pick(chooser) for _ in range(50)}) == 2


def test_ties_go_round_so_that_short_connections_spread_evenly_r20() -> None:
    """A client that calls one after the other sees every endpoint about equally often."""
    chooser = balancer(service_plan(FRONTEND, *THREE))
    counts = Counter(pick(chooser).sockaddr for _ in range(60))
    assert all(17 <= count <= 23 for count in counts.values()), counts
