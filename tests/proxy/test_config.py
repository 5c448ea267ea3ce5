from typing import Any

import pytest

from svcdns.errors import ProxyConfigError
from svcdns.kube.objects import Kind
from svcdns.proxy.config import LocalMode, Mode, resolve
from svcdns.proxy.configfile import read
from svcdns.proxy.model import LocalDetector, NodeView, PlanOptions

HEAD = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"

KUBEADM = (
    HEAD
    + """
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection: {acceptContentTypes: "", burst: 0, contentType: "", kubeconfig: /etc/kc.conf, qps: 0}
clusterCIDR: 10.244.0.0/16,fd00:10:244::/56
configSyncPeriod: 0s
conntrack: {maxPerCore: null, min: null, tcpBeLiberal: false, tcpCloseWaitTimeout: null, tcpEstablishedTimeout: null, udpStreamTimeout: 0s, udpTimeout: 0s}
detectLocal: {bridgeInterface: "", interfaceNamePrefix: ""}
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: ""
iptables: {localhostNodePorts: null, masqueradeAll: false, masqueradeBit: null, minSyncPeriod: 0s, syncPeriod: 0s}
ipvs: {excludeCIDRs: null, minSyncPeriod: 0s, scheduler: "", strictARP: false, syncPeriod: 0s, tcpFinTimeout: 0s, tcpTimeout: 0s, udpTimeout: 0s}
logging: {flushFrequency: 0, options: {json: {infoBufferSize: "0"}, text: {infoBufferSize: "0"}}, verbosity: 0}
metricsBindAddress: ""
mode: MODE
nftables: {masqueradeAll: false, masqueradeBit: null, minSyncPeriod: 0s, syncPeriod: 0s}
nodePortAddresses: null
oomScoreAdj: null
portRange: ""
showHiddenMetricsForVersion: ""
winkernel: {enableDSR: false, forwardHealthCheckVip: false, networkName: "", rootHnsEndpointName: "", sourceVip: ""}
"""
)


def options(text: str) -> Any:
    raw, warnings = read(text if "kind:" in text else HEAD + text, "f")
    return resolve(raw, "f", warnings=warnings)


def test_the_file_that_kubeadm_writes_is_read_without_complaint() -> None:
    found = options(KUBEADM.replace("MODE", "nftables"))
    assert found.warnings == ()
    assert found.mode is Mode.NFTABLES
    assert found.kubeconfig == "/etc/kc.conf"
    assert found.cluster_cidrs == ("10.244.0.0/16", "fd00:10:244::/56")
    assert found.healthz_bind_address == "0.0.0.0:10256"
    assert found.metrics_bind_address == "127.0.0.1:10249"
    assert (found.sync_period, found.min_sync_period, found.config_sync_period) == (30, 1, 900)
    assert (found.masquerade_bit, found.masquerade_mark, found.oom_score_adj) == (14, 0x4000, -999)
    assert found.plan == PlanOptions(node_port_addresses=("primary",))


@pytest.mark.parametrize(
    ("mode", "warning"),
    [
        ("iptables", "mode: iptables runs as nftables, so without node ports on loopback"),
        ("ipvs", "mode: ipvs runs as nftables, so without node ports on loopback"),
        ('""', "mode: not set, which is iptables to kube-proxy; runs as nftables"),
    ],
)
def test_other_modes_run_as_nftables_and_keep_their_node_port_addresses_r31(
    mode: str, warning: str
) -> None:
    found = options(KUBEADM.replace("MODE", mode))
    assert found.mode is Mode.NFTABLES
    assert found.warnings == (warning,)
    assert found.plan.node_port_addresses == (), "every local address, as in that mode"


def test_userspace_is_a_mode_of_ours() -> None:
    found = options("mode: userspace\nnodePortAddresses: [127.0.0.0/8]")
    assert (found.mode, found.warnings) == (Mode.USERSPACE, ())
    assert found.plan.loopback_node_ports, "R33: relays can"


@pytest.mark.parametrize(
    ("text", "bit", "everybody", "longest", "shortest"),
    [
        ("mode: nftables\nnftables: {masqueradeBit: 0, masqueradeAll: true, syncPeriod: 1m, minSyncPeriod: 5s}", 0, True, 60, 5),
        ("mode: nftables\niptables: {masqueradeBit: 3, masqueradeAll: true, syncPeriod: 1m}", 14, False, 30, 1),
        ("mode: iptables\niptables: {masqueradeBit: 3, masqueradeAll: true, syncPeriod: 1m}", 3, True, 60, 1),
        ("mode: ipvs\niptables: {masqueradeBit: 3}\nipvs: {syncPeriod: 2m, minSyncPeriod: 3s}", 3, False, 120, 3),
    ],
)  # fmt: skip
def test_each_mode_reads_its_section(
    text: str, bit: int, everybody: bool, longest: float, shortest: float
) -> None:
    found = options(text)
    assert (found.masquerade_bit, found.masquerade_all) == (bit, everybody)
    assert (found.sync_period, found.min_sync_period) == (longest, shortest)


NODE = NodeView("n", pod_cidrs=("10.244.1.0/24",))
DETECTORS = [
    ("clusterCIDR: 10.244.0.0/16", LocalMode.CLUSTER_CIDR, LocalDetector(("10.244.0.0/16",))),
    ("detectLocalMode: NodeCIDR", LocalMode.NODE_CIDR, LocalDetector(("10.244.1.0/24",))),
    ("detectLocalMode: BridgeInterface\ndetectLocal: {bridgeInterface: cbr0}", LocalMode.BRIDGE_INTERFACE, LocalDetector(interface="cbr0")),
    ("detectLocalMode: InterfaceNamePrefix\ndetectLocal: {interfaceNamePrefix: veth}", LocalMode.INTERFACE_NAME_PREFIX, LocalDetector(prefix="veth")),
    ("mode: nftables", LocalMode.CLUSTER_CIDR, LocalDetector()),
]  # fmt: skip


@pytest.mark.parametrize(("text", "mode", "detector"), DETECTORS)
def test_detection_of_local_traffic_r73(
    text: str, mode: LocalMode, detector: LocalDetector
) -> None:
    found = options(text)
    assert found.detect_local_mode is mode
    assert found.detector(NODE) == detector


def test_no_detector_is_worth_a_warning_r73() -> None:
    (warning,) = options("mode: nftables").warnings
    assert warning.startswith("clusterCIDR: not set, so pods cannot be told from other clients")


SYSCTLS = [
    ("", {"max": 131072, "tcp_timeout_established": 86400, "tcp_timeout_close_wait": 3600}),
    ("conntrack: {maxPerCore: 100000}", {"max": 800000, "tcp_timeout_established": 86400, "tcp_timeout_close_wait": 3600}),
    ("conntrack: {maxPerCore: 0, min: 500, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}", {}),
    ("conntrack: {maxPerCore: 1, min: 9, tcpEstablishedTimeout: 1h, tcpCloseWaitTimeout: 1m, tcpBeLiberal: true, udpTimeout: 10s, udpStreamTimeout: 3m}",
     {"max": 9, "tcp_timeout_established": 3600, "tcp_timeout_close_wait": 60, "tcp_be_liberal": 1, "udp_timeout": 10, "udp_timeout_stream": 180}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), SYSCTLS)
def test_conntrack_settings_r95(text: str, expected: dict[str, int]) -> None:
    found = dict(options(text + "\nmode: nftables").sysctls(cores=8 if "100000" in text else 2))
    assert found == {f"net.netfilter.nf_conntrack_{k}": v for k, v in expected.items()}


NO_EFFECT = [
    ("featureGates: {NFTablesNetlink: true}", "featureGates: "),
    ("clientConnection: {qps: 50, burst: 100}", "clientConnection.qps: "),
    ("ipvs: {scheduler: lc}", "ipvs.scheduler: "),
    ("ipvs: {excludeCIDRs: [10.0.0.0/8]}", "ipvs.excludeCIDRs: "),
    ("winkernel: {enableDSR: true}", "winkernel.enableDSR: "),
    ("enableProfiling: true", "enableProfiling: "),
    ("logging: {format: json}", "logging.format: "),
    ("portRange: 1-2", "portRange: "),
    ("udpIdleTimeout: 1s", "udpIdleTimeout: unknown field, ignored"),
    (
        "nodePortAddresses: [127.0.0.0/8]",
        "nodePortAddresses: 127.0.0.0/8: no node ports on loopback",
    ),
]


@pytest.mark.parametrize(("text", "warning"), NO_EFFECT)
def test_what_has_no_effect_is_said_by_name(text: str, warning: str) -> None:
    found = options(f"mode: nftables\nclusterCIDR: 10.244.0.0/16\n{text}").warnings
    assert any(one.startswith(warning) for one in found)


@pytest.mark.parametrize(
    ("text", "healthz", "metrics"),
    [
        ("", "0.0.0.0:10256", "127.0.0.1:10249"),
        ("bindAddress: '::'", "[::]:10256", "[::1]:10249"),
        ("healthzBindAddress: 127.0.0.1", "127.0.0.1:10256", "127.0.0.1:10249"),
        ("healthzBindAddress: ':1'\nmetricsBindAddress: '[::]:2'", ":1", "[::]:2"),
    ],
)
def test_where_the_pages_are(text: str, healthz: str, metrics: str) -> None:
    found = options(text + "\nmode: nftables")
    assert (found.healthz_bind_address, found.metrics_bind_address) == (healthz, metrics)


def test_what_has_no_place_in_the_file_comes_along() -> None:
    found = resolve({}, "flags", cleanup=True, master="https://x", service_cidrs=["10.96.0.0/16"])
    assert (found.cleanup, found.master) == (True, "https://x")
    assert found.plan.service_cidrs == ("10.96.0.0/16",)


@pytest.mark.parametrize(
    ("override", "expected"), [("", "host-1"), ("Node-A", "node-a"), ("  ", "host-1")]
)
def test_the_name_of_this_node(override: str, expected: str) -> None:
    assert resolve({"hostnameOverride": override}, "f").node_name("Host-1 ") == expected


def test_what_is_asked_of_the_api_server_r2_r3() -> None:
    source = resolve({"clientConnection": {"kubeconfig": "/kc"}}, "f", master="https://x").source(
        "n"
    )
    assert (source.kubeconfig, source.endpoint) == ("/kc", "https://x")
    assert source.label_selectors == {
        Kind.SERVICE: "!service.kubernetes.io/service-proxy-name",
        Kind.ENDPOINT_SLICE: "!service.kubernetes.io/service-proxy-name,!service.kubernetes.io/headless",
    }
    assert source.field_selectors == {Kind.NODE: "metadata.name=n"}


def test_ranges_to_capture_and_ports_to_leave_are_read() -> None:
    found = resolve(
        {"mode": "userspace"},
        "flags",
        capture=["10.96.0.0/12", "10.97.0.0/16"],
        exclude_ports=["8080", "9090"],
    )
    assert [one.cidr for one in found.capture] == ["10.96.0.0/12"]
    assert found.exclude_ports == {8080, 9090}


@pytest.mark.parametrize(
    ("mode", "runtime", "why"),
    [
        ("nftables", {"capture": ["10.96.0.0/12"]}, "captures nothing"),
        ("nftables", {"exclude_ports": ["8080"]}, "--exclude-ports: mode nftables forwards in the"),
        ("nftables", {"access_log": True}, "--access-log: mode nftables forwards in the kernel"),
        ("userspace", {"capture": ["10.96.0.1/12"]}, "--capture-cidrs"),
        ("userspace", {"exclude_ports": ["http"]}, "--exclude-ports: 'http' is no port"),
        ("userspace", {"exclude_ports": ["0"]}, "'0' is no port"),
        ("userspace", {"exclude_ports": ["65536"]}, "'65536' is no port"),
        ("userspace", {"exclude_ports": ["-1"]}, "'-1' is no port"),
    ],
)
def test_what_cannot_be_captured_or_left_is_refused(
    mode: str, runtime: dict[str, list[str]], why: str
) -> None:
    with pytest.raises(ProxyConfigError, match=why):
        resolve({"mode": mode}, "flags", **runtime)
