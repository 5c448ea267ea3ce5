"""What no file of the repository may hold."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MACHINE_PATH = re.compile(r"(?<![\w.~])/(?:home/[a-z]|root/|Users/[A-Za-z])[\w./-]*")
"""Folders of one machine: they mean nothing on another."""


def sleeps(source: str) -> list[int]:
    """Give the lines of a test that wait by sleeping; ``sleep(0)`` only lets others run."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = (
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        )
        yields = (
            bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
        )
        if name == "sleep" and not yields:
            found.append(node.lineno)
    return found


def _tracked(*suffixes: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    names = listed.stdout.split("\0") if listed.returncode == 0 else []
    paths = [ROOT / name for name in names if name] or [
        path for path in ROOT.rglob("*") if ".venv" not in path.parts and ".git" not in path.parts
    ]
    return [path for path in paths if path.is_file() and (not suffixes or path.suffix in suffixes)]


FAKES = ROOT / "tests" / "support"
"""Fakes may be slow on purpose, and one place there polls until a condition holds."""


def test_no_test_waits_by_sleeping() -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for path in _tracked(".py")
        if path.is_relative_to(ROOT / "tests")
        and not path.is_relative_to(FAKES)
        and (lines := sleeps(path.read_text()))
    }

    assert found == {}


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("import time\ntime.sleep(1)", [2]),
        ("async def f():\n    await asyncio.sleep(0.1)", [2]),
        ("from time import sleep\n\nsleep(x)", [3]),
        ("await_ = asyncio.sleep(0)", []),
        ("'sleep(1)'", []),
        ("fake.sleep", []),
    ],
)
def test_a_test_that_sleeps_is_found(source: str, lines: list[int]) -> None:
    assert sleeps(source) == lines


def test_tests_share_support_and_never_each_other() -> None:
    """Whoever moves or splits a test should not have to know who else reads it."""
    shared = re.compile(r"^\s*(?:from|import) tests\.(?:\w+\.)*test_\w+", re.MULTILINE)
    found = {
        str(path.relative_to(ROOT)): lines
        for path in _tracked(".py")
        if path.is_relative_to(ROOT / "tests") and (lines := shared.findall(path.read_text()))
    }

    assert found == {}


def folders(text: str, checkout: str) -> list[str]:
    """Give what in *text* is a folder of one machine, this checkout's own among them."""
    own = [checkout] if checkout.count("/") > 1 and checkout in text else []
    return own + MACHINE_PATH.findall(text)


def test_no_file_names_a_folder_of_one_machine() -> None:
    found = {
        str(path.relative_to(ROOT)): matches
        for path in _tracked()
        if path != Path(__file__)
        and (matches := folders(path.read_bytes().decode("utf-8", "replace"), str(ROOT)))
    }

    assert found == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see /Users/Ann/y.md", ["/Users/Ann/y.md"]),
        ("open('/home/ann/a')", ["/home/ann/a"]),
        ("/root/.kube/config", ["/root/.kube/config"]),
        ("/etc/resolv.conf and a/home/b and ~/root/x", []),
    ],
)
def test_a_folder_of_one_machine_is_found(text: str, found: list[str]) -> None:
    assert folders(text, "/srv/build/svcdns") == found


def test_the_checkouts_own_folder_is_found() -> None:
    assert folders("in /srv/build/svcdns/x", "/srv/build/svcdns") == ["/srv/build/svcdns"]
    assert folders("in /srv", "/srv") == [], "too short to mean anything"
