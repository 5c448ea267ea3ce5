"""The file tree that deploy/Dockerfile builds, as a plain directory.

The virtual environment is laid out as the Dockerfile does it; Python itself, its libraries and the
dependencies are those of this machine, mounted read-only.  There is no shell in it.
"""

import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

from tests.support.container import CAPABILITIES, Mount

ROOT = Path(__file__).parents[2]

_VFS_CAP_REVISION_2_EFFECTIVE = 0x02000001

SYSTEM = ("/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/proc")
"""Of the host: the C library and whatever Python's own modules load."""


def build(root: Path) -> list[Mount]:
    """Make the tree in *root*; give what has to be mounted into it."""
    venv = root / "opt" / "svcdns"
    site = venv / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    binaries = venv / "bin"
    for one in (site, binaries, root / "usr" / "local" / "bin", root / "etc", root / "dev"):
        one.mkdir(parents=True)
    # umask may be anything, and nobody in particular must read this
    _install(site)
    (site / "dependencies.pth").write_text("/opt/dependencies\n")
    (venv / "pyvenv.cfg").write_text(f"home = {sys.base_prefix}/bin\n")
    interpreter = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    for name in ("python3", "python-bind"):
        shutil.copy(interpreter, binaries / name)
    _may_bind(binaries / "python-bind")
    _script(binaries / "svcdns", "#!/opt/svcdns/bin/python3")
    _script(binaries / "coredns", "#!/opt/svcdns/bin/python-bind -I")
    for link, target in links().items():
        (root / link.lstrip("/")).symlink_to(target)
    for name in ("lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    (root / "etc" / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    (root / "etc" / "passwd").write_text("root:x:0:0::/root:/nonexistent\n")
    for directory in (root, *root.rglob("*")):
        if directory.is_dir() and not directory.is_symlink():
            directory.chmod(0o755)
    mounts = [Mount(one, one) for one in SYSTEM if Path(one).exists()]
    mounts += [Mount(one, one) for one in ("/dev/null", "/dev/urandom")]
    mounts.append(Mount(str(_dependencies()), "/opt/dependencies"))
    if not sys.base_prefix.startswith("/usr"):
        mounts.append(Mount(sys.base_prefix, sys.base_prefix))
    elif sys.base_prefix == "/usr":
        mounts.append(Mount(f"/usr/bin/{interpreter.name}", f"/usr/bin/{interpreter.name}"))
    return mounts


def links() -> dict[str, str]:
    """Give the links that the Dockerfile makes, target by link."""
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    return {link: target for target, link in re.findall(r"ln -s (\S+) (\S+)", text)}


def _install(site: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(site)],
        cwd=ROOT, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    [wheel] = site.glob("*.whl")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
         "--disable-pip-version-check", "--target", str(site), str(wheel)],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    wheel.unlink()


def _dependencies() -> Path:
    import aiohttp

    return Path(aiohttp.__file__).parents[1]


def _script(path: Path, shebang: str) -> None:
    path.write_text(f"{shebang}\nfrom svcdns.cli import main\nraise SystemExit(main())\n")
    path.chmod(0o755)


def _may_bind(path: Path) -> None:
    """Do what ``setcap cap_net_bind_service=+ep`` does (linux/capability.h vfs_cap_data)."""
    permitted = 1 << CAPABILITIES["NET_BIND_SERVICE"]
    value = struct.pack("<IIIII", _VFS_CAP_REVISION_2_EFFECTIVE, permitted, 0, 0, 0)
    os.setxattr(path, "security.capability", value)
