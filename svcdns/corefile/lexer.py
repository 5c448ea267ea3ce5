r"""Text to tokens, as the Caddyfile lexer of CoreDNS splits it.

White space separates; ``#`` outside quotes starts a comment.  In the middle of a word the comment
ends at the next blank: ``a#b c`` is ``a`` and ``c``.  ``"`` at the start of a token opens a quoted
one, in which only ``\"`` is an escape and line breaks are text.  A carriage return outside quotes
is nothing at all, so files with CRLF read the same.

Parity: ``caddy:caddyfile/lexer.go``.
"""

from msgspec import Struct

from svcdns.errors import CorefileError

BYTE_ORDER_MARK = "\ufeff"

SPACE = frozenset(
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""What Go's ``unicode.IsSpace`` says; Python's ``str.isspace`` knows four more."""


class Token(Struct, frozen=True):
    """One word."""

    text: str
    file: str
    line: int
    "Counted from 1; where a quoted token begins."
    first: bool
    "Whether it is the first on its line; decides where a directive ends."
    via: tuple[str, ...] = ()
    "What was imported to get here, outermost first: files and snippets."


def tokenize(text: str, file: str, via: tuple[str, ...] = ()) -> list[Token]:
    """Split *text*; a quote that is never closed runs to the end of the text.

    Raises:
        CorefileError: There is a NUL, which no text file has and no path can have.
    """
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise CorefileError(file, line, "Error during parsing: a NUL octet; is this a text file?")
    text = text.removeprefix(BYTE_ORDER_MARK)
    found: list[Token] = []
    at, end, line, first = 0, len(text), 1, True
    while at < end:
        character = text[at]
        if character == "\n":
            line, first = line + 1, True
            at += 1
        elif character in SPACE:
            at += 1
        elif character == "#":
            at = _end_of_line(text, at)
        else:
            begin = at
            word, at = _quoted(text, at + 1) if character == '"' else _bare(text, at)
            if word is not None:
                found.append(Token(word, file, line, first, via))
                first = False
            line += text.count("\n", begin, at)
    return found


def _end_of_line(text: str, at: int) -> int:
    newline = text.find("\n", at)
    return len(text) if newline < 0 else newline


def _bare(text: str, at: int) -> tuple[str | None, int]:
    begin = at
    while at < len(text) and (text[at] not in SPACE or text[at] == "\r"):
        at += 1
    return text[begin:at].partition("#")[0].replace("\r", ""), at


def _quoted(text: str, at: int) -> tuple[str | None, int]:
    word: list[str] = []
    while at < len(text):
        character = text[at]
        if character == '"':
            return "".join(word), at + 1
        if character == "\\":
            escaped = text[at + 1 : at + 2]
            word.append(escaped if escaped in ('"', "") else character + escaped)
            at += 2
            continue
        word.append(character)
        at += 1
    return "".join(word) or None, len(text)
