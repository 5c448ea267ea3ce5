"""kube-proxy's flags: what each is, and where in the configuration it goes.

With ``--config`` kube-proxy takes everything from the file and ignores the other flags, except
those about the run itself, ``--hostname-override`` and the log's; so does svcdns, and says which it
ignores.  One difference: ``--proxy-mode`` wins over the file, because that is how ``userspace``,
which no kube-proxy file names, is asked for.

Parity: kube-proxy ``cmd/kube-proxy/app/options.go`` AddFlags and Complete.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from msgspec import Struct

from svcdns.errors import ProxyConfigError
from svcdns.proxy.configfile import Raw

SOURCE = "flags"
"""Stands for the file in errors about flags."""


class Type(Enum):
    """How the text of a flag becomes a value."""

    TEXT = auto()
    INTEGER = auto()
    NUMBER = auto()
    SWITCH = auto()
    LIST = auto()
    GATES = auto()


class Flag(Struct, frozen=True):
    """One flag of kube-proxy."""

    name: str
    path: str = ""
    "Fields of the configuration, by spaces; none for flags about the run."
    help: str = ""
    type: Type = Type.TEXT
    with_config: bool = False
    "Whether it counts beside ``--config``."


FLAGS: tuple[Flag, ...] = (
    Flag("config", "", "configuration file (KubeProxyConfiguration)", with_config=True),
    Flag("proxy-mode", "mode", "nftables or userspace; iptables and ipvs run as nftables",
         with_config=True),
    Flag("hostname-override", "hostnameOverride", "name of this node", with_config=True),
    Flag("kubeconfig", "clientConnection.kubeconfig", "credentials for the API server"),
    Flag("master", "", "URL of the API server; wins over the kubeconfig's", with_config=True),
    Flag("cluster-cidr", "clusterCIDR", "addresses of pods, one CIDR a family"),
    Flag("detect-local-mode", "detectLocalMode", "how traffic of local pods is told"),
    Flag("pod-bridge-interface", "detectLocal.bridgeInterface", "bridge of local pods"),
    Flag("pod-interface-name-prefix", "detectLocal.interfaceNamePrefix",
         "beginning of the names of local pods' interfaces"),
    Flag("nodeport-addresses", "nodePortAddresses", "CIDRs, or primary", Type.LIST),
    Flag("bind-address", "bindAddress", "overrides this node's primary address"),
    Flag("bind-address-hard-fail", "bindAddressHardFail",
         "end when a health or metrics address cannot be bound", Type.SWITCH),
    Flag("healthz-bind-address", "healthzBindAddress", "address and port of /healthz"),
    Flag("metrics-bind-address", "metricsBindAddress", "address and port of /metrics"),
    Flag("masquerade-all", "iptables.masqueradeAll nftables.masqueradeAll",
         "masquerade all traffic to cluster IPs", Type.SWITCH),
    Flag("iptables-masquerade-bit", "iptables.masqueradeBit nftables.masqueradeBit",
         "bit of the packet mark", Type.INTEGER),
    Flag("iptables-sync-period", "iptables.syncPeriod nftables.syncPeriod",
         "longest time between syncs"),
    Flag("iptables-min-sync-period", "iptables.minSyncPeriod nftables.minSyncPeriod",
         "shortest time between syncs; 0s: 1s"),
    Flag("config-sync-period", "configSyncPeriod", "", Type.TEXT),
    Flag("conntrack-max-per-core", "conntrack.maxPerCore", "0: leave as it is", Type.INTEGER),
    Flag("conntrack-min", "conntrack.min", "least conntrack entries", Type.INTEGER),
    Flag("conntrack-tcp-timeout-established", "conntrack.tcpEstablishedTimeout",
         "0s: leave as it is"),
    Flag("conntrack-tcp-timeout-close-wait", "conntrack.tcpCloseWaitTimeout",
         "0s: leave as it is"),
    Flag("conntrack-tcp-be-liberal", "conntrack.tcpBeLiberal",
         "do not mark out-of-window packets as invalid", Type.SWITCH),
    Flag("conntrack-udp-timeout", "conntrack.udpTimeout", "0s: leave as it is"),
    Flag("conntrack-udp-timeout-stream", "conntrack.udpStreamTimeout", "0s: leave as it is"),
    Flag("oom-score-adj", "oomScoreAdj", "", Type.INTEGER),
    Flag("v", "logging.verbosity", "level of detail of the log; 4: every detail", Type.INTEGER,
         with_config=True),
    Flag("cleanup", "", "remove the rules and exit", Type.SWITCH, with_config=True),
    Flag("init-only", "", "do what needs privileges and exit", Type.SWITCH, with_config=True),
    Flag("write-config-to", "", "write the configuration with its defaults and exit",
         with_config=True),
    # Read, and said to have no effect by the configuration.
    Flag("feature-gates", "featureGates", type=Type.GATES),
    Flag("kube-api-burst", "clientConnection.burst", type=Type.INTEGER),
    Flag("kube-api-qps", "clientConnection.qps", type=Type.NUMBER),
    Flag("kube-api-content-type", "clientConnection.contentType"),
    Flag("iptables-localhost-nodeports", "iptables.localhostNodePorts", type=Type.SWITCH),
    Flag("ipvs-exclude-cidrs", "ipvs.excludeCIDRs", type=Type.LIST),
    Flag("ipvs-min-sync-period", "ipvs.minSyncPeriod"),
    Flag("ipvs-scheduler", "ipvs.scheduler"),
    Flag("ipvs-strict-arp", "ipvs.strictARP", type=Type.SWITCH),
    Flag("ipvs-sync-period", "ipvs.syncPeriod"),
    Flag("ipvs-tcp-timeout", "ipvs.tcpTimeout"),
    Flag("ipvs-tcpfin-timeout", "ipvs.tcpFinTimeout"),
    Flag("ipvs-udp-timeout", "ipvs.udpTimeout"),
    Flag("log-flush-frequency", "logging.flushFrequency"),
    Flag("logging-format", "logging.format"),
    Flag("profiling", "enableProfiling", type=Type.SWITCH),
    Flag("proxy-port-range", "portRange"),
    Flag("show-hidden-metrics-for-version", "showHiddenMetricsForVersion"),
    # svcdns's own.
    Flag("cleanup-kube-proxy", "",
         "remove the tables and chains that kube-proxy left, and exit; with --cleanup ours as well",
         Type.SWITCH, with_config=True),
    Flag("capture-cidrs", "",
         "userspace: ranges of Services to make local to this network, so that connections to"
         " them end here (NET_ADMIN; or done before, with --init-only)", Type.LIST,
         with_config=True),
    Flag("exclude-ports", "",
         "userspace: ports of Services that are not listened on, because an application beside"
         " this one listens on them", Type.LIST, with_config=True),
    Flag("access-log", "", "userspace: log each connection and UDP session when it is over",
         Type.SWITCH, with_config=True),
    Flag("service-cidrs", "", "ranges of cluster IPs, beside the ServiceCIDR objects", Type.LIST,
         with_config=True),
)  # fmt: skip

GONE = frozenset(
    (
        "add-dir-header", "alsologtostderr", "boot-id-file", "cleanup-ipvs", "healthz-port",
        "log-backtrace-at", "log-dir", "log-file", "log-file-max-size", "log-json-info-buffer-size",
        "log-json-split-stream", "log-text-info-buffer-size", "log-text-split-stream",
        "logtostderr", "machine-id-file", "metrics-port", "one-output", "resource-container",
        "skip-headers",
        "skip-log-headers", "stderrthreshold", "udp-timeout", "vmodule", "windows-run-as-service",
        "network-name", "source-vip", "enable-dsr", "root-hnsendpoint-name",
        "forward-healthcheck-vip",
    )
)  # fmt: skip
"""Flags of some kube-proxy that are accepted and have no effect."""

_BY_NAME = {flag.name: flag for flag in FLAGS}


def value(flag: Flag, text: str) -> Any:
    """Turn the text of a flag into the value of its field.

    Raises:
        ProxyConfigError: The text is of another type.
    """
    try:
        match flag.type:
            case Type.TEXT:
                return text
            case Type.INTEGER:
                return int(text)
            case Type.NUMBER:
                return float(text)
            case Type.SWITCH:
                return _BOOLEANS[text]
            case Type.LIST:
                return [one.strip() for one in text.split(",") if one.strip()]
            case Type.GATES:
                pairs = (one.partition("=") for one in text.split(",") if one)
                return {name: _BOOLEANS[on] for name, _, on in pairs}
    except (ValueError, KeyError) as error:
        expected = flag.type.name.lower()
        raise ProxyConfigError(SOURCE, f"--{flag.name}", f"{text!r} is no {expected}") from error


_BOOLEANS = {
    text: on
    for on, texts in (
        (True, ("1", "t", "T", "true", "TRUE", "True")),
        (False, ("0", "f", "F", "false", "FALSE", "False")),
    )
    for text in texts
}
"""Go ``strconv.ParseBool``."""


def overlay(raw: Raw, given: Mapping[str, str], *, file: str) -> tuple[Raw, list[str]]:
    """Put flags over a configuration.

    Args:
        raw: The document of ``--config``, or ``{}``.
        given: Text by name of the flags on the command line, without dashes.
        file: The argument of ``--config``; empty when there is none.

    Returns:
        The configuration with the flags that count, and warnings about the others.

    Raises:
        ProxyConfigError: The text of a flag is of another type.
    """
    result, warnings = _copy(raw), []
    for name, text in given.items():
        if name in GONE:
            warnings.append(f"--{name}: has no effect")
            continue
        flag = _BY_NAME[name]
        if file and not flag.with_config:
            warnings.append(
                f"--{name}: ignored, because --config {file} decides (as in kube-proxy)"
            )
            continue
        for path in flag.path.split():
            _set(result, path, value(flag, text))
    return result, warnings


def flag_of(path: str, given: Mapping[str, str], *, file: str) -> str | None:
    """Find the flag on the command line that set a field, so that a message names what was typed.

    Args:
        path: Of the field: ``nodePortAddresses[0]``.
        given: As for :func:`overlay`.
        file: As for :func:`overlay`.
    """
    field = path.partition("[")[0]
    for name in given:
        flag = _BY_NAME.get(name)
        if flag and field in flag.path.split() and (flag.with_config or not file):
            return name
    return None


def run_flag(given: Mapping[str, str], name: str) -> Any:
    """Give the value of a flag about the run, ``None`` when it was not given."""
    text = given.get(name)
    return None if text is None else value(_BY_NAME[name], text)


def _copy(raw: Raw) -> Raw:
    return {k: _copy(v) if isinstance(v, dict) else v for k, v in raw.items()}


def _set(raw: Raw, path: str, new: Any) -> None:
    *sections, name = path.split(".")
    for section in sections:
        found = raw.setdefault(section, {})
        if not isinstance(found, dict):  # a wrong type, which typing reports by name
            return
        raw = found
    raw[name] = new
