"""Tokens to server blocks: the grammar of a Corefile.

::

    KEY[,] KEY… { DIRECTIVES }          a server block; one alone may leave the braces out
    (NAME) { LINES }                    a snippet
    import NAME | FILE | GLOB           where a line may stand
    NAME ARGUMENT… [{ LINES }]          a directive; its lines have the same form

Parity: ``caddy:caddyfile/parse.go`` and ``dispenser.go``, the messages as well.  One difference:
within the block of a directive, words after a closing ``}`` and ``{`` at the start of a line are
errors already here; CoreDNS hands them to the plugin.
"""

from collections.abc import Callable, Container, Mapping

from svcdns.corefile.environment import substitute
from svcdns.corefile.imports import Imports, Load, parsing_error
from svcdns.corefile.keys import parse_key
from svcdns.corefile.lexer import Token, tokenize
from svcdns.corefile.syntax import Directive, Key, ServerBlock
from svcdns.errors import CorefileError

MAX_NESTING = 32
"""Blocks in blocks.  No plugin has more than two."""


def parse(
    text: str,
    file: str,
    env: Mapping[str, str],
    load: Load,
    warn: Callable[[str], None],
    *,
    default_port: int = 53,
    known: Container[str] | None = None,
) -> tuple[ServerBlock, ...]:
    """Read a Corefile.

    Args:
        text: The Corefile.
        file: Its name, for messages and for what it imports.
        env: For ``{$NAME}``.
        load: Finds imported files.
        warn: Told what is odd but no error.
        default_port: For keys with the scheme ``dns`` and no port (``-dns.port``).
        known: The directives there are; ``None`` takes any.

    Returns:
        The blocks, in the order of the file; none for a text without any, which to CoreDNS means
        its built-in Corefile.

    Raises:
        CorefileError: It is no Corefile; nothing else is ever raised.
    """
    imports = Imports(env, load, warn)
    return _Parser(tokenize(text, file), env, imports, warn, default_port, known).blocks()


class _Parser:
    def __init__(
        self,
        tokens: list[Token],
        env: Mapping[str, str],
        imports: Imports,
        warn: Callable[[str], None],
        default_port: int,
        known: Container[str] | None,
    ) -> None:
        self._rest = tokens[::-1]  # the next one is the last, so that importing is an append
        self._last: Token | None = None
        self._env = env
        self._imports = imports
        self._warn = warn
        self._default_port = default_port
        self._known = known

    def blocks(self) -> tuple[ServerBlock, ...]:
        found = []
        while self._rest:
            block = self._block()
            if block is not None:
                found.append(block)
        return tuple(found)

    # -- tokens

    def _take(self) -> Token:
        self._last = self._rest.pop()
        return self._last

    def _on_line(self) -> bool:
        """Tell whether there is another token before the line ends."""
        return bool(self._rest) and not self._rest[-1].first

    def _text(self, token: Token) -> str:
        return substitute(token.text, self._env)

    def _import(self) -> None:
        line = [self._take()]
        while self._on_line():
            line.append(self._take())
        self._rest += self._imports.expand(line)[::-1]

    def _end(self) -> CorefileError:
        assert self._last is not None
        return parsing_error(self._last, "Unexpected EOF")

    def _unexpected(self, token: Token, expected: str) -> CorefileError:
        message = f"Syntax error: Unexpected token '{token.text}', expecting '{expected}'"
        return CorefileError(token.file, token.line, message)

    # -- server blocks and snippets

    def _block(self) -> ServerBlock | None:
        words = self._keys()
        if len(words) == 1 and words[0].text.startswith("(") and words[0].text.endswith(")"):
            self._snippet(words[0])
            return None
        braces = bool(self._rest) and self._rest[-1].text == "{"
        if braces:
            self._take()
        directives = self._directives(braces)
        if not words:
            if directives:
                at = directives[0]
                self._warn(f"{at.file}:{at.line} - a server block without a key is ignored")
            return None
        keys = [key for word in words for key in self._key(word)]
        return ServerBlock(tuple(keys), directives, words[0].file, words[0].line)

    def _keys(self) -> list[Token]:
        """Read keys up to ``{`` or the end of a line without a comma, commas taken off."""
        words: list[Token] = []
        started = more = False
        while self._rest:
            token = self._rest[-1]
            if started and not more and token.first:
                return words
            if token.first and token.text == "import":
                self._import()
                continue
            if token.text == "{":
                if more:
                    raise parsing_error(
                        token, "Expected another address but had '{' - check for extra comma"
                    )
                return words
            self._take()
            started = True
            if text := self._text(token):
                more = text.endswith(",")
                words.append(
                    Token(text.removesuffix(","), token.file, token.line, token.first, token.via)
                )
        if more:
            raise self._end()
        return words

    def _key(self, word: Token) -> tuple[Key, ...]:
        if word.text == "}":
            self._warn(f"{word.file}:{word.line} - a '}}' without a block is taken for a zone name")
        try:
            return parse_key(word.text, self._default_port)
        except ValueError as error:
            raise parsing_error(word, str(error)) from error

    def _snippet(self, key: Token) -> None:
        if not self._rest or self._rest[-1].text != "{":
            raise self._unexpected(self._rest[-1] if self._rest else key, "{")
        self._take()
        body: list[Token] = []
        depth = 1
        while self._rest:
            token = self._take()
            depth += (token.text == "{") - (token.text == "}")
            if not depth:
                self._imports.define(key.text[1:-1], key, body)
                return
            body.append(token)
        assert self._last is not None
        raise self._unexpected(self._last, "}")

    # -- directives

    def _directives(self, braces: bool) -> tuple[Directive, ...]:
        found: list[Directive] = []
        while self._rest:
            token = self._rest[-1]
            if token.text == "}":
                self._take()
                return tuple(found)
            if token.text == "import":
                self._import()
            else:
                found.append(self._directive(1))
                found += self._beside(found[-1].name)
        # A text that ends with any closing brace has closed its block, to CoreDNS.
        if braces and self._last is not None and self._last.text != "}":
            raise self._unexpected(self._last, "}")
        return tuple(found)

    def _directive(self, depth: int) -> Directive:
        token = self._take()
        name = self._text(token)
        if token.text == "{" and depth > 1:
            raise parsing_error(
                token, "Unexpected token '{' at the start of a line: it ends the line it belongs to"
            )
        if depth == 1 and self._known is not None and name not in self._known:
            raise parsing_error(token, f"Unknown directive '{name}'")
        return self._rest_of_line(name, token, depth)

    def _rest_of_line(self, name: str, token: Token, depth: int) -> Directive:
        arguments: list[str] = []
        lines: tuple[Directive, ...] | None = None
        while self._on_line() and lines is None:
            word = self._rest[-1]
            if word.text == "}":
                if depth > 1:
                    break  # closes the block that this line is in
                raise parsing_error(word, "Unexpected '}' because no matching opening brace")
            self._take()
            if word.text == "{":
                lines = self._lines(word, depth + 1)
            else:
                arguments.append(self._text(word))
        return Directive(name, tuple(arguments), token.file, token.line, lines)

    def _beside(self, name: str) -> list[Directive]:
        """Read what CoreDNS gives to a directive although it stands behind its end."""
        found: list[Directive] = []
        while self._rest:
            token = self._rest[-1]
            if token.text == "{":
                found += self._detached(name)
            elif token.first:
                break
            elif token.text == "}":
                raise parsing_error(token, "Unexpected '}' because no matching opening brace")
            else:
                self._warn(
                    f"{token.file}:{token.line} - what follows `}}` is not read as `{token.text}`:"
                    f" as in CoreDNS it is taken for one more `{name}`; write it on a line of its"
                    " own"
                )
                found.append(self._rest_of_line(name, self._take(), 1))
        return found

    def _detached(self, name: str) -> list[Directive]:
        """Read a block whose ``{`` stands on a line of its own.

        Its words belong to the directive, but a block opens on the directive's line only.  So each
        line, those of the braces as well, is the same directive once more, without its first word:
        some plugins take that, for others it is once too often.
        """
        brace = self._take()
        self._warn(
            f"{brace.file}:{brace.line} - `{{` on a line of its own opens no block of {name}: as in"
            f" CoreDNS each line of it is taken for one more `{name}`; write `{{` at the end of the"
            " line before"
        )
        lines = [
            Directive(name, line.args, line.file, line.line, line.block)
            for line in self._lines(brace, 2)
        ]
        assert self._last is not None
        ends = [Directive(name, (), token.file, token.line) for token in (brace, self._last)]
        return [ends[0], *lines, ends[1]]

    def _lines(self, brace: Token, depth: int) -> tuple[Directive, ...]:
        if depth > MAX_NESTING:
            raise parsing_error(brace, f"blocks nested more than {MAX_NESTING} deep")
        found: list[Directive] = []
        while self._rest:
            token = self._rest[-1]
            if token.text == "}":
                self._take()
                self._check_after_brace(depth)
                return tuple(found)
            if token.text == "import":
                self._import()
            else:
                found.append(self._directive(depth))
        raise self._end()

    def _check_after_brace(self, depth: int) -> None:
        if depth == 2 or not self._on_line():
            return  # what follows the whole directive is another matter
        word = self._rest[-1]
        if word.text != "}":
            raise parsing_error(word, f"Unexpected token '{word.text}' after '}}'")
