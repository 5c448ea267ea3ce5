"""A matcher of regular expressions that takes linear time whatever the pattern.

The pattern becomes a program; a search follows it from every start of the text, preferring what
Go prefers, and never is at one instruction and one character twice.  So its time is at most the
length of the program times the length of the text.

Spec: https://pkg.go.dev/regexp (leftmost-first).
Parity: Go ``regexp/backtrack.go`` (bitState), by its idea.
"""

from typing import assert_never

from msgspec import Struct

from svcdns.plugins.codepoints import Ranges
from svcdns.plugins.goregexpnodes import Choice, Code, Group, OneOf, Place, Repeat, Row

MAX_INSTRUCTIONS = 10_000
"""Of a program; counted repetitions are written out (Go's limit is about the same)."""


class _Take(Struct, frozen=True):
    """Go on with the next instruction behind a character of the class."""

    ranges: Ranges


class _Fork(Struct):
    """Try *first*, and *second* if that leads nowhere."""

    first: int
    second: int


class _Save(Struct, frozen=True):
    """Note where we are: 2n is the start of group n, 2n+1 its end."""

    slot: int


class _Found(Struct, frozen=True):
    """This is a match."""


_Instruction = _Take | _Fork | _Save | Place | _Found

_Saved = tuple[int, int, "_Saved"] | None
"""Notes, the latest first: slot, place, those before."""


class Program:
    """A pattern, ready to be searched for."""

    def __init__(self, code: Code, groups: int) -> None:
        """Compile *code*, which has *groups* groups.

        Raises:
            ValueError: It is too large.
        """
        self._groups = groups
        self._program: list[_Instruction] = []
        self._add(code)
        self._append(_Found())

    def _append(self, instruction: _Instruction) -> int:
        if len(self._program) >= MAX_INSTRUCTIONS:
            raise ValueError("error parsing regexp: expression too large")
        self._program.append(instruction)
        return len(self._program) - 1

    def _add(self, code: Code) -> None:
        match code:
            case OneOf(ranges):
                self._append(_Take(ranges))
            case Place():
                self._append(code)
            case Row(parts):
                for part in parts:
                    self._add(part)
            case Group(number, part):
                self._append(_Save(2 * number))
                self._add(part)
                self._append(_Save(2 * number + 1))
            case Choice(parts):
                self._choice(parts)
            case Repeat():
                self._repeat(code)
            case _:
                assert_never(code)

    def _choice(self, parts: tuple[Code, ...]) -> None:
        ends = []
        for part in parts[:-1]:
            fork = _Fork(0, 0)
            at = self._append(fork)
            self._add(part)
            jump = _Fork(0, 0)
            ends.append(jump)
            self._append(jump)
            fork.first, fork.second = at + 1, len(self._program)
        self._add(parts[-1])
        for jump in ends:
            jump.first = jump.second = len(self._program)

    def _repeat(self, code: Repeat) -> None:
        for _ in range(code.low):
            self._add(code.part)
        if code.high is None:
            fork = _Fork(0, 0)
            at = self._append(fork)
            self._add(code.part)
            self._append(_Fork(at, at))
            self._aim(fork, at + 1, greedy=code.greedy)
            return
        forks = []
        for _ in range(code.high - code.low):
            fork = _Fork(0, 0)
            forks.append((fork, self._append(fork) + 1))
            self._add(code.part)
        for fork, inside in forks:
            self._aim(fork, inside, greedy=code.greedy)

    def _aim(self, fork: _Fork, inside: int, *, greedy: bool) -> None:
        outside = len(self._program)
        fork.first, fork.second = (inside, outside) if greedy else (outside, inside)

    def search(self, text: str) -> tuple[str, ...] | None:
        """Give the leftmost match and its groups, group 0 first; one that took no part is empty."""
        seen: set[int] = set()
        for start in range(len(text) + 1):
            found = self._follow(text, start, seen)
            if found is not None:
                return found
        return None

    def _follow(self, text: str, start: int, seen: set[int]) -> tuple[str, ...] | None:
        program, width = self._program, len(text) + 1
        todo: list[tuple[int, int, _Saved]] = [(0, start, None)]
        while todo:
            number, at, saved = todo.pop()
            while (state := number * width + at) not in seen:
                seen.add(state)
                match program[number]:
                    case _Take(ranges):
                        if at >= len(text) or not _within(ranges, ord(text[at])):
                            break
                        number, at = number + 1, at + 1
                    case _Fork(first, second):
                        todo.append((second, at, saved))
                        number = first
                    case _Save(slot):
                        number, saved = number + 1, (slot, at, saved)
                    case Place(kind):
                        if not _holds(kind, text, at):
                            break
                        number += 1
                    case _:
                        return self._groups_of(text, start, at, saved)
        return None

    def _groups_of(self, text: str, start: int, end: int, saved: _Saved) -> tuple[str, ...]:
        slots: dict[int, int] = {0: start, 1: end}
        while saved is not None:
            slot, at, saved = saved
            slots.setdefault(slot, at)
        return tuple(
            [text[slots.get(2 * n, 0) : slots.get(2 * n + 1, 0)] for n in range(self._groups + 1)]
        )


def _within(ranges: Ranges, code: int) -> bool:
    return any(low <= code <= high for low, high in ranges)


def _holds(kind: str, text: str, at: int) -> bool:
    match kind:
        case "start":
            return at == 0
        case "end":
            return at == len(text)
        case "bol":
            return at == 0 or text[at - 1] == "\n"
        case "eol":
            return at == len(text) or text[at] == "\n"
        case _:
            edge = _is_word(text, at - 1) != _is_word(text, at)
            return edge if kind == "edge" else not edge


def _is_word(text: str, at: int) -> bool:
    return 0 <= at < len(text) and text[at].isascii() and (text[at].isalnum() or text[at] == "_")
