"""Tables for people."""

import pytest

from svcdns.columns import align


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        ([], []),
        ([["alone"]], ["alone"]),
        ([["A", "LONG", "END"], ["bbb", "c", "d e f"]], ["A    LONG  END", "bbb  c     d e f"]),
        ([["a", "", ""], ["", "", "x"]], ["a", "     x"]),
        ([["ä", "b"], ["xx", "c"]], ["ä   b", "xx  c"]),
    ],
)
def test_cells_start_below_each_other_and_lines_end_without_blanks(
    rows: list[list[str]], lines: list[str]
) -> None:
    assert align(rows) == lines


def test_a_row_that_lacks_a_cell_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="shorter"):
        align([["a", "b"], ["c"]])
