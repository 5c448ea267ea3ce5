import pytest

from svcdns.corefile.nodecache import (
    KubeDNS,
    fill,
    local_addresses,
    read_kube_dns,
    service_variable,
    untracked,
)
from svcdns.errors import ConfigError
from tests.support.corefiles import problem

TEMPLATE = """\
cluster.local:53 {
    bind __PILLAR__LOCAL__DNS__ __PILLAR__DNS__SERVER__
    forward . __PILLAR__CLUSTER__DNS__ {
        force_tcp
    }
    health __PILLAR__LOCAL__DNS__:8080
}
.:53 {
    bind __PILLAR__LOCAL__DNS__ __PILLAR__DNS__SERVER__
    forward . __PILLAR__UPSTREAM__SERVERS__
}
"""
LOCAL = ("169.254.20.10", "10.96.0.10")


def _lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def test_placeholders_get_what_the_node_knows() -> None:
    lines = _lines(fill(TEMPLATE, LOCAL, cluster_dns="10.96.77.3"))

    assert lines.count("bind 169.254.20.10 10.96.0.10") == 2
    assert "forward . 10.96.77.3 {" in lines
    assert "forward . /etc/resolv.conf" in lines
    assert "__PILLAR__" not in "".join(lines)


def test_the_config_map_names_upstreams_and_stub_domains() -> None:
    kube_dns = KubeDNS({"corp.example": ("10.0.0.1", "10.0.0.2")}, ("192.0.2.1", "192.0.2.2"))

    made = fill(TEMPLATE.replace("health __PILLAR__LOCAL__DNS__:8080", ""), LOCAL, cluster_dns="10.96.77.3", kube_dns=kube_dns)  # fmt: skip

    lines = _lines(made)
    assert "forward . 192.0.2.1 192.0.2.2" in lines
    assert lines[-6:] == [
        "corp.example:53 {",
        "errors",
        "cache 30",
        "bind 169.254.20.10 10.96.0.10",
        "forward . 10.0.0.1 10.0.0.2",
        "}",
    ]
    assert problem(made) is None


def test_a_template_that_needs_the_cluster_dns_server_is_not_filled_without_its_address() -> None:
    with pytest.raises(ConfigError, match="-upstreamsvc"):
        fill(TEMPLATE, LOCAL, cluster_dns="")


def test_a_template_without_placeholders_stays_as_it_is() -> None:
    text = ".:53 {\n    whoami\n}\n"

    assert fill(text, LOCAL, cluster_dns="") == text


def test_the_config_map_is_read_from_its_files() -> None:
    files = {
        "stubDomains": b'{"corp.example": ["10.0.0.1"]}',
        "upstreamNameservers": b'["192.0.2.1"]\n',
        "..data": b"",
    }

    assert read_kube_dns(files) == KubeDNS({"corp.example": ("10.0.0.1",)}, ("192.0.2.1",))
    assert read_kube_dns({}) == KubeDNS()
    assert read_kube_dns({"stubDomains": b" "}) == KubeDNS()


@pytest.mark.parametrize("content", [b"{", b'["a"]', b'{"a": "10.0.0.1"}', b"\xff"])
def test_a_config_map_that_is_not_what_it_must_be_is_refused(content: bytes) -> None:
    with pytest.raises(ConfigError, match="ConfigMap kube-dns: stubDomains: "):
        read_kube_dns({"stubDomains": content})


def test_a_services_address_is_in_the_environment() -> None:
    assert service_variable("kube-dns-upstream") == "KUBE_DNS_UPSTREAM_SERVICE_HOST"


def test_local_addresses_are_of_one_family() -> None:
    assert local_addresses("169.254.20.10,10.96.0.10") == LOCAL
    assert local_addresses("FD00::10") == ("fd00::10",)


@pytest.mark.parametrize("text", ["", "10.96.0.10,", "10.96.0.10,fd00::10", "web", "10.96.0.256"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="-localip: "):
        local_addresses(text)


@pytest.mark.parametrize(("local", "family"), [(LOCAL, "ip"), (("fd00::10",), "ip6")])
def test_packets_of_the_cache_are_not_tracked_either_way(
    local: tuple[str, ...], family: str
) -> None:
    lines = _lines(untracked(local, table="t", port=53, health_port=8080))

    addresses = "{ " + ", ".join(local) + " }"
    assert lines.count(f"{family} daddr {addresses} meta l4proto {{ tcp, udp }} th dport 53 notrack") == 2  # fmt: skip
    assert f"{family} saddr {addresses} meta l4proto {{ tcp, udp }} th sport 53 notrack" in lines
    assert f"{family} daddr {addresses} tcp dport 8080 notrack" in lines
