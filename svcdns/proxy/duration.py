"""Durations as Go writes them in configuration: ``1h30m``, ``250ms``, ``0s``.

Parity: Go ``time.ParseDuration``, through ``metav1.Duration``.
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
