from svcdns.proxy.outlier import EjectionRules, Health, may_eject, panics

RULES = EjectionRules()


def fail(health: Health, times: int, now: float, rules: EjectionRules = RULES) -> list[bool]:
    return [health.failed(now, rules, may_eject=True) for _ in range(times)]


def test_the_third_failure_in_a_row_ejects() -> None:
    health = Health()
    assert fail(health, 3, now=100.0) == [False, False, True]
    assert health.ejected(100.5)
    assert not health.ejected(101.0)


def test_a_success_between_failures_starts_the_count_again() -> None:
    health = Health()
    fail(health, 2, now=1.0)
    health.succeeded()
    assert fail(health, 2, now=2.0) == [False, False]


def test_coming_back_and_failing_once_ejects_for_twice_as_long() -> None:
    health, now, lengths = Health(), 100.0, []
    fail(health, 2, now)
    for _ in range(8):
        assert fail(health, 1, now) == [True]
        lengths.append(health.ejected_until - now)
        now = health.ejected_until
    assert lengths == [1, 2, 4, 8, 16, 32, 60, 60]


def test_good_behaviour_for_a_minute_forgets_the_growth() -> None:
    health = Health()
    fail(health, 3, now=100.0)
    fail(health, 1, now=101.0)
    health.succeeded()
    assert fail(health, 3, now=200.0)[-1]
    assert health.ejected_until == 201.0


def test_failures_while_ejected_do_not_prolong_the_ejection() -> None:
    health = Health()
    fail(health, 3, now=100.0)
    assert fail(health, 5, now=100.5) == [False] * 5
    assert health.ejected_until == 101.0


def test_without_permission_nothing_is_ejected_but_failures_count() -> None:
    health = Health()
    for _ in range(5):
        assert not health.failed(1.0, RULES, may_eject=False)
    assert health.failed(1.0, RULES, may_eject=True)


def test_an_endpoint_that_comes_back_gets_its_share_gradually() -> None:
    health = Health()
    fail(health, 3, now=100.0)
    weights = [health.weight(now) for now in (101.0, 102.0, 106.0, 111.0, 500.0)]
    assert weights == [0.1, 0.1, 0.5, 1.0, 1.0]
    assert health.ramping(110.9)
    assert not health.ramping(111.0)


def test_shares_of_ejected_endpoints() -> None:
    most = {n: sum(may_eject(n, out, RULES) for out in range(n)) for n in (1, 2, 3, 4, 10)}
    assert most == {1: 0, 2: 1, 3: 2, 4: 3, 10: 7}


def test_panic_when_fewer_than_a_quarter_are_left() -> None:
    assert [out for out in range(9) if panics(8, out, RULES)] == [7, 8]
    assert panics(1, 1, RULES)
    assert not panics(2, 1, RULES)
