import pytest

from svcdns.proxy.udplife import (
    EXCHANGE_SECONDS,
    FLOW_SECONDS,
    MAX_RESPONSES,
    idle_seconds,
    responses,
)


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


@pytest.mark.parametrize(
    ("text", "ports", "expected"),
    [
        ("", (8080,), 0),
        ("", (53,), 1),
        ("", (30053, 53), 1),
        ("any", (53,), 0),
        ("1", (8080,), 1),
        ("3", (53,), 3),
        (str(MAX_RESPONSES), (8080,), MAX_RESPONSES),
        (str(MAX_RESPONSES + 1), (8080,), None),
        ("9" * 5000, (8080,), None),
        ("0", (53,), None),
        ("-1", (53,), None),
        ("1.5", (53,), None),
        ("²", (53,), None),
        ("one", (53,), None),
    ],
)
def test_how_many_answers_there_are_is_known_of_dns_or_said(
    text: str, ports: tuple[int, ...], expected: int | None
) -> None:
    assert responses(text, ports) == expected
