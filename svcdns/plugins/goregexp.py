r"""Regular expressions of Go in Python, for ``rewrite``, ``template`` and ``auto``.

A pattern is read by Go's grammar and written anew for Python's :mod:`re`, class by class, so that
nothing of Python's own reading is left: ``$`` is the end of the text and not the place before a
final newline, ``\d``, ``\w`` and ``\b`` are ASCII, an octal escape is none of Python's
back-references.

Go's matcher takes linear time whatever the pattern; Python's may take exponential time, and who
asks a question chooses the text.  Patterns that could are refused at start.  What is refused can
be written otherwise: ``(a+)+`` means ``a+``.  Several repetitions in a row (``.*\\..*\\..*``)
stay; they cost a power of the length of a name, which is at most 255.

Differences: Unicode classes (``\pL``) are refused, case folding is that of ASCII.

Spec: https://pkg.go.dev/regexp/syntax
"""

import re

from msgspec import Struct

from svcdns.plugins.codepoints import (
    LAST,
    PERL,
    POSIX,
    Ranges,
    folded,
    merged,
    negated,
    overlap,
    perl,
    union,
    written,
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


class _Node(Struct, frozen=True):
    """A part of a pattern, written for Python."""

    text: str
    first: Ranges = ()
    "What a match may begin with."
    chars: Ranges = ()
    "What a match may hold."
    loop: Ranges = ()
    "What those of its parts may hold that can match more or less."
    fences: tuple[Ranges, ...] = ()
    "Classes of which every match has exactly one character at this level."
    empty: bool = True
    "Whether it may match nothing."


class GoRegexp:
    """A compiled pattern."""

    def __init__(self, pattern: str) -> None:
        """Compile *pattern*.

        Raises:
            ValueError: Go does not accept it, or it is refused here (see the module).
        """
        self.pattern = pattern
        reader = _Reader(pattern)
        text = reader.read().text
        self.names = tuple(reader.names)
        "Of the groups, from group 1 on; empty for those without a name."
        self._regexp = re.compile(text)

    @property
    def groups(self) -> int:
        """Number of groups."""
        return len(self.names)

    def search(self, text: str) -> tuple[str, ...] | None:
        """Give the leftmost match and its groups, group 0 first; one that took no part is empty."""
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

    def read(self) -> _Node:
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

    def _alternation(self) -> _Node:
        flags = (self._fold, self._multi, self._dotall, self._ungreedy)
        branches = [self._concatenation()]
        while self._skip("|"):
            branches.append(self._concatenation())
        self._fold, self._multi, self._dotall, self._ungreedy = flags
        return branches[0] if len(branches) == 1 else _either(branches)

    def _concatenation(self) -> _Node:
        parts: list[_Node] = []
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
        return _sequence(parts)

    def _repeated(self, atom: _Node) -> _Node:
        bounds = self._bounds()
        if bounds is None:
            return atom
        lazy = self._skip("?") != self._ungreedy
        if self._bounds() is not None:
            raise self._error("invalid nested repetition operator")
        low, high = bounds
        many = high is None or high > _FEW
        if many and atom.loop and not _fenced(atom):
            raise self._error(
                "a repetition inside a repetition can take exponential time, write it as one"
            )
        text = f"(?:{atom.text}){{{low},{'' if high is None else high}}}" + ("?" if lazy else "")
        return _Node(
            text,
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

    def _atom(self) -> _Node:
        char = self._take()
        match char:
            case "(":
                return self._group()
            case "[":
                return self._class()
            case ".":
                return _chars(((0, LAST),) if self._dotall else negated(((10, 10),)))
            case "^":
                return _Node(r"(?m:^)" if self._multi else r"\A")
            case "$":
                return _Node(r"(?=\n|\Z)" if self._multi else r"\Z")
            case "*" | "+" | "?":
                raise self._error(f"missing argument to repetition operator {char}")
            case "\\":
                return self._escape()
            case _:
                return self._char(ord(char))

    def _group(self) -> _Node:
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
        inner = self._alternation()
        self._close()
        return _Node(f"({inner.text})", *_rest(inner))

    def _close(self) -> None:
        if not self._skip(")"):
            raise self._error("missing closing )")

    def _flags(self) -> _Node:
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
            return _Node("")
        inner = self._alternation()
        self._close()
        self._fold, self._multi, self._dotall, self._ungreedy = before
        return _Node(f"(?:{inner.text})", *_rest(inner))

    def _escape(self) -> _Node:
        char = self._take()
        match char:
            case "A":
                return _Node(r"\A")
            case "z":
                return _Node(r"\Z")
            case "b" | "B":
                return _Node(_BOUNDARY[char == "B"])
            case _ if char.lower() in PERL:
                return _chars(perl(char))
            case _:
                return self._char(self._escaped(char))

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

    def _char(self, code: int) -> _Node:
        ranges: Ranges = ((code, code),)
        return _chars(folded(ranges) if self._fold else ranges)

    def _class(self) -> _Node:
        inverted = self._skip("^")
        found: list[tuple[int, int]] = []
        first = True
        while first or not self._skip("]"):
            first = False
            found += self._class_item()
        ranges = merged(found)
        if self._fold:
            ranges = folded(ranges)
        return _chars(negated(ranges) if inverted else ranges)

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
        low = self._escaped(self._take()) if char == "\\" else ord(char)
        if not self._ahead("-") or self._ahead("-]"):
            return ((low, low),)
        self._at += 1
        char = self._take()
        high = self._escaped(self._take()) if char == "\\" else ord(char)
        if high < low:
            raise self._error("invalid character class range")
        return ((low, high),)


# What parts amount to together


def _rest(node: _Node) -> tuple[Ranges, Ranges, Ranges, tuple[Ranges, ...], bool]:
    return node.first, node.chars, node.loop, node.fences, node.empty


def _sequence(parts: list[_Node]) -> _Node:
    first: Ranges = ()
    for part in parts:
        first = union(first, part.first)
        if not part.empty:
            break
    return _Node(
        "".join([part.text for part in parts]),
        first,
        union(*[part.chars for part in parts]),
        union(*[part.loop for part in parts]),
        tuple(fence for part in parts for fence in part.fences),
        all(part.empty for part in parts),
    )


def _either(branches: list[_Node]) -> _Node:
    loop = union(*[branch.loop for branch in branches])
    chars = union(*[branch.chars for branch in branches])
    # Two branches that can begin alike are two ways through the same text.
    for number, branch in enumerate(branches):
        for other in branches[:number]:
            if branch.empty or other.empty or overlap(branch.first, other.first):
                loop = union(loop, branch.chars, other.chars)
    return _Node(
        "(?:" + "|".join([branch.text for branch in branches]) + ")",
        union(*[branch.first for branch in branches]),
        chars,
        loop,
        (),
        any(branch.empty for branch in branches),
    )


def _fenced(node: _Node) -> bool:
    """Whether repeating *node* leaves one way through a text: its rounds have a mark between."""
    for number, fence in enumerate(node.fences):
        others = node.fences[:number] + node.fences[number + 1 :]
        if not overlap(fence, node.loop) and not any(overlap(fence, other) for other in others):
            return True
    return False


def _chars(ranges: Ranges) -> _Node:
    if not ranges:
        return _Node("(?!)", empty=False)
    inside = "".join(
        [written(low) + ("" if low == high else "-" + written(high)) for low, high in ranges]
    )
    return _Node(f"[{inside}]", ranges, ranges, (), (ranges,), False)
