"""The vocabulary of plugins."""

import pytest
from msgspec.structs import replace

from svcdns.plugins.base import Ask, Client, Drop, Failed, Outcome, then
from svcdns.plugins.commands import Delay, Transport
from tests.support.corefile import Outside


def test_then_changes_a_finished_outcome_at_once() -> None:
    assert then(Drop(), lambda outcome, now: Failed(int(now)), 5.0) == Failed(5)


def test_then_waits_for_every_answer_from_outside() -> None:
    asked_twice = Ask(
        Delay(1.0), lambda result, now: Ask(Delay(2.0), lambda result, now: Failed(2))
    )

    def change(outcome: Outcome, now: float) -> Outcome:
        assert outcome == Failed(2)
        return Failed(int(now))

    first = then(asked_twice, change, 1.0)
    assert isinstance(first, Ask)
    assert first.command == Delay(1.0)
    second = first.resume(None, 2.0)
    assert isinstance(second, Ask)
    assert second.command == Delay(2.0)
    assert second.resume(None, 3.0) == Failed(3)


@pytest.mark.parametrize(
    ("address", "transport", "family", "udp"),
    [("10.0.0.1", Transport.UDP, "1", True), ("fd00::1", Transport.TLS, "2", False)],
)
def test_a_client_knows_its_labels(
    address: str, transport: Transport, family: str, udp: bool
) -> None:
    client = Client(address, 1, transport)

    assert (client.family, client.udp) == (family, udp)


@pytest.mark.parametrize(
    ("root", "text", "path"),
    [
        ("", "db.example", "db.example"),
        ("/etc/coredns", "db.example", "/etc/coredns/db.example"),
        ("/etc/coredns/", "zones/db", "/etc/coredns/zones/db"),
        ("/", "db", "/db"),
        ("/etc/coredns", "/var/db", "/var/db"),
    ],
)
def test_relative_paths_start_at_root(root: str, text: str, path: str) -> None:
    context = replace(Outside().context(), root=root)

    assert context.path(text) == path
