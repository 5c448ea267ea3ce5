"""Addresses with ports as text."""

import pytest

from svcdns.hostport import bracketed, host_port


@pytest.mark.parametrize(
    ("host", "joined"),
    [
        ("10.0.0.1", "10.0.0.1:53"),
        ("fd00::1", "[fd00::1]:53"),
        ("fe80::1%eth0", "[fe80::1%eth0]:53"),
        ("dns.example", "dns.example:53"),
        ("", ":53"),
    ],
)
def test_only_ipv6_stands_in_brackets(host: str, joined: str) -> None:
    assert host_port(host, 53) == joined
    assert bracketed(host) + ":53" == joined
