"""Counters as plain integers, and their shape for Prometheus.

A plugin counts with ``n += 1`` on a cell that it fetched once; label look-ups and formatting
happen when ``/metrics`` is scraped (an integer costs 16 ns, a prometheus-client child 241).
"""

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from types import MethodType
from typing import TypeVar, cast
from weakref import WeakMethod

_T = TypeVar("_T")


class Cell:
    """One counter or gauge value; callers add to :attr:`value` themselves."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0


class HistogramCell:
    """Observations counted by bucket; the last bucket is +Inf."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count *value*, *times* over."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.sum += value * times


@dataclass(slots=True)
class Family:
    """All values of one metric name, by label values.

    ``kind`` is ``counter``, ``gauge`` or ``histogram``; ``name`` is the exposed name of CoreDNS or
    kube-proxy, unchanged (counters end in ``_total``).
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    cells: dict[tuple[str, ...], Cell] = field(default_factory=dict)
    histograms: dict[tuple[str, ...], HistogramCell] = field(default_factory=dict)

    def cell(self, *values: str) -> Cell:
        """Return the counter or gauge for these label values, made at first use.

        Raises:
            ValueError: As many values as there are labels are needed.
        """
        found = self.cells.get(values)
        if found is None:
            self._check(values)
            found = self.cells[values] = Cell()
        return found

    def histogram(self, *values: str) -> HistogramCell:
        """Return the histogram for these label values, made at first use.

        Raises:
            ValueError: As many values as there are labels are needed.
        """
        found = self.histograms.get(values)
        if found is None:
            self._check(values)
            found = self.histograms[values] = HistogramCell(self.bounds)
        return found

    def _check(self, values: tuple[str, ...]) -> None:
        if len(values) != len(self.labels):
            raise ValueError(f"{self.name}: {values} for the labels {', '.join(self.labels)}")


class Registry:
    """The families of one process (or one server), and hooks that bring them up to date."""

    def __init__(self) -> None:
        self.families: dict[str, Family] = {}
        self._before_scrape: list[Callable[[], Callable[[], None] | None]] = []
        self._lasting: dict[Hashable, object] = {}

    def counter(self, name: str, help: str, labels: Iterable[str] = ()) -> Family:
        """Declare a counter, or return it when it is declared already."""
        return self._declare(Family(name, "counter", help, tuple(labels)))

    def gauge(self, name: str, help: str, labels: Iterable[str] = ()) -> Family:
        """Declare a gauge, or return it when it is declared already."""
        return self._declare(Family(name, "gauge", help, tuple(labels)))

    def histogram(
        self, name: str, help: str, bounds: Iterable[float], labels: Iterable[str] = ()
    ) -> Family:
        """Declare a histogram with upper *bounds*, or return it when it is declared already.

        Raises:
            ValueError: The bounds do not rise.
        """
        rising = tuple(bounds)
        if any(low >= high for low, high in pairwise(rising)):
            raise ValueError(f"{name}: the bounds must rise: {rising}")
        return self._declare(Family(name, "histogram", help, tuple(labels), rising))

    def _declare(self, family: Family) -> Family:
        found = self.families.setdefault(family.name, family)
        shape = (family.kind, family.labels, family.bounds)
        if (found.kind, found.labels, found.bounds) != shape:
            raise ValueError(f"{family.name} is declared already, and differently")
        return found

    def before_scrape(self, hook: Callable[[], None]) -> None:
        """Call *hook* before every exposition, to fold private counters into families.

        A method does not keep its object alive: the registry outlives configurations, and what
        was part of one, with all that it holds, has nothing more to tell when nobody else has it.
        """
        weak = isinstance(hook, MethodType)
        self._before_scrape.append(WeakMethod(hook) if weak else lambda: hook)

    def lasting(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """Give what was made for *key* before, or make it; it lives as long as the registry.

        For counts that every configuration goes on with.
        """
        found = self._lasting.get(key)
        if found is None:
            found = self._lasting[key] = make()
        return cast("_T", found)

    def collect(self) -> list[Family]:
        """Run the hooks and return all families, by name."""
        hooks = [(held, held()) for held in self._before_scrape]
        self._before_scrape = [held for held, hook in hooks if hook is not None]
        for _, hook in hooks:
            if hook is not None:
                hook()
        return [self.families[name] for name in sorted(self.families)]
