import pytest

from svcdns.corefile.options import once
from svcdns.dns.name import ROOT, from_text
from svcdns.errors import CorefileError
from svcdns.plugins.commands import Transport, Upstream
from svcdns.plugins.forwardoptions import (
    Options,
    Target,
    read_nameservers,
    read_options,
    read_target,
)
from svcdns.plugins.proxies import HealthCheck
from tests.support.corefile import directives


def options(text: str) -> Options:
    line = once(directives(f"forward . 192.0.2.1 {{\n{text}\n}}"))
    line.rest()
    return read_options(line)


def test_defaults_are_those_of_the_reference() -> None:
    """Rule J21."""
    found = options("")

    assert (found.expire, found.read_timeout, found.max_fails) == (10.0, 2.0, 2)
    assert (found.policy, found.max_concurrent) == ("random", 0)
    assert found.check == HealthCheck(0.5, recursion=True, domain=ROOT)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("except a.example b.example", "excepts", (from_text("a.example"), from_text("b.example"))),
        ("except 10.0.0.0/8", "excepts", (from_text("10.in-addr.arpa"),)),
        ("force_tcp", "force_tcp", True),
        ("prefer_udp", "prefer_udp", True),
        ("expire 20s", "expire", 20.0),
        ("max_age 1m", "max_age", 60.0),
        ("read_timeout 500ms", "read_timeout", 0.5),
        ("max_fails 0", "max_fails", 0),
        ("max_connect_attempts 3", "max_connect_attempts", 3),
        ("doh_method GET", "method", "GET"),
        ("tls", "tls", ()),
        ("tls ca.pem", "tls", ("ca.pem",)),
        ("tls cert.pem key.pem ca.pem", "tls", ("cert.pem", "key.pem", "ca.pem")),
        ("tls_servername dns.example", "tls_servername", "dns.example"),
        ("policy sequential", "policy", "sequential"),
        ("health_check 5s", "check", HealthCheck(5.0)),
        (
            "health_check 5s no_rec domain a.example",
            "check",
            HealthCheck(5.0, False, from_text("a.example")),
        ),
        ("max_concurrent 1000", "max_concurrent", 1000),
        ("next NXDOMAIN refused", "next_rcodes", {3, 5}),
        ("next_on_nodata", "next_on_nodata", True),
        ("failfast_all_unhealthy_upstreams", "failfast", True),
        ("failover SERVFAIL REFUSED", "failover", {2, 5}),
        ("source_address 192.0.2.9", "source", "192.0.2.9"),
    ],
)
def test_options(text: str, name: str, value: object) -> None:
    assert getattr(options(text), name) == value


@pytest.mark.parametrize("text", ["max_idle_conns 5"])
def test_what_is_accepted_without_effect(text: str) -> None:
    assert options(text) == Options()


@pytest.mark.parametrize(
    "text",
    [
        "unknown",
        "force_tcp yes",
        "expire",
        "expire -1s",
        "max_fails -1",
        "max_fails x",
        "tls a b c d",
        "policy best",
        "health_check",
        "health_check 1s rec",
        "health_check 1s domain",
        "max_concurrent -1",
        "next",
        "next NOPE",
        "failover NOERROR",
        "source_address eth0",
        "doh_method PUT",
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(CorefileError, match="Corefile:3 - "):
        options(text)


TLS = Options(tls=("ca.pem",), tls_servername="dns.example")


@pytest.mark.parametrize(
    ("text", "upstream"),
    [
        ("8.8.8.8", Upstream("8.8.8.8", 53)),
        ("8.8.8.8:5300", Upstream("8.8.8.8", 5300)),
        ("dns://8.8.8.8", Upstream("8.8.8.8", 53)),
        ("2001:db8::1", Upstream("2001:db8::1", 53)),
        ("[2001:db8::1]:5300", Upstream("2001:db8::1", 5300)),
        ("fe80::1%eth0", Upstream("fe80::1%eth0", 53)),
        (
            "tls://9.9.9.9",
            Upstream("9.9.9.9", 853, Transport.TLS, "dns.example", ("ca.pem",)),
        ),
        (
            "tls://9.9.9.9%dns.quad9.net",
            Upstream("9.9.9.9", 853, Transport.TLS, "dns.quad9.net", ("ca.pem",)),
        ),
        (
            "tls://9.9.9.9%dns.quad9.net:8853",
            Upstream("9.9.9.9", 8853, Transport.TLS, "dns.quad9.net", ("ca.pem",)),
        ),
        (
            "https://1.1.1.1/query",
            Upstream(
                "1.1.1.1", 443, Transport.HTTPS, "dns.example", ("ca.pem",), url_path="/query"
            ),
        ),
    ],
)
def test_upstreams(text: str, upstream: Upstream) -> None:
    assert read_target(text, TLS) == Target(upstream)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("/etc/resolv.conf", Target(path="/etc/resolv.conf")),
        ("tls:///etc/resolv.conf", Target(path="/etc/resolv.conf", transport=Transport.TLS)),
        ("dns.example", Target(path="dns.example")),
    ],
)
def test_what_is_no_address_is_a_file(text: str, target: Target) -> None:
    assert read_target(text, TLS) == target


@pytest.mark.parametrize("text", ["quic://8.8.8.8", "grpc://8.8.8.8", "x://8.8.8.8"])
def test_schemes_that_there_are_not(text: str) -> None:
    with pytest.raises(ValueError, match="unsupported protocol"):
        read_target(text, TLS)


def test_name_servers_of_a_resolv_conf() -> None:
    content = (
        b"# nameserver 192.0.2.99\nsearch a.example\nnameserver 192.0.2.1\n"
        b"nameserver fe80::1%eth0 \n nameserver\t192.0.2.2 # two\nnameserver\nnameserver x\n\xff\xfe\n"
    )

    found = read_nameservers(content, Transport.UDP, Options())

    assert [upstream.address for upstream in found] == ["192.0.2.1", "fe80::1%eth0", "192.0.2.2"]
