import pytest

from svcdns.plugins.chorus import FIRST, MAX_LINES, SECONDS, Chorus


class Told:
    """A chorus whose clock is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.lines: list[str] = []
        self.chorus = Chorus(self.lines.append, lambda: self.now)

    def say(self, *voices: int, line: str = "it failed") -> int:
        """Have voices say a line; give how often it has been written by then."""
        for voice in voices:
            self.chorus.say(voice, line)
        return self.lines.count(line)


@pytest.mark.parametrize("voices", [(FIRST, 1, 2), (2, FIRST, 1), (1, 2)])
def test_a_line_of_all_is_written_once(voices: tuple[int, ...]) -> None:
    assert Told().say(*voices) == 1


def test_whoever_was_heard_is_heard_again() -> None:
    told = Told()
    assert told.say(1, FIRST, 2) == 1
    told.now += 1
    assert told.say(FIRST, 2) == 1
    assert told.say(1, FIRST, 2) == 2


def test_a_line_does_not_stand_for_others_for_ever() -> None:
    told = Told()
    told.say(FIRST)
    told.now += SECONDS
    assert told.say(1, 2, FIRST) == 2


def test_different_lines_are_all_written() -> None:
    told = Told()
    for voice, line in ((FIRST, "a"), (1, "b"), (1, "c")):
        assert told.say(voice, line=line) == 1


def test_what_is_remembered_is_bounded() -> None:
    told = Told()
    for number in range(MAX_LINES + 1):
        told.say(FIRST, line=str(number))
    assert told.say(1, line="0") == 2
    assert told.say(1, line=str(MAX_LINES)) == 1
