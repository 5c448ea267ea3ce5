"""Keys of server blocks (corefile-features a, "Server keys")."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.corefile.keys import parse_key
from svcdns.dns.name import from_text

ROWS = [
    (".", "dns", ".", 53),
    (".:53", "dns", ".", 53),
    (".:5353", "dns", ".", 5353),
    ("dns://.:53", "dns", ".", 53),
    ("dns://example.org", "dns", "example.org.", 53),
    ("tls://.", "tls", ".", 853),
    ("tls://.:8853", "tls", ".", 8853),
    ("https://.", "https", ".", 443),
    ("https3://.", "https3", ".", 443),
    ("grpc://.", "grpc", ".", 443),
    ("quic://.", "quic", ".", 853),
    ("example.org", "dns", "example.org.", 53),
    ("example.org.", "dns", "example.org.", 53),
    ("EXAMPLE.Org:1053", "dns", "example.org.", 1053),
    ("internal.:53", "dns", "internal.", 53),
    ("hostname.bind:5353", "dns", "hostname.bind.", 5353),
    ("foo://x", "dns", "foo://x.", 53),
    ("DNS://x", "dns", "dns://x.", 53),
    ("example.org:053", "dns", "example.org.", 53),
    ("example.org:dns", "dns", "example.org:dns.", 53),
    ("172.16.10.0/24{", "dns", "172.16.10.0/24{.", 53),
    ("10.0.0.0/33", "dns", "10.0.0.0/33.", 53),
    ("a,b", "dns", "a,b.", 53),
    ("10.0.0.0/8", "dns", "10.in-addr.arpa.", 53),
    ("10.0.0.0/8:1053", "dns", "10.in-addr.arpa.", 1053),
    ("2001:db8::/32", "dns", "8.b.d.0.1.0.0.2.ip6.arpa.", 53),
    ("tls://2001:db8::/32:5353", "tls", "8.b.d.0.1.0.0.2.ip6.arpa.", 5353),
]


@pytest.mark.parametrize(("text", "scheme", "zone", "port"), ROWS)
def test_a_key_is_taken_apart(text: str, scheme: str, zone: str, port: int) -> None:
    (key,) = parse_key(text)

    assert (key.text, key.scheme, key.zone, key.port) == (text, scheme, zone, port)


def test_the_default_port_is_for_plain_dns_only() -> None:
    ports = [parse_key(text, 1053)[0].port for text in (".", "dns://.", "tls://.", ".:53")]

    assert ports == [1053, 1053, 853, 53]


def test_f12_a_network_becomes_several_keys() -> None:
    keys = parse_key("10.0.0.0/15:1053")

    assert [key.zone for key in keys] == ["0.10.in-addr.arpa.", "1.10.in-addr.arpa."]
    assert {key.port for key in keys} == {1053}
    assert {key.text for key in keys} == {"10.0.0.0/15:1053"}


BAD = [
    ("", "expecting data after last colon"),
    ("example.org:", "expecting data after last colon"),
    ("dns://", "expecting data after last colon"),
    (":53", "not a valid domain name"),
    ("a..b", "not a valid domain name"),
    (".a", "not a valid domain name"),
    ("a" * 64, "not a valid domain name"),
    (".".join(["a" * 60] * 5), "not a valid domain name"),
    ("a.\\", "not a valid domain name"),
    (".:65536", "invalid port"),
    (".:-1", "invalid port"),
    (".:" + "9" * 5000, "invalid port"),
    ("unix:///run/dns", "unix socket"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_a_bad_key_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_key(text)


@given(st.text(max_size=300))
def test_any_text_is_a_key_or_a_value_error(text: str) -> None:
    try:
        keys = parse_key(text)
    except ValueError:
        return
    for key in keys:
        assert from_text(key.zone) == from_text(key.zone).lower()
        assert 0 <= key.port <= 65535
