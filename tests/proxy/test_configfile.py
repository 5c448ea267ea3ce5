import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.errors import ProxyConfigError
from svcdns.proxy.configfile import read, split_host_port, typed, unknown_fields

HEAD = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"


def test_yaml_and_json_read_alike() -> None:
    expected = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
    }
    assert read(HEAD + "mode: nftables\n", "f") == (expected, ())
    assert read(json.dumps(expected), "f") == (expected, ())


def test_null_means_the_default() -> None:
    raw, _ = read(HEAD + "conntrack: {min: null, maxPerCore: 0}\nnodePortAddresses:\n", "f")
    assert typed(raw, "f").conntrack.min == 131072
    assert typed(raw, "f").conntrack.max_per_core == 0
    assert typed(raw, "f").node_port_addresses == ()


def test_other_documents_are_said_to_be_ignored() -> None:
    _, warnings = read(f"{HEAD}---\nkind: ConfigMap\n---\n", "f")
    assert warnings == ("f: 1 other documents are ignored",)


def test_of_a_field_that_is_given_twice_the_last_one_counts_with_a_warning() -> None:
    raw, warnings = read(f"{HEAD}nftables:\n  masqueradeBit: 3\n  masqueradeBit: 4\n", "f")
    assert raw["nftables"] == {"masqueradeBit": 4}
    (warning,) = warnings
    assert warning.startswith("f: nftables.masqueradeBit: given twice, the one in line ")


@pytest.mark.parametrize(
    ("scalar", "value"),
    [("2001-99-99", "2001-99-99"), ("12:30:45", "12:30:45"), ("on", True), ("0x10", 16)],
)
def test_scalars_mean_what_they_mean_to_kube_proxy(scalar: str, value: object) -> None:
    """sigs.k8s.io/yaml: no dates, no numbers to the base of 60."""
    assert read(f"{HEAD}hostnameOverride: {scalar}\n", "f")[0]["hostnameOverride"] == value


LAUGHS = "a0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
"""Ten thousand million values in ten lines."""

NOT_OURS = [
    ("", "f: kind: the file must hold a KubeProxyConfiguration"),
    ("- a\n- b\n", "f: kind: the file must hold a KubeProxyConfiguration"),
    ("kind: ConfigMap\n", "f: kind: the file must hold a KubeProxyConfiguration; it has kind ConfigMap"),
    ("kind: KubeProxyConfiguration\n", "f: apiVersion: must be kubeproxy.config.k8s.io/v1alpha1, not None"),
    ("kind: KubeProxyConfiguration\napiVersion: kubeproxy.config.k8s.io/v1\n", "f: apiVersion: must be kubeproxy.config.k8s.io/v1alpha1, not 'kubeproxy.config.k8s.io/v1'"),
    ("a: [\n", "f: line 2: not YAML: while parsing a flow node, did not find expected node content"),
    ("a: b: c\n", "f: line 1: not YAML: mapping values are not allowed in this context"),
    ("\x00", "f: line 1: not YAML: "),
    ("a: " + "[" * 200 + "]" * 200, "f: line 1: nested deeper than 100 levels"),
    ("a: &a [*a]\n", "f: line 1: "),
    (LAUGHS, "f: line 7: more than 1,000,000 values"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), NOT_OURS)
def test_what_is_no_configuration_is_refused(text: str, message: str) -> None:
    with pytest.raises(ProxyConfigError) as caught:
        read(text, "f")
    assert str(caught.value).startswith(message)


BAD = [
    ("mode: 3", "mode", "expected `str`, got `int`"),
    ("mode: kernelspace", "mode", "kernelspace is for Windows; use nftables or userspace"),
    ("mode: ebpf", "mode", "'ebpf' is none of iptables, ipvs, nftables, userspace"),
    ("conntrack: {min: lots}", "conntrack.min", "expected `int`, got `str`"),
    ("conntrack: {min: -1}", "conntrack.min", "-1 is not between 0 and 2147483647"),
    ("conntrack: 7", "conntrack", "expected `object`, got `int`"),
    ("nftables: {masqueradeBit: 32}", "nftables.masqueradeBit", "32 is not between 0 and 31"),
    ("nftables: {syncPeriod: 30}", "nftables.syncPeriod", "expected `str`, got `int`"),
    ("nftables: {syncPeriod: 30 s}", "nftables.syncPeriod", 'time: unknown unit " s" in duration "30 s"'),
    ("nftables: {syncPeriod: -1s}", "nftables.syncPeriod", "'-1s' is negative"),
    ("nftables: {syncPeriod: 1s, minSyncPeriod: 2s}", "nftables.syncPeriod", "1s is shorter than minSyncPeriod, 2s"),
    ("nodePortAddresses: 10.0.0.0/8", "nodePortAddresses", "expected `array`, got `str`"),
    ("nodePortAddresses: [10.0.0.0/8, 10.0.0.1]", "nodePortAddresses[1]", "'10.0.0.1' is neither 'primary' nor a CIDR such as 192.0.2.0/24"),
    ("nodePortAddresses: [primary, 10.0.0.0/8]", "nodePortAddresses[0]", "'primary' stands alone"),
    ("clusterCIDR: 10.0.0.1", "clusterCIDR", "'10.0.0.1' is not a CIDR such as 10.244.0.0/16"),
    ("clusterCIDR: 10.0.0.0/8,11.0.0.0/8", "clusterCIDR", "at most one CIDR of each family"),
    ("detectLocalMode: Magic", "detectLocalMode", "'Magic' is none of ClusterCIDR, NodeCIDR, BridgeInterface, InterfaceNamePrefix"),
    ("detectLocalMode: BridgeInterface", "detectLocal.bridgeInterface", "must be set with detectLocalMode BridgeInterface"),
    ("detectLocalMode: InterfaceNamePrefix", "detectLocal.interfaceNamePrefix", "must be set with detectLocalMode InterfaceNamePrefix"),
    ("bindAddress: here", "bindAddress", "'here' is not an IP address"),
    ("healthzBindAddress: here:80", "healthzBindAddress", "'here:80' is not ADDRESS:PORT or ADDRESS"),
    ("oomScoreAdj: 1001", "oomScoreAdj", "1001 is not between -1000 and 1000"),
    ("featureGates: {A: 1}", "featureGates[...]", "expected `bool`, got `int`"),
    ("logging: {vmodule: [{verbosity: x}]}", "logging.vmodule[0].verbosity", "expected `int`, got `str`"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "path", "message"), BAD)
def test_errors_name_the_field(text: str, path: str, message: str) -> None:
    raw, _ = read(HEAD + text, "f")
    with pytest.raises(ProxyConfigError) as caught:
        typed(raw, "f")
    assert (caught.value.path, caught.value.message) == (path, message)


def test_unknown_fields_are_named_with_their_path() -> None:
    raw, _ = read(
        HEAD + "udpIdleTimeout: 250ms\nnftables: {speed: 9}\nlogging: {options: {text: {x: 1}}}",
        "f",
    )
    assert unknown_fields(raw) == ["udpIdleTimeout", "nftables.speed", "logging.options.text.x"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.0.0.0:10256", ("0.0.0.0", 10256)),
        ("0.0.0.0", ("0.0.0.0", 99)),
        ("::", ("::", 99)),
        ("[::1]:80", ("::1", 80)),
        (":80", ("", 80)),
        ("host:80", None),
        ("1.2.3.4:", None),
        ("1.2.3.4:70000", None),
        ("[::1]", None),
        ("", None),
    ],
)
def test_addresses_with_and_without_port(text: str, expected: tuple[str, int] | None) -> None:
    assert split_host_port(text, 99) == expected


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda c: (
            st.lists(c, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["mode", "conntrack", "min", "nftables", "syncPeriod", "logging", "kind", "x"]
                ),
                c,
                max_size=4,
            )
        ),
    )
)
def test_no_document_raises_anything_but_a_config_error(document: object) -> None:
    if isinstance(document, dict):
        document = {
            **document,
            "kind": "KubeProxyConfiguration",
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        }
    with suppress(ProxyConfigError):
        raw, _ = read(json.dumps(document), "f")
        unknown_fields(raw)
        typed(raw, "f")
