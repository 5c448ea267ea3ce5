import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.kube.lines import LineSplitter, LineTooLong


def split(*chunks: bytes, limit: int = 1000) -> list[bytes]:
    splitter = LineSplitter(limit)
    return [line for chunk in chunks for line in splitter.feed(chunk)]


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([b"a\nb\n"], [b"a", b"b"]),
        ([b"a\nb"], [b"a"]),
        ([b"a", b"b", b"c\n"], [b"abc"]),
        ([b"a", b"\n", b"b\n"], [b"a", b"b"]),
        ([b"", b"a\n", b""], [b"a"]),
        ([b"\n\n \r\na\n\n"], [b"a"]),
        ([b"\n"], []),
        ([b"a\r\n"], [b"a\r"]),  # JSON takes the space
    ],
)
def test_lines_come_out_whole(chunks: list[bytes], lines: list[bytes]) -> None:
    assert split(*chunks) == lines


@given(st.lists(st.binary(max_size=20)), st.data())
def test_where_chunks_were_cut_makes_no_difference(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    edges = [0, *cuts, len(stream)]
    chunks = [stream[a:b] for a, b in itertools.pairwise(edges)]

    assert split(*chunks) == split(stream)


def test_a_line_of_megabytes_in_small_chunks_is_one_line() -> None:
    line = b"x" * (5 << 20)
    chunks = [line[i : i + 1500] for i in range(0, len(line), 1500)]

    assert split(*chunks, b"\n", limit=6 << 20) == [line]


def test_a_line_without_end_is_refused_before_it_fills_the_memory() -> None:
    splitter = LineSplitter(limit=10)
    assert splitter.feed(b"1234567890") == []
    with pytest.raises(LineTooLong, match="more than 10 octets"):
        splitter.feed(b"1")


def test_a_long_line_does_not_count_against_the_next() -> None:
    assert split(b"123456789\n", b"123456789\n", limit=10) == [b"123456789", b"123456789"]
