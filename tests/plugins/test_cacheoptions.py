"""Options of the cache directive."""

import pytest

from svcdns.corefile.options import Line
from svcdns.corefile.parser import parse
from svcdns.errors import CorefileError
from svcdns.plugins.cacheoptions import Settings, read
from tests.support.records import wire_name


def settings(arguments: str = "", options: str = "") -> Settings:
    text = f". {{\n cache {arguments} {{\n{options}\n}}\n}}"
    (block,) = parse(text, "Corefile", {}, lambda pattern, base: None, lambda line: None)
    return read(Line(block.directives[0]), (wire_name("."),))


def test_a_number_first_is_the_ttl_and_the_rest_are_zones() -> None:
    found = settings("30 example.org 10.0.0.0/8")

    assert (found.success.max_ttl, found.denial.max_ttl) == (30, 30)
    assert found.zones == (wire_name("example.org"), wire_name("10.in-addr.arpa"))
    assert settings("example.org").success.max_ttl == 3600
    assert settings().zones == (wire_name("."),)


def test_capacities_ttls_and_prefetching_are_read() -> None:
    found = settings("900", "denial 9984 30\nsuccess 10 20 7\nprefetch 5 2m 30%")

    assert (found.denial.capacity, found.denial.max_ttl, found.denial.min_ttl) == (9984, 30, 5)
    assert (found.success.capacity, found.success.max_ttl, found.success.min_ttl) == (10, 20, 7)
    assert (found.prefetch, found.prefetch_within, found.prefetch_at) == (5, 120.0, 0.3)


def test_serve_stale_has_defaults() -> None:
    assert settings("", "serve_stale").stale_for == 3600.0
    assert settings("", "serve_stale 30m").stale_for == 1800.0
    assert settings("", "serve_stale 30m verify").verify


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ("0", ""), ("", "success"), ("", "success x"), ("", "prefetch"), ("", "prefetch 1 1m 5%"),
        ("", "prefetch 1 1m 10"), ("", "serve_stale 1h often"), ("", "servfail 6m"),
        ("", "disable all"), ("", "frobnicate"), ("", "serve_stale_policy newest"),
    ],
)  # fmt: skip
def test_wrong_options_are_errors(arguments: str, options: str) -> None:
    with pytest.raises(CorefileError):
        settings(arguments, options)


@pytest.mark.parametrize(("word", "warned"), [("3600s", True), ("1h", True), ("h", False)])
def test_a_ttl_with_a_unit_is_a_zone_and_has_a_warning(word: str, warned: bool) -> None:
    said: list[str] = []
    text = f". {{\n cache {word}\n}}"
    (block,) = parse(text, "Corefile", {}, lambda pattern, base: None, lambda line: None)
    found = read(Line(block.directives[0], warn=said.append), (wire_name("."),))

    assert found.zones == (wire_name(word),)
    assert (found.success.max_ttl, bool(said)) == (3600, warned)
    assert all(text.startswith("Corefile:2 - cache: `") for text in said)
