"""The Corefile that NodeLocal DNSCache makes of its template.

The template names placeholders for what only the node knows; blocks for the stub domains of the
``kube-dns`` ConfigMap are appended.

Parity: kubernetes/dns ``cmd/node-cache/app/configmap.go`` updateCorefile and ``cache_app.go``.
"""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import TypeVar

import msgspec
from msgspec import Struct, field

from svcdns.errors import ConfigError

STUB_TTL = 30
"""Seconds that answers of stub domains are kept (defaultTTL)."""

UPSTREAM_SERVERS = "__PILLAR__UPSTREAM__SERVERS__"
CLUSTER_DNS = "__PILLAR__CLUSTER__DNS__"
LOCAL_DNS = "__PILLAR__LOCAL__DNS__"
DNS_SERVER = "__PILLAR__DNS__SERVER__"

RESOLV_CONF = "/etc/resolv.conf"
"""In place of upstream servers where the ConfigMap names none."""


T = TypeVar("T")


class KubeDNS(Struct, frozen=True):
    """The ConfigMap ``kube-dns``, as far as the cache goes by it."""

    stub_domains: dict[str, tuple[str, ...]] = field(default_factory=dict)
    "Servers by domain."
    upstream_nameservers: tuple[str, ...] = ()


def read_kube_dns(files: Mapping[str, bytes]) -> KubeDNS:
    """Read the ConfigMap from the files it is mounted as.

    Raises:
        ConfigError: A value is not the JSON it must be.
    """
    return KubeDNS(
        _value(files, "stubDomains", dict[str, tuple[str, ...]]) or {},
        _value(files, "upstreamNameservers", tuple[str, ...]) or (),
    )


def _value(files: Mapping[str, bytes], key: str, wanted: type[T]) -> T | None:
    content = files.get(key, b"").strip()
    if not content:
        return None
    try:
        return msgspec.json.decode(content, type=wanted)
    except msgspec.DecodeError as error:
        raise ConfigError(f"ConfigMap kube-dns: {key}: {error}") from error


def service_variable(service: str) -> str:
    """Name the environment variable that holds a Service's cluster IP in every Pod."""
    return service.replace("-", "_").upper() + "_SERVICE_HOST"


def local_addresses(text: str) -> tuple[str, ...]:
    """Read ``-localip``: addresses of one family, with commas between.

    Raises:
        ConfigError: One of them is no address, or of another family.
    """
    found = []
    for one in text.split(","):
        try:
            found.append(ip_address(one.strip()))
        except ValueError as error:
            raise ConfigError(f"-localip: {one!r} is not an IP address") from error
    if len({one.version for one in found}) > 1:
        raise ConfigError(f"-localip: {text} mixes IPv4 and IPv6")
    return tuple(str(one) for one in found)


def fill(
    template: str,
    local: Sequence[str],
    *,
    cluster_dns: str,
    kube_dns: KubeDNS | None = None,
    port: int = 53,
) -> str:
    """Make the Corefile.

    Args:
        template: The Corefile with its placeholders.
        local: Addresses of ``-localip``.
        cluster_dns: Cluster IP of the Service that leads to the cluster DNS server.
        kube_dns: The ConfigMap, where there is one.
        port: Of the stub domains' blocks.

    Raises:
        ConfigError: The template needs an address that is not known.
    """
    kube_dns = kube_dns or KubeDNS()
    if CLUSTER_DNS in template and not cluster_dns:
        raise ConfigError(f"{CLUSTER_DNS}: the Service of -upstreamsvc has no address here")
    values = {
        UPSTREAM_SERVERS: " ".join(kube_dns.upstream_nameservers) or RESOLV_CONF,
        CLUSTER_DNS: cluster_dns,
        LOCAL_DNS: " ".join(local),
        # All addresses stand where LOCAL_DNS did.
        DNS_SERVER: "",
    }
    for placeholder, value in values.items():
        template = template.replace(placeholder, value)
    blocks = (_stub(domain, local, port, found) for domain, found in kube_dns.stub_domains.items())
    return template + "".join(blocks)


def _stub(domain: str, local: Sequence[str], port: int, servers: Sequence[str]) -> str:
    return (
        f"\n{domain}:{port} {{\n"
        "    errors\n"
        f"    cache {STUB_TTL}\n"
        f"    bind {' '.join(local)}\n"
        f"    forward . {' '.join(servers)}\n"
        "}\n"
    )


def untracked(local: Sequence[str], *, table: str, port: int, health_port: int) -> str:
    """Write nftables input that keeps packets of the cache out of connection tracking.

    So a cluster IP among *local* reaches the cache although a service proxy forwards it: what is
    not tracked is not translated.  The table is made anew each time.

    Parity: ``cache_app.go`` initIptables, rules of the ``raw`` table.
    """
    family = "ip6" if ":" in local[0] else "ip"
    addresses = "{ " + ", ".join(local) + " }"
    served, probed = f"th dport {port}", f"tcp dport {health_port}"
    tcp_udp = "meta l4proto { tcp, udp }"
    return f"""\
table {family} {table}
delete table {family} {table}
table {family} {table} {{
    chain prerouting {{
        type filter hook prerouting priority raw;
        {family} daddr {addresses} {tcp_udp} {served} notrack
    }}
    chain output {{
        type filter hook output priority raw;
        {family} daddr {addresses} {tcp_udp} {served} notrack
        {family} saddr {addresses} {tcp_udp} th sport {port} notrack
        {family} daddr {addresses} {probed} notrack
        {family} saddr {addresses} tcp sport {health_port} notrack
    }}
}}
"""
