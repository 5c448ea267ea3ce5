"""Durations in Go's syntax."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.corefile.durations import format_duration, parse_duration

ROWS = [
    ("5s", 5.0, "5s"),
    ("30s", 30.0, "30s"),
    ("1h30m", 5400.0, "1h30m0s"),
    ("1m0s", 60.0, "1m0s"),
    ("250ms", 0.25, "250ms"),
    ("1.5h", 5400.0, "1h30m0s"),
    (".5s", 0.5, "500ms"),
    ("1.s", 1.0, "1s"),
    ("100us", 1e-4, "100µs"),
    ("100µs", 1e-4, "100µs"),
    ("7ns", 7e-9, "7ns"),
    ("0", 0.0, "0s"),
    ("0s", 0.0, "0s"),
    ("-3s", -3.0, "-3s"),
    ("+3s", 3.0, "3s"),
    ("5001ms", 5.001, "5.001s"),
    ("1m2s3ms", 62.003, "1m2.003s"),
    ("24h", 86400.0, "24h0m0s"),
]


@pytest.mark.parametrize(("text", "seconds", "printed"), ROWS)
def test_a_duration_is_read_and_printed_as_go_does(text: str, seconds: float, printed: str) -> None:
    assert parse_duration(text) == pytest.approx(seconds)
    assert format_duration(seconds) == printed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid duration"),
        ("5", "missing unit in duration"),
        ("30", "missing unit in duration"),
        ("1d", 'unknown unit "d"'),
        ("5 s", 'unknown unit " s"'),
        ("s", "invalid duration"),
        (".", "invalid duration"),
        ("1h5", "missing unit"),
        ("-", "invalid duration"),
        ("--1s", "invalid duration"),
        ("1.2.3s", "invalid|missing|unknown"),
        ("9999999h", "invalid duration"),
        ("٣s", "invalid duration"),
        ("1" * 200 + "s", "invalid duration"),
    ],
)
def test_what_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_duration(text)


@given(st.integers(0, 9 * 10**18))
def test_what_is_printed_reads_back(nanoseconds: int) -> None:
    seconds = nanoseconds / 1e9

    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds)


@given(st.text())
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        assert isinstance(parse_duration(text), float)
    except ValueError:
        return
