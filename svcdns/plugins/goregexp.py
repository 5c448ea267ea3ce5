r"""Regular expressions of Go in Python, for ``rewrite``, ``template`` and ``auto``.

A pattern is read by Go's grammar and written anew for Python's :mod:`re`, class by class, so that
nothing of Python's own reading is left: ``$`` is the end of the text and not the place before a
final newline, ``\d``, ``\w`` and ``\b`` are ASCII, an octal escape is none of Python's
back-references.

Go's matcher takes linear time whatever the pattern; Python's may take exponential time, and who
asks a question chooses the text.  Patterns that could, such as ``(.*\\.)*``, are carried out by
:mod:`svcdns.plugins.goregexpmatch`, which takes linear time, too, but much more of it.  Several
repetitions in a row (``.*\\..*\\..*``) are left to Python; they cost a power of the length of a
name, which is at most 255.

Differences: case folding and scripts (``\p{Greek}``) are those of ASCII.

Spec: https://pkg.go.dev/regexp/syntax
"""

import re

from svcdns.plugins.codepoints import (
    LAST,
    PERL,
    POSIX,
    Ranges,
    folded,
    merged,
    negated,
    perl,
    unicode_class,
    union,
)
from svcdns.plugins.goregexpmatch import Program
from svcdns.plugins.goregexpnodes import (
    Group,
    Node,
    Place,
    Repeat,
    Row,
    chars,
    either,
    enclosed,
    fenced,
    sequence,
)

_MAX_REPEAT = 1000
"""Go's limit of a counted repetition."""

_FEW = 10
"""Rounds up to which a repetition inside a repetition is harmless."""

_CONTROL = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}
_WORD_BEHIND, _WORD_AHEAD = "(?<=[0-9A-Za-z_])", "(?=[0-9A-Za-z_])"
_BOUNDARY = (
    f"(?:{_WORD_BEHIND}(?![0-9A-Za-z_])|(?<![0-9A-Za-z_]){_WORD_AHEAD})",
    f"(?:{_WORD_BEHIND}{_WORD_AHEAD}|(?<![0-9A-Za-z_])(?![0-9A-Za-z_]))",
)


class GoRegexp:
    """A compiled pattern."""

    def __init__(self, pattern: str) -> None:
        """Compile *pattern*.

        Raises:
            ValueError: Go does not accept it.
        """
        self.pattern = pattern
        reader = _Reader(pattern)
        node = reader.read()
        self.names = tuple(reader.names)
        "Of the groups, from group 1 on; empty for those without a name."
        # What Python may take exponential time for goes to the matcher that cannot.
        self._regexp = None if reader.risky else re.compile(node.text)
        self._program = Program(node.code, len(self.names)) if reader.risky else None

    @property
    def groups(self) -> int:
        """Number of groups."""
        return len(self.names)

    def search(self, text: str) -> tuple[str, ...] | None:
        """Give the leftmost match and its groups, group 0 first; one that took no part is empty."""
        if self._program is not None:
            return self._program.search(text)
        assert self._regexp is not None
        found = self._regexp.search(text)
        return None if found is None else (found[0], *found.groups(""))


def expand(replacement: str, groups: tuple[str, ...]) -> str:
    """Put groups into ``{0}``, ``{1}``, …, one after the other as CoreDNS does."""
    for number, value in enumerate(groups):
        replacement = replacement.replace(f"{{{number}}}", value)
    return replacement


class _Reader:
    """Reads a pattern from left to right."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._fold = self._multi = self._dotall = self._ungreedy = False
        self.names: list[str] = []
        self.risky = False
        "Whether Python might take exponential time."

    def read(self) -> Node:
        node = self._alternation()
        if self._more:
            raise self._error("unexpected )")
        return node

    # -- characters of the pattern

    @property
    def _more(self) -> bool:
        return self._at < len(self._pattern)

    def _ahead(self, text: str) -> bool:
        return self._pattern.startswith(text, self._at)

    def _skip(self, text: str) -> bool:
        if self._ahead(text):
            self._at += len(text)
            return True
        return False

    def _take(self) -> str:
        if not self._more:
            raise self._error("it ends too early")
        self._at += 1
        return self._pattern[self._at - 1]

    def _until(self, end: str) -> str:
        stop = self._pattern.find(end, self._at)
        if stop < 0:
            raise self._error(f"missing {end}")
        found, self._at = self._pattern[self._at : stop], stop + len(end)
        return found

    def _error(self, what: str) -> ValueError:
        return ValueError(f"error parsing regexp: {what}: `{self._pattern}`")

    # -- grammar

    def _alternation(self) -> Node:
        flags = (self._fold, self._multi, self._dotall, self._ungreedy)
        branches = [self._concatenation()]
        while self._skip("|"):
            branches.append(self._concatenation())
        self._fold, self._multi, self._dotall, self._ungreedy = flags
        return branches[0] if len(branches) == 1 else either(branches)

    def _concatenation(self) -> Node:
        parts: list[Node] = []
        while self._more and not self._ahead("|") and not self._ahead(")"):
            if self._skip("\\Q"):
                end = self._pattern.find("\\E", self._at)
                stop = len(self._pattern) if end < 0 else end
                parts += [self._char(ord(c)) for c in self._pattern[self._at : stop]]
                self._at = stop if end < 0 else stop + 2
                if parts:
                    parts[-1] = self._repeated(parts[-1])
                continue
            atom = self._atom()
            parts.append(self._repeated(atom))
        return sequence(parts)

    def _repeated(self, atom: Node) -> Node:
        bounds = self._bounds()
        if bounds is None:
            return atom
        lazy = self._skip("?") != self._ungreedy
        if self._bounds() is not None:
            raise self._error("invalid nested repetition operator")
        low, high = bounds
        many = high is None or high > _FEW
        if many and atom.loop and not fenced(atom):
            self.risky = True
        text = f"(?:{atom.text}){{{low},{'' if high is None else high}}}" + ("?" if lazy else "")
        return Node(
            text,
            Repeat(atom.code, low, high, not lazy),
            atom.first,
            atom.chars,
            union(atom.loop, atom.chars) if low != high else atom.loop,
            atom.fences if (low, high) == (1, 1) else (),
            atom.empty or low == 0,
        )

    def _bounds(self) -> tuple[int, int | None] | None:
        for mark, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._skip(mark):
                return bounds
        found = re.compile(r"\{([0-9]{1,9})(,([0-9]{0,9}))?\}").match(self._pattern, self._at)
        if found is None:
            return None
        self._at = found.end()
        low = int(found[1])
        high = low if found[2] is None else int(found[3]) if found[3] else None
        if max(low, high or 0) > _MAX_REPEAT or (high is not None and high < low):
            raise self._error(f"invalid repeat count {found[0]}")
        return low, high

    def _atom(self) -> Node:
        char = self._take()
        match char:
            case "(":
                return self._group()
            case "[":
                return self._class()
            case ".":
                return chars(((0, LAST),) if self._dotall else negated(((10, 10),)))
            case "^":
                return _line_start(multi=self._multi)
            case "$":
                return _line_end(multi=self._multi)
            case "*" | "+" | "?":
                raise self._error(f"missing argument to repetition operator {char}")
            case "\\":
                return self._escape()
            case _:
                return self._char(ord(char))

    def _group(self) -> Node:
        name = ""
        if self._skip("?P<") or (
            self._ahead("?<") and self._pattern[self._at + 2 :][:1] not in "=!"
        ):
            self._skip("?<")
            name = self._until(">")
            if not re.fullmatch(r"[A-Za-z_][0-9A-Za-z_]*", name) or name in self.names:
                raise self._error(f"invalid or repeated group name {name!r}")
        elif self._skip("?"):
            return self._flags()
        self.names.append(name)
        number = len(self.names)
        inner = self._alternation()
        self._close()
        return enclosed(inner, f"({inner.text})", Group(number, inner.code))

    def _close(self) -> None:
        if not self._skip(")"):
            raise self._error("missing closing )")

    def _flags(self) -> Node:
        """Read ``(?i)``, which lasts to the end of the group, or ``(?i:...)``."""
        before = (self._fold, self._multi, self._dotall, self._ungreedy)
        value = True
        while (char := self._take()) not in ":)":
            match char:
                case "-" if value:
                    value = False
                case "i":
                    self._fold = value
                case "m":
                    self._multi = value
                case "s":
                    self._dotall = value
                case "U":
                    self._ungreedy = value
                case _:
                    raise self._error("invalid or unsupported Perl syntax (?" + char)
        if char == ")":
            return Node("", Row())
        inner = self._alternation()
        self._close()
        self._fold, self._multi, self._dotall, self._ungreedy = before
        return enclosed(inner, f"(?:{inner.text})", inner.code)

    def _escape(self) -> Node:
        char = self._take()
        match char:
            case "A":
                return _line_start(multi=False)
            case "z":
                return _line_end(multi=False)
            case "b" | "B":
                return Node(_BOUNDARY[char == "B"], Place("inside" if char == "B" else "edge"))
            case _ if char.lower() in PERL:
                return chars(perl(char))
            case "p" | "P":
                ranges = self._unicode(char)
                return chars(folded(ranges) if self._fold else ranges)
            case _:
                return self._char(self._escaped(char))

    def _unicode(self, char: str) -> Ranges:
        r"""Read what follows ``\p`` or ``\P``: a letter, or a name in braces."""
        name = self._until("}") if self._skip("{") else self._take()
        bare = name.removeprefix("^")
        try:
            ranges = unicode_class(bare)
        except ValueError as error:
            raise self._error(str(error)) from None
        return negated(ranges) if (char == "P") != (bare != name) else ranges

    def _escaped(self, char: str) -> int:
        """Read what follows a backslash and stands for one character."""
        if char in _CONTROL:
            return _CONTROL[char]
        if char == "x":
            digits = self._until("}") if self._skip("{") else self._take() + self._take()
            if not re.fullmatch(r"[0-9A-Fa-f]{1,6}", digits) or int(digits, 16) > LAST:
                raise self._error(f"invalid escape sequence \\x{digits}")
            return int(digits, 16)
        if char in "01234567" and (
            char == "0" or self._pattern[self._at : self._at + 1] in set("01234567")
        ):
            for _ in range(2):
                if self._more and self._pattern[self._at] in "01234567":
                    char += self._take()
            return int(char, 8)
        if char.isalnum() or not char.isascii():
            raise self._error(f"invalid escape sequence \\{char}")
        return ord(char)

    def _char(self, code: int) -> Node:
        ranges: Ranges = ((code, code),)
        return chars(folded(ranges) if self._fold else ranges)

    def _class(self) -> Node:
        inverted = self._skip("^")
        found: list[tuple[int, int]] = []
        first = True
        while first or not self._skip("]"):
            first = False
            found += self._class_item()
        ranges = merged(found)
        if self._fold:
            ranges = folded(ranges)
        return chars(negated(ranges) if inverted else ranges)

    def _class_item(self) -> Ranges:
        if self._skip("[:"):
            name = self._until(":]")
            if name.removeprefix("^") not in POSIX:
                raise self._error(f"invalid character class range [:{name}:]")
            ranges = POSIX[name.removeprefix("^")]
            return negated(ranges) if name.startswith("^") else ranges
        char = self._take()
        if char == "\\" and self._pattern[self._at : self._at + 1].lower() in set(PERL):
            return perl(self._take())
        if char == "\\" and (self._ahead("p") or self._ahead("P")):
            return self._unicode(self._take())
        low = self._escaped(self._take()) if char == "\\" else ord(char)
        if not self._ahead("-") or self._ahead("-]"):
            return ((low, low),)
        self._at += 1
        char = self._take()
        high = self._escaped(self._take()) if char == "\\" else ord(char)
        if high < low:
            raise self._error("invalid character class range")
        return ((low, high),)


def _line_start(*, multi: bool) -> Node:
    return Node(r"(?m:^)", Place("bol")) if multi else Node(r"\A", Place("start"))


def _line_end(*, multi: bool) -> Node:
    return Node(r"(?=\n|\Z)", Place("eol")) if multi else Node(r"\Z", Place("end"))
