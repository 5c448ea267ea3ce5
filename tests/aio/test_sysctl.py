"""Kernel settings, in a directory that stands for /proc/sys."""

import logging
from pathlib import Path

import pytest

from svcdns.aio import sysctl

MAX = "net.netfilter.nf_conntrack_max"
ESTABLISHED = "net.netfilter.nf_conntrack_tcp_timeout_established"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "net/netfilter"
    directory.mkdir(parents=True)
    (directory / "nf_conntrack_max").write_text("262144\n")
    (directory / "nf_conntrack_tcp_timeout_established").write_text("432000\n")
    return tmp_path


def _read(root: Path, name: str) -> int:
    return int(root.joinpath(*name.split(".")).read_text())


@pytest.mark.parametrize(
    ("name", "wanted", "found"),
    [
        (ESTABLISHED, 86400, 86400),
        (ESTABLISHED, 500000, 500000),
        (MAX, 524288, 524288),
        (MAX, 131072, 262144),
    ],
)
def test_settings_are_written_and_the_maximum_is_never_lowered_r95(
    root: Path, name: str, wanted: int, found: int
) -> None:
    sysctl.apply([(name, wanted)], root)
    assert _read(root, name) == found


def test_a_setting_that_is_right_is_not_written(root: Path) -> None:
    file = root / "net/netfilter/nf_conntrack_max"
    file.chmod(0o444)
    before = file.stat().st_mtime_ns
    sysctl.apply([(MAX, 262144)], root)
    assert file.stat().st_mtime_ns == before


def test_what_cannot_be_written_is_said_and_the_rest_goes_on(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sysctl.apply([("net.netfilter.nothing_here", 1), (ESTABLISHED, 1)], root)
    assert "net.netfilter.nothing_here stays as it is, wanted 1" in caplog.text
    assert _read(root, ESTABLISHED) == 1


def test_the_out_of_memory_score_is_set_or_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    file = tmp_path / "oom_score_adj"
    sysctl.set_oom_score(-999, file)
    assert file.read_text() == "-999"
    sysctl.set_oom_score(-999, tmp_path / "missing/oom_score_adj")
    assert "oom_score_adj stays as it is" in caplog.text
