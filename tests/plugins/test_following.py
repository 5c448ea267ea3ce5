"""A follower and its primaries, without a network: time is a number."""

import itertools

import pytest

from svcdns.plugins.base import Ask, Drop, Outcome
from svcdns.plugins.commands import Exchange, Exchanged, ReadZone, Transport, Unanswered, Upstream
from svcdns.plugins.following import FIRST_DELAY, MAX_DELAY, Follower, Held
from svcdns.plugins.zoneanswers import Zones
from tests.support.records import wire_name
from tests.support.transfers import SOA, WEB, message

ORIGIN = wire_name("example.org")
PRIMARIES = [Upstream(f"10.0.0.{last}", 53, Transport.TCP) for last in (1, 2)]
REFRESH, RETRY, EXPIRE = 7200, 1800, 86400


class World:
    """Two primaries with the same zone, and a follower of them."""

    def __init__(self, number: int = 2, held: Held | None = None) -> None:
        self.serial = 7
        self.down: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self.log: list[str] = []
        self.now = 100.0
        self.zones = Zones("secondary", lambda _owners: None)
        self.follower = Follower(
            ORIGIN, PRIMARIES[:number], self.zones, self.log.append, lambda: 0.5, held
        )

    def look(self) -> list[tuple[str, str]]:
        """Have it look, and answer everything that it asks; give what that was."""
        return self.carry_out(self.follower.look(self.now))

    def carry_out(self, asks: tuple[Ask, ...]) -> list[tuple[str, str]]:
        before = len(self.asked)
        for ask in asks:
            outcome: Outcome = ask
            while isinstance(outcome, Ask):
                outcome = self.answer(outcome)
            assert isinstance(outcome, Drop)
        return self.asked[before:]

    def answer(self, ask: Ask) -> Outcome:
        command = ask.command
        assert isinstance(command, Exchange | ReadZone)
        address = command.upstream.address
        self.asked.append((address, "AXFR" if isinstance(command, ReadZone) else "SOA"))
        if address in self.down:
            return ask.resume(Unanswered("dial tcp: connection refused"), self.now)
        soa = SOA.format(self.serial)
        if isinstance(command, ReadZone):
            assert command.take(message(soa, WEB, soa))
            command.finish()
            return ask.resume(Exchanged(b"", 0.1), self.now)
        return ask.resume(Exchanged(message(soa, kind="SOA"), 0.1), self.now)

    @property
    def served(self) -> int | None:
        return self.zones.serial(ORIGIN)


def test_the_zone_is_transferred_at_the_first_look_and_checked_after_its_refresh_time() -> None:
    world = World()
    assert world.served is None
    assert world.look() == [("10.0.0.1", "AXFR")]
    assert world.served == 7
    world.now += REFRESH - 1
    assert world.look() == []
    world.now += 1 + 2.5
    assert world.look() == [("10.0.0.1", "SOA")], "put off by up to five seconds"
    world.now += REFRESH + 2.5
    world.serial = 8
    assert world.look() == [("10.0.0.1", "SOA"), ("10.0.0.1", "AXFR")]
    assert world.served == 8
    assert world.log[-1].startswith("[INFO] plugin/secondary: Transferred: example.org. from")


def test_a_lower_serial_is_not_taken() -> None:
    """RFC 1982."""
    world = World()
    world.look()
    world.serial = 6
    world.now += REFRESH + 5
    assert world.look() == [("10.0.0.1", "SOA")]
    assert world.served == 7


def test_the_next_primary_is_asked_when_one_does_not_answer() -> None:
    world = World()
    world.down = {"10.0.0.1"}
    assert world.look() == [("10.0.0.1", "AXFR"), ("10.0.0.2", "AXFR")]
    assert world.served == 7
    world.now += REFRESH + 5
    assert world.look() == [("10.0.0.1", "SOA"), ("10.0.0.2", "SOA")]
    assert any('Failed to transfer `example.org.\' from "10.0.0.1:53"' in one for one in world.log)


def test_the_first_transfer_is_tried_again_with_growing_pauses() -> None:
    world = World(1)
    world.down = {"10.0.0.1"}
    times: list[float] = []
    while len(times) < 9:
        if world.look():
            times.append(world.now)
        world.now += 0.125
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]

    assert pauses == [FIRST_DELAY, 0.5, 1.0, 2.0, 4.0, 8.0, MAX_DELAY, MAX_DELAY]
    assert "All 'example.org.' masters failed to transfer, retrying in 250ms" in world.log[1]
    world.down = set()
    world.now += MAX_DELAY
    world.look()
    assert world.served == 7


def test_without_primaries_it_is_retried_and_expires_and_comes_back() -> None:
    """RFC 1035 §3.3.13; CoreDNS waits for a higher serial, so a zone may be lost for good."""
    world = World(1)
    world.look()
    started = world.now
    world.down = {"10.0.0.1"}
    world.now += REFRESH + 5
    assert world.look() == [("10.0.0.1", "SOA")]
    world.now += RETRY - 1
    assert world.look() == []
    world.now += 1 + 2.5
    assert world.look() == [("10.0.0.1", "SOA")]
    assert world.served == 7
    world.now = started + EXPIRE
    world.look()
    assert world.served is None
    assert any("Zone example.org. is expired" in one for one in world.log)
    world.down = set()
    world.now += RETRY + 5
    assert world.look() == [("10.0.0.1", "SOA")]
    assert world.served == 7


def test_a_notify_is_heeded_at_once() -> None:
    """RFC 1996 §3.11."""
    world = World()
    world.look()
    world.serial = 8
    assert world.carry_out(world.follower.notified(world.now, "10.0.0.1")) == [
        ("10.0.0.1", "SOA"),
        ("10.0.0.1", "AXFR"),
    ]
    assert world.served == 8


def test_a_notify_during_a_look_brings_another_one() -> None:
    world = World()
    (ask,) = world.follower.look(world.now)
    assert world.follower.notified(world.now, "10.0.0.1") == ()
    assert world.follower.look(world.now) == ()
    world.carry_out((ask,))

    assert world.look() == [("10.0.0.1", "SOA")]


def test_who_hears_of_a_notify_from_another_process_asks_at_the_next_look() -> None:
    world = World()
    (ask,) = world.follower.look(world.now)
    world.follower.hurry()
    world.carry_out((ask,))
    assert world.look() == [("10.0.0.1", "SOA")]
    assert world.look() == []
    world.serial = 8
    world.follower.hurry()

    assert world.look() == [("10.0.0.1", "SOA"), ("10.0.0.1", "AXFR")]


SHORT = "example.org. 60 IN SOA ns.example.org. host.example.org. 7 0 0 0 0"


def test_an_soa_that_wants_to_be_asked_all_the_time_is_asked_once_a_second() -> None:
    world = World(1)
    (first,) = world.follower.look(world.now)
    assert isinstance(first.command, ReadZone)
    first.command.take(message(SHORT, SHORT))
    first.resume(Exchanged(b"", 0.1), world.now)
    world.down = {"10.0.0.1"}
    looks = 0
    for _ in range(40):
        world.now += 0.25
        looks += bool(world.look())

    assert 5 <= looks <= 10


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"junk", "cannot be read"),
        (message(kind="SOA", rcode=5), "REFUSED"),
        (message(WEB, kind="SOA"), "without SOA"),
    ],
)
def test_an_answer_without_a_serial_counts_as_none(answer: bytes, complaint: str) -> None:
    world = World(1)
    world.look()
    world.now += REFRESH + 5
    (ask,) = world.follower.look(world.now)
    ask.resume(Exchanged(answer, 0.1), world.now)

    assert world.log[-1].startswith("[WARNING] plugin/secondary: Failed refresh check")
    assert complaint in world.log[-1]
    assert world.served == 7


def test_a_zone_that_is_none_is_not_served() -> None:
    world = World(1)
    (ask,) = world.follower.look(world.now)
    assert isinstance(ask.command, ReadZone)
    ask.command.finish()
    ask.resume(Exchanged(b"", 0.1), world.now)

    assert world.served is None
    assert "0 SOA records" in world.log[0]


def test_a_zone_comes_from_the_primary_that_has_the_new_one() -> None:
    """The one before it did not answer when it was asked for the serial."""
    world = World()
    world.look()
    world.serial = 8
    world.down = {"10.0.0.1"}
    world.now += REFRESH + 5
    assert world.look() == [("10.0.0.1", "SOA"), ("10.0.0.2", "SOA"), ("10.0.0.2", "AXFR")]
    assert world.served == 8


def test_a_zone_that_is_no_newer_than_ours_is_not_taken() -> None:
    """A primary may send an older zone than the serial that it has just named."""
    world = World(1)
    world.look()
    (check,) = world.follower.notified(world.now, "10.0.0.1")
    world.serial = 8
    transfer = world.answer(check)
    assert isinstance(transfer, Ask)
    world.serial = 6
    assert isinstance(world.answer(transfer), Drop)
    assert world.served == 7
    assert world.log[-1].endswith("serial 6 is no newer than ours, 7")


def test_the_log_says_what_came_of_a_notify() -> None:
    world = World(1)
    world.look()
    world.carry_out(world.follower.notified(world.now, "10.0.0.1"))
    assert world.log[-1] == (
        "[INFO] plugin/secondary: Notify from 10.0.0.1 for example.org.: "
        "no SOA serial increase seen"
    )
    world.down = {"10.0.0.1"}
    world.carry_out(world.follower.notified(world.now, "10.0.0.1"))
    assert world.log[-1].startswith(
        "[WARNING] plugin/secondary: Notify from 10.0.0.1 for example.org.: failed primary check: "
    )
    world.now += RETRY + 5
    world.look()
    assert world.log[-1].startswith("[WARNING] plugin/secondary: Failed refresh check ")


def test_a_new_configuration_goes_on_with_the_copy_of_the_one_before() -> None:
    held = Held()
    first = World(1, held)
    first.look()
    second = World(1, held)
    assert second.served == 7
    assert second.look() == [("10.0.0.1", "SOA")], "a check, not a transfer"
    first.down = second.down = {"10.0.0.1"}
    first.now += EXPIRE + 1
    first.look()
    third = World(1, held)
    assert (first.served, third.served) == (None, None), "it stays expired"
    assert third.look() == [("10.0.0.1", "SOA")]
    assert third.served == 7
