"""Zone text taken apart into tokens.

Spec: RFC 1035 §5.1 (quotes, backslashes, parentheses, comments), RFC 9460 appendix A
(``key="value"``).
"""

from typing import NamedTuple

from svcdns.dns.name import unescape

_BACKSLASH = ord("\\")


class Token(NamedTuple):
    """A word of zone text."""

    text: str
    "Without quotes; escapes are still there, since ``a\\.b`` means one thing in names only."
    quoted: bool = False
    'Whether it began with a quote: ``"@"`` is a string, ``@`` the origin.'


def split(text: str) -> list[Token]:
    """Split the text of one record; line ends count as blanks (parentheses say nothing more).

    Raises:
        ValueError: A quote or parenthesis is not closed, or a backslash ends the text.
    """
    found: list[Token] = []
    at, end, depth = 0, len(text), 0
    while at < end:
        char = text[at]
        if char.isspace():
            at += 1
        elif char == ";":
            at = _line_end(text, at)
        elif char in "()":
            depth += 1 if char == "(" else -1
            if depth not in (0, 1):
                raise ValueError("parentheses do not match")
            at += 1
        else:
            token, at = _word(text, at)
            found.append(token)
    if depth:
        raise ValueError("parentheses do not match")
    return found


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _word(text: str, at: int) -> tuple[Token, int]:
    start_quoted = text[at] == '"'
    inside = False
    out = []
    end = len(text)
    while at < end:
        char = text[at]
        if char == "\\":
            if at + 1 == end:
                raise ValueError("a backslash ends the text")
            out.append(text[at : at + 2])
            at += 2
            continue
        if char == '"':
            if not inside and out and out[-1] != "=":
                break  # a quote begins a string of its own, but in key="value"
            inside = not inside
            at += 1
            if not inside:
                break
            continue
        if not inside and (char.isspace() or char in "();"):
            break
        out.append(char)
        at += 1
    if inside:
        raise ValueError("a quote is not closed")
    return Token("".join(out), start_quoted), at


def octets(text: str) -> bytes:
    r"""Undo the escapes of a token: ``\"`` and ``\DDD``; other characters as UTF-8.

    Raises:
        ValueError: A bad escape.
    """
    raw = text.encode()
    if _BACKSLASH not in raw:
        return raw
    out = bytearray()
    at = 0
    while at < len(raw):
        octet = raw[at]
        at += 1
        if octet == _BACKSLASH:
            octet, at = unescape(raw, at)
        out.append(octet)
    return bytes(out)


def quoted(data: bytes) -> str:
    """Write octets as a quoted string, all of it ASCII."""
    out = []
    for octet in data:
        if octet in b'"\\':
            out.append("\\" + chr(octet))
        elif 0x20 <= octet < 0x7F:
            out.append(chr(octet))
        else:
            out.append(f"\\{octet:03d}")
    return '"' + "".join(out) + '"'
