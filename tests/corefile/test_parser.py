"""The grammar of a Corefile: what is read, and what is refused with which words."""

import string
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.corefile.parser import MAX_NESTING, parse
from svcdns.corefile.syntax import Directive, ServerBlock
from svcdns.errors import CorefileError


def _parse(
    text: str, env: Mapping[str, str] | None = None, **options: Any
) -> tuple[ServerBlock, ...]:
    return parse(text, "Corefile", env or {}, lambda *_: None, lambda _: None, **options)


def _shape(lines: tuple[Directive, ...] | None) -> object:
    """Directives as nested lists: words, then the block if there is one."""
    if lines is None:
        return None
    return [
        [*line.tokens] if line.block is None else [*line.tokens, _shape(line.block)]
        for line in lines
    ]


BLOCKS = [
    ("an empty text", "", []),
    ("only comments", "# nothing\n\n", []),
    ("a block", ".:53 {\n whoami\n log\n}", [([".:53"], [["whoami"], ["log"]])]),
    ("an empty block", ". {\n}", [(["."], [])]),
    ("a block on one line", ". { }", [(["."], [])]),
    ("only a key", "example.org", [(["example.org"], [])]),
    ("braces left out", "example.org\nwhoami\nlog . x", [(["example.org"], [["whoami"], ["log", ".", "x"]])]),
    ("braces left out, with a block", ".\ncache {\n success 5\n}\nlog", [(["."], [["cache", [["success", "5"]]], ["log"]])]),
    ("several keys", "a b:54 {\n}", [(["a", "b:54"], [])]),
    ("keys with commas", "a, b,c {\n}", [(["a", "b,c"], [])]),
    ("a comma carries keys over lines", "a,\nb,\n  c {\nlog\n}", [(["a", "b", "c"], [["log"]])]),
    ("a brace on a line of its own", ". \n{\nlog\n}", [(["."], [["log"]])]),
    ("a directive on the line of the brace", ". { log\n}", [(["."], [["log"]])]),
    ("two blocks", "a {\n log\n}\nb {\n loop\n}", [(["a"], [["log"]]), (["b"], [["loop"]])]),
    ("two blocks on the line of a brace", "a {\n log\n} b {\n loop\n}", [(["a"], [["log"]]), (["b"], [["loop"]])]),
    ("a glued brace is part of the key", "x:53 172.16.10.0/24{\n log\n}\ny {\n}",
     [(["x:53", "172.16.10.0/24{"], [["log"]]), (["y"], [])]),
    ("nested blocks", ". {\n a b {\n c d {\n e\n }\n f\n }\n g\n}", [(["."], [["a", "b", [["c", "d", [["e"]]], ["f"]]], ["g"]])]),
    ("an empty sub-block is not no sub-block", ". {\n a {\n }\n b\n}", [(["."], [["a", []], ["b"]])]),
    ("a sub-block on one line", ". {\n a { b c }\n d\n}", [(["."], [["a", [["b", "c"]]], ["d"]])]),
    ("two closing braces on a line", ". {\n a {\n b {\n c\n } }\n d\n}", [(["."], [["a", [["b", [["c"]]]]], ["d"]])]),
    ("an inline hosts line", ". {\n hosts {\n 10.0.0.1 a b\n }\n}", [(["."], [["hosts", [["10.0.0.1", "a", "b"]]]])]),
    ("quotes over lines", '. {\n log . "a\nb" c\n loop\n}', [(["."], [["log", ".", "a\nb", "c"], ["loop"]])]),
    ("CRLF and a byte order mark", "\ufeff.:53 {\r\n log\r\n}\r\n", [([".:53"], [["log"]])]),
    ("a comment in the middle of a word", ". {\n cache 30#s\n}", [(["."], [["cache", "30"]])]),
    ("an empty key is no key", '"" a {\n}', [(["a"], [])]),
    ("a block without keys is dropped", '"" {\n log\n}', []),
    ("the last brace of a block left out", ". {\n a {\n b\n }\n", [(["."], [["a", [["b"]]]])]),
    ("a template with unquoted braces", ". {\n template A IN {\n answer {{ .Name }} 60\n }\n}",
     [(["."], [["template", "A", "IN", [["answer", "{{", ".Name", "}}", "60"]]]])]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "blocks"), [r[1:] for r in BLOCKS], ids=[r[0] for r in BLOCKS])
def test_a_text_is_read(text: str, blocks: list[object]) -> None:
    assert [([k.text for k in b.keys], _shape(b.directives)) for b in _parse(text)] == blocks


def test_a_brace_on_a_line_of_its_own_opens_no_block() -> None:
    """caddyfile/dispenser.go NextBlock: a plugin sees every line as one more of its own."""
    said: list[str] = []
    text = ". {\n log\n {\n  class error\n  b c {\n   d\n  }\n }\n loop\n}"
    (block,) = parse(text, "Corefile", {}, lambda *_: None, said.append)

    assert _shape(block.directives) == [
        ["log"], ["log"], ["log", "error"], ["log", "c", [["d"]]], ["log"], ["loop"],
    ]  # fmt: skip
    assert [line.line for line in block.directives] == [2, 3, 4, 5, 8, 9]
    assert said == [
        "Corefile:3 - `{` on a line of its own opens no block of log: as in CoreDNS each line of it"
        " is taken for one more `log`; write `{` at the end of the line before"
    ]


def test_what_follows_a_closing_brace_is_the_same_directive_once_more() -> None:
    """caddyfile/parse.go directive: it ends with the line, not with the brace."""
    said: list[str] = []
    text = ". {\n log {\n  class error\n } forward . 192.0.2.1 {\n  x\n } y\n loop\n}"
    (block,) = parse(text, "Corefile", {}, lambda *_: None, said.append, known={"log", "loop"})

    assert _shape(block.directives) == [
        ["log", [["class", "error"]]], ["log", ".", "192.0.2.1", [["x"]]], ["log"], ["loop"],
    ]  # fmt: skip
    assert [line.line for line in block.directives] == [2, 4, 6, 7]
    assert said[0] == (
        "Corefile:4 - what follows `}` is not read as `forward`: as in CoreDNS it is taken for one"
        " more `log`; write it on a line of its own"
    )


def test_positions_are_kept() -> None:
    (block,) = _parse("\n. {\n a {\n\n  b\n }\n}")

    assert (block.file, block.line) == ("Corefile", 2)
    assert block.directives[0].line == 3
    assert [line.line for line in block.directives[0].block or ()] == [5]


def test_variables_are_replaced_in_keys_names_and_arguments() -> None:
    (block,) = _parse(
        "{$Z}:{%P%} {\n ca{$C} {$T} {\n {$X} {1}\n }\n}",
        {"Z": "a", "P": "54", "C": "che", "T": "3 0", "X": "y"},
    )

    assert [(k.zone, k.port) for k in block.keys] == [("a.", 54)]
    assert _shape(block.directives) == [["cache", "3 0", [["y", "{1}"]]]]


def test_a_variable_in_a_regular_expression_leaves_groups_alone() -> None:
    # corpus 034
    (block,) = _parse(
        ". {\n rewrite name regex ^([^.]+)\\.{$DOMAIN}\\.$ {1}.{$NAMESPACE}.{$DOMAIN}.\n}",
        {"DOMAIN": "corp", "NAMESPACE": "prod"},
    )

    assert block.directives[0].args == ("name", "regex", r"^([^.]+)\.corp\.$", "{1}.prod.corp.")


def test_f12_networks_are_several_keys_of_one_block() -> None:
    (block,) = _parse("10.0.0.0/15 a {\n}")

    assert [k.zone for k in block.keys] == ["0.10.in-addr.arpa.", "1.10.in-addr.arpa.", "a."]


def test_the_default_port_reaches_the_keys() -> None:
    (block,) = _parse(". tls://. b:53", default_port=1053)

    assert [k.port for k in block.keys] == [1053, 853, 53]


def test_known_directives_are_checked_with_their_variables_replaced() -> None:
    (block,) = _parse(". {\n {$X}\n}", {"X": "log"}, known={"log"})

    assert block.named("log")


def test_lines_of_a_directive_need_not_be_known() -> None:
    assert _parse(". {\n log {\n class all\n }\n}", known={"log"})


P = "Error during parsing: "
ERRORS = [
    ("unknown", ". {\n\n nope x\n}", 3, P + "Unknown directive 'nope'"),
    ("typo (corpus)", ". {\n rewirte name a b\n}", 2, P + "Unknown directive 'rewirte'"),
    ("glued brace in a directive (corpus)", ". {\n rewrite stop{\n name a b\n }\n}", 3, P + "Unknown directive 'name'"),
    ("a lone word (corpus)", ". {\n . /etc/resolv.conf {\n }\n}", 2, P + "Unknown directive '.'"),
    ("a comma before the brace", "a, {\n}", 1, P + "Expected another address but had '{' - check for extra comma"),
    ("a comma at the end", "a,\nb,", 2, P + "Unexpected EOF"),
    ("a block on one line", ". { log }", 1, P + "Unexpected '}' because no matching opening brace"),
    ("one brace too many", ". {\n log {\n } }\n}", 3, P + "Unexpected '}' because no matching opening brace"),
    ("a word after an inner brace", ". {\n log {\n b {\n } c\n }\n}", 4, P + "Unexpected token 'c' after '}'"),
    ("a brace after what follows a brace", ". {\n log {\n } loop }\n}", 3, P + "Unexpected '}' because no matching opening brace"),
    ("a block left open after a brace", ". {\n log {\n } a {\n b", 4, P + "Unexpected EOF"),
    ("a brace before any directive", ". {\n {\n log\n }\n}", 2, P + "Unknown directive '{'"),
    ("a brace on a line of its own in a block", ". {\n log {\n class\n {\n }\n }\n}", 4, P + "Unexpected token '{' at the start of a line: it ends the line it belongs to"),
    ("a sub-block left open", ". {\n log {\n class all\n", 3, P + "Unexpected EOF"),
    ("a block left open", ". {\n log\n", 2, "Syntax error: Unexpected token 'log', expecting '}'"),
    ("only a brace", ". {", 1, "Syntax error: Unexpected token '{', expecting '}'"),
    ("a snippet left open", "(a) {\n log", 2, "Syntax error: Unexpected token 'log', expecting '}'"),
    ("a snippet without braces", "(a)\nlog", 2, "Syntax error: Unexpected token 'log', expecting '{'"),
    ("a snippet at the end", "(a)", 1, "Syntax error: Unexpected token '(a)', expecting '{'"),
    ("no zone in a key", "\n\n:53 {\n}", 3, P + "zone is not a valid domain name: it is empty"),
    ("an empty zone from a variable", "{$Z}:53 {\n}", 1, P + "zone is not a valid domain name: it is empty"),
    ("a colon without a port", "\na: {\n}", 2, P + 'expecting data after last colon: "a:"'),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "message"), [r[1:] for r in ERRORS], ids=[r[0] for r in ERRORS]
)
def test_what_is_no_corefile_is_refused(text: str, line: int, message: str) -> None:
    with pytest.raises(CorefileError) as caught:
        _parse(text, known={"log", "loop", "rewrite"})

    assert str(caught.value) == f"Corefile:{line} - {message}"


def test_a_stray_brace_is_a_zone_and_a_warning() -> None:
    warnings: list[str] = []
    blocks = parse(". {\n}\n}", "Corefile", {}, lambda *_: None, warnings.append)

    assert [b.keys[0].zone for b in blocks] == [".", "}."]
    assert warnings == ["Corefile:3 - a '}' without a block is taken for a zone name"]


def test_nesting_has_a_bound() -> None:
    deepest = MAX_NESTING - 1
    assert _parse(". {\n" + "a {\n" * deepest + "}\n" * (deepest + 1))
    with pytest.raises(CorefileError, match=f"nested more than {MAX_NESTING} deep"):
        _parse(". {\n" + "a {\n" * 100_000)


PIECES = st.sampled_from(
    ["{", "}", "\n", " ", "import", "a", "b", "(a)", ",", '"', "\\", "#", "{$X}", ".:53", "x*", "é", "\r", ":"]
)  # fmt: skip


@given(st.one_of(st.text(), st.lists(PIECES).map(" ".join), st.lists(PIECES).map("".join)))
def test_any_text_is_a_corefile_or_a_corefile_error(text: str) -> None:
    files = [("x", "a {\nimport a\n}\n"), ("y", "import b\n")]
    try:
        parse(text, "Corefile", {"X": "import"}, lambda *_: files, lambda _: None)
    except CorefileError:
        return


STOCK = '.:53 {\n  errors # all\n  health {\n    lameduck 5s\n  }\n  log . "{type} {name}"\n  cache 30\n}\n'


def test_a_text_cut_off_anywhere_is_a_corefile_or_a_corefile_error() -> None:
    for end in range(len(STOCK)):
        try:
            _parse(STOCK[:end])
        except CorefileError:
            continue


@given(st.text(string.printable, max_size=20))
def test_a_tail_never_changes_the_blocks_before_it(tail: str) -> None:
    try:
        blocks = _parse(STOCK + "\n" + tail)
    except CorefileError:
        return
    assert blocks[0] == _parse(STOCK)[0]
