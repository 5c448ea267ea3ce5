"""A shortage is said when it begins and ends, whatever happens in between."""

from svcdns.proxy.shortage import CALM_SECONDS, REMINDER_SECONDS, SESSIONS, Shortage


def test_it_is_said_when_it_begins_and_when_it_ends_with_how_long() -> None:
    shortage = Shortage()
    assert shortage.recurs("no descriptors", 100.0) == "new connections wait: no descriptors"
    assert [shortage.recurs("no descriptors", 100.0 + n) for n in range(1, 33)] == [""] * 32
    assert shortage.look(133.0) == ("", CALM_SECONDS - 1.0)
    text, again = shortage.look(132.0 + CALM_SECONDS)
    assert text == "new connections are taken at once again; some waited during 32.0 s"
    assert again == 0
    assert shortage.look(200.0) == ("", 0)


def test_the_next_one_is_said_again() -> None:
    shortage = Shortage()
    assert shortage.recurs("no memory", 0.0)
    assert shortage.look(CALM_SECONDS)[0]
    assert shortage.recurs("no memory", 6.0) == "new connections wait: no memory"


def test_in_between_there_is_a_line_a_minute_and_no_more() -> None:
    shortage = Shortage()
    said = [text for n in range(1800) if (text := shortage.recurs("x", n / 10))]
    assert said == [
        "new connections wait: x",
        f"new connections still wait, for {REMINDER_SECONDS:.0f} s now: x",
        f"new connections still wait, for {2 * REMINDER_SECONDS:.0f} s now: x",
    ]


def test_one_that_lasts_a_moment_is_over_after_the_calm() -> None:
    shortage = Shortage()
    assert shortage.recurs("x", 5.0)
    assert shortage.look(5.0 + CALM_SECONDS)[0].endswith("during 0.0 s")


def test_of_sessions_other_things_are_said() -> None:
    shortage = Shortage(SESSIONS)
    assert shortage.recurs("x", 0.0) == "UDP sessions run short: x"
    assert shortage.recurs("x", 60.0) == "UDP sessions still run short, for 60 s now: x"
    assert shortage.look(70.0)[0] == "UDP sessions are enough again; they ran short during 60.0 s"
