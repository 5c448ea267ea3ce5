"""The whole suite has a loopback of its own where it may make one.

Then nothing can be in its way: no ``make run`` in another terminal, no second run of the suite, no
client that was just given the port that a test has chosen.  And nothing can leave it, either: tests
talk to nobody outside.

A test that talks to a kernel, to other programs or to sockets has one more try, because a busy
machine can break in on it in ways that nobody has thought of.  It is not silent: the closing line
counts reruns and the summary has the traceback of the first try, which is a defect to find.  Tests
of the pure core get no second try, and neither do more than five tests of a run.
"""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

CLONE_NEWNET = 0x40000000


def _leave() -> str:
    """Enter a new network namespace; say why not, when that cannot be."""
    if os.geteuid():
        return "not run by root"
    if not shutil.which("ip"):
        return "ip is not installed"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        return os.strerror(ctypes.get_errno())
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    return ""


_WHY_NOT = _leave()


def pytest_report_header() -> str:
    """Say which loopback it is."""
    if _WHY_NOT:
        return f"loopback: this machine's, with all that runs on it ({_WHY_NOT})"
    return "loopback: the suite's own"


# How long an example takes says how busy the machine is.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

PURE = {"corefile", "dns", "kube", "plugins", "proxy", "zones"}
"""Folders whose tests meet nothing but code: what fails there fails again."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests that meet the outside world one more try."""
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).parts[0] not in PURE:
            item.add_marker(pytest.mark.flaky(reruns=1))
