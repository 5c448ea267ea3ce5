"""Start a program as a container runtime does: own root, mounts, user and capabilities.

``python -m tests.support.container SPEC.json``, in a mount namespace of its own.  What happens is
what runc does for the security context of a Pod: the bounding, permitted and effective sets are the
container's, the inheritable and ambient ones are empty, so that an unprivileged user keeps a
capability over ``execve`` only if the program's file has it.
"""

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

CAPABILITIES = {"NET_BIND_SERVICE": 10, "NET_ADMIN": 12, "NET_RAW": 13, "SYS_MODULE": 16}
"""Those that manifests name, and their numbers (linux/capability.h)."""

LAST_CAPABILITY = 40

_PR_SET_KEEPCAPS = 8
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522


@dataclass(frozen=True)
class Mount:
    """A directory or file of the host, and where it appears."""

    source: str
    target: str
    writable: bool = False


@dataclass(frozen=True)
class Container:
    """What a Pod says about a container, and where its image's files are."""

    root: str
    command: Sequence[str]
    mounts: Sequence[Mount] = ()
    env: dict[str, str] = field(default_factory=dict)
    uid: int = 65532
    capabilities: Sequence[str] = ()
    no_new_privileges: bool = True
    read_only: bool = True

    def words(self, spec: Path) -> list[str]:
        """Give the command line that starts it, from the repository's root; *spec* is written."""
        spec.write_text(json.dumps(asdict(self)))
        return [
            "unshare", "--mount", "--propagation", "private",
            sys.executable, "-m", "tests.support.container", str(spec),
        ]  # fmt: skip


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def _bind(source: str, target: Path, *, writable: bool) -> None:
    if Path(source).is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    _mount("--bind", source, str(target))
    if not writable:
        _mount("-o", "remount,bind,ro", str(target))


def _inside(root: Path, target: str) -> Path:
    """Give the place of *target* under *root*, links (``/var/run``) followed as a container would."""
    found = root
    for part in Path(target.lstrip("/")).parts:
        found = found / part
        if found.is_symlink():
            # An absolute link starts at the root of the container, not of the machine.
            found = root / os.path.normpath(
                found.parent.relative_to(root) / found.readlink()
            ).lstrip("/")
    return found


def _privileges(spec: Container) -> None:
    """Become the user with no more than the container's capabilities."""
    libc = ctypes.CDLL(None, use_errno=True)

    def prctl(option: int, value: int) -> None:
        if libc.prctl(option, value, 0, 0, 0):
            raise OSError(ctypes.get_errno(), f"prctl {option}")

    kept = [CAPABILITIES[name] for name in spec.capabilities]
    for number in range(LAST_CAPABILITY + 1):
        if number not in kept:
            prctl(_PR_CAPBSET_DROP, number)
    prctl(_PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(spec.uid, spec.uid, spec.uid)
    os.setresuid(spec.uid, spec.uid, spec.uid)
    low = sum(1 << number for number in kept if number < 32)
    high = sum(1 << number - 32 for number in kept if number >= 32)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)
    if libc.capset(header, data):
        raise OSError(ctypes.get_errno(), "capset")
    if spec.no_new_privileges:
        prctl(_PR_SET_NO_NEW_PRIVS, 1)


def main(path: str) -> None:
    raw = json.loads(Path(path).read_text())
    spec = Container(**{**raw, "mounts": [Mount(**one) for one in raw["mounts"]]})
    root = Path(spec.root)
    _mount("--bind", str(root), str(root))
    for one in spec.mounts:
        _bind(one.source, _inside(root, one.target), writable=one.writable)
    if spec.read_only:
        _mount("-o", "remount,bind,ro", str(root))
    os.chroot(root)
    os.chdir("/")
    os.umask(0o022)
    _privileges(spec)
    os.execve(spec.command[0], list(spec.command), spec.env)


if __name__ == "__main__":
    main(sys.argv[1])
