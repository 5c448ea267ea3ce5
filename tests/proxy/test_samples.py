"""Prometheus text format 0.0.4, "Text format details"; lines are written by prometheus_client."""

import math

import pytest
from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

from svcdns.proxy.samples import Sample, samples


@pytest.mark.parametrize(
    ("line", "name", "labels", "value"),
    [
        ("up 1", "up", {}, 1),
        ("up 1 1395066363000", "up", {}, 1),
        ("  up   -2.5e3  -7  ", "up", {}, -2500),
        ("up 1\r", "up", {}, 1),
        ("up{} 1", "up", {}, 1),
        ('up{a="b"} 1', "up", {"a": "b"}, 1),
        ('up{a="b",} 1', "up", {"a": "b"}, 1),
        ('up { a = "b" , c = "d" } 1', "up", {"a": "b", "c": "d"}, 1),
        (r'up{a="\\\"\n\x"} 1', "up", {"a": '\\"\n\\x'}, 1),
        ('up{a="}, {",b=""} 1', "up", {"a": "}, {", "b": ""}, 1),
        ("job:up:sum 3", "job:up:sum", {}, 3),
        ('up{a="\u2028\x85"} 1', "up", {"a": "\u2028\x85"}, 1),
        ("up +Inf", "up", {}, math.inf),
        ("up -Inf", "up", {}, -math.inf),
    ],
)
def test_a_line_is_a_sample(line: str, name: str, labels: dict[str, str], value: float) -> None:
    assert list(samples(line)) == [Sample(name, labels, value)]


def test_not_a_number_is_a_value() -> None:
    (found,) = samples("up NaN")
    assert math.isnan(found.value)


@pytest.mark.parametrize(
    "line",
    [
        "", "# HELP up 1", "# TYPE up gauge", "up", "up one", "up{a=b} 1", 'up{a="b} 1',
        'up{a="b"', 'up{a="b"}', "1up 1", 'up{1="b"} 1', 'up{a="b"c="d"} 1', "up 1 2 3", "\x00",
        'up{,} 1',
    ],
)  # fmt: skip
def test_what_is_no_sample_is_passed_over(line: str) -> None:
    assert [one.name for one in samples(f"{line}\ngood 1\n")] == ["good"]


def test_only_names_that_are_wanted_are_read() -> None:
    assert [one.name for one in samples("a_x 1\nb_x 1\nc_x 1", ("a_", "c_"))] == ["a_x", "c_x"]


def test_every_label_value_survives_the_official_writer() -> None:
    hostile = ['"', "\\", "\n", "\\n", 'a="b"', "}", "ü", "\x1b[2J", " ", '\\\\"\n,']
    registry = CollectorRegistry()
    gauge = Gauge("g", "text", ["label"], registry=registry)
    for value, text in enumerate(hostile):
        gauge.labels(text).set(value)
    Histogram("h", "text", ["label"], registry=registry).labels('"').observe(0.2)
    written = generate_latest(registry).decode()

    found = {one.labels["label"]: one.value for one in samples(written) if one.name == "g"}
    assert found == {text: value for value, text in enumerate(hostile)}
    bounds = [one.labels["le"] for one in samples(written, ("h_bucket",))]
    assert bounds[-1] == "+Inf"
    assert len(bounds) > 10


def test_a_text_cut_anywhere_has_no_half_labels() -> None:
    text = 'a{x="1",y="\\""} 10\nb 2\n'
    labels = {"x": "1", "y": '"'}
    for end in range(len(text)):
        found = list(samples(text[:end]))
        assert found in (
            [], [("a", labels, 1)], [("a", labels, 10)], [("a", labels, 10), ("b", {}, 2)],
        ), end  # fmt: skip


def test_a_line_of_quotes_does_not_take_forever() -> None:
    assert list(samples("up{" + 'a="' * 20000)) == []
    assert list(samples("up{" + 'a="b",' * 20000)) == []
    assert list(samples("up{" + " " * 20000 + "x")) == []
