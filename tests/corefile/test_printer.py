"""What is printed reads back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from svcdns.corefile.parser import parse
from svcdns.corefile.printer import key_texts, print_corefile, print_line
from svcdns.corefile.syntax import Directive, ServerBlock
from svcdns.errors import CorefileError


def _parse(text: str, files: list[tuple[str, str]] | None = None) -> tuple[ServerBlock, ...]:
    return parse(text, "Corefile", {}, lambda *_: files, lambda _: None)


def _bare(directive: Directive) -> Directive:
    block = None if directive.block is None else tuple(_bare(line) for line in directive.block)
    return replace(directive, file="", line=0, block=block)


def _without_places(blocks: tuple[ServerBlock, ...]) -> list[Any]:
    return [(block.keys, tuple(_bare(d) for d in block.directives)) for block in blocks]


def test_the_form() -> None:
    text = '.:53   a {\n\thealth { lameduck  5s }\n  log . "{type} {name}" # x\n}\n\n\nb\nwhoami'

    assert print_corefile(_parse(text)) == (
        ".:53 a {\n    health {\n        lameduck 5s\n    }\n"
        '    log . "{type} {name}"\n}\n\nb {\n    whoami\n}\n'
    )


@pytest.mark.parametrize(
    ("word", "printed"),
    [
        ("a", "a"),
        ("", '""'),
        ("a b", '"a b"'),
        ("a#b", '"a#b"'),
        ('a"b', 'a"b'),
        ('"a', '"\\"a"'),
        ('a "b"', '"a \\"b\\""'),
        ("a\\.b", "a\\.b"),
        ("a\nb", '"a\nb"'),
        ("{{ .Name }}", '"{{ .Name }}"'),
    ],
)
def test_words_are_quoted_where_they_must_be(word: str, printed: str) -> None:
    line = Directive("x", (word,), "", 0)

    assert print_line(line) == f"x {printed}"
    (block,) = _parse(". {\n" + print_line(line) + "\n}")
    assert block.directives[0].args == (word,)


def test_a_network_is_printed_once_and_a_key_as_often_as_it_is_there() -> None:
    (block,) = _parse("10.0.0.0/14 a a 2001:db8::/31:54 {\n}")

    assert list(key_texts(block)) == ["10.0.0.0/14", "a", "a", "2001:db8::/31:54"]
    assert _without_places(_parse(print_corefile([block]))) == _without_places((block,))


PIECES = st.sampled_from(
    ["{", "}", "{\n", "}\n", "\n", " ", "import x", "a", "b:54", "(a)", ",", '"', "\\", "#", "10.0.0.0/15", "import (a)", "import a", "é", "\r", "\ufeff", "a, b {\n", "log {\n"]
)  # fmt: skip


@given(st.one_of(st.text(), st.lists(PIECES).map(" ".join), st.lists(PIECES).map("".join)))
def test_what_is_printed_reads_back_as_the_same_blocks(text: str) -> None:
    try:
        blocks = _parse(text, [("x", "c {\nd\n}\n")])
    except CorefileError:
        return
    printed = print_corefile(blocks)

    assert _without_places(_parse(printed)) == _without_places(blocks)
    assert print_corefile(_parse(printed)) == printed
