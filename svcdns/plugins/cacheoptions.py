"""Reads a ``cache`` directive.

Parity: CoreDNS ``plugin/cache/setup.go``.
"""

from msgspec import Struct
from msgspec.structs import replace

from svcdns.corefile.durations import parse_duration
from svcdns.corefile.options import Line
from svcdns.dns.name import is_subdomain

CAPACITY = 9984
"""Answers of each kind (CoreDNS's default)."""

MAX_POSITIVE, MAX_DENIAL, MIN_TTL = 3600, 1800, 5
"""Seconds (rule J13)."""

STALE_FOR = 3600.0
"""Seconds of ``serve_stale`` without an argument."""

MAX_SERVFAIL = 300.0
"""Seconds."""


class Kept(Struct, frozen=True):
    """How one kind of answer is kept."""

    max_ttl: int
    "Seconds."
    capacity: int = CAPACITY
    min_ttl: int = MIN_TTL
    "Seconds."
    disabled: tuple[bytes, ...] = ()
    "Zones whose answers are not kept."

    def disabled_for(self, name: bytes) -> bool:
        """Whether answers for a lower-case name are not kept."""
        return any(is_subdomain(name, zone) for zone in self.disabled)


class Settings(Struct, frozen=True):
    """All that one directive says."""

    zones: tuple[bytes, ...]
    success: Kept = Kept(MAX_POSITIVE)
    denial: Kept = Kept(MAX_DENIAL)
    servfail: float = 5.0
    "Seconds that failures are kept; 0: not at all."
    prefetch: int = 0
    "Hits that make an answer worth renewing; 0: none is renewed."
    prefetch_within: float = 60.0
    "Seconds between hits that count together."
    prefetch_at: float = 0.1
    "Share of the TTL that is left when it is renewed."
    stale_for: float = 0.0
    "Seconds after its end that an answer may still be served."
    verify: bool = False
    "Whether a new answer is tried for before a stale one is served."
    prefer_positive: bool = False
    "Whether a denial leaves an older positive answer in place."
    keep_ttl: bool = False


def read(line: Line, zones: tuple[bytes, ...]) -> Settings:
    """Read the directive.

    Args:
        line: The directive, nothing of it read yet.
        zones: Those of the server block.

    Raises:
        CorefileError: An option is unknown or wrong.
    """
    found = Settings(zones)
    if line.next.isdigit():
        ttl = line.integer(low=0)
        if ttl <= 0:
            raise line.error(f"cache TTL can not be zero or negative: {ttl}")
        found = replace(
            found,
            success=replace(found.success, max_ttl=ttl),
            denial=replace(found.denial, max_ttl=ttl),
        )
    elif _is_duration(line.next):
        line.warn(
            f"`{line.next}` is taken for a zone, as in CoreDNS, so hardly anything is kept;"
            " a TTL is a number of seconds without a unit"
        )
    found = replace(found, zones=line.zones(zones))
    for option in line.options():
        found = _option(option, found, zones)
    return found


def _is_duration(text: str) -> bool:
    try:
        return parse_duration(text) > 0
    except ValueError:
        return False


def _option(line: Line, found: Settings, zones: tuple[bytes, ...]) -> Settings:
    match line.name:
        case "success":
            return replace(found, success=_kept(line, found.success))
        case "denial":
            return replace(found, denial=_kept(line, found.denial))
        case "prefetch":
            return _prefetch(line, found)
        case "serve_stale":
            return _stale(line, found)
        case "serve_stale_policy":
            line.word("prefer_positive")
            return replace(found, prefer_positive=True)
        case "servfail":
            return replace(found, servfail=line.duration(0, MAX_SERVFAIL))
        case "disable":
            kind = line.word("success", "denial")
            off = line.zones(zones)
            if kind == "success":
                return replace(found, success=replace(found.success, disabled=off))
            return replace(found, denial=replace(found.denial, disabled=off))
        case "keepttl":
            return replace(found, keep_ttl=True)
        case _:
            raise line.unknown()


def _kept(line: Line, found: Kept) -> Kept:
    capacity = max(0, line.integer())
    max_ttl = line.integer(low=1, default=found.max_ttl)
    min_ttl = line.integer(low=0, default=found.min_ttl)
    line.ignore_rest()
    return replace(found, capacity=capacity, max_ttl=max_ttl, min_ttl=min_ttl)


def _prefetch(line: Line, found: Settings) -> Settings:
    amount = line.integer(low=0)
    within = line.duration(low=0, default=found.prefetch_within)
    percent = line.percent(10, 90, default=10)
    return replace(found, prefetch=amount, prefetch_within=within, prefetch_at=percent / 100)


def _stale(line: Line, found: Settings) -> Settings:
    seconds = line.duration(low=0, default=STALE_FOR)
    mode = line.read(_mode, "immediate")
    return replace(found, stale_for=seconds, verify=mode == "verify")


def _mode(text: str) -> str:
    if text.lower() not in ("immediate", "verify"):
        raise ValueError(f"invalid value for serve_stale refresh mode: {text}")
    return text.lower()
