import pytest

from svcdns.kube.ratelimit import TokenBucket


def test_a_burst_passes_and_then_the_rate_holds() -> None:
    bucket = TokenBucket(qps=2.0, burst=3, now=10.0)

    assert [bucket.reserve(10.0) for _ in range(5)] == [0, 0, 0, 0.5, 1.0]


def test_time_earns_tokens_but_never_more_than_the_burst() -> None:
    bucket = TokenBucket(qps=2.0, burst=2, now=0.0)
    bucket.reserve(0.0)
    bucket.reserve(0.0)

    assert [bucket.reserve(100.0) for _ in range(3)] == [0, 0, 0.5]


def test_waiting_as_long_as_told_keeps_the_rate() -> None:
    bucket, now, sent = TokenBucket(qps=5.0, burst=1, now=0.0), 0.0, []
    for _ in range(11):
        now += bucket.reserve(now)
        sent.append(now)

    assert sent[-1] == pytest.approx(2.0)


@pytest.mark.parametrize(("qps", "burst"), [(0.0, 0), (0.0, 5)])
def test_g9_no_rate_is_no_limit(qps: float, burst: int) -> None:
    bucket = TokenBucket(qps, burst, now=0.0)

    assert {bucket.reserve(0.0) for _ in range(100)} == {0.0}


def test_g9_a_rate_without_a_burst_lets_one_pass() -> None:
    bucket = TokenBucket(qps=1.0, burst=0, now=0.0)

    assert [bucket.reserve(0.0), bucket.reserve(0.0)] == [0, 1.0]
