"""From a KubeProxyConfiguration file or kube-proxy's flags to the options the proxy runs with.

:func:`resolve` completes a configuration with kube-proxy's defaults and says by name what is
translated and what has no effect.  The modes ``iptables`` and ``ipvs`` run as ``nftables``;
``userspace`` is svcdns's own.

Parity: kube-proxy ``cmd/kube-proxy/app/options.go``, ``pkg/proxy/apis/config/v1alpha1``.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from svcdns.corefile.durations import parse_duration
from svcdns.errors import ProxyConfigError
from svcdns.hostport import host_port
from svcdns.kube.objects import Kind
from svcdns.kube.source import ApiSource
from svcdns.proxy.address import is_loopback, normalise_range
from svcdns.proxy.capture import FLAG as CAPTURE_FLAG
from svcdns.proxy.capture import Captured, ranges
from svcdns.proxy.configfile import Raw, lookup, split_host_port, typed, unknown_fields
from svcdns.proxy.endpoints import HEADLESS_LABEL
from svcdns.proxy.flags import SOURCE
from svcdns.proxy.kubeproxyconfig import (
    HEALTHZ_PORT,
    METRICS_PORT,
    Conntrack,
    KubeProxyConfiguration,
)
from svcdns.proxy.model import LocalDetector, NodeView, PlanOptions
from svcdns.proxy.plan import PROXY_NAME_LABEL


class Mode(StrEnum):
    """What carries the plan out."""

    NFTABLES = "nftables"
    USERSPACE = "userspace"


class LocalMode(StrEnum):
    """``detectLocalMode`` (rule R73)."""

    CLUSTER_CIDR = "ClusterCIDR"
    NODE_CIDR = "NodeCIDR"
    BRIDGE_INTERFACE = "BridgeInterface"
    INTERFACE_NAME_PREFIX = "InterfaceNamePrefix"


class ProxyOptions(Struct, frozen=True, kw_only=True):
    """What the proxy runs with, after files, flags and defaults; times in seconds."""

    mode: Mode = Mode.NFTABLES
    hostname_override: str = ""
    kubeconfig: str = ""
    "Path; empty: the credentials of the pod."
    master: str = ""
    "URL of the API server that overrides the kubeconfig's."
    bind_address: str = "0.0.0.0"
    bind_address_hard_fail: bool = False
    "Whether a health or metrics address that cannot be bound ends the process."
    healthz_bind_address: str = f"0.0.0.0:{HEALTHZ_PORT}"
    metrics_bind_address: str = f"127.0.0.1:{METRICS_PORT}"
    plan: PlanOptions = PlanOptions()
    detect_local_mode: LocalMode = LocalMode.CLUSTER_CIDR
    cluster_cidrs: tuple[str, ...] = ()
    bridge_interface: str = ""
    interface_name_prefix: str = ""
    masquerade_all: bool = False
    masquerade_bit: int = 14
    "Bit of the packet mark, 0 to 31."
    sync_period: float = 30
    min_sync_period: float = 1
    config_sync_period: float = 900
    conntrack: Conntrack = Conntrack()
    oom_score_adj: int = -999
    capture: tuple[Captured, ...] = ()
    "Ranges of Services to make local."
    exclude_ports: frozenset[int] = frozenset()
    "Ports of frontends that get no socket in userspace mode."
    access_log: bool = False
    "Whether connections are logged in userspace mode."
    cleanup: bool = False
    cleanup_kube_proxy: bool = False
    "Whether the leftovers of kube-proxy are removed (rule R107)."
    init_only: bool = False
    verbosity: int = 0
    configuration: KubeProxyConfiguration = KubeProxyConfiguration()
    "What ``/configz`` shows: the file with its defaults."
    warnings: tuple[str, ...] = ()
    "For the log at the start: what is translated, ignored or unknown, by name."

    @property
    def masquerade_mark(self) -> int:
        """Mark of packets to masquerade (rule R72)."""
        return 1 << self.masquerade_bit

    def node_name(self, hostname: str) -> str:
        """Name of this node: ``hostnameOverride``, else the machine's *hostname*, lower-cased."""
        return (self.hostname_override.strip() or hostname.strip()).lower()

    def source(self, node: str) -> ApiSource:
        """Say which objects of the API server the proxy of *node* keeps (rules R2, R3 and R62)."""
        return ApiSource(
            (Kind.SERVICE, Kind.ENDPOINT_SLICE, Kind.NODE, Kind.SERVICE_CIDR),
            endpoint=self.master,
            kubeconfig=self.kubeconfig,
            label_selectors={
                Kind.SERVICE: f"!{PROXY_NAME_LABEL}",
                Kind.ENDPOINT_SLICE: f"!{PROXY_NAME_LABEL},!{HEADLESS_LABEL}",
            },
            field_selectors={Kind.NODE: f"metadata.name={node}"},
            user_agent="svcdns-proxy",
        )

    def detector(self, node: NodeView) -> LocalDetector:
        """Tell how pods are recognised on *node* (rule R73)."""
        match self.detect_local_mode:
            case LocalMode.CLUSTER_CIDR:
                return LocalDetector(self.cluster_cidrs)
            case LocalMode.NODE_CIDR:
                return LocalDetector(node.pod_cidrs)
            case LocalMode.BRIDGE_INTERFACE:
                return LocalDetector(interface=self.bridge_interface)
            case LocalMode.INTERFACE_NAME_PREFIX:
                return LocalDetector(prefix=self.interface_name_prefix)

    def sysctls(self, cores: int) -> tuple[tuple[str, int], ...]:
        """List the kernel settings for conntrack (rule R95): sysctl name and value.

        ``net.netfilter.nf_conntrack_max`` is to be raised only, never lowered.
        """
        wanted = self.conntrack
        limit = max(wanted.max_per_core * cores, wanted.min) if wanted.max_per_core else 0
        values = {
            "max": limit,
            "tcp_timeout_established": int(parse_duration(wanted.tcp_established_timeout)),
            "tcp_timeout_close_wait": int(parse_duration(wanted.tcp_close_wait_timeout)),
            "tcp_be_liberal": int(wanted.tcp_be_liberal),
            "udp_timeout": int(parse_duration(wanted.udp_timeout)),
            "udp_timeout_stream": int(parse_duration(wanted.udp_stream_timeout)),
        }
        return tuple((f"net.netfilter.nf_conntrack_{k}", v) for k, v in values.items() if v)


def resolve(raw: Raw, file: str, **runtime: Any) -> ProxyOptions:
    """Type, check and complete a configuration.

    Args:
        raw: From :func:`svcdns.proxy.configfile.read` or :func:`svcdns.proxy.flags.overlay`.
        file: Named in errors.
        runtime: Fields of :class:`ProxyOptions` that have no place in the file.

    Raises:
        ProxyConfigError: A wrong type or an impossible value; names the field.
    """
    warnings = [f"{path}: unknown field, ignored" for path in unknown_fields(raw)]
    configuration = _completed(typed(raw, file))
    warnings += _translated(configuration)
    warnings += _without_effect(raw)
    given = {
        "mode": Mode.USERSPACE if configuration.mode == "userspace" else Mode.NFTABLES,
        "hostname_override": configuration.hostname_override,
        "kubeconfig": configuration.client_connection.kubeconfig,
        "bind_address": configuration.bind_address,
        "bind_address_hard_fail": configuration.bind_address_hard_fail,
        "healthz_bind_address": configuration.healthz_bind_address,
        "metrics_bind_address": configuration.metrics_bind_address,
        "plan": _plan_options(configuration, tuple(runtime.pop("service_cidrs", ()))),
        **_detection(configuration),
        **_section(configuration),
        "config_sync_period": parse_duration(configuration.config_sync_period),
        "conntrack": configuration.conntrack,
        "oom_score_adj": configuration.oom_score_adj,
        "verbosity": configuration.logging.verbosity,
        "configuration": configuration,
        "warnings": (*runtime.pop("warnings", ()), *warnings),
    }
    options = ProxyOptions(**{**given, **runtime, **_capture(runtime)})
    if options.capture and options.mode is not Mode.USERSPACE:
        why = f"mode {options.mode.value} forwards in the kernel and captures nothing"
        raise ProxyConfigError(SOURCE, CAPTURE_FLAG, why)
    if options.exclude_ports and options.mode is not Mode.USERSPACE:
        why = f"mode {options.mode.value} forwards in the kernel and takes no ports from anybody"
        raise ProxyConfigError(SOURCE, "--exclude-ports", why)
    if options.access_log and options.mode is not Mode.USERSPACE:
        why = f"mode {options.mode.value} forwards in the kernel and sees no connections"
        raise ProxyConfigError(SOURCE, "--access-log", why)
    return options


def _capture(runtime: Mapping[str, Any]) -> Raw:
    """Read what is captured and what is not."""
    ports = [str(text) for text in runtime.get("exclude_ports", ())]
    for text in ports:
        if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):
            raise ProxyConfigError(SOURCE, "--exclude-ports", f"{text!r} is no port")
    return {
        "capture": ranges(runtime.get("capture", ())),
        "exclude_ports": frozenset(map(int, ports)),
    }


def _completed(given: KubeProxyConfiguration) -> KubeProxyConfiguration:
    """Fill in defaults that depend on other fields (``SetDefaults_KubeProxyConfiguration``)."""
    bind = given.bind_address or "0.0.0.0"
    all_, loopback = ("::", "::1") if ":" in bind else ("0.0.0.0", "127.0.0.1")
    iptables, ipvs, nftables = given.iptables, given.ipvs, given.nftables
    addresses = given.node_port_addresses
    if not addresses and given.mode in ("nftables", "userspace"):
        addresses = ("primary",)  # the other modes: every local address (rule R31)
    connection = given.client_connection
    return replace(
        given,
        bind_address=bind,
        healthz_bind_address=_with_port(given.healthz_bind_address or all_, HEALTHZ_PORT),
        metrics_bind_address=_with_port(given.metrics_bind_address or loopback, METRICS_PORT),
        detect_local_mode=given.detect_local_mode or LocalMode.CLUSTER_CIDR.value,
        node_port_addresses=addresses,
        iptables=replace(
            iptables,
            sync_period=_or(iptables.sync_period, "30s"),
            min_sync_period=_or(iptables.min_sync_period, "1s"),
        ),
        ipvs=replace(ipvs, sync_period=_or(ipvs.sync_period, "30s")),
        nftables=replace(
            nftables,
            sync_period=_or(nftables.sync_period, "30s"),
            min_sync_period=_or(nftables.min_sync_period, "1s"),
        ),
        config_sync_period=_or(given.config_sync_period, "15m0s"),
        client_connection=replace(
            connection, qps=connection.qps or 5, burst=connection.burst or 10
        ),
    )


def _or(text: str, default: str) -> str:
    """Take zero for "not set", as kube-proxy's defaults do (``v1alpha1/defaults.go``)."""
    return text if parse_duration(text) else default


def _with_port(text: str, port: int) -> str:
    found = split_host_port(text, port)
    host, number = found or (text, port)
    return host_port(host, number)


def _translated(configuration: KubeProxyConfiguration) -> list[str]:
    """Say what runs differently from what the file asks for."""
    warnings = []
    mode = configuration.mode
    if mode in ("iptables", "ipvs"):
        warnings.append(f"mode: {mode} runs as nftables, so without node ports on loopback")
    elif not mode:
        warnings.append("mode: not set, which is iptables to kube-proxy; runs as nftables")
    by_cidr = configuration.detect_local_mode == LocalMode.CLUSTER_CIDR
    if by_cidr and not configuration.cluster_cidr and mode != "userspace":
        warnings.append(
            "clusterCIDR: not set, so pods cannot be told from other clients: nobody is "
            "masqueraded on the way to a cluster IP, and externalTrafficPolicy Local holds for pods"
        )
    if mode != "userspace":
        for text in configuration.node_port_addresses:
            found = normalise_range(text)
            if found and is_loopback(found[1]):
                warnings.append(f"nodePortAddresses: {text}: no node ports on loopback (nftables)")
    return warnings


def _without_effect(raw: Raw) -> list[str]:
    """Say what is set and not acted on; a default that is spelled out asks for nothing."""
    defaults = msgspec.to_builtins(_completed(KubeProxyConfiguration()))
    return [
        f"{path}: {why}"
        for path, why in _NO_EFFECT.items()
        if lookup(raw, path) not in (*_UNSET, lookup(defaults, path))
    ]


def _plan_options(
    configuration: KubeProxyConfiguration, service_cidrs: tuple[str, ...]
) -> PlanOptions:
    return PlanOptions(
        node_port_addresses=configuration.node_port_addresses,
        loopback_node_ports=configuration.mode == "userspace",
        hint_weights=configuration.mode == "userspace",
        service_cidrs=service_cidrs,
    )


def _detection(configuration: KubeProxyConfiguration) -> Raw:
    found = (normalise_range(text) for text in configuration.cluster_cidr.split(","))
    return {
        "detect_local_mode": LocalMode(configuration.detect_local_mode),
        "cluster_cidrs": tuple(one[1] for one in found if one),
        "bridge_interface": configuration.detect_local.bridge_interface,
        "interface_name_prefix": configuration.detect_local.interface_name_prefix,
    }


def _section(configuration: KubeProxyConfiguration) -> Raw:
    """Take the settings that each mode has a section for; ipvs borrows from iptables."""
    iptables, nftables = configuration.iptables, configuration.nftables
    if configuration.mode in ("nftables", "userspace"):
        bit, everybody = nftables.masquerade_bit, nftables.masquerade_all
        longest, shortest = nftables.sync_period, nftables.min_sync_period
    else:
        bit, everybody = iptables.masquerade_bit, iptables.masquerade_all
        longest, shortest = iptables.sync_period, iptables.min_sync_period
        if configuration.mode == "ipvs":
            longest, shortest = configuration.ipvs.sync_period, configuration.ipvs.min_sync_period
    return {
        "masquerade_bit": bit,
        "masquerade_all": everybody,
        "sync_period": parse_duration(longest),
        "min_sync_period": parse_duration(shortest),
    }


_UNSET: tuple[Any, ...] = (None, "", 0, "0s", "0", (), [], {}, False)

_NO_EFFECT = {
    "featureGates": "svcdns has no feature gates; ignored",
    "clientConnection.acceptContentTypes": "svcdns reads JSON; ignored",
    "clientConnection.contentType": "svcdns reads JSON; ignored",
    "clientConnection.qps": "svcdns makes a handful of watch requests; ignored",
    "clientConnection.burst": "svcdns makes a handful of watch requests; ignored",
    "logging.format": "svcdns logs text; ignored",
    "logging.flushFrequency": "every line is written at once; ignored",
    "logging.vmodule": "not supported; use logging.verbosity",
    "enableProfiling": "there is no pprof here; ignored",
    "showHiddenMetricsForVersion": "no metric is hidden; ignored",
    "portRange": "has had no effect in kube-proxy since userspace mode went; ignored",
    "ipvs.scheduler": "runs as nftables, which picks at random; ignored",
    "ipvs.excludeCIDRs": "there are no ipvs rules; ignored",
    "ipvs.strictARP": "there are no ipvs addresses; ignored",
    "ipvs.tcpTimeout": "conntrack times connections; ignored",
    "ipvs.tcpFinTimeout": "conntrack times connections; ignored",
    "ipvs.udpTimeout": "conntrack times connections; ignored",
    "winkernel.networkName": "Windows only; ignored",
    "winkernel.sourceVip": "Windows only; ignored",
    "winkernel.enableDSR": "Windows only; ignored",
    "winkernel.rootHnsEndpointName": "Windows only; ignored",
    "winkernel.forwardHealthCheckVip": "Windows only; ignored",
    "windowsRunAsService": "Windows only; ignored",
}
"""Fields that are read and not acted on, and why; said when a file sets them."""
