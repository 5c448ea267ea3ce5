"""What ``reload`` takes for a change (corefile-features g)."""

import pytest

from svcdns.corefile.fingerprint import fingerprint
from svcdns.corefile.parser import parse

BASE = ".:53 {\n  forward . 10.0.0.1\n  import extra\n}\n"


def _of(text: str, extra: str = "loop\n", file: str = "Corefile") -> str:
    return fingerprint(
        parse(text, file, {}, lambda pattern, _: [(pattern, extra)], lambda _line: None)
    )


@pytest.mark.parametrize(
    "text",
    [
        BASE,
        BASE.replace("  forward", "\tforward "),
        BASE.replace("0.1\n", "0.1 # up\n"),
        BASE + "# end",
    ],
)
def test_blanks_and_trailing_comments_change_nothing(text: str) -> None:
    assert _of(text) == _of(BASE)


@pytest.mark.parametrize(
    "text",
    [BASE.replace("0.1", "0.2"), "# a line above\n" + BASE, BASE.replace(":53", ":54"), ""],
)
def test_words_and_lines_change_it(text: str) -> None:
    assert _of(text) != _of(BASE)


def test_an_imported_file_changes_it() -> None:
    assert _of(BASE, extra="loop\nlog\n") != _of(BASE)


def test_another_file_of_the_same_content_changes_it() -> None:
    assert _of(BASE, file="Corefile2") != _of(BASE)


def test_it_is_a_sha512() -> None:
    assert len(bytes.fromhex(_of(BASE))) == 64
