"""Reading a KubeProxyConfiguration: YAML or JSON to the type, with errors that name the field.

Strict about types and values, lenient about unknown fields, which become warnings: kube-proxy
does the same (``loadConfig`` falls back to lenient decoding).

Parity: kube-proxy ``cmd/kube-proxy/app/options.go``, ``pkg/proxy/apis/config/validation``.
"""

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec

from svcdns.corefile.durations import parse_duration
from svcdns.errors import ManifestError, ProxyConfigError
from svcdns.kube import documents
from svcdns.proxy.address import normalise, normalise_range
from svcdns.proxy.kubeproxyconfig import API_VERSION, KIND, KubeProxyConfiguration

Raw: TypeAlias = dict[str, Any]
"""A configuration before it is typed: as YAML has it, without the ``null`` fields."""

MODES = ("", "iptables", "ipvs", "nftables", "userspace")
LOCAL_MODES = ("", "ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix")

_DURATIONS = (
    "iptables.syncPeriod",
    "iptables.minSyncPeriod",
    "ipvs.syncPeriod",
    "ipvs.minSyncPeriod",
    "ipvs.tcpTimeout",
    "ipvs.tcpFinTimeout",
    "ipvs.udpTimeout",
    "nftables.syncPeriod",
    "nftables.minSyncPeriod",
    "conntrack.tcpEstablishedTimeout",
    "conntrack.tcpCloseWaitTimeout",
    "conntrack.udpTimeout",
    "conntrack.udpStreamTimeout",
    "configSyncPeriod",
)

_RANGES = (
    ("iptables.masqueradeBit", 0, 31),
    ("nftables.masqueradeBit", 0, 31),
    ("oomScoreAdj", -1000, 1000),
    ("conntrack.maxPerCore", 0, 2**31 - 1),
    ("conntrack.min", 0, 2**31 - 1),
)


def read(text: str, file: str) -> tuple[Raw, tuple[str, ...]]:
    """Parse a configuration file, YAML or JSON, without typing its fields yet.

    Returns:
        The document without ``null`` fields (they mean the default), and warnings.

    Raises:
        ProxyConfigError: Not YAML, or not a KubeProxyConfiguration.
    """
    try:
        found = documents.parse(text.encode(), file)
    except ManifestError as error:
        raise ProxyConfigError(file, f"line {error.line}", error.message) from error
    mappings = [(one, one.value) for one in found if isinstance(one.value, dict)]
    ours = [(one, raw) for one, raw in mappings if raw.get("kind") == KIND]
    if not ours:
        kinds = [str(raw["kind"]) for _, raw in mappings if "kind" in raw]
        saw = f"; it has kind {', '.join(kinds)}" if kinds else ""
        if "ConfigMap" in kinds:
            saw += ": write what stands under its data to a file"
        raise ProxyConfigError(file, "kind", f"the file must hold a {KIND}{saw}")
    document, raw = ours[0]
    if raw.get("apiVersion") != API_VERSION:
        message = f"must be {API_VERSION}, not {raw.get('apiVersion')!r}"
        raise ProxyConfigError(file, "apiVersion", message)
    # kube-proxy warns as well: its strict decoding fails, and the lenient one takes the last.
    warnings = [
        f"{file}: {'.'.join(map(str, path))}: given twice, the one in line {line} counts"
        for path, line in document.duplicates
    ]
    if extra := len(found) - 1:
        warnings.append(f"{file}: {extra} other documents are ignored")
    return _without_nulls(raw), tuple(warnings)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_nulls(one) for one in value]
    return value


def unknown_fields(raw: Raw) -> list[str]:
    """List the fields that the type does not have, by path."""
    return list(_unknown(raw, KubeProxyConfiguration, ""))


def _unknown(raw: Raw, kind: type[msgspec.Struct], prefix: str) -> Iterator[str]:
    fields = {one.encode_name: one for one in msgspec.structs.fields(kind)}
    for name, value in raw.items():
        known = fields.get(name)
        if known is None:
            yield f"{prefix}{name}"
        elif isinstance(value, dict) and _is_struct(known.type):
            yield from _unknown(value, known.type, f"{prefix}{name}.")


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def typed(raw: Raw, file: str) -> KubeProxyConfiguration:
    """Type a configuration and check its values.

    Raises:
        ProxyConfigError: A wrong type or an impossible value; names the field.
    """
    try:
        configuration = msgspec.convert(raw, KubeProxyConfiguration, strict=True)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        raise ProxyConfigError(file, path.strip(".`"), message[:1].lower() + message[1:]) from error
    for path, problem in _problems(configuration):
        raise ProxyConfigError(file, path, problem)
    return configuration


def lookup(configuration: Raw, path: str) -> Any:
    """Give the value at a dotted path, or ``None``."""
    found: Any = configuration
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _problems(configuration: KubeProxyConfiguration) -> Iterator[tuple[str, str]]:
    """Iterate over fields with impossible values, each with what is wrong."""
    raw = msgspec.to_builtins(configuration)
    yield from _bad_durations(raw)
    for path, low, high in _RANGES:
        value = lookup(raw, path)
        if not low <= value <= high:
            yield path, f"{value} is not between {low} and {high}"
    if configuration.mode == "kernelspace":
        yield "mode", "kernelspace is for Windows; use nftables or userspace"
    if configuration.mode not in MODES:
        yield "mode", f"{configuration.mode!r} is none of {', '.join(MODES[1:])}"
    yield from _bad_detection(configuration)
    if configuration.bind_address and normalise(configuration.bind_address) is None:
        yield "bindAddress", f"{configuration.bind_address!r} is not an IP address"
    for path in ("healthzBindAddress", "metricsBindAddress"):
        text = lookup(raw, path)
        if text and split_host_port(text, 0) is None:
            yield path, f"{text!r} is not ADDRESS:PORT or ADDRESS"
    yield from _bad_node_port_addresses(configuration.node_port_addresses)


def _bad_durations(raw: Raw) -> Iterator[tuple[str, str]]:
    for path in _DURATIONS:
        text = lookup(raw, path)
        try:
            seconds = parse_duration(text)
        except ValueError as error:
            yield path, str(error)
            continue
        if seconds < 0:
            yield path, f"{text!r} is negative"
    for mode in ("iptables", "ipvs", "nftables"):
        longest, shortest = lookup(raw, f"{mode}.syncPeriod"), lookup(raw, f"{mode}.minSyncPeriod")
        if 0 < parse_duration(longest) < parse_duration(shortest):
            yield f"{mode}.syncPeriod", f"{longest} is shorter than minSyncPeriod, {shortest}"


def _bad_detection(configuration: KubeProxyConfiguration) -> Iterator[tuple[str, str]]:
    mode, detect = configuration.detect_local_mode, configuration.detect_local
    if mode not in LOCAL_MODES:
        yield "detectLocalMode", f"{mode!r} is none of {', '.join(LOCAL_MODES[1:])}"
    if mode == "BridgeInterface" and not detect.bridge_interface:
        yield "detectLocal.bridgeInterface", "must be set with detectLocalMode BridgeInterface"
    if mode == "InterfaceNamePrefix" and not detect.interface_name_prefix:
        message = "must be set with detectLocalMode InterfaceNamePrefix"
        yield "detectLocal.interfaceNamePrefix", message
    families = []
    for text in filter(None, configuration.cluster_cidr.split(",")):
        found = normalise_range(text)
        if found is None:
            yield "clusterCIDR", f"{text!r} is not a CIDR such as 10.244.0.0/16"
        else:
            families.append(found[0])
    if len(families) > len(set(families)):
        yield "clusterCIDR", "at most one CIDR of each family"


def _bad_node_port_addresses(texts: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for index, text in enumerate(texts):
        path = f"nodePortAddresses[{index}]"
        if text == "primary":
            if len(texts) > 1:
                yield path, "'primary' stands alone"
        elif normalise_range(text) is None:
            yield path, f"{text!r} is neither 'primary' nor a CIDR such as 192.0.2.0/24"


def split_host_port(text: str, default_port: int) -> tuple[str, int] | None:
    """Split ``ADDRESS:PORT``, ``[ADDRESS]:PORT`` or a bare address; ``None`` when it is none.

    Parity: kube-proxy ``AppendPortIfNeeded``.
    """
    bare = normalise(text)
    if bare:
        return bare[1], default_port
    match = re.fullmatch(r"(?:\[([^\]]+)\]|([^:\[\]]*)):(\d{1,5})", text, re.ASCII)
    if match is None or int(match[3]) > 65535:
        return None
    host = match[1] or match[2] or ""
    found = normalise(host) if host else (4, "")
    return (found[1], int(match[3])) if found else None
