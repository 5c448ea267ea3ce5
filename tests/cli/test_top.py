import argparse

import pytest

from svcdns.cli import main
from svcdns.cli.top import add_arguments, settings_of, url
from svcdns.errors import ConfigError
from svcdns.proxy.top import Sort
from svcdns.proxy.topview import View
from tests.support.ports import free_port


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def test_without_an_address_both_products_are_tried() -> None:
    settings = settings_of(parsed())
    assert settings.urls == (
        "http://127.0.0.1:1054/metrics",
        "http://127.0.0.1:10249/metrics",
    )
    assert (settings.interval, settings.view, settings.once) == (2.0, View(), False)


def test_flags_say_what_is_shown_at_first() -> None:
    found = settings_of(parsed("--endpoints", "--sort", "bytes", "--once", "-n", "shop"))
    assert found.view == View(Sort.BYTES, endpoints=True)
    assert (found.once, found.namespace) == (True, "shop")


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("10.0.0.1:9153", "http://10.0.0.1:9153/metrics"),
        ("node-1:10249", "http://node-1:10249/metrics"),
        (":1054", "http://127.0.0.1:1054/metrics"),
        ("1054", "http://127.0.0.1:1054/metrics"),
        ("[::1]:1054", "http://[::1]:1054/metrics"),
        ("http://h:1", "http://h:1/metrics"),
        ("http://h:1/", "http://h:1/metrics"),
        ("https://h/api/v1/proxy/metrics?a=b", "https://h/api/v1/proxy/metrics?a=b"),
    ],
)
def test_addresses_become_urls(text: str, whole: str) -> None:
    assert url(text) == whole


@pytest.mark.parametrize(
    "text",
    ["", "127.0.0.1", "::1", "h:0x", "h:99999", "ftp://h:1", "http://", "a b:1", " h:1", "u@h:1",
     "file:///etc/passwd", "[::1", "h:1\n"],
)  # fmt: skip
def test_what_is_no_address_is_said(text: str) -> None:
    with pytest.raises(ConfigError, match="no address: expected ADDRESS:PORT or a URL"):
        url(text)


@pytest.mark.parametrize("text", ["0", "-1", "0.01", "1e9", "nan", "inf"])
def test_an_interval_has_limits(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--interval: must be 0\.1 to 3600 s"):
        settings_of(parsed(f"--interval={text}"))


def test_nobody_there_is_one_line_that_says_where_and_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    address = f"127.0.0.1:{free_port()}"
    assert main(["top", address, "--once"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"http://{address}/metrics: connection refused")
    assert "--metrics-address" in line
    assert "--metrics-bind-address" in line
