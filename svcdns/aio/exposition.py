"""Our integers as Prometheus text.

A scrape of a large registry takes milliseconds; it is made family by family with the loop's turn
between, so that no query waits for a dashboard.

Spec: Prometheus text exposition format 0.0.4.
"""

import asyncio
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from svcdns.metrics import Family, Registry

if TYPE_CHECKING:
    # Only servers of several processes have figures of others: the rest start without the module.
    from svcdns.plugins.figures import Usage

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_nowhere = CollectorRegistry(auto_describe=False)
_process = ProcessCollector(registry=_nowhere)


class FamilyCollector(Collector):
    """Shows families to prometheus-client."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Give every family that has a value; the others appear after first use, as in Go."""
        for family in self._families:
            if family.cells or family.histograms:
                yield _metric(family)


def _metric(family: Family) -> Metric:
    name = family.name
    if family.kind == "counter":
        name = name.removesuffix("_total")  # the text format puts it back
    metric = Metric(name, family.help, family.kind)
    for values, cell in family.cells.items():
        labels = dict(zip(family.labels, values, strict=True))
        metric.add_sample(family.name, labels, cell.value)
    for values, histogram in family.histograms.items():
        labels = dict(zip(family.labels, values, strict=True))
        total = 0
        bounds = (*histogram.bounds, float("inf"))
        for bound, count in zip(bounds, histogram.counts, strict=True):
            total += count
            metric.add_sample(f"{name}_bucket", {**labels, "le": _bound(bound)}, total)
        metric.add_sample(f"{name}_sum", labels, histogram.sum)
        metric.add_sample(f"{name}_count", labels, total)
    return metric


def _bound(value: float) -> str:
    """Write a bucket's bound as Go does: queries of dashboards compare the text."""
    return "+Inf" if value == float("inf") else repr(float(value)).removesuffix(".0")


class _OneAtATime(CollectorRegistry):
    """What ``generate_latest`` wants to see: something with ``collect``."""

    def __init__(self, collector: Collector) -> None:
        super().__init__(auto_describe=False)
        self._collector = collector

    def collect(self) -> Iterator[Metric]:
        """Give the collector's metrics."""
        yield from self._collector.collect()


async def text(registry: Registry) -> bytes:
    """Write a registry, and the process's own figures, as Prometheus text."""
    return await text_of(registry.collect())


async def text_of(families: Iterable[Family], usage: "Iterable[Usage]" = ()) -> bytes:
    """Write families as Prometheus text, and the figures of this process with those of others.

    Args:
        families: In order of appearance.
        usage: Of other processes; see :class:`ProcessesCollector`.
    """
    parts = []
    for family in families:
        parts.append(generate_latest(_OneAtATime(FamilyCollector((family,)))))
        await asyncio.sleep(0)
    parts.append(generate_latest(_OneAtATime(ProcessesCollector(usage))))
    return b"".join(parts)


class ProcessesCollector(Collector):
    """Shows what several processes use of the machine as one ``process_*``.

    CPU time and descriptors add up.  To the first one's resident memory comes what the others have
    for themselves: what they share with it is there once.
    """

    def __init__(self, others: "Iterable[Usage]") -> None:
        self._others = tuple(others)

    def collect(self) -> Iterator[Metric]:
        """Give this process's metrics, with what the others add."""
        more = {
            "process_cpu_seconds_total": sum(one.cpu for one in self._others),
            "process_resident_memory_bytes": sum(one.memory for one in self._others),
            "process_open_fds": sum(one.descriptors for one in self._others),
        }
        for metric in _process.collect():
            made = Metric(metric.name, metric.documentation, metric.type)
            for one in metric.samples:
                made.add_sample(one.name, one.labels, one.value + more.get(one.name, 0))
            yield made
