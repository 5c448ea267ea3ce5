"""The wheel and the sdist hold what an installed svcdns needs, and the wheel works."""

import configparser
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _build(target: str, source: Path, into: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(into)],
        cwd=source, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    [built] = into.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel unpacked by pip; dependencies are those of the running interpreter."""
    target = tmp_path_factory.mktemp("installed")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
         "--disable-pip-version-check", "--target", str(target), str(wheel)],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    return target


def _names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def _tracked(folder: str) -> set[str]:
    """Files that git knows, so that what lies about in a working tree counts for nothing."""
    done = subprocess.run(
        ["git", "ls-files", "-z", folder],
        cwd=ROOT, check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return {name for name in done.stdout.split("\0") if name}


def test_the_wheel_holds_every_module_and_the_demo(wheel: Path) -> None:
    demo = {name.replace("config/demo", "svcdns/demo") for name in _tracked("config/demo")}

    missing = (_tracked("svcdns") | demo) - _names(wheel)

    assert demo
    assert missing == set()


def test_the_wheel_is_typed_and_has_nothing_but_the_package(wheel: Path) -> None:
    names = _names(wheel)

    assert "svcdns/py.typed" in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"svcdns"}


def test_the_wheel_gives_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [path] = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        entries = configparser.ConfigParser()
        entries.read_string(archive.read(path).decode())

    assert entries["console_scripts"]["svcdns"] == "svcdns.cli:main"


def test_the_sdist_holds_the_demo_and_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    sdist = _build("sdist", ROOT, tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    [source] = (tmp_path / "source").iterdir()

    missing = [name for name in _tracked("config/demo") if not (source / name).exists()]
    assert missing == []
    assert _names(_build("wheel", source, tmp_path / "again")) == _names(wheel)


def test_the_sdist_leaves_the_environment_behind(tmp_path: Path) -> None:
    with tarfile.open(_build("sdist", ROOT, tmp_path)) as archive:
        top = {name.split("/")[1] for name in archive.getnames()}

    assert not top & {".venv", ".git", ".mypy_cache", ".pytest_cache", "__pycache__"}


def _run(installed: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", str(installed / "bin" / "svcdns"), *words],
        cwd=installed, env={"PATH": os.environ["PATH"], "PYTHONPATH": str(installed)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_installed_command_says_its_version(installed: Path) -> None:
    done = _run(installed, "--version")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("svcdns ")


def test_the_installed_command_reads_a_corefile(installed: Path) -> None:
    done = _run(installed, "check", str(ROOT / "config" / "corefiles" / "cluster.Corefile"))

    assert done.returncode == 0, done.stderr
