"""The whole suite has a loopback of its own where it may make one.

Then nothing can be in its way: no ``make run`` in another terminal, no second run of the suite, no
client that was just given the port that a test has chosen.  And nothing can leave it, either: tests
talk to nobody outside.
"""

import ctypes
import os
import shutil
import subprocess

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
