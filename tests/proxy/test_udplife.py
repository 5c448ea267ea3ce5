import pytest

from svcdns.proxy.udplife import EXCHANGE_SECONDS, FLOW_SECONDS, idle_seconds


@pytest.mark.parametrize(
    ("sent", "received", "expected"),
    [
        (1, 0, EXCHANGE_SECONDS),
        (1, 1, EXCHANGE_SECONDS),
        (2, 1, FLOW_SECONDS),
        (1, 2, FLOW_SECONDS),
        (9, 9, FLOW_SECONDS),
    ],
)
def test_an_exchange_idles_shorter_than_a_flow_r133(
    sent: int, received: int, expected: float
) -> None:
    assert idle_seconds(sent, received) == expected
