"""The table of ``svcdns top`` in so many columns and lines."""

from collections.abc import Callable, Sequence
from math import inf

from msgspec import Struct

from svcdns.columns import align
from svcdns.proxy.balancer import State
from svcdns.proxy.top import EndpointRow, Row, Scrape, Traffic

UNKNOWN = "-"

KERNEL = "The kernel forwards here (nftables): only endpoints are known, traffic is not counted."
"""Said instead of the sums."""


class Size(Struct, frozen=True):
    """What there is room for."""

    columns: int
    lines: int


class _Column(Struct, frozen=True):
    title: str
    cell: Callable[[Traffic], str]
    importance: int
    "Of two columns that do not fit both the less important one goes."


_COLUMNS = (
    _Column("SERVICE", lambda row: _name(row), 10),
    _Column("ACTIVE", lambda row: _number(row.active), 7),
    _Column("CONN/S", lambda row: _number(row.connections_rate), 9),
    _Column("IN/S", lambda row: _octets(row.bytes_in_rate), 5),
    _Column("OUT/S", lambda row: _octets(row.bytes_out_rate), 6),
    _Column("RETRIES", lambda row: _number(row.retries) if isinstance(row, Row) else "", 3),
    _Column("EJECTED", lambda row: _number(row.ejections), 2),
    _Column("FAILED", lambda row: _number(row.failures), 4),
    _Column("CONNECT", lambda row: _time(row.connect_mean_seconds), 1),
    _Column("P99<", lambda row: _time(row.connect_p99_seconds) if isinstance(row, Row) else "", 0),
    _Column("STATES", lambda row: _state(row), 8),
)
_IN_KERNEL = ("SERVICE", "STATES")


def screen(
    rows: Sequence[Row],
    scrape: Scrape,
    head: str,
    size: Size | None,
    *,
    endpoints: bool = False,
    skip: int = 0,
    hint: str = "",
) -> list[str]:
    """Draw the table: a head, sums, a hint, titles, a line for each service port.

    Args:
        rows: In the order wanted.
        scrape: What they come from.
        head: The first line.
        size: None: everything is shown, as wide as it is.  Otherwise columns that matter less are
            left out until the rest fits, and the last line says how many lines did not.
        endpoints: Whether each service port is followed by its endpoints.
        skip: Lines of the table, below its titles, that have been scrolled out of sight.
        hint: The third line.
    """
    found = _unfolded(rows, endpoints)
    shown = found[skip:]
    if size:
        shown = shown[: room(size)]
        if skip + len(shown) < len(found):
            shown = shown[:-1]
    columns = [one for one in _COLUMNS if scrape.counted or one.title in _IN_KERNEL]
    lines = [head, _sums(rows, scrape), hint, *_table(shown, columns, size)]
    below = len(found) - skip - len(shown)
    if not rows:
        lines[3:] = ["No services."]
    elif below > 0:
        lines.append(f"... and {below:,} more")
    if size is None:
        return lines
    return [line[: size.columns] for line in lines[: size.lines]]


def room(size: Size) -> int:
    """Count the lines that the table has for service ports and endpoints."""
    return max(size.lines - 4, 0)


def length(rows: Sequence[Row], *, endpoints: bool) -> int:
    """Count the lines that the whole table would have below its titles."""
    return len(_unfolded(rows, endpoints))


def _unfolded(rows: Sequence[Row], endpoints: bool) -> list[Traffic]:
    if not endpoints:
        return list(rows)
    return [one for row in rows for one in (row, *row.endpoints)]


def _table(rows: Sequence[Traffic], columns: list[_Column], size: Size | None) -> list[str]:
    while True:
        cells = [[one.title for one in columns], *([c.cell(row) for c in columns] for row in rows)]
        lines = align(cells)
        if size is None or len(columns) < 3 or max(map(len, lines)) <= size.columns:
            return lines
        columns = [one for one in columns if one is not min(columns, key=lambda c: c.importance)]


def _sums(rows: Sequence[Row], scrape: Scrape) -> str:
    services = f"{len(rows):,} service port{'' if len(rows) == 1 else 's'}"
    if not scrape.counted and rows:
        return f"{services}.  {KERNEL}"

    def total(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return sum(known) if known else None

    active = _number(total([row.active for row in rows]))
    rate = _number(total([row.connections_rate for row in rows]))
    into = _octets(total([row.bytes_in_rate for row in rows]))
    out = _octets(total([row.bytes_out_rate for row in rows]))
    return f"{services}; {active} open, {rate} connections/s, {into}/s in, {out}/s out"


def _number(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:.1f}" if 0 < value < 10 and value != int(value) else f"{value:.0f}"


def _octets(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    unit = "B"
    for larger in ("KiB", "MiB", "GiB"):
        if value < 1000:
            break
        value, unit = value / 1024, larger
    text = f"{value:.0f}" if unit == "B" or value >= 100 else f"{value:.1f}"
    return f"{text}{unit}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return UNKNOWN
    if seconds == inf:
        return "inf"
    if seconds < 1:
        return f"{seconds * 1000:.3g}ms"
    return f"{seconds:.3g}s"


def _name(row: Traffic) -> str:
    if isinstance(row, EndpointRow):
        return _printable(f"  {row.name} {row.pod}".rstrip())
    return _printable(row.name)


def _state(row: Traffic) -> str:
    if isinstance(row, EndpointRow):
        return _printable(row.state) or UNKNOWN
    return _states(row.endpoint_states) if isinstance(row, Row) else UNKNOWN


def _states(states: dict[str, int]) -> str:
    """Say how many are in which state: ``2 ready, 1 ejected``."""
    known = [state.value for state in State]
    names = sorted(states, key=lambda one: known.index(one) if one in known else len(known))
    words = [f"{states[one]} {_printable(one)}" for one in names if states[one]]
    return ", ".join(words) or "none"


def _printable(text: str) -> str:
    """Write a label's value as one line that says nothing to a terminal."""
    return "".join(one if one.isprintable() else "?" for one in text)
