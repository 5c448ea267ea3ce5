from itertools import pairwise

import pytest

from svcdns.proxy.top import Counts, Key, Row, Scrape, rows
from svcdns.proxy.topscreen import KERNEL, Size, length, room, screen

TOTALS = ("connections", "sent", "received", "retries", "ejections", "failures")


def scrape(*names: str, kernel: bool = False, at: float = 0.0, value: float = 1.0) -> Scrape:
    totals = {} if kernel else dict.fromkeys(TOTALS, value)
    return Scrape(
        at,
        {Key("ns", name, "", "TCP"): Counts(totals, None, {"ready": 3}) for name in names},
        1.0,
    )


def drawn(found: Scrape, size: Size | None, before: Scrape | None = None) -> list[str]:
    return screen(rows(before, found), found, "head", size)


def test_without_a_size_everything_is_shown() -> None:
    lines = drawn(scrape(*(f"s{n}" for n in range(300))), None)
    assert len(lines) == 304
    assert lines[0] == "head"
    assert lines[1].startswith("300 service ports; 0 open, - connections/s")
    assert lines[2] == ""
    assert lines[3].split() == [
        "SERVICE", "ACTIVE", "CONN/S", "IN/S", "OUT/S", "RETRIES", "EJECTED", "FAILED", "CONNECT",
        "P99<", "STATES",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("services", "lines", "shown", "more"),
    [(5, 9, 5, 0), (5, 8, 3, 2), (1000, 24, 19, 981), (5, 5, 0, 5), (1, 5, 1, 0)],
)
def test_what_does_not_fit_is_cut_and_counted(
    services: int, lines: int, shown: int, more: int
) -> None:
    found = drawn(scrape(*(f"s{n}" for n in range(services))), Size(120, lines))
    assert len(found) <= lines
    assert sum(line.startswith("ns/") for line in found) == shown
    assert found[-1].startswith("... and ") is bool(more)
    if more:
        assert found[-1] == f"... and {more:,} more"


@pytest.mark.parametrize("lines", range(6))
@pytest.mark.parametrize("columns", [1, 5, 20])
def test_no_terminal_is_too_small(lines: int, columns: int) -> None:
    found = drawn(scrape("a", "b", "c"), Size(columns, lines))
    assert len(found) <= lines
    assert all(len(line) <= columns for line in found)


def titles(columns: int) -> list[str]:
    return drawn(scrape("web"), Size(columns, 24))[3].split()


def test_columns_that_matter_less_go_first() -> None:
    seen = [titles(columns) for columns in range(120, 20, -1)]
    for wide, narrow in pairwise(seen):
        assert set(narrow) <= set(wide)
    gone = [set(a) - set(b) for a, b in pairwise(seen)]
    assert [name for names in gone for name in names][:2] == ["P99<", "CONNECT"]
    assert titles(40) == ["SERVICE", "ACTIVE", "CONN/S", "STATES"]
    assert titles(30) == ["SERVICE", "CONN/S", "STATES"]
    assert titles(20) == ["SERVICE", "CONN/S"]


def test_where_the_kernel_forwards_that_is_said() -> None:
    lines = drawn(scrape("web", kernel=True), None)
    assert KERNEL in lines[1]
    assert lines[3].split() == ["SERVICE", "STATES"]
    assert lines[4].split() == ["ns/web/TCP", "3", "ready"]


def test_no_services_are_said() -> None:
    assert drawn(scrape(), None)[3:] == ["No services."]


@pytest.mark.parametrize(
    ("grown", "shown"),
    [
        (0, "0B"), (999, "999B"), (1000, "1.0KiB"), (10 * 1024, "10.0KiB"),
        (200 * 1024, "200KiB"), (5 << 20, "5.0MiB"), (3 << 30, "3.0GiB"), (1 << 50, "1048576GiB"),
    ],
)  # fmt: skip
def test_octets_are_short(grown: int, shown: str) -> None:
    after = scrape("web", at=1.0, value=1.0 + grown)
    line = drawn(after, None, scrape("web"))[4]
    assert line.split()[3:5] == [shown, shown]


def test_states_are_in_a_fixed_order_and_none_is_said() -> None:
    def states(**found: int) -> str:
        key = Key("ns", "web", "", "TCP")
        one = Scrape(0.0, {key: Counts({}, None, found)})
        return drawn(one, None)[4].removeprefix("ns/web/TCP  ")

    assert states(odd=1, draining=2, ejected=1, ready=4) == "4 ready, 1 ejected, 2 draining, 1 odd"
    assert states(ready=0) == "none"


def test_names_say_nothing_to_the_terminal() -> None:
    hostile: list[Row] = rows(None, scrape("\x1b[2J\n"))
    line = screen(hostile, scrape("x"), "head", None)[4]
    assert line.startswith("ns/?[2J?/TCP")


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.0000421, "0.0421ms"), (0.25, "250ms"), (1.5, "1.5s")]
)
def test_times_have_three_digits(seconds: float, shown: str) -> None:
    totals = {"connections": 1.0, "connect_count": 1.0, "connect_sum": seconds}
    one = Scrape(0.0, {Key("ns", "web", "", "TCP"): Counts(totals)})
    assert shown in drawn(one, None)[4].split()


def unfolded(services: int = 2, kernel: bool = False) -> Scrape:
    found = scrape(*(f"s{n}" for n in range(services)), kernel=kernel)
    for counts in found.services.values():
        for number, state in enumerate(("ready", "ejected", "slow-start", "draining")):
            totals = {} if kernel else dict.fromkeys((*TOTALS, "connect_sum"), 1.0)
            one = Counts(totals, None, {state: 1}, pod=f"pod-{number}")
            counts.endpoints[f"10.0.0.{number}:80"] = one
    return found


def test_endpoints_stand_below_their_service_with_their_state() -> None:
    found = unfolded()
    lines = screen(rows(None, found), found, "head", None, endpoints=True)
    assert len(lines) == 4 + 2 * 5
    assert [line.split()[-1] for line in lines[4:9]] == [
        "ready", "ready", "ejected", "slow-start", "draining",
    ]  # fmt: skip
    assert lines[5].startswith("  10.0.0.0:80 pod-0  ")
    assert lines[5].split() == [
        "10.0.0.0:80", "pod-0", "0", "-", "-", "-", "1", "1", "1s", "ready",
    ]  # fmt: skip
    assert len({line.rfind(line.split()[-1]) for line in lines[5:9]}) == 1
    assert len(screen(rows(None, found), found, "head", None)) == 4 + 2


def test_endpoints_of_the_kernel_have_states_only() -> None:
    found = unfolded(1, kernel=True)
    lines = screen(rows(None, found), found, "head", None, endpoints=True)
    assert lines[3].split() == ["SERVICE", "STATES"]
    assert lines[5].split() == ["10.0.0.0:80", "pod-0", "ready"]


@pytest.mark.parametrize(
    ("skip", "first", "last"),
    [(0, "ns/s0/TCP", "... and 5 more"), (3, "10.0.0.2:80", "... and 2 more"),
     (4, "10.0.0.3:80", "  10.0.0.3:80 pod-3")],
)  # fmt: skip
def test_what_is_scrolled_out_of_sight_is_not_counted_as_below(
    skip: int, first: str, last: str
) -> None:
    found, size = unfolded(), Size(120, 10)
    assert length(rows(None, found), endpoints=True) == 10
    assert room(size) == 6
    lines = screen(rows(None, found), found, "head", size, endpoints=True, skip=skip)
    assert lines[4].split()[0] == first
    assert lines[-1].startswith(last)


@pytest.mark.parametrize("lines", range(8))
@pytest.mark.parametrize("columns", [1, 20, 60])
def test_unfolded_no_terminal_is_too_small_either(lines: int, columns: int) -> None:
    found, size = unfolded(), Size(columns, lines)
    for skip in range(11):
        drawn = screen(
            rows(None, found), found, "head", size, endpoints=True, skip=skip, hint="keys"
        )
        assert len(drawn) <= lines
        assert all(len(line) <= columns for line in drawn)


def test_the_hint_is_the_third_line() -> None:
    found = scrape("web")
    assert screen(rows(None, found), found, "head", None, hint="q quit")[2] == "q quit"


def test_names_of_pods_say_nothing_to_the_terminal() -> None:
    found = unfolded(1)
    (counts,) = found.services.values()
    counts.endpoints = {"\x1b[1m": Counts({}, None, {"\x07": 1}, pod="\r")}
    line = screen(rows(None, found), found, "head", None, endpoints=True)[5]
    assert line.isprintable()
