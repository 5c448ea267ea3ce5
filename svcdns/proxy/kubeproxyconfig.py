"""``KubeProxyConfiguration``, kubeproxy.config.k8s.io/v1alpha1, as the API defines it.

All fields of the type are here with their types and defaults, whether svcdns acts on them or not:
a file that kube-proxy reads must be read, and what is not acted on is said by name
(:mod:`svcdns.proxy.config`).  Durations are text here, because that is what ``/configz`` shows.

Spec: https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/
Parity: ``k8s.io/kube-proxy/config/v1alpha1/types.go``; defaults from kube-proxy
``pkg/proxy/apis/config/v1alpha1/defaults.go``.
"""

from msgspec import Struct, field

API_VERSION = "kubeproxy.config.k8s.io/v1alpha1"
KIND = "KubeProxyConfiguration"

HEALTHZ_PORT = 10256
METRICS_PORT = 10249


class _Section(Struct, frozen=True, rename="camel", kw_only=True):
    """Base of the type's parts: fields are the API's in snake_case."""


class ClientConnection(_Section, frozen=True):
    """``clientConnection``."""

    kubeconfig: str = ""
    accept_content_types: str = ""
    content_type: str = ""
    qps: float = 0
    burst: int = 0


class TextOptions(_Section, frozen=True):
    """``logging.options.text``."""

    split_stream: bool = False
    info_buffer_size: str | int = 0


class JSONOptions(_Section, frozen=True):
    """``logging.options.json``."""

    split_stream: bool = False
    info_buffer_size: str | int = 0


class LoggingOptions(_Section, frozen=True):
    """``logging.options``."""

    text: TextOptions = TextOptions()
    json: JSONOptions = JSONOptions()


class VModule(_Section, frozen=True):
    """One entry of ``logging.vmodule``."""

    file_pattern: str = ""
    verbosity: int = 0


class Logging(_Section, frozen=True):
    """``logging``."""

    format: str = ""
    flush_frequency: str | int = 0
    verbosity: int = 0
    vmodule: tuple[VModule, ...] = ()
    options: LoggingOptions = LoggingOptions()


class IPTables(_Section, frozen=True):
    """``iptables``."""

    masquerade_bit: int = 14
    masquerade_all: bool = False
    localhost_node_ports: bool = True
    sync_period: str = "0s"
    min_sync_period: str = "0s"


class IPVS(_Section, frozen=True):
    """``ipvs``."""

    sync_period: str = "0s"
    min_sync_period: str = "0s"
    scheduler: str = ""
    exclude_cidrs: tuple[str, ...] = field(default=(), name="excludeCIDRs")
    strict_arp: bool = field(default=False, name="strictARP")
    tcp_timeout: str = "0s"
    tcp_fin_timeout: str = "0s"
    udp_timeout: str = "0s"


class NFTables(_Section, frozen=True):
    """``nftables``."""

    masquerade_bit: int = 14
    masquerade_all: bool = False
    sync_period: str = "0s"
    min_sync_period: str = "0s"


class Winkernel(_Section, frozen=True):
    """``winkernel``: Windows only."""

    network_name: str = ""
    source_vip: str = ""
    enable_dsr: bool = field(default=False, name="enableDSR")
    root_hns_endpoint_name: str = ""
    forward_health_check_vip: bool = False


class Conntrack(_Section, frozen=True):
    """``conntrack``; 0 leaves the kernel's setting alone (rule R95)."""

    max_per_core: int = 32 * 1024
    min: int = 128 * 1024
    tcp_established_timeout: str = "24h0m0s"
    tcp_close_wait_timeout: str = "1h0m0s"
    tcp_be_liberal: bool = False
    udp_timeout: str = "0s"
    udp_stream_timeout: str = "0s"


class DetectLocal(_Section, frozen=True):
    """``detectLocal``."""

    bridge_interface: str = ""
    interface_name_prefix: str = ""


class KubeProxyConfiguration(_Section, frozen=True):
    """The whole file; an absent or ``null`` field has the default."""

    api_version: str = API_VERSION
    kind: str = KIND
    feature_gates: dict[str, bool] = {}
    client_connection: ClientConnection = ClientConnection()
    logging: Logging = Logging()
    hostname_override: str = ""
    bind_address: str = ""
    healthz_bind_address: str = ""
    metrics_bind_address: str = ""
    bind_address_hard_fail: bool = False
    enable_profiling: bool = False
    show_hidden_metrics_for_version: str = ""
    mode: str = ""
    iptables: IPTables = IPTables()
    ipvs: IPVS = IPVS()
    nftables: NFTables = NFTables()
    winkernel: Winkernel = Winkernel()
    detect_local_mode: str = ""
    detect_local: DetectLocal = DetectLocal()
    cluster_cidr: str = field(default="", name="clusterCIDR")
    node_port_addresses: tuple[str, ...] = ()
    oom_score_adj: int = -999
    conntrack: Conntrack = Conntrack()
    config_sync_period: str = "15m0s"
    port_range: str = ""
    windows_run_as_service: bool = False
