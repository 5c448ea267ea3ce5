"""Durations as Go writes them: ``5s``, ``1h30m``, ``250ms``, ``1.5h``.

Parity: Go ``time.ParseDuration``, its messages as well.
"""

import re

SECONDS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
"""By unit.  There is no ``d``."""

LONGEST = 9.2e9
"""Seconds: where Go's 64-bit nanoseconds end, 292 years."""

_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]*)")


def parse_duration(text: str) -> float:
    """Read a duration.

    Returns:
        Seconds; negative with a leading ``-``.

    Raises:
        ValueError: It is none.
    """
    sign = -1.0 if text.startswith("-") else 1.0
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0.0
    if not rest or len(rest) > 100:
        raise ValueError(f'time: invalid duration "{text[:40]}"')
    total, at = 0.0, 0
    while at < len(rest):
        match = _PART.match(rest, at)
        if match is None or not (match[1] or match[2]):
            raise ValueError(f'time: invalid duration "{text}"')
        unit = match[3]
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in SECONDS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        total += float(f"{match[1] or '0'}.{match[2] or '0'}") * SECONDS[unit]
        at = match.end()
    if total > LONGEST:
        raise ValueError(f'time: invalid duration "{text}"')
    return sign * total


def format_duration(seconds: float) -> str:
    """Write a duration the way Go prints one: ``1h30m0s``, ``250ms``, ``0s``."""
    if seconds == 0:
        return "0s"
    sign = "-" if seconds < 0 else ""
    nanoseconds = round(abs(seconds) * 1e9)
    for unit, size in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
        if nanoseconds < size * 1000:
            return f"{sign}{_decimal(nanoseconds, size)}{unit}"
    minutes, left = divmod(nanoseconds, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{head}{_decimal(left, 1_000_000_000)}s"


def _decimal(value: int, size: int) -> str:
    whole, fraction = divmod(value, size)
    digits = str(size + fraction)[1:].rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
