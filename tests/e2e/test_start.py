"""Starting ``svcdns dns`` as a user would: without a Corefile, from standard input, wrongly."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import dns.message
import dns.rcode
import pytest

from tests.support.ports import free_port
from tests.support.process import ROOT, running
from tests.support.waiting import until


async def run(*flags: str, cwd: Path, stdin: bytes = b"") -> tuple[int | None, str, str]:
    """Run to the end; give status, standard output and standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "svcdns", "dns", *flags, cwd=cwd,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(stdin), 30)
    return process.returncode, out.decode(), err.decode()


def additional(answer: dns.message.Message) -> list[str]:
    return sorted(rrset.to_text() for rrset in answer.additional)


async def test_without_any_corefile_it_says_who_asks_and_logs_it(tmp_path: Path) -> None:
    """Corefile-features a: the built-in `.:53 { whoami; log }`, with -dns.port."""
    async with running(None, cwd=tmp_path) as server:
        answer = await server.ask("who.example.")
        port, address = additional(answer)
        assert address == "who.example. 0 IN A 127.0.0.1"
        number = port.removeprefix("_udp.who.example. 0 IN SRV 0 0 ").removesuffix(" .")

        client = f"[INFO] 127.0.0.1:{number} - {answer.id} "
        await server.says(client + '"A IN who.example. udp 29 false 512" NOERROR qr,aa,rd 91 0.')
        assert await server.end() == 0
    assert server.lines[0] == f".:{server.port}"


async def test_a_corefile_in_the_directory_is_taken(tmp_path: Path) -> None:
    (tmp_path / "Corefile").write_text("example.org {\n    whoami\n}\n")
    async with running(None, cwd=tmp_path) as server:
        assert (await server.ask("a.example.org.")).rcode() == dns.rcode.NOERROR
        assert (await server.ask("a.example.com.")).rcode() == dns.rcode.REFUSED
    assert server.lines[0] == f"example.org.:{server.port}"


async def test_a_corefile_comes_from_standard_input(tmp_path: Path) -> None:
    text = "example.org {\n    whoami\n}\n"
    async with running(None, "-conf", "stdin", cwd=tmp_path, stdin=text) as server:
        assert (await server.ask("a.example.org.")).rcode() == dns.rcode.NOERROR
        server.process.send_signal(signal.SIGUSR1)
        await server.says("[INFO] Reloading complete")
        assert (await server.ask("a.example.org.")).rcode() == dns.rcode.NOERROR


async def test_the_process_id_is_there_when_queries_are_taken(tmp_path: Path) -> None:
    async with running(None, "-pidfile", "pid", cwd=tmp_path) as server:
        assert (tmp_path / "pid").read_text() == f"{server.process.pid}\n"


async def test_a_process_id_that_cannot_be_written_ends_the_start(tmp_path: Path) -> None:
    status, _, err = await run(f"-dns.port={free_port()}", "-pidfile=no/pid", cwd=tmp_path)

    assert status == 1
    assert err == "could not write pidfile: open no/pid: no such file or directory\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (". {\n    errors\n    nope\n}\n", "Corefile:3 - Error during parsing: Unknown directive 'nope'"),
        (". {\n    cache x y z {\n        wrong\n    }\n}\n", "Corefile:3 - "),
        (". {\n}\n. {\n}\n", "Corefile:3 - cannot serve dns://.:"),
        ("quic://. {\n}\n", "Corefile:1 - quic://.: svcdns does not serve DNS over QUIC"),
        ("tls://. {\n    tls a b\n}\n", "Corefile:2 - plugin/tls: open a: no such file or directory"),
        (". {\n    route53 example.org.:Z1\n}\n", "Corefile:2 - plugin/route53: "),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_one_line_and_status_1(
    tmp_path: Path, text: str, expected: str
) -> None:
    (tmp_path / "Corefile").write_text(text)
    status, out, err = await run(f"-dns.port={free_port()}", cwd=tmp_path)

    assert (status, out) == (1, "")
    assert err.startswith(expected)
    assert err.count("\n") == 1


async def test_an_old_corefile_runs_and_shows_the_modern_lines(tmp_path: Path) -> None:
    """Issue 4, item 4."""
    (tmp_path / "Corefile").write_text(
        ". {\n    errors stderr\n    hosts {\n        192.0.2.1 a.example\n        fallthrough\n    }\n"
        "    hosts {\n        192.0.2.2 b.example\n        fallthrough\n    }\n"
        "    proxy . 127.0.0.1:1 {\n        policy least_conn\n    }\n}\n"
    )
    async with running(None, cwd=tmp_path) as server:
        answers = [
            (await server.ask(name)).answer[0][0].to_text() for name in ("a.example.", "b.example.")
        ]

    assert answers == ["192.0.2.1", "192.0.2.2"]
    warned = [line for line in server.lines if line.startswith("[WARNING] Corefile:")]
    assert len(warned) == 4
    assert (
        "[WARNING] Corefile:11 - CoreDNS 1.5.0 removed proxy: write `forward . 127.0.0.1:1`"
        in warned
    )


async def test_a_loaded_server_stops_reading_at_sigquit(tmp_path: Path) -> None:
    async with running(None, cwd=tmp_path) as server:
        assert await server.end(signal.SIGQUIT) == 0
        await until(lambda: server.ended)
