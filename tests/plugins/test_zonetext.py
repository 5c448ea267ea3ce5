"""Zone files cut up and rewritten; that they are read is tests/plugins/test_zonefile's business."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.plugins.zonetext import SLICE, Piece, decode, pieces, tolerable, uncommented

LONG = "x" * 300


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a\nb", [Piece(1, "a\nb\n", "", 0)]),
        ("a\n$INCLUDE x\nb", [Piece(1, "a\n", "$INCLUDE x", 2), Piece(3, "b\n", "", 0)]),
        ("$generate 1-2 x", [Piece(1, "", "$generate 1-2 x", 1), Piece(2, "", "", 0)]),
        ("$INCLUDES x", [Piece(1, "$INCLUDES x\n", "", 0)]),
        ("a (\n$INCLUDE x\n)", [Piece(1, "a (\n$INCLUDE x\n)\n", "", 0)]),
        ('a "\n$INCLUDE x"\nb', [Piece(1, 'a "\\010$INCLUDE x"\n', "", 0), Piece(3, "b\n", "", 0)]),
        (
            'a "\n"\n$INCLUDE x',
            [Piece(1, 'a "\\010"\n', "$INCLUDE x", 3), Piece(4, "", "", 0)],
        ),
        ('a ; "\n$INCLUDE x', [Piece(1, 'a ; "\n', "$INCLUDE x", 2), Piece(3, "", "", 0)]),
    ],
)
def test_pieces_end_between_records_and_know_their_lines(text: str, found: list[Piece]) -> None:
    assert list(pieces(text)) == found


@given(st.text(st.sampled_from('ab ;"()\\\n\r$'), max_size=300))
def test_nothing_gets_lost_between_pieces(text: str) -> None:
    """Without texts to rewrite, the pieces are the file; and nothing is ever too odd to cut."""
    found = "".join(
        piece.text + (piece.directive and piece.directive + "\n") for piece in pieces(text)
    )

    if '"' not in text:
        assert found == text + "\n"


def test_a_piece_has_so_many_lines() -> None:
    found = list(pieces("a\n" * (2 * SLICE)))

    assert [piece.text.count("\n") for piece in found] == [SLICE, SLICE, 1]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('a TXT "l1\nl2"\n', 'a TXT "l1\\010l2"\n'),
        ('a TXT "l1\r\nl2"\n', 'a TXT "l1\\013\\010l2"\n'),
        ('a TXT "l1\\\nl2"\n', 'a TXT "l1\\010l2"\n'),
        ('a TXT "l1\\\\\nl2"\n', 'a TXT "l1\\\\\\010l2"\n'),
        ('a TXT "\\"\n;x"\n', 'a TXT "\\"\\010;x"\n'),
        (f"a TXT {LONG}\n", f'a TXT "{"x" * 255}" "{"x" * 45}"\n'),
        (f"a txt b {LONG} ; {LONG}\n", f'a txt b "{"x" * 255}" "{"x" * 45}" ; {LONG}\n'),
        (f"a SPF (\n{LONG} )\n", f'a SPF (\n"{"x" * 255}" "{"x" * 45}" )\n'),
        (f'a TXT "{LONG}"\n', f'a TXT "{"x" * 255}" "{"x" * 45}"\n'),
        (f"a DNSKEY 256 3 8 {LONG}\n", f"a DNSKEY 256 3 8 {LONG}\n"),
        (f"TXT DNSKEY 256 3 8 {LONG}\n", f"TXT DNSKEY 256 3 8 {LONG}\n"),
        (f"a TXT b\na DNSKEY 256 3 8 {LONG}\n", f"a TXT b\na DNSKEY 256 3 8 {LONG}\n"),
        (f" TXT {'é' * 128}" + "x" * 200, f' TXT "{"é" * 127}" "é{"x" * 200}"'),
    ],
)
def test_texts_are_written_as_dnspython_takes_them(text: str, written: str) -> None:
    assert tolerable(text) == written


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("a ; b", "a "),
        ('a ";" ; b', 'a ";" '),
        ("a \\; b ; c", "a \\; b "),
        ('a \\" ; "', 'a \\" '),
        ("; a", ""),
        ("a", "a"),
    ],
)
def test_a_comment_begins_outside_of_texts(line: str, left: str) -> None:
    assert uncommented(line) == left


@given(st.binary(max_size=50))
def test_any_octets_are_text(content: bytes) -> None:
    decode(content).encode()
