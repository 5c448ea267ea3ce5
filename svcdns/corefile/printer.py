"""Server blocks back to text, for people to read and to keep.

What is printed reads back as the same blocks, but for lines, files and comments.  Two words of no
use cannot be written in the language at all, and only a variable's value can hold them: one that
is a lone brace, and one with blanks and a backslash right before a quote.
"""

from collections.abc import Iterable, Iterator

from svcdns.corefile.keys import parse_key
from svcdns.corefile.lexer import BYTE_ORDER_MARK, SPACE
from svcdns.corefile.syntax import Directive, ServerBlock

INDENT = "    "

_QUOTED = SPACE | {"#", BYTE_ORDER_MARK}


def print_corefile(blocks: Iterable[ServerBlock]) -> str:
    """Write *blocks* as a Corefile."""
    return "\n".join(["\n".join(_block(block)) + "\n" for block in blocks])


def print_line(directive: Directive) -> str:
    """Write a directive's own line, without its block."""
    return " ".join([_word(token) for token in directive.tokens])


def key_texts(block: ServerBlock) -> Iterator[str]:
    """Give the keys as they were written; one text may stand for the zones of a network."""
    at = 0
    while at < len(block.keys):
        text = block.keys[at].text
        yield text
        at += len(parse_key(text))


def _block(block: ServerBlock) -> Iterator[str]:
    keys = [_word(text) for text in key_texts(block)]
    # A comma at the end of a key's own text would be taken for a separator.
    commas = any(key.endswith(",") for key in keys)
    yield (", " if commas else " ").join(keys) + " {"
    for directive in block.directives:
        yield from _directive(directive, INDENT)
    yield "}"


def _directive(directive: Directive, indent: str) -> Iterator[str]:
    line = indent + print_line(directive)
    if directive.block is None:
        yield line
        return
    yield line + " {"
    for inner in directive.block:
        yield from _directive(inner, indent + INDENT)
    yield indent + "}"


def _word(text: str) -> str:
    if text and not text.startswith('"') and _QUOTED.isdisjoint(text):
        return text
    return '"' + text.replace('"', '\\"') + '"'
