"""Durations as Go writes them in configuration: ``1h30m``, ``250ms``, ``0s``.

Parity: Go ``time.ParseDuration`` and ``Duration.String``, through ``metav1.Duration``.
"""

import re
from decimal import Decimal

_SECONDS = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),
    "μs": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_WHOLE = re.compile(rf"[+-]?(?:0|(?:{_PART.pattern})+)", re.ASCII)

_LIMIT = Decimal(2**63) / Decimal(10**9)
"A Go duration is 64 bits of nanoseconds: about 292 years."


def parse(text: str) -> float:
    """Give the seconds of a Go duration.

    Raises:
        ValueError: The text is none; a number needs a unit, but for ``0``.
    """
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration such as 30s, 1h30m or 250ms")
    total = sum((Decimal(n) * _SECONDS[unit] for n, unit in _PART.findall(text)), Decimal(0))
    if total >= _LIMIT:
        raise ValueError(f"{text!r} is longer than a duration can be (292 years)")
    return -float(total) if text.startswith("-") else float(total)


def render(seconds: float) -> str:
    """Give the text that Go prints for a duration of *seconds*."""
    nanoseconds = round(abs(seconds) * 10**9)
    sign = "-" if seconds < 0 else ""
    if nanoseconds == 0:
        return "0s"
    for unit, size in (("ns", 1), ("µs", 10**3), ("ms", 10**6)):
        if nanoseconds < size * 1000:
            return f"{sign}{_decimal(nanoseconds, size)}{unit}"
    minutes, rest = divmod(nanoseconds, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(rest, 10**9)}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{sign}{hours}h{text}" if hours else sign + text


def _decimal(number: int, size: int) -> str:
    text = f"{number // size}.{number % size:0{len(str(size)) - 1}d}" if size > 1 else str(number)
    return text.rstrip("0").rstrip(".") if "." in text else text
