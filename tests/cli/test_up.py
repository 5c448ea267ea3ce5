"""The flags of ``svcdns up``."""

import argparse
import logging
from pathlib import Path

import pytest

from svcdns import cli
from svcdns.aio import logs
from svcdns.aio.up import Settings, demo_directory
from svcdns.cli import main, up
from svcdns.errors import ConfigError


def settings(*words: str) -> Settings:
    parser = argparse.ArgumentParser()
    up.add_arguments(parser)
    return up.settings_of(parser.parse_args(words))


def test_without_flags_it_is_the_demo_on_loopback() -> None:
    found = settings()

    assert found == Settings(demo_directory())
    assert (found.dns_address, found.dns_port, found.zone) == ("127.0.0.1", 1053, "cluster.local")


def test_every_flag_counts() -> None:
    found = settings(
        "dir", "--dns-address", "127.0.0.2", "--dns-port", "5353", "--no-proxy", "--zone", "A.b.",
        "--upstream", "9.9.9.9", "--upstream", "tls://1.1.1.1", "--node", "n1",
    )  # fmt: skip

    assert found == Settings(
        Path("dir"), "127.0.0.2", 5353, "a.b", ("9.9.9.9", "tls://1.1.1.1"), False, "n1"
    )
    assert settings("--upstream", "none").upstreams == ()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--dns-address", "localhost"), "--dns-address: 'localhost' is not an IP address"),
        (("--dns-port", "0"), "--dns-port: the port must be 1 to 65535, not 0"),
        (("--dns-port", "65536"), "--dns-port: the port must be 1 to 65535, not 65536"),
        (("--zone", "a b"), "--zone: 'a b' is not a domain name"),
        (("--zone", "a..b"), "--zone: 'a..b' is not a domain name: empty label in 'a..b'"),
        (("--zone", "."), "--zone: '.' is not a domain name"),
        (
            ("--metrics-address", "1054x"),
            "--metrics-address: '1054x' is not ADDRESS:PORT, as 127.0.0.1:1054",
        ),
        (
            ("--metrics-address", "h:1"),
            "--metrics-address: 'h:1' is not ADDRESS:PORT, as 127.0.0.1:1054",
        ),
        (("--metrics-address", ":0"), "--metrics-address: the port must be 1 to 65535, not 0"),
        (("",), "DIR is empty: name a directory of manifests, or none for the demo"),
        (
            ("--zone", "10.in-addr.arpa"),
            "--zone: '10.in-addr.arpa' is for the names of addresses: take another one",
        ),
        (
            ("--upstream", "1.1.1.1 }"),
            "--upstream: '1.1.1.1 }' is not a resolver: it is empty, or has blanks or one of {}#\"",
        ),
        (
            ("--upstream", "9.9.9.9", "--upstream", "foo:bar"),
            "--upstream: 'foo:bar' is not a resolver: invalid port 'bar'",
        ),
        (
            ("--upstream", "grpc://9.9.9.9"),
            "--upstream: 'grpc://9.9.9.9' is not a resolver:"
            " unsupported protocol 'grpc' of grpc://9.9.9.9",
        ),
        (
            ("--upstream", "/nonexistent"),
            "--upstream: '/nonexistent' is not a resolver:"
            " not an IP address or file: '/nonexistent'",
        ),
        (
            ("--upstream", "/dev/null"),
            "--upstream: '/dev/null' is not a resolver:"
            " the file names no 'nameserver' with an address",
        ),
        (
            ("--upstream", "127.0.0.1:1053"),
            "--upstream: '127.0.0.1:1053' is not a resolver: it is this server itself",
        ),
        (
            ("--upstream", "none", "--upstream", "9.9.9.9"),
            "--upstream: 'none' stands alone, without another resolver",
        ),
        (("--upstream", "9.9.9.9") * 16, "--upstream: 16 resolvers, where 15 may be"),
    ],
)
def test_a_flag_that_cannot_be_used_is_named(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(*words)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("words", "address"),
    [
        ((), None),
        (("--metrics-address", "none"), ""),
        (("--metrics-address", "0.0.0.0:9153"), "0.0.0.0:9153"),
        (("--metrics-address", ":9153"), "127.0.0.1:9153"),
        (("--metrics-address", "9153"), "127.0.0.1:9153"),
        (("--metrics-address", "[::1]:9153"), "[::1]:9153"),
    ],
)
def test_metrics_are_where_the_flag_says(words: tuple[str, ...], address: str | None) -> None:
    assert settings(*words).metrics_address == address


def test_a_directory_that_is_not_there_is_one_line_and_status_1(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing"

    assert main(["up", str(missing), "--no-proxy"]) == 1
    assert capfd.readouterr().err == (
        f"{missing}: no such directory: name one that holds manifests\n"
    )


@pytest.mark.parametrize(("words", "level"), [((), logging.INFO), (("-v",), logging.DEBUG)])
def test_verbose_logs_details(
    words: tuple[str, ...], level: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["up", str(tmp_path / "missing"), *words]) == 1
    assert "no such directory" in capfd.readouterr().err
    try:
        assert logging.getLogger().level == level
    finally:
        logs.set_level(debug=False)


def test_ctrl_c_while_a_command_is_imported_is_status_130_without_a_trace(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(name: str) -> None:
        assert name == "svcdns.cli.up"
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "import_module", interrupted)

    assert main(["up"]) == 130
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("called", "path", "program"),
    [
        (".venv/bin/svcdns", "/nonexistent", ".venv/bin/svcdns"),
        (".venv/bin/svcdns", "{bin}", "svcdns"),
        ("/usr/lib/python3/svcdns/__main__.py", "/nonexistent", "svcdns"),
    ],
)
def test_what_people_may_try_is_called_as_we_were(
    called: str, path: str, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "svcdns").touch(0o755)
    monkeypatch.setattr("sys.argv", [called, "up"])
    monkeypatch.setenv("PATH", path.format(bin=tmp_path))

    assert settings().program == program
