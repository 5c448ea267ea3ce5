import pytest

from svcdns.errors import CorefileError
from svcdns.plugins import health
from svcdns.plugins.base import HttpAnswer, LameDuck, Periodic, ServeHttp
from svcdns.plugins.commands import Exchanged, Fetch, Result, Unanswered
from tests.support.corefile import Outside, directives, set_up


def needs(text: str, outside: Outside | None = None) -> tuple[ServeHttp, LameDuck, Periodic]:
    found = health.setup(directives(text), (outside or Outside()).context()).needs
    serve, duck, poll = found
    assert isinstance(serve, ServeHttp)
    assert isinstance(duck, LameDuck)
    assert isinstance(poll, Periodic)
    return serve, duck, poll


def test_the_probe_says_ok() -> None:
    serve, _, _ = needs("health")

    assert serve.address == ":8080"
    assert serve.routes["/health"]() == HttpAnswer(200, b"OK")
    assert not serve.closes_first, "it answers also while lame duck"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("health", 0.0), ("health {\nlameduck 5s\n}", 5.0), ("health :9 {\nlameduck 1m\n}", 60.0)],
)
def test_the_lame_duck_period(text: str, seconds: float) -> None:
    assert needs(text)[1] == LameDuck(seconds)


def test_what_one_directive_says_stays_in_force_beside_another() -> None:
    serve, duck, _ = needs("health :8081 {\nlameduck 5s\n}\nhealth")

    assert (serve.address, duck) == (":8081", LameDuck(5.0))


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("health", "http://127.0.0.1:8080/health"),
        ("health 169.254.20.10:8080", "http://169.254.20.10:8080/health"),
        ("health [::1]:8080", "http://[::1]:8080/health"),
    ],
)
def test_it_asks_itself(text: str, url: str) -> None:
    (ask,) = needs(text)[2].run(0.0)

    assert ask.command == Fetch("GET", url, timeout=3.0)


@pytest.mark.parametrize(
    ("result", "failures", "line"),
    [
        (Exchanged(b"OK", 0.01), 0, ""),
        (Exchanged(b"OK", 1.5), 0, "took more than 1s: 1.500s"),
        (Unanswered("http: i/o timeout", timeout=True), 1, "failed: http: i/o timeout"),
    ],
)
def test_what_it_makes_of_its_own_request(result: Result, failures: int, line: str) -> None:
    outside = Outside()
    poll = needs("health", outside)[2]
    (ask,) = poll.run(0.0)
    assert poll.run(1.0) == (), "one request at a time"
    ask.resume(result, 1.0)
    assert len(poll.run(2.0)) == 1

    families = {family.name: family for family in outside.registry.collect()}
    assert families["coredns_health_request_failures_total"].cell().value == failures
    counted = sum(families["coredns_health_request_duration_seconds"].histogram().counts)
    assert counted == 1 - failures
    assert [bool(line) and line in text for text in outside.lines] == ([True] if line else [])


@pytest.mark.parametrize(
    "text",
    [
        "health a b",
        "health 8080",
        "health {\nlameduck\n}",
        "health {\nlameduck x\n}",
        "health {\nlameduck -1s\n}",
        "health {\nx\n}",
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(CorefileError):
        set_up(health.setup, text)
