"""``svcdns check`` as people call it."""

import io
import json
import os
from pathlib import Path

import pytest

from svcdns.cli import main

GOOD = ".:1053 {\n    errors\n    kubernetes cluster.local\n    pprof\n}\n"
OLD = ".:53 {\n    errors stderr\n    proxy . /etc/resolv.conf\n}\n"
PROXY = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: {mode}\n"


def _file(folder: Path, text: str, name: str = "Corefile") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_a_corefile_that_would_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = _file(tmp_path, GOOD)

    assert main(["check", file]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{file}: Corefile, would start\n")
    assert "chain      errors -> kubernetes\n" in out
    assert "  4     pprof                     ignored" in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (". {\nnope\n}", "{}:2 - Error during parsing: Unknown directive 'nope'"),
        (". {\nkubernetes {\nupstream\nnope\n}\n}", "{}:4 - Error during parsing: plugin/kubernetes: unknown property 'nope'"),
        (". {\nlog", "{}:2 - Syntax error: Unexpected token 'log', expecting '}}'"),
        (". {\nnomad\n}", "{}:2 - plugin/nomad: svcdns serves Kubernetes"),
        (". {\n}\n. {\n}", "{}:3 - cannot serve dns://.:53 - it is already defined"),
    ],
)  # fmt: skip
def test_a_corefile_that_would_not_start(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = _file(tmp_path, text)

    assert main(["check", file]) == 1
    out = capsys.readouterr().out
    assert "would NOT start" in out
    assert "  error    " + message.format(file) in out


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "mode: [\n", "line 2: not YAML: while parsing a flow node"),
        ("a.conf", "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nmode: [\n", "line 3: not YAML: while parsing"),
        ("a.json", '{"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kin', "line 1: not YAML: "),
        ("a.conf", '# ours\n\n{"kind": "Kube', "line 3: not YAML: "),
        ("a.conf", "---\nmode: nftables\n", "kind: the file must hold a KubeProxyConfiguration"),
        ("a.yml", "", "kind: the file must hold a KubeProxyConfiguration"),
        ("a.conf", "kind: ConfigMap\ndata: {Corefile: '. {}'}\n", "kind: the file must hold a KubeProxyConfiguration; it has kind ConfigMap: write what stands under its data to a file"),
        ("a.conf", "kind: Service\nspec: {}\n", "kind: the file must hold a KubeProxyConfiguration; it has kind Service"),
    ],
)  # fmt: skip
def test_yaml_is_no_corefile_however_broken_it_is(
    name: str, text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = _file(tmp_path, text, name)

    assert main(["check", file]) == 1
    out = capsys.readouterr().out
    assert out.startswith(f"{file}: KubeProxyConfiguration, would NOT start\n")
    assert f"  error    {file}: {message}" in out


@pytest.mark.parametrize(
    "text",
    ["example.org:1053 {\n}\n", "dns://example.org {\n}\n", "(some) {\n}\n. {\n}\n",
     "{$ZONE:.}:53 {\n}\n", "# kind: of\n. {\n}\n", "cluster.local {\n    # kind: x\n}\n", ""],
)  # fmt: skip
def test_a_corefile_is_no_yaml(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = _file(tmp_path, text)

    main(["check", file])
    assert capsys.readouterr().out.startswith(f"{file}: Corefile, ")


def test_standard_input_may_be_a_proxy_configuration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "sys.stdin", io.TextIOWrapper(io.BytesIO(PROXY.format(mode="nftables").encode()))
    )

    assert main(["check", "stdin"]) == 0
    assert capsys.readouterr().out.startswith("stdin: KubeProxyConfiguration, would start\n")


def test_a_name_that_is_no_text_does_no_harm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = os.fsencode(tmp_path) + b"/Core\xfffile"
    with open(path, "wb") as file:
        file.write(GOOD.encode())

    assert main(["check", "--output", "json", os.fsdecode(path)]) == 0
    assert os.fsencode(json.loads(capsys.readouterr().out)[0]["file"]) == path


def test_all_files_are_reported_and_one_bad_one_decides(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, missing = _file(tmp_path, GOOD), str(tmp_path / "none")

    assert main(["check", good, missing]) == 1
    out = capsys.readouterr().out
    assert f"{good}: Corefile, would start" in out
    assert f"error    {missing}: No such file or directory" in out


def test_the_report_is_json_on_demand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = _file(tmp_path, GOOD)

    assert main(["check", "--output", "json", file]) == 0
    (report,) = json.loads(capsys.readouterr().out)
    assert report["starts"] is True
    assert report["blocks"][0]["listeners"] == ["dns://:1053"]
    assert [d["status"] for d in report["blocks"][0]["directives"]] == [
        "supported",
        "supported",
        "ignored",
    ]


def test_the_default_port_is_a_flag_with_coredns_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["check", "-dns.port", "2053", _file(tmp_path, ". {\n}")])

    assert "listeners  dns://:2053" in capsys.readouterr().out


def test_migrate_prints_todays_corefile_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = _file(tmp_path, OLD)

    assert main(["check", "--migrate", file]) == 0
    printed = capsys.readouterr()
    assert printed.out == ".:53 {\n    errors\n    forward . /etc/resolv.conf\n}\n"
    assert printed.err == (
        f"{file}:2 - errors go to the standard output only: write `errors`\n"
        f"{file}:3 - CoreDNS 1.5.0 removed proxy: write `forward . /etc/resolv.conf`\n"
    )


@pytest.mark.parametrize(
    ("text", "error"), [(None, "No such file or directory"), (". {", "Syntax error")]
)
def test_what_cannot_be_read_cannot_be_migrated(
    text: str | None, error: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "none") if text is None else _file(tmp_path, text)

    assert main(["check", "--migrate", file]) == 1
    assert error in capsys.readouterr().err


def test_a_proxy_configuration_is_told_by_its_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = _file(tmp_path, PROXY.format(mode="iptables"), "good.yaml")
    assert main(["check", good]) == 0
    assert f"{good}: KubeProxyConfiguration, would start" in capsys.readouterr().out

    bad = _file(tmp_path, PROXY.format(mode="[]"), "bad.yaml")
    assert main(["check", bad]) == 1
    assert f"error    {bad}: mode" in capsys.readouterr().out


@pytest.mark.parametrize("scheme", ["quic", "grpc", "https3"])
def test_a_scheme_without_a_server_does_not_start(
    scheme: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "Corefile"
    file.write_text(f". {{\n    errors\n}}\n{scheme}://. {{\n    errors\n}}\n")

    assert main(["check", str(file)]) == 1
    assert f"{file}:4 - {scheme}://.: svcdns does not serve" in capsys.readouterr().out


def test_a_certificate_that_is_none_does_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, pem = tmp_path / "Corefile", tmp_path / "pem"
    pem.write_text("none")
    file.write_text(f"tls://. {{\n    tls {pem} {pem}\n}}\ntls://a {{\n    tls {pem} gone\n}}\n")

    assert main(["check", str(file)]) == 1
    out = capsys.readouterr().out
    assert f"{file}:2 - plugin/tls: certificate {pem} with key {pem}: " in out
    assert f"{file}:5 - plugin/tls: open gone: no such file or directory" in out


def test_a_kubeconfig_that_is_not_there_does_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corefile, config = tmp_path / "Corefile", tmp_path / "config.conf"
    corefile.write_text(". {\n    errors\n    kubernetes {\n        kubeconfig /gone\n    }\n}\n")
    config.write_text(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"
        "mode: nftables\nclientConnection: {kubeconfig: /gone}\n"
    )

    assert main(["check", str(corefile)]) == 1
    problem = f"{corefile}:3 - plugin/kubernetes: kubeconfig /gone: no such file"
    assert problem in capsys.readouterr().out
    assert main(["check", str(config)]) == 0, "it is often that of a Pod, and checked elsewhere"
    warning = "warning  clientConnection.kubeconfig /gone: no such file on this machine; the proxy"
    assert warning in capsys.readouterr().out


def test_a_migrated_corefile_that_would_not_start_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "Corefile"
    file.write_text(". {\n    kubernetes cluster.local {\n        nonsense\n    }\n}\n")

    assert main(["check", "--migrate", str(file)]) == 1
    out, err = capsys.readouterr()
    assert "nonsense" in out
    assert f"svcdns check: it would not start: {file}:3 - " in err


def test_files_are_looked_for_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "zones").mkdir()
    (tmp_path / "zones" / "db").write_text("$TTL 5\n@ SOA a b 1 2 3 4 5\n")
    text = f"example.org {{\nroot {tmp_path}/zones\nfile %s {{\nreload 0\n}}\n}}\n"

    assert main(["check", _file(tmp_path, text % "db")]) == 0
    assert main(["check", _file(tmp_path, text % "nope")]) == 1
    assert main(["check", _file(tmp_path, ". {\nroot\n}\n")]) == 1


@pytest.mark.parametrize(
    ("line", "status"),
    [("bind lo 192.0.2.1", 0), ("bind nosuch0", 1), ("bind lo {\n except lo\n }", 1), ("bind", 1)],
)
def test_interfaces_are_those_of_this_machine(
    line: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", _file(tmp_path, f". {{\n {line}\n whoami\n}}\n")]) == status
    out = capsys.readouterr().out
    assert ("plugin/bind: " in out) is bool(status)
