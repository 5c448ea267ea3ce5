"""Corefiles on a real disk."""

import io
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from svcdns.aio.corefiles import load_imports, parse_file, read_text
from svcdns.corefile.syntax import ServerBlock
from svcdns.errors import CorefileError


def _parse(path: Path, warnings: list[str] | None = None) -> tuple[ServerBlock, ...]:
    return parse_file(
        str(path), (warnings if warnings is not None else []).append, env={"X": "log"}
    )


def test_k3s_imports_are_found_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "custom").mkdir()
    (tmp_path / "custom" / "b.override").write_text("loop")
    (tmp_path / "custom" / "a.override").write_text("{$X}")
    (tmp_path / "custom" / "x.server").write_text("x:53 {\nerrors\n}")
    corefile = tmp_path / "Corefile"
    corefile.write_text(".:53 {\nimport custom/*.override\n}\nimport custom/*.server\n")

    blocks = _parse(corefile)

    assert [[d.name for d in block.directives] for block in blocks] == [["log", "loop"], ["errors"]]
    assert blocks[0].directives[0].file == str(tmp_path / "custom" / "a.override")


def test_absolute_patterns_are_taken_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("log")

    assert load_imports(str(tmp_path / "a"), "/elsewhere/Corefile") == [
        (str(tmp_path / "a"), "log")
    ]


def test_a_folder_with_wildcards_in_its_name_is_only_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a[b]*"
    folder.mkdir()
    (folder / "x").write_text("log")

    assert load_imports("x", str(folder / "Corefile")) == [(str(folder / "x"), "log")]


def test_configmap_mounts_with_their_hidden_folders_are_followed(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "x.override").write_text("log")
    os.symlink("..data/x.override", tmp_path / "x.override")

    assert load_imports("*.override", str(tmp_path / "Corefile")) == [
        (str(tmp_path / "x.override"), "log")
    ]


def test_a_glob_without_a_match_warns_and_a_missing_file_is_an_error(tmp_path: Path) -> None:
    warnings: list[str] = []
    corefile = tmp_path / "Corefile"
    corefile.write_text("import *.server\n. {\n}")
    _parse(corefile, warnings)
    assert warnings == ["No files matching import glob pattern: *.server"]

    corefile.write_text("import x.server")
    with pytest.raises(CorefileError, match="File to import not found"):
        _parse(corefile)


def test_a_folder_cannot_be_imported(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    corefile = tmp_path / "Corefile"
    corefile.write_text("import x")

    with pytest.raises(CorefileError, match="Could not import x"):
        _parse(corefile)


def test_a_file_that_imports_itself_is_found_out(tmp_path: Path) -> None:
    corefile = tmp_path / "Corefile"
    corefile.write_text("import C*")

    with pytest.raises(CorefileError, match="import cycle"):
        _parse(corefile)


def test_octets_that_are_no_utf8_do_not_end_the_start(tmp_path: Path) -> None:
    corefile = tmp_path / "Corefile"
    corefile.write_bytes(b"\xef\xbb\xbf. { # \xff\r\n}\r\n")

    assert [key.zone for key in _parse(corefile)[0].keys] == ["."]


def test_the_standard_input_is_a_corefile_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b". {\nlog\n}")))

    assert read_text("stdin") == ". {\nlog\n}"


def test_the_environment_is_the_processes_unless_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SVCDNS_TEST_ZONE", "example.org")
    corefile = tmp_path / "Corefile"
    corefile.write_text("{$SVCDNS_TEST_ZONE}")

    assert parse_file(str(corefile), lambda _: None)[0].keys[0].zone == "example.org."


def test_a_missing_corefile_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        _parse(tmp_path / "none")
