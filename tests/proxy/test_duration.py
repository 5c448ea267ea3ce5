import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.proxy.duration import parse


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("30s", 30),
        ("1h30m", 5400),
        ("24h0m0s", 86400),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("1.s", 1),
        ("250ms", 0.25),
        ("1us", 1e-6),
        ("1µs", 1e-6),
        ("-1m", -60),
        ("+1m", 60),
    ],
)
def test_durations_are_read_as_go_reads_them(text: str, seconds: float) -> None:
    assert parse(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "30", "s", "1 s", "1d", "1h ", "h1", "1e3s", "٣s", "3000000h", "9" * 5000 + "h", "--1s"],
)
def test_what_go_refuses_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse(text)


@given(st.text())
def test_only_value_error_is_raised(text: str) -> None:
    try:
        parse(text)
    except ValueError:
        pass
