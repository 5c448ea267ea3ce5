import pytest

from svcdns.proxy.top import Sort
from svcdns.proxy.topview import END, Key, View, keys


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        (b"q", [Key.QUIT]),
        (b"Q", [Key.QUIT]),
        (b"\x03", [Key.QUIT]),
        (b"\x04", [Key.QUIT]),
        (b"e", [Key.ENDPOINTS]),
        (b"s", [Key.SORT]),
        (b"\x1b[A", [Key.UP]),
        (b"\x1bOA", [Key.UP]),
        (b"\x1b[B\x1bOB", [Key.DOWN, Key.DOWN]),
        (b"\x1b[5~\x1b[6~", [Key.PAGE_UP, Key.PAGE_DOWN]),
        (b"\x1b[H\x1b[F\x1b[1~\x1b[4~", [Key.TOP, Key.BOTTOM, Key.TOP, Key.BOTTOM]),
        (b"gGjkb ", [Key.TOP, Key.BOTTOM, Key.DOWN, Key.UP, Key.PAGE_UP, Key.PAGE_DOWN]),
        (b"", []),
        (b"\x1b", []),
        (b"\x1b[", []),
        (b"xyz\xff\x00", []),
        (b"xeq", [Key.ENDPOINTS, Key.QUIT]),
        (b"\x1b[Ze", [Key.ENDPOINTS]),
    ],
)
def test_keys_are_told_apart(typed: bytes, found: list[Key]) -> None:
    assert keys(typed) == found


def test_endpoints_come_and_go_and_begin_at_the_top() -> None:
    unfolded = View(skip=7).after(Key.ENDPOINTS, 10)
    assert unfolded == View(endpoints=True)
    assert unfolded.after(Key.ENDPOINTS, 10) == View()


def test_sorting_goes_round_all_orders() -> None:
    view, seen = View(skip=3), []
    for _ in Sort:
        view = view.after(Key.SORT, 10)
        seen.append(view.sort)
    assert set(seen) == set(Sort)
    assert view == View()


@pytest.mark.parametrize(
    ("key", "skip"),
    [
        (Key.UP, 29),
        (Key.DOWN, 31),
        (Key.PAGE_UP, 21),
        (Key.PAGE_DOWN, 39),
        (Key.TOP, 0),
        (Key.BOTTOM, END),
        (Key.QUIT, 30),
    ],
)
def test_scrolling_moves_by_lines_and_pages(key: Key, skip: int) -> None:
    assert View(skip=30).after(key, 10).skip == skip


@pytest.mark.parametrize("page", [0, 1, 2])
def test_a_page_is_a_line_at_least(page: int) -> None:
    assert View(skip=5).after(Key.PAGE_UP, page).skip == 4
    assert View(skip=5).after(Key.PAGE_DOWN, page).skip == 6


def test_nothing_is_scrolled_above_the_first_line() -> None:
    for key in (Key.UP, Key.PAGE_UP):
        assert View().after(key, 10).skip == 0


@pytest.mark.parametrize(
    ("skip", "length", "page", "within"),
    [(END, 100, 10, 90), (END, 5, 10, 0), (3, 100, 10, 3), (91, 100, 10, 90), (1, 0, 0, 0)],
)
def test_the_last_page_is_full(skip: int, length: int, page: int, within: int) -> None:
    assert View(skip=skip).within(length, page).skip == within
