"""docs/compatibility.md is what the code says."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _check(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(root / "tools" / "compatibility"), "--check"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_page_is_current() -> None:
    done = _check(ROOT)

    assert done.returncode == 0, done.stderr


def test_a_page_that_is_not_current_is_found(tmp_path: Path) -> None:
    shutil.copytree(
        ROOT / "svcdns", tmp_path / "svcdns", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("tools", "docs"):
        (tmp_path / name).mkdir()
    shutil.copy(ROOT / "tools" / "compatibility", tmp_path / "tools")
    page = tmp_path / "docs" / "compatibility.md"
    page.write_text(
        (ROOT / "docs" / "compatibility.md").read_text().replace("supported", "refused")
    )

    done = _check(tmp_path)
    assert done.returncode == 1
    assert "run tools/compatibility" in done.stderr
