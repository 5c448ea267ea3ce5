"""``import``: snippets, files and globs, put in place of the line that names them.

A snippet wins over a file of the same name.  A path is relative to the file of the line that
imports it.  A glob may match nothing, a plain path may not.

Parity: ``caddy:caddyfile/parse.go doImport``, ``plugin/import/README.md``.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from svcdns.corefile.environment import substitute
from svcdns.corefile.lexer import Token, tokenize
from svcdns.errors import CorefileError

MAX_EXPANSIONS = 10_000
"""Imports carried out for one Corefile; CoreDNS's cap."""

MAX_TOKENS = 1_000_000
"""Words that imports may add up to; CoreDNS has no such limit and runs out of memory instead."""

Load: TypeAlias = Callable[[str, str], list[tuple[str, str]] | None]
"""``load(pattern, relative_to)``: path and text of every file that matches, sorted by path.

*relative_to* is the file of the importing line.  Nothing found is ``None`` or an empty list; a
file that cannot be read raises OSError.
"""


def parsing_error(token: Token, message: str) -> CorefileError:
    """Make the error that CoreDNS makes of *message* at *token*."""
    return CorefileError(token.file, token.line, f"Error during parsing: {message}")


class Imports:
    """The snippets seen so far, and what may still be imported."""

    def __init__(self, env: Mapping[str, str], load: Load, warn: Callable[[str], None]) -> None:
        """See :func:`svcdns.corefile.parser.parse`."""
        self._env = env
        self._load = load
        self._warn = warn
        self._snippets: dict[str, list[Token]] = {}
        self._expansions = 0
        self._tokens = 0

    def define(self, name: str, at: Token, tokens: list[Token]) -> None:
        """Keep the body of the snippet *name*, whose key is *at*.

        Raises:
            CorefileError: The name is taken.
        """
        if name in self._snippets:
            raise parsing_error(at, f"redeclaration of previously declared snippet {name}")
        self._snippets[name] = tokens

    def expand(self, line: list[Token]) -> list[Token]:
        """Give the tokens that take the place of *line*, an ``import`` with its arguments.

        Raises:
            CorefileError: Wrong arguments, nothing there, a cycle, or too much.
        """
        pattern = self._pattern(line)
        self._expansions += 1
        if self._expansions > MAX_EXPANSIONS:
            raise parsing_error(line[0], f"maximum file import depth ({MAX_EXPANSIONS}) exceeded")
        if pattern in self._snippets:
            found = self._from_snippet(line[0], pattern)
        else:
            found = self._from_files(line[0], pattern)
        self._tokens += len(found)
        if self._tokens > MAX_TOKENS:
            raise parsing_error(line[0], f"imports add up to more than {MAX_TOKENS} words")
        return found

    def _pattern(self, line: list[Token]) -> str:
        at, arguments = line[0], line[1:]
        if not arguments:
            raise parsing_error(at, "Wrong argument count or unexpected line ending after 'import'")
        pattern = substitute(arguments[0].text, self._env)
        if not pattern:
            raise parsing_error(at, "Import requires a non-empty filepath")
        if len(arguments) > 1:
            raise parsing_error(at, "Import takes only one argument (glob pattern or file)")
        return pattern

    def _from_snippet(self, at: Token, name: str) -> list[Token]:
        via = _deeper(at, f"({name})")
        return [
            Token(token.text, token.file, token.line, token.first or not index, via)
            for index, token in enumerate(self._snippets[name])
        ]

    def _from_files(self, at: Token, pattern: str) -> list[Token]:
        if pattern.count("*") > 1 or pattern.count("?") > 1 or ("[" in pattern and "]" in pattern):
            # Caddy issue 2096: a pattern of many wildcards takes for ever to match.
            raise parsing_error(
                at, f"Glob pattern may only contain one wildcard (*), but has others: {pattern}"
            )
        try:
            files = self._load(pattern, at.file)
        except OSError as error:
            raise parsing_error(at, f"Could not import {pattern}: {error}") from error
        if not files:
            if not any(character in pattern for character in "*?[]"):
                raise parsing_error(at, f"File to import not found: {pattern}")
            self._warn(f"No files matching import glob pattern: {pattern}")
            return []
        found: list[Token] = []
        for path, text in files:
            found += tokenize(text, path, _deeper(at, path))
        return found


def _deeper(at: Token, what: str) -> tuple[str, ...]:
    # Nothing is conditional in a Corefile, so whatever comes back to itself never ends.
    if what in at.via or (not at.via and what == at.file):
        chain = " -> ".join((*at.via, what))
        raise parsing_error(
            at, f"import cycle: {chain} (maximum import depth ({MAX_EXPANSIONS}) exceeded)"
        )
    return (*at.via, what)
