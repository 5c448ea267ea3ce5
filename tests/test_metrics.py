"""Cells, families and the registry."""

import gc
import weakref
from collections.abc import Callable

import pytest

from svcdns.metrics import Registry


def test_a_cell_is_made_once_for_its_labels() -> None:
    family = Registry().counter("coredns_dns_requests_total", "Requests.", ("proto", "type"))
    family.cell("udp", "A").value += 2
    family.cell("udp", "A").value += 1
    family.cell("tcp", "A").value += 1
    assert {labels: cell.value for labels, cell in family.cells.items()} == {
        ("udp", "A"): 3,
        ("tcp", "A"): 1,
    }


@pytest.mark.parametrize("values", [(), ("udp",), ("udp", "A", "x")])
def test_labels_must_be_complete(values: tuple[str, ...]) -> None:
    registry = Registry()
    with pytest.raises(ValueError, match="proto, type"):
        registry.counter("a_total", "Help.", ("proto", "type")).cell(*values)
    with pytest.raises(ValueError, match="proto, type"):
        registry.histogram("b", "Help.", (1.0,), ("proto", "type")).histogram(*values)


def test_observations_fall_into_buckets_by_upper_bound() -> None:
    """Prometheus: a bucket holds what is less than or equal to its bound."""
    cell = Registry().histogram("seconds", "Help.", (0.001, 0.01, 0.1)).histogram()
    for value in (0.0, 0.001, 0.0011, 0.1, 5.0):
        cell.observe(value)
    cell.observe(0.01, times=3)
    assert cell.counts == [2, 4, 1, 1]
    assert cell.sum == pytest.approx(0.0 + 0.001 + 0.0011 + 0.1 + 5.0 + 0.03)


def test_declaring_twice_gives_the_same_family() -> None:
    registry = Registry()
    first = registry.gauge("g", "Help.", ("a",))
    assert registry.gauge("g", "Help.", ["a"]) is first


def test_one_name_cannot_mean_two_things() -> None:
    registry = Registry()
    registry.counter("x_total", "Help.", ("a",))
    declarations: tuple[Callable[[], object], ...] = (
        lambda: registry.gauge("x_total", "Help.", ("a",)),
        lambda: registry.counter("x_total", "Help.", ("a", "b")),
        lambda: registry.histogram("x_total", "Help.", (1.0,), ("a",)),
    )
    for declare in declarations:
        with pytest.raises(ValueError, match="x_total"):
            declare()


def test_histogram_bounds_must_rise() -> None:
    with pytest.raises(ValueError, match="rise"):
        Registry().histogram("h", "Help.", (1.0, 1.0))


def test_hooks_run_before_families_are_collected_by_name() -> None:
    registry = Registry()
    later = registry.counter("b_total", "Help.")
    registry.gauge("a", "Help.")
    pending = [5]

    def fold() -> None:
        later.cell().value += pending.pop() if pending else 0

    registry.before_scrape(fold)
    assert [family.name for family in registry.collect()] == ["a", "b_total"]
    assert later.cell().value == 5
    registry.collect()
    assert later.cell().value == 5


class Part:
    """Something that counts for as long as somebody has it."""

    def __init__(self, registry: Registry) -> None:
        self.asked = 0
        registry.before_scrape(self.fold)

    def fold(self) -> None:
        self.asked += 1


def test_a_registry_keeps_nobody_alive_for_a_method_that_folds() -> None:
    registry = Registry()
    kept, gone = Part(registry), Part(registry)
    trace = weakref.ref(gone)
    registry.collect()
    assert (kept.asked, gone.asked) == (1, 1)

    del gone
    gc.collect()
    registry.collect()
    assert trace() is None
    assert kept.asked == 2


def test_what_lasts_is_made_once_for_its_key() -> None:
    registry = Registry()
    first = registry.lasting("a", lambda: Part(registry))
    assert registry.lasting("a", lambda: Part(registry)) is first
    assert registry.lasting("b", lambda: Part(registry)) is not first


def test_a_hook_may_declare_a_family() -> None:
    registry = Registry()
    registry.before_scrape(lambda: registry.gauge("late", "Help.").cell().__setattr__("value", 1))
    assert [family.name for family in registry.collect()] == ["late"]
