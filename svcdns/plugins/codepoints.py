"""Sets of characters as ranges of code points, for :mod:`svcdns.plugins.goregexp`.

Spec: https://pkg.go.dev/regexp/syntax (Perl and ASCII classes).
"""

from collections.abc import Iterator

Ranges = tuple[tuple[int, int], ...]
"""Code points from, to; ascending and apart."""

LAST = 0x10FFFF
"""The highest code point."""

DIGIT: Ranges = ((48, 57),)
WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
SPACE: Ranges = ((9, 10), (12, 13), (32, 32))
PERL: dict[str, Ranges] = {"d": DIGIT, "w": WORD, "s": SPACE}
"""By the letter behind the backslash."""

POSIX: dict[str, Ranges] = {
    "alnum": ((48, 57), (65, 90), (97, 122)),
    "alpha": ((65, 90), (97, 122)),
    "ascii": ((0, 127),),
    "blank": ((9, 9), (32, 32)),
    "cntrl": ((0, 31), (127, 127)),
    "digit": DIGIT,
    "graph": ((33, 126),),
    "lower": ((97, 122),),
    "print": ((32, 126),),
    "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
    "space": ((9, 13), (32, 32)),
    "upper": ((65, 90),),
    "word": WORD,
    "xdigit": ((48, 57), (65, 70), (97, 102)),
}
"""By the name between ``[:`` and ``:]``."""


def perl(char: str) -> Ranges:
    r"""Give the class of ``\d``, ``\w``, ``\s``, or of their negations in upper case."""
    return negated(PERL[char.lower()]) if char.isupper() else PERL[char]


def merged(ranges: list[tuple[int, int]]) -> Ranges:
    """Put ranges in order and touching ones together."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return tuple(found)


def union(*ranges: Ranges) -> Ranges:
    """Give what is in one of the sets."""
    return merged([pair for each in ranges for pair in each])


def negated(ranges: Ranges) -> Ranges:
    """Give what is not in the set."""

    def gaps() -> Iterator[tuple[int, int]]:
        start = 0
        for low, high in ranges:
            if start < low:
                yield start, low - 1
            start = high + 1
        if start <= LAST:
            yield start, LAST

    return tuple(gaps())


def folded(ranges: Ranges) -> Ranges:
    """Add the other case of ASCII letters."""
    found = list(ranges)
    for start, other in ((65, 97), (97, 65)):
        for low, high in ranges:
            low, high = max(low, start), min(high, start + 25)
            if low <= high:
                found.append((low - start + other, high - start + other))
    return merged(found)


def overlap(one: Ranges, two: Ranges) -> bool:
    """Whether a character is in both sets."""
    return any(low <= top and bottom <= high for low, high in one for bottom, top in two)


def written(code: int) -> str:
    """Write a code point so that it stands for itself in a class of :mod:`re`."""
    char = chr(code)
    return char if char.isascii() and char.isalnum() else f"\\U{code:08x}"
