import dns.message
import pytest

from svcdns.errors import CorefileError
from svcdns.plugins import erratic, ready
from svcdns.plugins.base import Ask, Rendered, ServeHttp
from svcdns.plugins.commands import Delay
from svcdns.plugins.erratic import Erratic
from tests.support.corefile import Outside, directives, set_up
from tests.support.serving import CLIENT, TCP_CLIENT, question, rows, server_of


def plugin(options: str = "") -> Erratic:
    return erratic.setup(directives(f"erratic {{\n{options}\n}}"), Outside().context())


def faults(options: str, queries: int = 6, asked: str = "a.test A") -> str:
    """One letter a query: ``-`` lost, ``T`` truncated, ``.`` well, ``d`` before it when late."""
    server, found = server_of([plugin(options)]), ""
    for _ in range(queries):
        outcome = server.respond(question(asked), CLIENT, 0.0)
        if isinstance(outcome, Ask):
            found += "d"
            outcome = outcome.resume(None, 1.0)  # type: ignore[assignment]
        assert isinstance(outcome, Rendered)
        messages = [dns.message.from_wire(wire) for wire in outcome.wires]
        found += "-" if not messages else "T" if messages[0].flags & 0x200 else "."
    return found


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("", "-.-.-."),
        ("drop", "-.-.-."),
        ("drop 3", "-..-.."),
        ("drop 0", "......"),
        ("truncate 2", "T.T.T."),
        ("truncate", "-.-.-."),
        ("truncate 0", "-.-.-."),
        ("delay", "d..d..d.."),
        ("delay 3", "d...d..."),
        ("delay 0", "-.-.-."),
        ("drop 4\ntruncate 3\ndelay 3", "-..dT-."),
        ("drop\ntruncate 3", "T..T.."),
    ],
)
def test_every_so_many_queries_have_a_fault(options: str, found: str) -> None:
    assert faults(options) == found


@pytest.mark.parametrize(("duration", "seconds"), [("", 0.1), ("200ms", 0.2), ("0s", 0.0)])
def test_late_answers_are_as_late_as_said(duration: str, seconds: float) -> None:
    server = server_of([plugin(f"delay 1 {duration}")])
    outcome = server.respond(question("a.test A"), CLIENT, 0.0)

    assert isinstance(outcome, Ask)
    assert outcome.command == Delay(seconds)


@pytest.mark.parametrize(
    ("asked", "rcode", "found"),
    [
        ("A.test A", "NOERROR", ["A.test. 0 IN A 192.0.2.53"]),
        ("a.test AAAA", "NOERROR", ["a.test. 0 IN AAAA 2001:db8::53"]),
        ("a.test MX", "SERVFAIL", []),
    ],
)
def test_what_is_answered(asked: str, rcode: str, found: list[str]) -> None:
    outcome = server_of([plugin("drop 0")]).respond(question(asked), CLIENT, 0.0)
    assert isinstance(outcome, Rendered)
    (wire,) = outcome.wires

    assert rows(dns.message.from_wire(wire))[::2] == (rcode, found, [])


def test_large_answers_do_not_fit_a_plain_datagram() -> None:
    outcome = server_of([plugin("drop 0\nlarge")]).respond(question("a.test A"), TCP_CLIENT, 0.0)
    assert isinstance(outcome, Rendered)
    (wire,) = outcome.wires

    assert len(wire) > 512


@pytest.mark.parametrize(("options", "records"), [("drop 0", 6), ("drop 0\ntruncate 1", 5)])
def test_transfers_are_a_small_zone_with_or_without_its_end(options: str, records: int) -> None:
    outcome = server_of([plugin(options)]).respond(question("test AXFR"), TCP_CLIENT, 0.0)
    assert isinstance(outcome, Rendered)
    (wire,) = outcome.wires
    message = dns.message.from_wire(wire, one_rr_per_rrset=True)

    assert len(message.answer) == records
    assert all(str(rrset.name).endswith("test.") for rrset in message.answer)


def test_it_is_ready_for_a_while_only() -> None:
    tested = plugin("drop 0")
    probe = ready.setup(directives("ready {\nmonitor continuously\n}"), Outside().context())
    probe.meet([tested])
    (need,) = probe.needs
    assert isinstance(need, ServeHttp)
    server, seen = server_of([tested]), []
    for _ in range(6):
        seen.append(need.routes["/ready"]().status)
        server.respond(question("a.test A"), CLIENT, 0.0)

    assert seen == [503, 503, 503, 200, 200, 503]


@pytest.mark.parametrize(
    "text",
    [
        "erratic {\ndrop -1\n}",
        "erratic {\ndrop many\n}",
        "erratic {\ndrop 1 2\n}",
        "erratic {\ntruncate -1\n}",
        "erratic {\ndelay 1 soon\n}",
        "erratic {\ndelay 1 1s 1s\n}",
        "erratic {\nlarge 1\n}",
        "erratic {\nx\n}",
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(CorefileError):
        set_up(erratic.setup, text)
