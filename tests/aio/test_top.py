"""``svcdns top`` beside a real ``svcdns up``: documents for programs, a screen for people."""

import asyncio
import fcntl
import json
import os
import pty
import re
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from svcdns.aio.top import Unreachable, scrape
from tests.support.manifests import pod, service, write
from tests.support.ports import free_port
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
APPS = tuple(f"{name}-{os.getpid()}" for name in ("web", "cart", "ledger", "clock"))
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


@asynccontextmanager
async def up() -> AsyncIterator[str]:
    """Run ``svcdns up`` on four Services of our own; give its metrics address."""
    address = f"127.0.0.1:{free_port()}"
    with TemporaryDirectory() as manifests:
        (Path(manifests) / "a.yaml").write_bytes(write(*objects()))
        async with running(address, manifests):
            yield address


def objects() -> Iterator[dict[str, Any]]:
    """Make Services that no other process on this machine has."""
    for app in APPS:
        yield service(app, ports=[{"name": "http", "port": 8080}])
        for number in range(2):
            yield pod(f"{app}-{number}", app)


@asynccontextmanager
async def running(address: str, manifests: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "svcdns", "up", manifests, "--metrics-address", address,
        "--dns-port", str(free_port()), "--upstream", "none",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=ENVIRONMENT,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            while b"Ctrl-C stops" not in (line := await process.stdout.readline()):
                assert line, "svcdns up ended"
        yield
    finally:
        process.terminate()
        await asyncio.wait_for(process.communicate(), 30)


class Terminal:
    """``svcdns top`` on a terminal of its own."""

    def __init__(self, process: asyncio.subprocess.Process, master: int) -> None:
        self.process = process
        self.shown = b""
        self._master = master
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self) -> None:
        try:
            self.shown += os.read(self._master, 65536)
        except OSError:  # the last process at the other end is gone
            asyncio.get_running_loop().remove_reader(self._master)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, typed: bytes) -> None:
        os.write(self._master, typed)

    def screens(self) -> list[list[str]]:
        """Give what was drawn, screen by screen."""
        text = self.shown.decode()
        screens = text.split("\x1b[H")[1:]
        return [re.sub(r"\x1b\[[?\d]*[A-Za-z]", "", one).split("\r\n") for one in screens]


@asynccontextmanager
async def terminal(*words: str, kind: str = "xterm") -> AsyncIterator[Terminal]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "svcdns", "top", *words,
        stdin=slave, stdout=slave, stderr=slave, env=ENVIRONMENT | {"TERM": kind}, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(slave)
    found = Terminal(process, master)
    try:
        yield found
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        asyncio.get_running_loop().remove_reader(master)
        os.close(master)


async def top(*words: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "svcdns", "top", *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=ENVIRONMENT,
    )  # fmt: skip
    out, errors = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, out.decode(), errors.decode()


async def test_a_program_gets_one_document() -> None:
    async with up() as address:
        status, out, errors = await top(
            address, "--once", "--output", "json", "--interval", "0.1", "--sort", "name"
        )

    assert (status, errors) == (0, "")
    document = json.loads(out)
    assert document["source"] == f"http://{address}/metrics"
    names = [one["name"] for one in document["services"]]
    assert names == sorted(names)
    (web,) = (one for one in document["services"] if one["name"] == f"default/{APPS[0]}:http/TCP")
    assert web["endpoint_states"]["ready"] >= 2


async def test_a_program_gets_endpoints_with_their_states() -> None:
    async with up() as address:
        status, out, errors = await top(
            address, "--once", "--output", "json", "--interval", "0.1", "--endpoints"
        )

    assert (status, errors) == (0, "")
    services = {one["service"]: one for one in json.loads(out)["services"]}
    found = services[APPS[0]]["endpoints"]
    assert sorted(one["pod"] for one in found) == [f"{APPS[0]}-0", f"{APPS[0]}-1"]
    assert {one["state"] for one in found} == {"ready"}


async def test_keys_unfold_sort_scroll_and_end() -> None:
    """The interval is long: what follows a key does not wait for the next look."""
    async with up() as address, terminal(address, "--interval", "3600") as shown:
        await until(lambda: b"2 ready" in shown.shown)
        shown.press(b"e")
        endpoint = re.compile(rf"  127\.[\d.]+:\d+ {APPS[0]}-0  .* ready")
        await until(lambda: any(endpoint.match(line) for line in shown.screens()[-1]))
        shown.press(b"s")
        await until(lambda: shown.screens()[-1][0].endswith("by active"))
        shown.resize(100, 8)
        await until(lambda: shown.screens()[-1][4:] and "more" in shown.screens()[-1][-1])
        assert shown.screens()[-1][4].startswith("default/")
        shown.press(b"\x1b[B")
        await until(lambda: any(line.startswith("  127.") for line in shown.screens()[-1][4:5]))
        shown.press(b"q")
        assert await asyncio.wait_for(shown.process.wait(), 30) == 0
        await until(lambda: shown.shown.endswith(b"\x1b[?25h\x1b[?1049l"))


async def test_the_terminal_is_put_back_while_the_program_is_stopped() -> None:
    async with up() as address, terminal(address, "--interval", "3600") as shown:
        await until(lambda: shown.screens())
        shown.process.send_signal(signal.SIGTSTP)
        await until(lambda: shown.shown.endswith(b"\x1b[?25h\x1b[?1049l"))
        await until(lambda: _state(shown.process.pid) == "T")
        drawn = len(shown.screens())
        shown.process.send_signal(signal.SIGCONT)
        await until(lambda: len(shown.screens()) > drawn)
        assert shown.shown.count(b"\x1b[?1049h") == 2
        shown.press(b"q")
        assert await asyncio.wait_for(shown.process.wait(), 30) == 0


def _state(pid: int) -> str:
    """Give the kernel's letter for what a process does (proc_pid_stat(5), field 3)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def test_the_screen_follows_the_terminal_and_ctrl_c_puts_it_back() -> None:
    async with up() as address, terminal(address, "--interval", "0.1") as shown:
        await until(lambda: len(shown.screens()) > 2)
        wide = shown.screens()[1]
        assert wide[0].startswith(f"svcdns top  http://{address}/metrics")
        assert wide[3].split()[-1] == "STATES"
        shown.resize(40, 6)
        # the last one may be there in part
        await until(lambda: len(shown.screens()[-2]) <= 6)
        narrow = shown.screens()[-2]
        assert max(map(len, narrow)) <= 40
        assert narrow[-1].startswith("... and ")
        shown.process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(shown.process.wait(), 30) == 0
        await until(lambda: shown.shown.endswith(b"\x1b[?25h\x1b[?1049l"))
    assert b"Traceback" not in shown.shown


async def test_a_terminal_that_cannot_be_drawn_on_gets_tables_one_after_the_other() -> None:
    async with up() as address, terminal(address, "--interval", "0.1", kind="dumb") as shown:
        await until(lambda: shown.shown.count(b"svcdns top  ") > 2)
        shown.process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(shown.process.wait(), 30) == 0
    assert b"\x1b" not in shown.shown
    assert b"2 ready" in shown.shown


async def test_sigterm_puts_the_terminal_back_too() -> None:
    async with up() as address, terminal(address, "--interval", "0.1") as shown:
        await until(lambda: shown.screens())
        shown.process.terminate()
        assert await asyncio.wait_for(shown.process.wait(), 30) == 0
        await until(lambda: shown.shown.endswith(b"\x1b[?1049l"))


async def test_a_process_that_goes_away_is_said_on_the_screen() -> None:
    async with up() as address:
        display = terminal(address, "--interval", "0.1")
        shown = await display.__aenter__()
        await until(lambda: shown.screens())
    try:
        await until(lambda: b"connection refused; trying again" in shown.shown)
    finally:
        await display.__aexit__(None, None, None)


async def test_what_is_no_proxy_is_said() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\ngo_up 1\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        with pytest.raises(Unreachable, match=r"has no svcdns_proxy_\* metrics"):
            await asyncio.to_thread(scrape, f"http://{host}:{port}/metrics")
        server.close()


async def test_garbage_instead_of_http_is_an_error_of_one_line() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x00\xff garbage\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        with pytest.raises(Unreachable, match=f"http://{host}:{port}/metrics: "):
            await asyncio.to_thread(scrape, f"http://{host}:{port}/metrics")
