import pytest
from prometheus_client.parser import text_string_to_metric_families

from svcdns.aio import exposition
from svcdns.metrics import Registry
from svcdns.plugins.figures import Usage


async def _lines(registry: Registry) -> list[str]:
    return (await exposition.text(registry)).decode().splitlines()


async def test_names_labels_and_values_come_out_as_coredns_writes_them() -> None:
    registry = Registry()
    registry.counter("coredns_dns_requests_total", "DNS requests.", ("server", "zone")).cell(
        "dns://:53", "."
    ).value += 3
    registry.gauge("coredns_cache_entries", "Entries.", ("type",)).cell("success").value = 2
    registry.histogram(
        "coredns_dns_request_duration_seconds", "Time.", (0.00025, 1, 16e3)
    ).histogram().observe(0.5)

    lines = await _lines(registry)

    assert "# TYPE coredns_dns_requests_total counter" in lines
    assert 'coredns_dns_requests_total{server="dns://:53",zone="."} 3.0' in lines
    assert 'coredns_cache_entries{type="success"} 2.0' in lines
    assert 'coredns_dns_request_duration_seconds_bucket{le="0.00025"} 0.0' in lines
    assert 'coredns_dns_request_duration_seconds_bucket{le="1"} 1.0' in lines
    assert 'coredns_dns_request_duration_seconds_bucket{le="16000"} 1.0' in lines
    assert 'coredns_dns_request_duration_seconds_bucket{le="+Inf"} 1.0' in lines
    assert "coredns_dns_request_duration_seconds_sum 0.5" in lines
    assert "coredns_dns_request_duration_seconds_count 1.0" in lines


async def test_a_metric_without_a_value_does_not_appear() -> None:
    registry = Registry()
    registry.counter("coredns_panics_total", "Panics.")

    assert not [line for line in await _lines(registry) if "panics" in line]


async def test_label_values_are_escaped() -> None:
    registry = Registry()
    registry.gauge("x", "Help with \\ and\nnewline", ("path",)).cell('a"b\\c\nd').value = 1

    families = list(text_string_to_metric_families("\n".join(await _lines(registry)) + "\n"))

    (sample,) = next(family for family in families if family.name == "x").samples
    assert sample.labels == {"path": 'a"b\\c\nd'}


async def test_the_process_is_described_for_dashboards() -> None:
    text = "\n".join(await _lines(Registry()))

    for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"):
        assert f"\n{name} " in text


async def test_hooks_run_at_every_scrape() -> None:
    registry = Registry()
    cell = registry.gauge("x", "X.").cell()

    def count() -> None:
        cell.value += 1

    registry.before_scrape(count)
    await _lines(registry)

    assert "x 2.0" in await _lines(registry)


async def test_several_processes_are_described_as_one() -> None:
    def value(text: bytes, name: str) -> float:
        line = next(one for one in text.decode().splitlines() if one.startswith(f"{name} "))
        return float(line.split()[1])

    alone = await exposition.text_of(())
    together = await exposition.text_of((), [Usage(1000.0, 1 << 40, 5000), Usage(1000.0, 0, 0)])

    for name, more in (
        ("process_cpu_seconds_total", 2000.0),
        ("process_resident_memory_bytes", float(1 << 40)),
        ("process_open_fds", 5000.0),
    ):
        assert value(together, name) - value(alone, name) == pytest.approx(more, rel=0.01)
    for name in ("process_start_time_seconds", "process_max_fds"):
        assert value(together, name) == value(alone, name)
