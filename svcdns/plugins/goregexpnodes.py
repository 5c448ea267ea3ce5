"""Parts of a regular expression: written for Python, described for both matchers.

Whether a pattern can take exponential time is decided here, from what its parts may hold and begin
with; see :mod:`svcdns.plugins.goregexp`.
"""

from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from svcdns.plugins.codepoints import LAST, Ranges, negated, overlap, union, written


class OneOf(Struct, frozen=True):
    """One character of a class."""

    ranges: Ranges


class Row(Struct, frozen=True):
    """Parts one after the other; none match the empty text."""

    parts: tuple["Code", ...] = ()


class Choice(Struct, frozen=True):
    """One of several, the first one that leads to a match."""

    parts: tuple["Code", ...]


class Repeat(Struct, frozen=True):
    """A part from *low* to *high* times."""

    part: "Code"
    low: int
    high: int | None
    "``None``: no limit."
    greedy: bool


class Group(Struct, frozen=True):
    """A part whose text is wanted."""

    number: int
    part: "Code"


class Place(Struct, frozen=True):
    """A place between characters."""

    kind: str
    "``start`` and ``end`` of the text or of a line (``bol``, ``eol``), ``edge`` or ``inside``."


Code: TypeAlias = OneOf | Row | Choice | Repeat | Group | Place


class Node(Struct, frozen=True):
    """A part of a pattern, written for Python."""

    text: str
    code: Code
    "The same for the matcher that takes linear time."
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


def enclosed(node: Node, text: str, code: Code) -> Node:
    """Give a part that matches as *node* does, written otherwise."""
    return replace(node, text=text, code=code)


def sequence(parts: list[Node]) -> Node:
    """Give parts one after the other."""
    first: Ranges = ()
    for part in parts:
        first = union(first, part.first)
        if not part.empty:
            break
    return Node(
        "".join([part.text for part in parts]),
        Row(tuple([part.code for part in parts])),
        first,
        union(*[part.chars for part in parts]),
        union(*[part.loop for part in parts]),
        tuple(fence for part in parts for fence in part.fences),
        all(part.empty for part in parts),
    )


def either(branches: list[Node]) -> Node:
    """Give one of several parts."""
    loop = union(*[branch.loop for branch in branches])
    chars = union(*[branch.chars for branch in branches])
    # Two branches that can begin alike are two ways through the same text.
    for number, branch in enumerate(branches):
        for other in branches[:number]:
            if branch.empty or other.empty or overlap(branch.first, other.first):
                loop = union(loop, branch.chars, other.chars)
    return Node(
        "(?:" + "|".join([branch.text for branch in branches]) + ")",
        Choice(tuple([branch.code for branch in branches])),
        union(*[branch.first for branch in branches]),
        chars,
        loop,
        (),
        any(branch.empty for branch in branches),
    )


def fenced(node: Node) -> bool:
    """Whether repeating *node* leaves one way through a text: its rounds have a mark between."""
    for number, fence in enumerate(node.fences):
        others = node.fences[:number] + node.fences[number + 1 :]
        if not overlap(fence, node.loop) and not any(overlap(fence, other) for other in others):
            return True
    return False


def chars(ranges: Ranges) -> Node:
    """Give one character of a class."""
    if not ranges:
        return Node("(?!)", OneOf(()), empty=False)
    return Node(_class(ranges), OneOf(ranges), ranges, ranges, (), (ranges,), False)


def _class(ranges: Ranges) -> str:
    """Write a class for :mod:`re`.

    It takes 7 ms to compile a class that goes up to the last code point, and nothing for one that
    names what is missing; ``.`` is such a class.
    """
    outside = negated(ranges)
    upside_down = ranges[-1][1] == LAST and bool(outside)
    inside = "".join(
        [
            written(low) + ("" if low == high else "-" + written(high))
            for low, high in (outside if upside_down else ranges)
        ]
    )
    return f"[^{inside}]" if upside_down else f"[{inside}]"
