import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from svcdns.cli import main
from svcdns.cli.proxy import add_arguments, options_of
from svcdns.errors import ProxyConfigError
from svcdns.kube.store import Store
from svcdns.proxy.config import Mode, ProxyOptions
from svcdns.proxy.model import NodeView
from tests.support.flows import decode, endpoint, node_object, service, slice_of

CONFIG = """\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clusterCIDR: 10.244.0.0/16
"""


def options(*words: str) -> ProxyOptions:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_arguments(parser)
    return options_of(parser.parse_args(words))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.conf"
    path.write_text(CONFIG)
    return path


class Proxy(ModuleType):
    """Stands in for the running part."""

    def __init__(self) -> None:
        super().__init__("svcdns.aio.proxy")
        self.seen: ProxyOptions | None = None

    async def run(
        self, options: ProxyOptions, *, file: str, read: Callable[[], ProxyOptions]
    ) -> int:
        assert read() == options, "what is read again is the same as long as the file is"
        self.seen, self.file = options, file
        return 7

    async def snapshot(self, options: ProxyOptions) -> tuple[Store, NodeView]:
        self.seen = options
        store = Store()
        store.apply(decode(service("web", "10.96.5.5")))
        store.apply(decode(slice_of("web", [endpoint("p2"), endpoint("p3", "unready")])))
        return store, NodeView("node-1")


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Proxy:
    made = Proxy()
    monkeypatch.setitem(sys.modules, "svcdns.aio.proxy", made)
    return made


@pytest.mark.parametrize(
    "words",
    [
        ("--proxy-mode=userspace", "--v=3"),
        ("-proxy-mode=userspace", "-v=3"),
        ("--proxy-mode", "userspace", "-v", "3"),
        ("-proxy-mode", "userspace", "--v", "3"),
    ],
)
def test_flags_take_one_dash_or_two(words: tuple[str, ...]) -> None:
    found = options(*words)
    assert (found.mode, found.verbosity) == (Mode.USERSPACE, 3)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), False),
        (("--masquerade-all",), True),
        (("--masquerade-all=true",), True),
        (("--masquerade-all=0",), False),
    ],
)
def test_a_switch_without_a_value_is_true(words: tuple[str, ...], expected: bool) -> None:
    assert options(*words).masquerade_all is expected


def test_a_list_that_is_given_twice_is_joined() -> None:
    found = options("--nodeport-addresses=10.0.0.0/8", "--nodeport-addresses=fd00::/8,11.0.0.0/8")
    assert found.plan.node_port_addresses == ("10.0.0.0/8", "fd00::/8", "11.0.0.0/8")


def test_the_flags_that_the_stock_daemonset_and_kind_use(file: Path) -> None:
    found = options(f"--config={file}", "--hostname-override=node-1", "--logtostderr=true")
    assert found.hostname_override == "node-1"
    assert found.mode is Mode.NFTABLES
    assert found.cluster_cidrs == ("10.244.0.0/16",)
    assert found.warnings == (
        "--logtostderr: has no effect",
        "mode: iptables runs as nftables, so without node ports on loopback",
    )


def test_flags_without_a_file() -> None:
    found = options(
        "--kubeconfig=/kc", "--master=http://x", "--cluster-cidr=10.1.0.0/16", "--cleanup",
        "--healthz-bind-address=127.0.0.1", "--iptables-masquerade-bit=5", "--init-only=false",
        "--service-cidrs=10.96.0.0/16",
    )  # fmt: skip
    assert (found.kubeconfig, found.master, found.cluster_cidrs) == (
        "/kc",
        "http://x",
        ("10.1.0.0/16",),
    )
    assert (found.cleanup, found.init_only, found.masquerade_bit) == (True, False, 5)
    assert found.healthz_bind_address == "127.0.0.1:10256"
    assert found.plan.service_cidrs == ("10.96.0.0/16",)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--config=/no/such/file",), "/no/such/file: no such file or directory"),
        (("--conntrack-min=x",), "flags: --conntrack-min: 'x' is no integer"),
        (("--proxy-mode=ebpf",), "flags: --proxy-mode: 'ebpf' is none of iptables, ipvs, nftables, userspace"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_one_line(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["proxy", *words]) == 1
    assert capsys.readouterr().err == message + "\n"


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(b"a\xff")
    with pytest.raises(ProxyConfigError, match="not UTF-8 at octet 1"):
        options(f"--config={path}")


def test_an_unknown_flag_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["proxy", "--no-such-flag=1"])
    assert caught.value.code == 2
    assert capsys.readouterr().err == (
        "svcdns proxy: unrecognized arguments: --no-such-flag=1;"
        " 'svcdns proxy --help' lists the flags\n"
    )


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--version"], ["--help"]):
        with pytest.raises(SystemExit) as caught:
            main(["proxy", *words])
        assert caught.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith("svcdns ")
    assert "--nodeport-addresses" in out
    assert "logtostderr" not in out


def test_the_configuration_is_written_with_its_defaults_and_reads_back(
    file: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.yaml"
    assert main(["proxy", f"--config={file}", f"--write-config-to={target}"]) == 0
    written = yaml.safe_load(target.read_text())
    assert written["conntrack"]["maxPerCore"] == 32768
    assert written["iptables"]["syncPeriod"] == "30s"
    again = options(f"--config={target}")
    assert again.configuration == options(f"--config={file}").configuration
    assert again.warnings == options(f"--config={file}").warnings


def test_a_configuration_that_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["proxy", "--write-config-to=/no/such/place"]) == 1
    assert capsys.readouterr().err == "/no/such/place: no such file or directory\n"


def test_the_proxy_runs_with_the_options(proxy: Proxy, file: Path) -> None:
    assert main(["proxy", f"--config={file}", "-v=2"]) == 7
    assert proxy.seen == options(f"--config={file}", "-v=2")


@pytest.mark.parametrize("output", ["table", "json"])
def test_the_plan_is_printed(proxy: Proxy, output: str, capsys: pytest.CaptureFixture[str]) -> None:
    words: list[Any] = ["proxy", "--dump", f"--output={output}", "--cluster-cidr=10.244.0.0/16"]
    assert main(words) == 0
    captured = capsys.readouterr()
    assert captured.err == "mode: not set, which is iptables to kube-proxy; runs as nftables\n"
    if output == "table":
        assert "10.96.5.5:80  Cluster  forward  10.244.1.12:8080 p2" in captured.out
        assert "left out: 10.244.2.21:8080: not ready (R58)" in captured.out
    else:
        assert json.loads(captured.out)["services"][0]["frontends"][0]["verdict"] == "forward"


def dumped(tmp_path: Path, objects: list[dict[str, Any]], *words: str) -> int:
    groups = {"Service": "v1", "Node": "v1", "EndpointSlice": "discovery.k8s.io/v1"}
    items = [{"apiVersion": groups[one["kind"]], **one} for one in objects]
    path = tmp_path / "objects.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    return main(["proxy", "--dump", f"--objects={path}", *words])


def test_the_plan_of_saved_objects_needs_no_cluster(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    objects = [
        node_object(),
        service("web", "10.96.5.5", internalTrafficPolicy="Local"),
        slice_of("web", [endpoint("p2"), endpoint("p3")]),
    ]
    assert dumped(tmp_path, objects) == 0
    out = capsys.readouterr().out
    assert "10.96.5.5:80  Local   forward  10.244.1.12:8080 p2 here" in out
    assert "left out: 10.244.2.21:8080: runs on node-2, and the policy is Local (R57)" in out


def test_saved_objects_of_several_nodes_need_a_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    objects = [node_object(), node_object("node-2"), service("web", "10.96.5.5")]
    assert dumped(tmp_path, objects) == 1
    expected = "say whose view of the objects to take (one of node-1, node-2)"
    assert expected in capsys.readouterr().err
    assert dumped(tmp_path, objects, "--hostname-override=node-2") == 0


def test_what_is_wrong_with_saved_objects_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = {"kind": "Service", "metadata": {"name": "x"}, "spec": {"ports": 7}}
    assert dumped(tmp_path, [bad, node_object()]) == 0
    captured = capsys.readouterr()
    assert "left out" in captured.err
    assert captured.out == "no service ports\n"
