r"""``$GENERATE``: records of one shape with a number in them, written out.

All of the line behind the range is the shape, so that records of any type can be made.  In it
``$`` is the number, ``${OFFSET,WIDTH,BASE}`` the number shifted, filled up with zeros, and octal or
hexadecimal, and ``$$`` and ``\$`` are a dollar sign.

Parity: miekg/dns ``generate.go``, after BIND.
"""

import re
from collections.abc import Iterator
from typing import TypeAlias

MAX_NUMBERS = 65_536
"""Of one directive (miekg/dns)."""

MAX_WIDTH = 255
"""Digits of a number (miekg/dns)."""

MAX_NUMBER = 2**31 - 1

TTL = 3600
"""Seconds; of records that say nothing in a file without ``$TTL`` (miekg/dns)."""

_RANGE = re.compile(r"(\d+)-(\d+)(?:/(\d+))?", re.ASCII)
_PARTS = re.compile(r"\\.|\$\$|\$\{[^}]*\}?|\$|[^\\$]+|\\", re.DOTALL)

_Part: TypeAlias = str | tuple[int, str]
"""Text, or what is added to the number and how the sum is written."""


def generate(text: str) -> Iterator[str]:
    """Give the lines that a directive stands for.

    Args:
        text: What stands behind ``$GENERATE``, without a comment.

    Raises:
        ValueError: It cannot be understood.
    """
    words = text.split(None, 1)
    if len(words) != 2:
        raise ValueError("$GENERATE START-STOP[/STEP] OWNER TYPE DATA is expected")
    numbers = _numbers(words[0])
    parts = [_part(match[0], numbers) for match in _PARTS.finditer(words[1].rstrip())]
    return ("".join(_written(part, number) for part in parts) + "\n" for number in numbers)


def _numbers(text: str) -> range:
    found = _RANGE.fullmatch(text)
    if found is None:
        raise ValueError(f"bad range in $GENERATE: {text!r}")
    start, stop, step = (int(part) for part in (found[1], found[2], found[3] or "1"))
    if step < 1 or not start <= stop <= MAX_NUMBER:
        raise ValueError(f"bad range in $GENERATE: {text!r}")
    numbers = range(start, stop + 1, step)
    if len(numbers) > MAX_NUMBERS:
        raise ValueError(f"$GENERATE: more than {MAX_NUMBERS:,} numbers: {text!r}")
    return numbers


def _part(text: str, numbers: range) -> _Part:
    if text in ("$$", "\\$"):
        return "$"
    if not text.startswith("$"):
        return text
    offset, form = _modifier(text) if len(text) > 1 else (0, "d")
    if numbers[0] + offset < 0 or numbers[-1] + offset > MAX_NUMBER:
        raise ValueError(f"bad offset in $GENERATE: {text!r}")
    return offset, form


def _modifier(text: str) -> tuple[int, str]:
    words = text[2:-1].split(",")
    offset, width, base = (*words, *("0", "0", "d")[len(words) :])[:3]
    if not text.endswith("}") or len(words) > 3 or base not in ("d", "o", "x", "X"):
        raise ValueError(f"bad modifier in $GENERATE: {text!r}")
    try:
        shift, digits = int(offset), int(width)
    except ValueError as error:
        raise ValueError(f"bad modifier in $GENERATE: {text!r}") from error
    if not 0 <= digits <= MAX_WIDTH:
        raise ValueError(f"bad width in $GENERATE: {text!r}")
    return shift, f"0{digits}{base}" if digits else base


def _written(part: _Part, number: int) -> str:
    return part if isinstance(part, str) else format(number + part[0], part[1])
