import io
import sys
from pathlib import Path

import pytest

from svcdns.aio.corefilesource import CorefileSource
from svcdns.errors import ConfigError


def source(path: str | Path, **more: object) -> CorefileSource:
    return CorefileSource(str(path), **more)  # type: ignore[arg-type]


def names(made: CorefileSource) -> list[str]:
    return [one.name for block in made.read().blocks for one in block.directives]


def test_a_file_is_read_again_each_time(tmp_path: Path) -> None:
    path = tmp_path / "Corefile"
    path.write_text(". {\n    errors\n}\n")
    made = source(path)
    first = made.read()
    path.write_text(". {\n    log\n}\n")

    assert first.fingerprint != made.read().fingerprint
    assert names(made) == ["log"]


@pytest.mark.parametrize(
    ("why", "text", "same"),
    [
        ("blanks", ".   {\n  errors\n}\n", True),
        ("a comment at the end", ". {\n    errors # here\n}\n", True),
        ("a line above", "\n. {\n    errors\n}\n", False),
        ("another word", ". {\n    log\n}\n", False),
    ],
)
def test_what_counts_as_a_change(tmp_path: Path, why: str, text: str, same: bool) -> None:
    """Corefile-features g: words with their lines."""
    path = tmp_path / "Corefile"
    path.write_text(". {\n    errors\n}\n")
    before = source(path).read().fingerprint
    path.write_text(text)

    assert (source(path).read().fingerprint == before) is same


def test_a_change_of_an_imported_file_is_a_change(tmp_path: Path) -> None:
    (tmp_path / "Corefile").write_text(". {\n    import more\n}\n")
    (tmp_path / "more").write_text("errors\n")
    made = source(tmp_path / "Corefile")
    before = made.read().fingerprint
    (tmp_path / "more").write_text("log\n")

    assert made.read().fingerprint != before


def test_without_a_corefile_there_is_the_built_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = source("", port=1053).read()

    assert [one.name for one in loaded.blocks[0].directives] == ["whoami", "log"]
    assert loaded.blocks[0].keys[0].port == 1053


def test_a_corefile_in_the_current_directory_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Corefile").write_text(". {\n    errors\n}\n")

    assert names(source("")) == ["errors"]


def test_an_empty_corefile_is_the_built_in_one(tmp_path: Path) -> None:
    (tmp_path / "Corefile").write_text("# nothing\n")

    assert names(source(tmp_path / "Corefile")) == ["whoami", "log"]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "missing"

    with pytest.raises(ConfigError, match=f"open {path}: no such file or directory"):
        source(path).read()


def test_standard_input_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b". {\n    errors\n}\n"))
    monkeypatch.setattr(sys, "stdin", stdin)
    made = source("stdin")

    assert names(made) == names(made) == ["errors"]


def test_an_unknown_directive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Corefile").write_text(". {\n    nonsense\n}\n")

    with pytest.raises(ConfigError, match=r"Corefile:2 - .*Unknown directive 'nonsense'"):
        source(tmp_path / "Corefile", known=("errors",)).read()


def test_an_old_corefile_is_put_into_todays_words(tmp_path: Path) -> None:
    """Issue 4, item 4: what CoreDNS has removed runs, and the modern line is shown."""
    path = tmp_path / "Corefile"
    path.write_text(". {\n    proxy . 192.0.2.1\n    import *.override\n}\n")
    loaded = source(path, known=("forward", "import")).read()

    assert [one.tokens for one in loaded.blocks[0].directives] == [("forward", ".", "192.0.2.1")]
    odd, translated = loaded.warnings
    assert "*.override" in odd
    assert translated == (f"{path}:2 - CoreDNS 1.5.0 removed proxy: write `forward . 192.0.2.1`")
    path.write_text(". {\n    forward . 192.0.2.1\n}\n")
    assert loaded.fingerprint != source(path).read().fingerprint
