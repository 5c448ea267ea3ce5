import os
from pathlib import Path

import pytest

from svcdns.aio.processors import processors


@pytest.mark.parametrize(
    ("cpu_max", "environ", "expected"),
    [
        ("max 100000", {}, "usable"),
        ("", {}, "usable"),
        ("rubbish", {}, "usable"),
        ("10000 0", {}, "usable"),
        ("100000000 100000", {}, "usable"),
        # Go never goes below two by a limit.
        ("50000 100000", {}, "two"),
        ("max 100000", {"GOMAXPROCS": "7"}, "7"),
        ("50000 100000", {"GOMAXPROCS": "7"}, "7"),
        ("max 100000", {"GOMAXPROCS": "0"}, "usable"),
        ("max 100000", {"GOMAXPROCS": "many"}, "usable"),
    ],
)
def test_how_they_are_counted(
    tmp_path: Path, cpu_max: str, environ: dict[str, str], expected: str
) -> None:
    (tmp_path / "cpu.max").write_text(cpu_max)
    usable = len(os.sched_getaffinity(0))

    found = processors(environ, tmp_path / "cpu.max")

    assert str(found) == {"usable": str(usable), "two": str(min(usable, 2))}.get(expected, expected)


def test_a_machine_without_control_groups_has_no_limit(tmp_path: Path) -> None:
    assert processors({}, tmp_path / "missing") == len(os.sched_getaffinity(0))
