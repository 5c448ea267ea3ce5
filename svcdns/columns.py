"""Tables for people: plain text in columns."""

from collections.abc import Sequence

GAP = "  "


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Give each row as a line whose cells start where those of the other rows start.

    The last cell of a row is as long as it is, and no line ends in blanks.

    Args:
        rows: Cells of each row; all rows have as many.

    Raises:
        ValueError: The rows differ in length.
    """
    *padded, last = zip(*rows, strict=True) if rows else ((),)
    widths = [max(map(len, column)) for column in padded]
    return [
        GAP.join(
            [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), end]
        ).rstrip()
        for row, end in zip(rows, last, strict=True)
    ]
