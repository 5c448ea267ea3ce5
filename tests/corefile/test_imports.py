"""``import`` of snippets, files and globs (corefile-features a)."""

import fnmatch
import posixpath
from collections.abc import Mapping

import pytest

from svcdns.corefile.imports import MAX_EXPANSIONS
from svcdns.corefile.parser import parse
from svcdns.corefile.syntax import ServerBlock
from svcdns.errors import CorefileError


def _parse(
    files: Mapping[str, str],
    env: Mapping[str, str] | None = None,
    warnings: list[str] | None = None,
) -> tuple[ServerBlock, ...]:
    def load(pattern: str, relative_to: str) -> list[tuple[str, str]] | None:
        path = posixpath.join(posixpath.dirname(relative_to), pattern)
        return [(name, files[name]) for name in sorted(files) if fnmatch.fnmatch(name, path)]

    warn = (warnings if warnings is not None else []).append
    return parse(files["/etc/Corefile"], "/etc/Corefile", env or {}, load, warn)


def _names(blocks: tuple[ServerBlock, ...]) -> list[tuple[list[str], list[str]]]:
    return [([k.zone for k in b.keys], [d.name for d in b.directives]) for b in blocks]


def test_a_file_comes_in_where_a_directive_may_stand() -> None:
    blocks = _parse(
        {"/etc/Corefile": ". {\nlog\nimport sub/a\nloop\n}", "/etc/sub/a": "cache 30\nerrors"}
    )

    assert _names(blocks) == [(["."], ["log", "cache", "errors", "loop"])]
    assert [(d.file, d.line) for d in blocks[0].directives] == [
        ("/etc/Corefile", 2), ("/etc/sub/a", 1), ("/etc/sub/a", 2), ("/etc/Corefile", 4),
    ]  # fmt: skip


def test_a_file_comes_in_between_server_blocks() -> None:
    files = {
        "/etc/Corefile": ". {\nlog\n}\nimport custom/*.server",
        "/etc/custom/a.server": "a:53 {\nloop\n}",
        "/etc/custom/b.server": "b:53 {\nerrors\n}\n",
    }
    assert _names(_parse(files)) == [(["."], ["log"]), (["a."], ["loop"]), (["b."], ["errors"])]


def test_paths_are_relative_to_the_file_that_imports() -> None:
    files = {"/etc/Corefile": "import sub/a", "/etc/sub/a": ". {\nimport b\n}", "/etc/sub/b": "log"}

    assert _names(_parse(files)) == [(["."], ["log"])]


def test_a_file_comes_in_inside_a_directive() -> None:
    blocks = _parse(
        {"/etc/Corefile": ". {\nhosts {\nimport h\nfallthrough\n}\n}", "/etc/h": "10.0.0.1 a\n"}
    )

    assert [line.tokens for line in blocks[0].directives[0].block or ()] == [
        ("10.0.0.1", "a"),
        ("fallthrough",),
    ]


def test_an_imported_line_never_joins_the_line_before() -> None:
    blocks = _parse({"/etc/Corefile": "(s) {\nerrors\n}\n. {\ncache 30\nimport s\nlog\n}"})

    assert [d.tokens for d in blocks[0].directives] == [("cache", "30"), ("errors",), ("log",)]


def test_a_glob_without_a_match_is_a_warning() -> None:
    warnings: list[str] = []
    blocks = _parse(
        {"/etc/Corefile": "import custom/*.server\n. {\nimport custom/*.override\nlog\n}"},
        warnings=warnings,
    )

    assert _names(blocks) == [(["."], ["log"])]
    assert warnings == [
        "No files matching import glob pattern: custom/*.server",
        "No files matching import glob pattern: custom/*.override",
    ]


def test_a_snippet_comes_in_several_times() -> None:
    text = "(snip) {\nerrors\nlog\ncache {\nsuccess 10\n}\n}\na, b {\nimport snip\n}\nc {\nimport snip\nloop\n}"
    blocks = _parse({"/etc/Corefile": text})

    assert _names(blocks) == [
        (["a.", "b."], ["errors", "log", "cache"]),
        (["c."], ["errors", "log", "cache", "loop"]),
    ]


def test_a_snippet_wins_over_a_file() -> None:
    blocks = _parse({"/etc/Corefile": "(x) {\nlog\n}\n. {\nimport x\n}", "/etc/x": "errors"})

    assert _names(blocks) == [(["."], ["log"])]


def test_a_name_with_colons_is_a_snippet_name() -> None:
    blocks = _parse(
        {"/etc/Corefile": "(corp:example:com) {\nlog\n}\n. {\nimport corp:example:com\n}"}
    )

    assert _names(blocks) == [(["."], ["log"])]


def test_a_snippet_of_an_imported_file_is_known_afterwards() -> None:
    blocks = _parse(
        {"/etc/Corefile": "import snips\n. {\nimport s\n}", "/etc/snips": "(s) {\nlog\n}"}
    )

    assert _names(blocks) == [(["."], ["log"])]


def test_variables_are_replaced_in_patterns() -> None:
    blocks = _parse(
        {"/etc/Corefile": ". {\nimport {$DIR}/a\n}", "/etc/sub/a": "log"}, {"DIR": "sub"}
    )

    assert _names(blocks) == [(["."], ["log"])]


def test_a_file_may_come_in_twice_side_by_side() -> None:
    blocks = _parse({"/etc/Corefile": ". {\nimport a\nimport a\n}", "/etc/a": "log"})

    assert _names(blocks) == [(["."], ["log", "log"])]


ERRORS = [
    ("no argument", {"/etc/Corefile": "\nimport"}, 2, "Wrong argument count or unexpected line ending after 'import'"),
    ("two arguments", {"/etc/Corefile": "import a b"}, 1, "Import takes only one argument"),
    ("an empty argument", {"/etc/Corefile": 'import ""'}, 1, "Import requires a non-empty filepath"),
    ("an unset variable", {"/etc/Corefile": "import {$X}"}, 1, "Import requires a non-empty filepath"),
    ("no such file", {"/etc/Corefile": ". {\n log\n import none\n}"}, 3, "File to import not found: none"),
    ("two stars", {"/etc/Corefile": "import */*.txt"}, 1, "may only contain one wildcard"),
    ("many question marks", {"/etc/Corefile": "import ???"}, 1, "may only contain one wildcard"),
    ("a character class", {"/etc/Corefile": "import [a-z]"}, 1, "may only contain one wildcard"),
    ("no variable name", {"/etc/Corefile": "import {$}"}, 1, "File to import not found: {$}"),
    ("itself", {"/etc/Corefile": "import Corefile"}, 1, "import cycle"),
    ("a ring of files", {"/etc/Corefile": "import a", "/etc/a": ". {\nimport b\n}", "/etc/b": "import a"}, 1,
     "import cycle: /etc/a -> /etc/b -> /etc/a"),
    ("a snippet in itself", {"/etc/Corefile": "(a) {\nimport a\n}\n. {\nimport a\n}"}, 2, "import cycle"),
    ("a ring of snippets", {"/etc/Corefile": "(a) {\nimport b\n}\n(b) {\nimport a\n}\n. {\nimport a\n}"}, 5,
     "import cycle: (a) -> (b) -> (a)"),
    ("a snippet twice", {"/etc/Corefile": "(a) {\n}\n(a) {\n}"}, 3, "redeclaration of previously declared snippet a"),
    ("a snippet before its definition", {"/etc/Corefile": ". {\nimport a\n}\n(a) {\n}"}, 2, "File to import not found: a"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "line", "message"), [r[1:] for r in ERRORS], ids=[r[0] for r in ERRORS]
)
def test_what_cannot_be_imported_is_an_error(
    files: dict[str, str], line: int, message: str
) -> None:
    with pytest.raises(CorefileError) as caught:
        _parse(files)

    assert message in caught.value.message
    assert caught.value.message.startswith("Error during parsing: ")
    assert caught.value.line == line


def test_a_file_that_cannot_be_read_is_an_error() -> None:
    def load(_pattern: str, _relative_to: str) -> list[tuple[str, str]]:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(
        CorefileError, match=r"Corefile:1 - .*Could not import x: .*Permission denied"
    ):
        parse("import x", "Corefile", {}, load, lambda _line: None)


def test_imports_that_double_each_time_stop_at_the_cap() -> None:
    depth = MAX_EXPANSIONS.bit_length() + 1
    files = {f"/etc/f{n}": f"import f{n + 1}\nimport f{n + 1}" for n in range(depth)}
    files |= {f"/etc/f{depth}": "log", "/etc/Corefile": ". {\nimport f0\n}"}

    with pytest.raises(CorefileError, match=r"maximum file import depth \(10000\) exceeded"):
        _parse(files)
