"""Runs a piece of Python in a network namespace of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BEFORE = """\
import asyncio, subprocess
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
"""


def run(code: str) -> str:
    """Run *code*; what it printed.  Skips the test where that cannot be."""
    for program in ("unshare", "nft", "ip"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    done = subprocess.run(
        ["unshare", "-rn", sys.executable, "-W", "error", "-c", BEFORE + code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode and done.stderr.startswith("unshare:"):
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return done.stdout
