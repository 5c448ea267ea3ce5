import os
from pathlib import Path

import pytest

from svcdns.aio.pidfile import PidFile
from svcdns.errors import ConfigError


def test_it_says_the_process_while_there_is_one(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    made = PidFile(str(path))
    made.write()
    assert path.read_text() == f"{os.getpid()}\n"
    made.remove()
    made.remove()

    assert not path.exists()


def test_a_file_of_another_process_stays(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text("1\n")
    PidFile(str(path)).remove()

    assert path.read_text() == "1\n"


def test_a_child_leaves_it_to_its_parent(tmp_path: Path) -> None:
    """The workers of ``multisocket`` are forked with everything that the first process has."""
    path = tmp_path / "pid"
    made = PidFile(str(path))
    made.write()
    child = os.fork()
    if not child:
        made.remove()
        os._exit(0)
    os.waitpid(child, 0)

    assert path.exists()


def test_a_file_that_went_before_us_is_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    made = PidFile(str(path))
    made.write()
    path.unlink()

    made.remove()


def test_a_directory_in_its_place_by_then_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "pid"
    made = PidFile(str(path))
    made.write()
    path.unlink()
    path.mkdir()
    made.remove()

    assert "the pidfile stays behind" in caplog.text


def test_one_that_cannot_be_written_is_the_operators_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"could not write pidfile: open .*: no such file"):
        PidFile(str(tmp_path / "no" / "pid")).write()


def test_without_a_path_there_is_none() -> None:
    made = PidFile("")
    made.write()
    made.remove()
