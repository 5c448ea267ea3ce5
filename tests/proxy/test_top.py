import json
from math import inf

import pytest

from svcdns.proxy.top import Key, Row, Scrape, Sort, document, ordered, read, rows

WEB = 'namespace="default",service="web",port="http",protocol="TCP"'
DNS = 'namespace="kube-system",service="dns",port="",protocol="UDP"'


def said(
    labels: str = WEB,
    connections: float = 0,
    sent: float = 0,
    received: float = 0,
    retries: float = 0,
    buckets: dict[str, int] | None = None,
    spent: float = 0.0,
    **states: int,
) -> str:
    lines = [
        f"svcdns_proxy_connections_total{{{labels}}} {connections}",
        f"svcdns_proxy_sent_bytes_total{{{labels}}} {sent}",
        f"svcdns_proxy_received_bytes_total{{{labels}}} {received}",
        f"svcdns_proxy_retries_total{{{labels}}} {retries}",
        f"svcdns_proxy_ejections_total{{{labels}}} 0",
        f"svcdns_proxy_failures_total{{{labels}}} 0",
    ]
    for le, count in (buckets or {}).items():
        lines.append(f'svcdns_proxy_connect_seconds_bucket{{{labels},le="{le}"}} {count}')
        lines.append(f"svcdns_proxy_connect_seconds_count{{{labels}}} {count}")
    lines.append(f"svcdns_proxy_connect_seconds_sum{{{labels}}} {spent}")
    lines += [f'svcdns_proxy_endpoints{{{labels},state="{s}"}} {n}' for s, n in states.items()]
    return "\n".join(lines) + "\n"


def scraped(text: str, at: float = 0.0, started: float = 1.7e9) -> Scrape:
    found = read(f"process_start_time_seconds {started}\n{text}", at)
    assert found is not None
    return found


def only(found: list[Row]) -> Row:
    (row,) = found
    return row


def test_rates_are_what_grew_in_the_seconds_between() -> None:
    before = scraped(said(connections=100, sent=1000, received=5000), at=10.0)
    after = scraped(said(connections=150, sent=3000, received=5000), at=12.0)
    row = only(rows(before, after))
    assert (row.name, row.connections) == ("default/web:http/TCP", 150)
    assert (row.connections_rate, row.bytes_in_rate, row.bytes_out_rate) == (25, 1000, 0)


def test_the_first_scrape_has_totals_and_no_rates() -> None:
    row = only(rows(None, scraped(said(connections=7, retries=2))))
    assert (row.connections, row.retries) == (7, 2)
    assert row.connections_rate is row.bytes_in_rate is row.bytes_out_rate is None


def test_a_counter_that_fell_has_counted_from_nothing() -> None:
    before = scraped(said(connections=1000, sent=10), at=0.0)
    after = scraped(said(connections=30, sent=20), at=2.0)
    row = only(rows(before, after))
    assert (row.connections_rate, row.bytes_in_rate) == (15, 5)


def test_another_process_at_the_address_starts_over() -> None:
    before = scraped(said(connections=10), at=0.0, started=1.0)
    after = scraped(said(connections=5000), at=1.0, started=2.0)
    assert only(rows(before, after)).connections_rate is None


def test_without_time_between_there_is_no_rate() -> None:
    one = scraped(said(connections=10), at=5.0)
    assert only(rows(one, one)).connections_rate is None


def test_a_service_that_came_has_counted_from_nothing_and_one_that_went_is_gone() -> None:
    before = scraped(said(WEB, connections=10), at=0.0)
    after = scraped(said(DNS, connections=10), at=1.0)
    row = only(rows(before, after))
    assert (row.name, row.connections_rate) == ("kube-system/dns/UDP", 10)


def test_states_are_counted_as_they_are() -> None:
    row = only(rows(None, scraped(said(ready=2, ejected=1, unheard_of=3))))
    assert row.endpoint_states == {"ready": 2, "ejected": 1, "unheard_of": 3}


def test_a_service_that_nobody_asked_has_no_connections_not_unknown_ones() -> None:
    assert only(rows(None, scraped(said()))).active == 0


def test_where_the_kernel_forwards_only_endpoints_are_known() -> None:
    scrape = scraped(f'svcdns_proxy_endpoints{{{WEB},state="ready"}} 3\n')
    assert not scrape.counted
    row = only(rows(None, scrape))
    assert row.active is row.connections is row.retries is row.connect_mean_seconds is None
    assert row.endpoint_states == {"ready": 3}


def test_latency_is_that_of_the_connections_between() -> None:
    before = scraped(said(buckets={"0.001": 900, "+Inf": 1000}, spent=100.0), at=0.0)
    after = scraped(said(buckets={"0.001": 1000, "+Inf": 1100}, spent=100.05), at=1.0)
    row = only(rows(before, after))
    assert row.connect_mean_seconds == pytest.approx(0.0005)
    assert row.connect_p99_seconds == 0.001


def test_latency_of_all_connections_when_there_were_none_between() -> None:
    one = said(buckets={"0.001": 90, "0.1": 100, "+Inf": 100}, spent=1.0)
    row = only(rows(scraped(one, at=0.0), scraped(one, at=1.0)))
    assert (row.connect_mean_seconds, row.connect_p99_seconds) == (0.01, 0.1)


def test_latency_beyond_the_last_bound_is_infinite_and_absent_in_json() -> None:
    row = only(rows(None, scraped(said(buckets={"5": 0, "+Inf": 2}, spent=20.0))))
    assert row.connect_p99_seconds == inf
    text = json.dumps(document([row], "x", None), allow_nan=False)
    assert json.loads(text)["services"][0]["connect_p99_seconds"] is None


def test_only_the_namespace_that_is_wanted() -> None:
    scrape = scraped(said(WEB) + said(DNS))
    assert [row.name for row in rows(None, scrape, "kube-system")] == ["kube-system/dns/UDP"]
    assert len(rows(None, scrape)) == 2


def test_metrics_of_another_program_are_no_scrape() -> None:
    assert read("go_goroutines 5\nprocess_start_time_seconds 1\n", 0.0) is None
    assert read("", 0.0) is None


def test_values_that_are_no_numbers_are_left_out() -> None:
    text = (
        f"svcdns_proxy_connections_total{{{WEB}}} NaN\n"
        f"svcdns_proxy_sent_bytes_total{{{WEB}}} 5\n"
        'svcdns_proxy_sent_bytes_total{endpoint="x"} 5\n'
        f'svcdns_proxy_connect_seconds_bucket{{{WEB},le="soon"}} 5\n'
    )
    row = only(rows(None, scraped(text)))
    assert (row.connections, row.bytes_in) == (None, 5)


def many() -> list[Row]:
    names = ("c", "a", "b")
    text = ""
    for number, name in enumerate(names):
        labels = f'namespace="ns",service="{name}",port="",protocol="TCP"'
        text += said(labels, connections=number, sent=10 - number, retries=min(number, 1))
        text += f"svcdns_proxy_active_connections{{{labels}}} {5 - number}\n"
    return rows(None, scraped(text))


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        (Sort.CONNECTIONS, "bac"),
        (Sort.ACTIVE, "cab"),
        (Sort.BYTES, "cab"),
        (Sort.RETRIES, "abc"),
        (Sort.EJECTIONS, "abc"),
        (Sort.FAILURES, "abc"),
        (Sort.CONNECT, "abc"),
        (Sort.NAME, "abc"),
    ],
)
def test_most_comes_first_and_ties_by_name(sort: Sort, order: str) -> None:
    assert "".join(row.service for row in ordered(many(), sort)) == order


def test_a_document_names_every_state() -> None:
    found = document(rows(None, scraped(said(ready=2))), "http://x/metrics", 1.5)
    assert (found["source"], found["interval_seconds"]) == ("http://x/metrics", 1.5)
    services = found["services"]
    assert isinstance(services, list)
    states = services[0]["endpoint_states"]
    assert states == {"ready": 2, "ejected": 0, "slow-start": 0, "draining": 0}


def test_keys_read_as_the_log_writes_them() -> None:
    assert str(Key("ns", "web", "", "TCP")) == "ns/web/TCP"


def endpoint_said(
    endpoint: str,
    state: str = "ready",
    connections: float = 0,
    failures: float = 0,
    spent: float | None = 0.0,
) -> str:
    labels = f'{WEB},endpoint="{endpoint}"'
    lines = [
        f"svcdns_proxy_endpoint_connections_total{{{labels}}} {connections}",
        f"svcdns_proxy_endpoint_sent_bytes_total{{{labels}}} {connections * 10}",
        f"svcdns_proxy_endpoint_received_bytes_total{{{labels}}} {connections * 100}",
        f"svcdns_proxy_endpoint_failures_total{{{labels}}} {failures}",
        f"svcdns_proxy_endpoint_ejections_total{{{labels}}} 1",
        f"svcdns_proxy_endpoint_active_connections{{{labels}}} 2",
        f'svcdns_proxy_endpoint_state{{{labels},pod="web-0",state="{state}"}} 1',
    ]
    if spent is not None:
        lines.append(f"svcdns_proxy_endpoint_connect_seconds_total{{{labels}}} {spent}")
    return "\n".join(lines) + "\n"


def test_endpoints_have_numbers_of_their_own() -> None:
    before = scraped(said() + endpoint_said("10.0.0.1:80", connections=10, spent=1.0), at=0.0)
    after = scraped(
        said(connections=5) + endpoint_said("10.0.0.1:80", "ejected", 20, 3, 1.1), at=2.0
    )
    row = only(rows(before, after))
    assert row.connections == 5  # the endpoint's numbers are not the service's
    (one,) = row.endpoints
    assert (one.name, one.pod, one.state) == ("10.0.0.1:80", "web-0", "ejected")
    assert (one.active, one.connections, one.failures, one.ejections) == (2, 20, 3, 1)
    assert (one.connections_rate, one.bytes_in_rate, one.bytes_out_rate) == (5, 50, 500)
    assert one.connect_mean_seconds == pytest.approx(0.01)


def test_an_endpoint_that_came_has_counted_from_nothing() -> None:
    after = scraped(said() + endpoint_said("10.0.0.1:80", connections=20, spent=2.0), at=2.0)
    (first,) = only(rows(None, after)).endpoints
    assert (first.connections, first.connections_rate) == (20, None)
    assert first.connect_mean_seconds == 0.1
    (later,) = only(rows(scraped(said(), at=0.0), after)).endpoints
    assert later.connections_rate == 10


def test_connects_of_udp_take_no_time() -> None:
    text = endpoint_said("10.0.0.1:53", connections=20, spent=None)
    (one,) = only(rows(None, scraped(said() + text))).endpoints
    assert one.connect_mean_seconds is None


def test_endpoints_are_sorted_as_services_are() -> None:
    text = "".join(endpoint_said(f"10.0.0.{n}:80", connections=n % 3, failures=n) for n in range(4))
    found = rows(None, scraped(said() + text))

    def order(sort: Sort) -> str:
        return "".join(one.name[7] for one in only(ordered(found, sort)).endpoints)

    assert order(Sort.CONNECTIONS) == "2103"
    assert order(Sort.FAILURES) == "3210"
    assert order(Sort.NAME) == order(Sort.RETRIES) == "0123"


def test_a_document_has_endpoints_on_request() -> None:
    found = rows(None, scraped(said() + endpoint_said("10.0.0.1:80", spent=0.5, connections=1)))
    services = document(found, "x", 1.0)["services"]
    assert isinstance(services, list)
    assert "endpoints" not in services[0]
    services = json.loads(json.dumps(document(found, "x", 1.0, endpoints=True)))["services"]
    (one,) = services[0]["endpoints"]
    assert (one["name"], one["pod"], one["state"]) == ("10.0.0.1:80", "web-0", "ready")
    assert (one["connections"], one["connect_mean_seconds"]) == (1, 0.5)
