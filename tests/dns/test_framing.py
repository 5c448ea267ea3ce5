"""TCP framing, whole and in pieces."""

import pytest

from svcdns.dns.framing import Deframer, frame

MESSAGES = [b"x" * 12, b"", b"y" * 300, b"z" * 65535]


def test_a_message_is_preceded_by_its_length() -> None:
    assert frame(b"abc") == b"\x00\x03abc"
    assert frame(b"") == b"\x00\x00"
    assert frame(b"a" * 65535)[:2] == b"\xff\xff"


def test_a_message_over_the_length_field_is_refused() -> None:
    with pytest.raises(ValueError, match="65536 octets"):
        frame(b"a" * 65536)


def test_messages_in_one_piece_come_out_in_order() -> None:
    deframer = Deframer()
    assert deframer.feed(b"".join(map(frame, MESSAGES))) == MESSAGES
    assert deframer.pending == 0


@pytest.mark.parametrize("size", [1, 2, 3, 13, 1000])
def test_messages_in_pieces_come_out_the_same(size: int) -> None:
    """J12: pipelined queries arrive in any pieces."""
    stream = b"".join(map(frame, MESSAGES))
    deframer = Deframer()
    found = []
    for at in range(0, len(stream), size):
        found += deframer.feed(stream[at : at + size])
    assert found == MESSAGES
    assert deframer.pending == 0


@pytest.mark.parametrize("cut", range(1, 14))
def test_a_message_cut_off_stays_pending(cut: int) -> None:
    deframer = Deframer()
    assert deframer.feed(frame(b"x" * 12)[:cut]) == []
    assert deframer.pending == cut


def test_the_rest_of_a_piece_waits_for_its_message() -> None:
    deframer = Deframer()
    assert deframer.feed(frame(b"first") + b"\x00") == [b"first"]
    assert deframer.feed(b"\x06sec") == []
    assert deframer.feed(b"ond" + frame(b"third") + b"\x00\x09") == [b"second", b"third"]
    assert deframer.pending == 2


def test_a_frame_shorter_than_a_header_is_handed_on() -> None:
    """J26: silence and the connection is kept; that is for who reads the message."""
    deframer = Deframer()
    assert deframer.feed(frame(b"short") + frame(b"x" * 12)) == [b"short", b"x" * 12]
