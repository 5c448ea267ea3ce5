"""``svcdns dns`` as a process, with what it prints."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import dns.asyncquery
import dns.message

from tests.support.ports import free_port
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]


@dataclass
class Running:
    """One ``svcdns dns``."""

    process: asyncio.subprocess.Process
    port: int
    lines: list[str] = field(default_factory=list)

    async def ask(self, name: str = "www.example.", timeout: float = 20.0) -> dns.message.Message:
        query = dns.message.make_query(name, "A")
        return await dns.asyncquery.udp(query, "127.0.0.1", port=self.port, timeout=timeout)

    async def says(self, text: str) -> None:
        await until(lambda: any(text in line for line in self.lines) or self.ended)
        assert any(text in line for line in self.lines), self.lines

    @property
    def ended(self) -> bool:
        return self.process.returncode is not None

    async def end(self, number: int = signal.SIGTERM) -> int:
        if not self.ended:
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 60)


@contextlib.asynccontextmanager
async def running(
    corefile: Path | None, *flags: str, wait: bool = True, cwd: Path | None = None, stdin: str = ""
) -> AsyncIterator[Running]:
    """Start a server on a free port; without *corefile* there is no ``-conf``."""
    port = free_port()
    conf = () if corefile is None else ("-conf", str(corefile))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "svcdns", "dns", *conf, f"-dns.port={port}", *flags,
        cwd=cwd, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    made = Running(process, port)
    assert process.stdin
    process.stdin.write(stdin.encode())
    process.stdin.close()

    async def read() -> None:
        assert process.stdout
        async for line in process.stdout:
            made.lines.append(line.decode().rstrip("\n"))

    reading = asyncio.ensure_future(read())
    try:
        if wait:
            await made.says("svcdns-")
        yield made
    finally:
        await made.end(signal.SIGKILL)
        await reading
