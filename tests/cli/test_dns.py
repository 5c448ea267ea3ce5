import argparse
import os
import subprocess
import sys

import pytest

from svcdns import __version__
from svcdns.cli import dns, main
from svcdns.errors import ConfigError


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    dns.add_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["-conf", "/etc/coredns/Corefile"], "conf", "/etc/coredns/Corefile"),
        (["-conf=/etc/coredns/Corefile"], "conf", "/etc/coredns/Corefile"),
        (["--conf=stdin"], "conf", "stdin"),
        ([], "conf", ""),
        (["-dns.port", "1053"], "port", 1053),
        (["-dns.port=1053"], "port", 1053),
        (["--dns.port=1053"], "port", 1053),
        (["-p", "1053"], "port", 1053),
        (["-p=1053"], "port", 1053),
        ([], "port", 53),
        (["-pidfile=/run/x.pid"], "pidfile", "/run/x.pid"),
        (["-quiet"], "quiet", True),
        (["-quiet=true"], "quiet", True),
        (["--quiet=F"], "quiet", False),
        (["-quiet", "-conf=x"], "quiet", True),
        ([], "quiet", False),
        (["-version"], "version", True),
        (["-plugins"], "plugins", True),
    ],
)
def test_flags_are_those_of_coredns(words: list[str], name: str, value: object) -> None:
    """Corefile-features c."""
    assert getattr(parse(*words), name) == value


@pytest.mark.parametrize(
    "words", [["-dns.port=x"], ["-dns.port=65536"], ["-quiet=maybe"], ["-nonsense"], ["-con=x"]]
)
def test_what_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(*words)

    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_more_words_end_the_start() -> None:
    with pytest.raises(ConfigError, match=r"extra command line arguments: \[a b\]"):
        dns.run(parse("-conf=x", "a", "b"))


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dns", "-version"]) == 0
    assert capsys.readouterr().out.startswith(f"svcdns-{__version__}\nlinux/")


def test_the_plugins_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dns", "-plugins"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == ["Server types:", "  dns", "", "Other plugins:"]
    assert "  dns.kubernetes" in lines


def test_a_corefile_that_cannot_be_read_is_one_line_and_status_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["dns", "-conf", "/nonexistent/Corefile"]) == 1
    assert capsys.readouterr().err == ("open /nonexistent/Corefile: no such file or directory\n")


def test_a_reader_who_has_read_enough_gets_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "svcdns", "dns", "-plugins"],
            stdout=closed, stderr=subprocess.PIPE, check=False, timeout=60,
        )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, b"")
