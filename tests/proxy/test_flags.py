from typing import Any

import pytest

from svcdns.errors import ProxyConfigError
from svcdns.proxy.config import resolve
from svcdns.proxy.configfile import lookup
from svcdns.proxy.flags import FLAGS, GONE, Type, flag_of, overlay, run_flag

EXAMPLES = {
    Type.TEXT: ("x", "x"),
    Type.INTEGER: ("7", 7),
    Type.NUMBER: ("1.5", 1.5),
    Type.SWITCH: ("true", True),
    Type.LIST: ("a, b,", ["a", "b"]),
    Type.GATES: ("A=true,B=false", {"A": True, "B": False}),
}


@pytest.mark.parametrize("flag", [f for f in FLAGS if f.path], ids=lambda f: f.name)
def test_every_flag_reaches_its_field(flag: Any) -> None:
    text, expected = EXAMPLES[flag.type]
    raw, warnings = overlay({}, {flag.name: text}, file="")
    assert warnings == []
    for path in flag.path.split():
        assert lookup(raw, path) == expected


@pytest.mark.parametrize("flag", [f for f in FLAGS if f.path], ids=lambda f: f.name)
def test_every_flag_names_a_field_of_the_type(flag: Any) -> None:
    durations = ("period", "timeout")
    text = "30s" if any(word in flag.name for word in durations) else EXAMPLES[flag.type][0]
    special = {
        "proxy-mode": "nftables", "cluster-cidr": "10.0.0.0/8", "detect-local-mode": "NodeCIDR",
        "nodeport-addresses": "primary", "bind-address": "10.0.0.1", "healthz-bind-address": "10.0.0.1",
        "metrics-bind-address": "10.0.0.1:1", "iptables-min-sync-period": "1s",
    }  # fmt: skip
    raw, _ = overlay({}, {flag.name: special.get(flag.name, text)}, file="")
    assert not [one for one in resolve(raw, "flags").warnings if "unknown field" in one]


def test_the_file_decides_and_the_ignored_flags_are_named() -> None:
    raw = {"mode": "iptables", "clusterCIDR": "10.0.0.0/8", "conntrack": {"min": 3}}
    given = {
        "cluster-cidr": "11.0.0.0/8",
        "conntrack-min": "7",
        "proxy-mode": "userspace",
        "hostname-override": "me",
        "v": "4",
        "logtostderr": "true",
    }
    found, warnings = overlay(raw, given, file="f.yaml")
    assert found == {
        "mode": "userspace",
        "clusterCIDR": "10.0.0.0/8",
        "conntrack": {"min": 3},
        "hostnameOverride": "me",
        "logging": {"verbosity": 4},
    }
    assert warnings == [
        "--cluster-cidr: ignored, because --config f.yaml decides (as in kube-proxy)",
        "--conntrack-min: ignored, because --config f.yaml decides (as in kube-proxy)",
        "--logtostderr: has no effect",
    ]
    assert raw["conntrack"] == {"min": 3}, "the document itself is left alone"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("conntrack-min", "many", "flags: --conntrack-min: 'many' is no integer"),
        ("masquerade-all", "yes", "flags: --masquerade-all: 'yes' is no switch"),
        ("feature-gates", "A", "flags: --feature-gates: 'A' is no gates"),
        ("kube-api-qps", "x", "flags: --kube-api-qps: 'x' is no number"),
    ],
)
def test_a_wrong_value_names_the_flag(name: str, text: str, message: str) -> None:
    with pytest.raises(ProxyConfigError) as caught:
        overlay({}, {name: text}, file="")
    assert str(caught.value) == message


def test_a_section_that_is_none_is_left_for_typing_to_report() -> None:
    raw, _ = overlay({"logging": 7}, {"v": "4"}, file="f")
    with pytest.raises(ProxyConfigError, match="logging: expected `object`, got `int`"):
        resolve(raw, "f")


@pytest.mark.parametrize(
    ("path", "file", "flag"),
    [
        ("mode", "", "proxy-mode"),
        ("mode", "f.yaml", "proxy-mode"),
        ("nodePortAddresses[1]", "", "nodeport-addresses"),
        ("nodePortAddresses[1]", "f.yaml", None),
        ("nftables.minSyncPeriod", "", "iptables-min-sync-period"),
        ("clusterCIDR", "", None),
        ("", "", None),
    ],
)
def test_a_field_leads_back_to_the_flag_that_set_it(path: str, file: str, flag: str | None) -> None:
    given = {"proxy-mode": "x", "nodeport-addresses": "a,b", "iptables-min-sync-period": "5x"}
    assert flag_of(path, given | {"logtostderr": "true"}, file=file) == flag


def test_flags_about_the_run() -> None:
    given = {"cleanup": "true", "service-cidrs": "10.96.0.0/16", "master": "https://x"}
    assert run_flag(given, "cleanup") is True
    assert run_flag(given, "service-cidrs") == ["10.96.0.0/16"]
    assert run_flag(given, "init-only") is None


def test_no_flag_is_declared_twice() -> None:
    names = [flag.name for flag in FLAGS]
    assert len(names) == len(set(names))
    assert not GONE & set(names)
