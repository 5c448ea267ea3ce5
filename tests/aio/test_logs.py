import asyncio
import io
import logging
import select
from collections.abc import Iterator

import pytest

from svcdns.aio.logs import FLUSH_CHARACTERS, CoreDnsHandler, LineWriter, pieces, set_level, set_up
from tests.support.waiting import until


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    made = io.StringIO()
    root = logging.getLogger()
    level, levels = root.level, {}
    for name in ("asyncio", "aiohttp", "kubernetes", "urllib3"):
        levels[name] = logging.getLogger(name).level
    yield made
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    for handler in [one for one in root.handlers if isinstance(one, CoreDnsHandler)]:
        root.removeHandler(handler)


@pytest.mark.parametrize(
    ("level", "line"),
    [
        (logging.INFO, "[INFO] plugin/reload: hash = x"),
        (logging.WARNING, "[WARNING] plugin/reload: hash = x"),
        (logging.ERROR, "[ERROR] plugin/reload: hash = x"),
        (logging.CRITICAL, "[FATAL] plugin/reload: hash = x"),
    ],
)
def test_lines_have_coredns_form(stream: io.StringIO, level: int, line: str) -> None:
    set_up(stream=stream)
    logging.getLogger("svcdns.x").log(level, "plugin/reload: %s = x", "hash")

    assert stream.getvalue() == line + "\n"


def test_a_plugins_logger_puts_its_name_in_front(stream: io.StringIO) -> None:
    set_up(stream=stream)
    logging.getLogger("plugin/kubernetes").info("synced")

    assert stream.getvalue() == "[INFO] plugin/kubernetes: synced\n"


def test_debug_lines_come_only_when_asked_for(stream: io.StringIO) -> None:
    set_up(stream=stream)
    logging.getLogger("svcdns.x").debug("one")
    set_level(debug=True)
    logging.getLogger("svcdns.x").debug("two")

    assert stream.getvalue() == "[DEBUG] two\n"


def test_an_exception_comes_with_its_trace(stream: io.StringIO) -> None:
    set_up(stream=stream)
    try:
        raise KeyError("gone")
    except KeyError:
        logging.getLogger("svcdns.x").exception("a plugin failed")

    lines = stream.getvalue().splitlines()
    assert lines[0] == "[ERROR] a plugin failed"
    assert lines[-1] == "KeyError: 'gone'"


async def test_lines_are_gathered_and_keep_their_order(stream: io.StringIO) -> None:
    writer = set_up(stream=stream)
    writer.write("[INFO] query")
    logging.getLogger("svcdns.x").info("event")
    assert stream.getvalue() == ""

    await until(stream.getvalue)

    assert stream.getvalue() == "[INFO] query\n[INFO] event\n"


async def test_an_error_does_not_wait(stream: io.StringIO) -> None:
    writer = set_up(stream=stream)
    writer.write("[INFO] query")
    logging.getLogger("svcdns.x").error("broken")

    assert stream.getvalue() == "[INFO] query\n[ERROR] broken\n"


async def test_what_is_gathered_is_bounded() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    writer.write("x" * FLUSH_CHARACTERS)
    writer.write("y")

    assert len(stream.getvalue()) == FLUSH_CHARACTERS + 3
    await asyncio.sleep(0)


def test_a_reader_that_went_away_does_not_end_the_server() -> None:
    stream = io.StringIO()
    stream.close()
    writer = LineWriter(stream)

    writer.write("one")
    writer.flush()


def test_lines_of_several_processes_are_written_in_pieces_that_a_pipe_takes_whole() -> None:
    lines = ["x" * 1000, "é" * 1500, "y" * 5000, "", "z"] * 3

    found = list(pieces(lines))

    assert "".join(found).splitlines() == lines
    for piece in found:
        assert piece.endswith("\n")
        assert len(piece.encode()) <= select.PIPE_BUF or piece.count("\n") == 1


def test_a_forked_process_does_not_write_what_its_parent_gathered() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    writer.write("said")
    writer.restart()
    writer.write("ours")
    writer.flush()

    assert stream.getvalue() == "said\nours\n"
