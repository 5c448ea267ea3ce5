r"""Zone files cut into pieces that dnspython reads.

What it is too strict for, because CoreDNS takes it, is rewritten: texts longer than 255 octets are
cut up, quoted or not, line ends within quotes and octets that are no UTF-8 become escapes.

Spec: RFC 1035 §5.1.  Parity: miekg/dns ``scan.go`` (zlexer) and ``scan_rr.go`` (endingToTxtSlice).
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

SLICE = 50
"""Lines read at a time: about 3 ms."""

MAX_STRING = 255
"""Octets of one character string (RFC 1035 §3.3)."""

_TEXT_TYPES = frozenset({"TXT", "SPF", "AVC", "CLA", "NINFO", "RESINFO", "WALLET"})
"""Types whose data is nothing but character strings."""

_NO_UTF8 = re.compile("[\udc80-\udcff]")
_MARKS = re.compile(r'["()]')
_OCTETS = re.compile(r"\\[0-9]{3}|\\.|.", re.DOTALL)
_DIRECTIVE = re.compile(r"\$(?:INCLUDE|GENERATE)\s", re.IGNORECASE)
_TOKEN = re.compile(
    r'(?P<end>\n)|;[^\n]*|(?P<open>\()|(?P<close>\))|"(?P<quoted>(?:[^"\\]|\\.)*)"'
    r'|(?P<word>(?:[^\s;"()\\]|\\.)+)',
    re.DOTALL,
)


class Piece(NamedTuple):
    """Lines of a zone file that end between two records."""

    line: int
    "The number of the first one."
    text: str
    directive: str
    "A line with ``$INCLUDE`` or ``$GENERATE`` behind them; empty: there is none."
    at: int
    "The number of that line; 0 without one."


def decode(content: bytes) -> str:
    """Decode a file; octets that are no UTF-8 become escapes (miekg/dns)."""
    if content.isascii():
        return content.decode()
    text = content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    return _NO_UTF8.sub(lambda match: f"\\{ord(match[0]) - 0xDC00:03}", text)


def pieces(text: str) -> Iterator[Piece]:
    """Cut a text between records: at directives, and after so many lines.

    A piece also ends with a record that has a line end in a text: this is rewritten, and the
    lines behind it keep their numbers.
    """
    begin, depth, quoted, odd, spans = 1, 0, False, False, False
    lines: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not depth and not quoted:
            directive = line if line[:1] == "$" and _DIRECTIVE.match(line) else ""
            if directive or spans or len(lines) >= SLICE:
                yield Piece(begin, _joined(lines, odd=odd), directive, number if directive else 0)
                begin, odd, spans = number + bool(directive), False, False
                lines = []
            if directive:
                continue
        if _MARKS.search(line):
            depth, quoted = _open_after(line, depth, quoted)
        spans |= quoted
        odd |= quoted or len(line) > MAX_STRING
        lines.append(line + "\n")
    yield Piece(begin, _joined(lines, odd=odd), "", 0)


def _joined(lines: list[str], *, odd: bool) -> str:
    text = "".join(lines)
    return tolerable(text) if odd else text


def uncommented(line: str) -> str:
    """Give a line without the comment at its end."""
    quoted = False
    for octet in _OCTETS.finditer(line):
        if octet[0] == '"':
            quoted = not quoted
        elif octet[0] == ";" and not quoted:
            return line[: octet.start()]
    return line


def _open_after(line: str, depth: int, quoted: bool) -> tuple[int, bool]:
    """Tell how many parentheses are open after a line, and whether a quote is."""
    for octet in _OCTETS.finditer(line):
        match octet[0]:
            case '"':
                quoted = not quoted
            case ";" if not quoted:
                break
            case "(" if not quoted:
                depth += 1
            case ")" if not quoted:
                depth = max(0, depth - 1)
    return depth, quoted


def tolerable(text: str) -> str:
    """Rewrite texts that are too long or hold line ends, in whole records."""
    out, end, depth, texts = [], 0, 0, False
    for token in _TOKEN.finditer(text):
        out.append(text[end : token.start()])
        end = token.end()
        written = token[0]
        match token.lastgroup:
            case "open":
                depth += 1
            case "close":
                depth -= 1
            case "end" if not depth:
                texts = False
            case "quoted":
                written = _strings(_LINE_END.sub(_escaped, token["quoted"]))
            case "word":
                owner = not depth and text[token.start() - 1 : token.start()] in ("", "\n")
                if texts and len(written) > MAX_STRING:
                    written = _strings(written)
                texts |= not owner and written.upper() in _TEXT_TYPES
        out.append(written)
    return "".join(out) + text[end:]


_LINE_END = re.compile(r"\\?[\r\n]|\\.", re.DOTALL)


def _escaped(match: re.Match[str]) -> str:
    """Write a line end as an escape, whether or not it was one; leave other escapes alone."""
    octet = match[0][-1]
    return f"\\{ord(octet):03}" if octet in "\r\n" else match[0]


def _strings(text: str) -> str:
    """Write a text as quoted strings, as many as it needs."""
    found, room = [""], MAX_STRING
    for octet in _OCTETS.findall(text):
        size = 1 if octet.startswith("\\") else len(octet.encode())
        if size > room:
            found.append("")
            room = MAX_STRING
        found[-1] += octet
        room -= size
    return " ".join(f'"{string}"' for string in found)
