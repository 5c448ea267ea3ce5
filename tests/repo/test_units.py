"""deploy/systemd holds units that systemd understands, with the commands there are."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
ANALYZE = shutil.which("systemd-analyze")


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_units_are_understood(unit: Path, tmp_path: Path) -> None:
    # systemd looks whether programs exist, and svcdns is not installed at its place here
    text = unit.read_text().replace("/opt/svcdns/bin/svcdns", "/bin/true")
    copy = tmp_path / unit.name
    copy.write_text(text)

    done = subprocess.run(
        [str(ANALYZE), "verify", str(copy)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if unit.name in line]) == (0, [])  # fmt: skip


def test_units_run_both_servers() -> None:
    commands = {
        line.split()[1]
        for unit in UNITS
        for line in unit.read_text().splitlines()
        if line.startswith("ExecStart=")
    }

    assert commands == {"dns", "proxy"}
